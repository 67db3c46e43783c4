"""What accuracy costs: bills, fronts, ratios and budgets over recorded runs; a step timed live."""

import statistics
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from torch.utils._python_dispatch import TorchDispatchMode

from helpers.approaches import APPROACHES
from helpers.backbones import Backbone
from helpers.display.figures import figure, set_title
from helpers.display.plots import plot_race
from helpers.errors import UserError
from helpers.experiments.costs import count_parameters, step_flops
from helpers.experiments.steps import first_step, step_timer
from helpers.experiments.timing import in_turns
from helpers.results.statistics import interval_table, paired_gain, pareto, summarise
from helpers.tasks import Task
from helpers.vocabulary import FEATURE_EXTRACTION, label_of, style_of

PLACE = ["task", "backbone", "image_size", "dial", "n_train"]
SERVING = ["task", "backbone", "image_size"]


def bill(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per situation and approach, as `summarise` has it, with `seconds` and latencies.

    seconds: processor seconds of training and of what it prepared; the clock's depend on what else
    ran. latency_ms, latency_unmerged_ms: medians over every run that serves the same network on
    the same task, since neither the number of training examples nor the weights' values change
    what is computed, and one run's figure holds whatever else the machine did.
    """
    table = summarise(runs, by=(*PLACE, "approach"))
    table["seconds"] = table["train_cpu_seconds"]
    for column, merged in (("latency_ms", True), ("latency_unmerged_ms", False)):
        served = runs.assign(graph=_graphs(runs, merged))
        steady = served.groupby([*SERVING, "graph"], observed=True)[column].median()
        keys = pd.MultiIndex.from_frame(table[SERVING].assign(graph=_graphs(table, merged)))
        table[column] = steady.reindex(keys).to_numpy()
    return table


def _graphs(table: pd.DataFrame, merged: bool) -> pd.Series:
    """The network that serves each row: its own approach's, or the plain one."""
    plain = [name for name, approach in APPROACHES.items() if approach.serves_plain_network(merged)]
    return table["approach"].mask(table["approach"].isin(plain), "plain network")


def cost_ratios(
    runs: pd.DataFrame, ours: str, theirs: str, cost: str = "train_cpu_seconds"
) -> pd.DataFrame:
    """How many times what `theirs` costs `ours` costs, and what it gains: a row per situation.

    Paired by seed. Columns: those of PLACE; `ratio`, `ratio_low`, `ratio_high` (geometric mean
    with a 95 % t interval on logarithms); `gain`, `low`, `high` in test accuracy; `runs`, the
    seeds that both have.
    """
    logs = runs.assign(log_cost=np.log(runs[cost].clip(lower=1e-9)))
    costs = paired_gain(logs, ours, theirs, by=PLACE, value="log_cost")
    for name, source in (("ratio", "mean"), ("ratio_low", "low"), ("ratio_high", "high")):
        costs[name] = np.exp(costs[source])
    gains = paired_gain(runs, ours, theirs, by=PLACE).rename(columns={"mean": "gain"})
    kept = [*PLACE, "ratio", "ratio_low", "ratio_high"]
    return costs[kept].merge(gains[[*PLACE, "gain", "low", "high", "runs"]], on=PLACE)


def typical(ratios: pd.Series) -> float:
    """Geometric mean: ten times more and ten times less cancel out. NaN where there is none."""
    return float(np.exp(np.log(ratios).mean())) if len(ratios) else float("nan")


def front_counts(table: pd.DataFrame, cost: str) -> pd.DataFrame:
    """How often each approach lies on the front of accuracy against `cost`.

    table: from `bill`. Columns: approach, on_front, situations (those where it was measured).
    """
    rows = []
    for _, own in table.groupby(PLACE, observed=True):
        front = set(pareto(own, cost)["approach"])
        rows += [(name, name in front) for name in own["approach"]]
    counted = pd.DataFrame(rows, columns=["approach", "on"]).groupby("approach")["on"]
    return counted.agg(on_front="sum", situations="count").reset_index()


def plot_front(
    table: pd.DataFrame, cost: str, *, title: str = "", xlabel: str = "", ax: Axes | None = None
) -> Figure:
    """`plot_race` over `cost`, with a grey line over the approaches that no other one beats."""
    made = plot_race(table, cost, title=title, xlabel=xlabel or cost.replace("_", " "), ax=ax)
    front = pareto(table, cost)
    ax = made.axes[0] if ax is None else ax
    line = {"color": "#7f7f7f", "lw": 1.2, "zorder": 0, "drawstyle": "steps-post"}
    ax.plot(front[cost], front["mean"], **line)
    low, high = ax.get_xlim()
    # Over a few decades the powers of ten are enough, over one they are too few.
    steps = (1.0,) if high / low > 300 else (1.0, 2.0, 5.0)
    ax.xaxis.set_major_locator(LogLocator(subs=steps))
    ax.xaxis.set_minor_formatter(NullFormatter())
    return made


def plot_budget(chosen: pd.DataFrame) -> Figure:
    """One line a situation of `within_budget`: what fits (filled), the best without it (ring)."""
    made, ax = figure(width=8, height=4.6)
    labels = []
    for place, row in enumerate(chosen.sort_values(["backbone", "task"]).itertuples()):
        ax.plot(row.best_mean, place, "o", ms=15, mfc="none", mec="#7f7f7f")
        look = style_of(row.approach) if row.approach else None
        if look:
            ax.plot(row.mean, place, look.marker, color=look.colour, ms=8)
        labels.append(f"{row.task} ({row.backbone}): {look.short if look else 'nothing fits'}")
    ax.set_yticks(range(len(labels)), labels, fontsize="small")
    ax.set(xlim=(0, 1), xlabel="test accuracy (ring: best without a budget)")
    fits, lost = (chosen["approach"] != "").sum(), 100 * chosen["given_up"].mean()
    given = f", {lost:.1f} points given up on average" if fits else ""
    set_title(ax, f"Something fits on {fits} of {len(chosen)} tasks{given}")
    return made


def within_budget(
    table: pd.DataFrame, seconds: float, latency_ms: float = float("inf")
) -> pd.DataFrame:
    """The best mean that fits a budget, for each situation of `bill`'s table.

    Columns: those of PLACE; `approach`, `mean`, `low`, `high`, `seconds`, `latency_ms` of the best
    that trains in `seconds` and answers in `latency_ms` (NaN and "" where none does); `best` and
    `best_mean` without a budget; `given_up`, their difference.
    """
    rows = []
    for place, own in table.groupby(PLACE, observed=True):
        free = own.loc[own["mean"].idxmax()]
        fits = own[(own["seconds"] <= seconds) & (own["latency_ms"] <= latency_ms)]
        kept = ["approach", "mean", "low", "high", "seconds", "latency_ms"]
        chosen = (
            fits.loc[fits["mean"].idxmax(), kept].tolist() if len(fits) else [""] + [np.nan] * 5
        )
        rows.append((*place, *chosen, free["approach"], free["mean"]))
    names = ["approach", "mean", "low", "high", "seconds", "latency_ms", "best", "best_mean"]
    made = pd.DataFrame(rows, columns=[*PLACE, *names])
    return made.assign(given_up=made["best_mean"] - made["mean"])


def ship(table: pd.DataFrame, seconds: float, points: float) -> pd.Series:
    """The cheapest approach within `points` (of 100) of the best that trains in `seconds`.

    table: the approaches of one situation, from `bill`. Raises UserError when an approach stands
    twice, or when nothing is recorded that fits.
    """
    if table["approach"].duplicated().any():
        raise UserError("these are several situations; filter by task, size and picture side")
    fits = table[table["seconds"] <= seconds]
    if fits.empty:
        raise UserError(f"nothing recorded here trains in {seconds:g} s; allow more, or record it")
    near = fits[fits["mean"] >= fits["mean"].max() - points / 100 - 1e-9]
    return near.loc[near["seconds"].idxmin()]


def plot_ship(table: pd.DataFrame, seconds: float, points: float) -> Figure:
    """`ship`'s choice (filled) among the approaches of a situation; grey: over the budget."""
    chosen = ship(table, seconds, points)
    label = label_of(chosen["approach"])
    made, ax = figure(f"Ship {label}: {chosen['mean']:.3f} for {chosen['seconds']:.1f} s")
    for row in table.itertuples():
        look = style_of(row.approach)
        fill = look.colour if row.approach == chosen["approach"] else "none"
        ax.plot(row.seconds, row.mean, look.marker, mfc=fill, mec=look.colour, ms=10)
        ax.annotate(look.short, (row.seconds, row.mean), (8, -3), textcoords="offset points")
    end = 3 * max(seconds, table["seconds"].max())
    ax.axvspan(seconds, end, color="#dddddd", alpha=0.6)
    ax.set(xscale="log", xlim=(table["seconds"].min() / 2, end))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set(xlabel="processor seconds (log scale; grey: over the budget)")
    ax.set_ylabel("test accuracy (mean over draws)")
    return made


def price_of_points(runs: pd.DataFrame, baseline: str = FEATURE_EXTRACTION) -> pd.DataFrame:
    """What each approach gains on `baseline` and what that costs, seed by seed.

    Columns: those of PLACE; approach; `points`, `low`, `high` (of 100, 95 %); `extra_seconds`
    (mean, of the processor); `seconds_per_point`, NaN where no point is gained; `runs`.
    """
    parts = []
    for name in sorted(set(runs["approach"]) - {baseline}):
        gains = paired_gain(runs, name, baseline, by=PLACE)
        extra = paired_gain(runs, name, baseline, by=PLACE, value="train_cpu_seconds")
        gains[["mean", "low", "high"]] *= 100
        gains["extra_seconds"] = extra["mean"]
        parts.append(gains.rename(columns={"mean": "points"}))
    names = [*PLACE, "approach", "points", "low", "high", "runs", "extra_seconds"]
    made = pd.concat(parts) if parts else pd.DataFrame(columns=names)
    bought = made["points"].where(made["points"] > 0)
    return made.assign(seconds_per_point=made["extra_seconds"] / bought).reset_index(drop=True)


def generalisation_gaps(runs: pd.DataFrame) -> pd.DataFrame:
    """Training minus test accuracy by situation and approach: mean, low, high (95 %), runs."""
    gaps = runs.assign(gap=runs["train_accuracy"] - runs["test_accuracy"])
    return interval_table(gaps, [*PLACE, "approach"], "gap")


class _Calls(TorchDispatchMode):
    """Counts the operations that PyTorch hands to its kernels."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def step_parts(
    backbone: Backbone, task: Task, approaches: Sequence[str], *, size: int = 32, repeats: int = 5
) -> pd.DataFrame:
    """Where the milliseconds of a training step go, one row per approach, measured here.

    Columns: approach; trainable (parameters); gflops and calls (operations handed to kernels) of
    forward and backward; forward_ms, backward_ms, optimizer_ms, step_ms (their sum), medians of
    `repeats` steps on `size` examples taken in turns. Frozen lower stages are computed before.
    """
    held = {name: first_step(backbone, task, name, size) for name in approaches}
    times = in_turns({name: step_timer(step) for name, step in held.items()}, repeats)
    rows = []
    for name, (model, inputs, labels) in held.items():
        with _Calls() as counter:
            F.cross_entropy(model(inputs), labels).backward()
        model.zero_grad()
        parts = [1000 * statistics.median(part) for part in zip(*times[name], strict=True)]
        flops = step_flops(model, inputs, labels) / 1e9
        moving = count_parameters(model)[0]
        rows.append((name, moving, flops, counter.count, *parts, sum(parts)))
    names = ["forward_ms", "backward_ms", "optimizer_ms", "step_ms"]
    return pd.DataFrame(rows, columns=["approach", "trainable", "gflops", "calls", *names])
