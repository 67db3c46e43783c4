"""What accuracy costs: bills, fronts, ratios and budgets over recorded runs; a step timed live."""

import statistics
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch.utils._python_dispatch import TorchDispatchMode

from helpers.approaches import APPROACHES
from helpers.backbones import Backbone
from helpers.display.figures import figure
from helpers.display.plots import log_axis, plot_race
from helpers.errors import UserError
from helpers.experiments.costs import count_parameters, step_flops
from helpers.experiments.steps import Price, first_step, step_timer
from helpers.experiments.timing import in_turns, processor_laps
from helpers.paths import results_dir
from helpers.results.learning_curves import comparable, on_equal_seeds
from helpers.results.runs import load_runs
from helpers.results.statistics import SITUATION, paired_gain, pareto, summarise
from helpers.tasks import Task
from helpers.vocabulary import (
    ADAPTER,
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    LORA,
    label_of,
    looks,
    style_of,
)

PLACE = list(SITUATION)
SERVING = ["task", "backbone", "image_size"]


def recorded() -> pd.DataFrame:
    """The runs that compare approaches on equal terms, of the recipe that is compared."""
    runs = comparable(load_runs(), 1)
    return runs[runs["dial"] == 0].reset_index(drop=True)


def bill(runs: pd.DataFrame, least: int = 1) -> pd.DataFrame:
    """One row per situation and approach, as `summarise` has it, with `seconds` and latencies.

    Means are of equal seeds. least: approaches that a situation needs to be kept.
    seconds: processor seconds of training and of what it prepared; the clock's depend on what else
    ran. latency_ms, latency_unmerged_ms: medians over every run that serves the same network on
    the same task, since neither the number of training examples nor the weights' values change
    what is computed, and one run's figure holds whatever else the machine did.
    """
    tried = runs.groupby(PLACE, observed=True)["approach"].transform("nunique")
    table = summarise(runs[tried >= least], by=(*PLACE, "approach"))
    table = on_equal_seeds(table, runs, PLACE)
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


def named(table: pd.DataFrame) -> pd.Series:
    """Each row's situation in words; texts have tokens, and no pixels to tell apart."""
    pixels = " at " + table["image_size"].astype(str) + " px"
    several = table.groupby(["task", "backbone"])["image_size"].transform("nunique") > 1
    sizes = table["n_train"].map("{:,} examples".format) + pixels.where(several, "")
    return table["backbone"].map(label_of) + " on " + table["task"].map(label_of) + ", " + sizes


BENCHED = {  # of bench.csv: what takes so many times less, in words
    "probe_cached": "a probe over 20 epochs of 256 photos, with the network run once instead of in "
    "each epoch (that one run counted)",
    "partial_cached": "the top two stages over 10 epochs of 256 photos, with the frozen stages run "
    "once",
}


def benched(*names: str) -> str:
    """Recorded ratios of `bench.csv` as sentences, a line each; those that lack are left out."""
    rows = pd.read_csv(results_dir() / "bench.csv", encoding="utf-8")
    rows = rows[rows["name"].isin(names)].drop_duplicates("name", keep="last")
    return "\n".join(
        f"- **{row.ratio:.1f} times** less ({row.low:.1f} to {row.high:.1f}): {BENCHED[row.name]}"
        for row in rows.itertuples(index=False)
    )


def cost_ratios(runs: pd.DataFrame, ours: str, theirs: str) -> pd.DataFrame:
    """How many times the processor seconds of `theirs` `ours` takes, and what it gains.

    A row per situation, paired by seed. Columns: those of PLACE; `ratio` (geometric mean);
    `gain`, `low`, `high` in test accuracy; `runs`, the seeds that both have.
    """
    logs = runs.assign(log_seconds=np.log(runs["train_cpu_seconds"].clip(lower=1e-9)))
    costs = paired_gain(logs, ours, theirs, value="log_seconds")
    costs["ratio"] = np.exp(costs["mean"])
    gains = paired_gain(runs, ours, theirs).rename(columns={"mean": "gain"})
    return costs[[*PLACE, "ratio"]].merge(gains.drop(columns="approach"), on=PLACE)


def typical(ratios: pd.Series) -> float:
    """Geometric mean: ten times more and ten times less cancel out. NaN where there is none."""
    return float(np.exp(np.log(ratios).mean())) if len(ratios) else float("nan")


def plot_front(
    table: pd.DataFrame, cost: str, *, title: str = "", xlabel: str = "", ax: Axes | None = None
) -> Figure:
    """`plot_race` over `cost`, with a grey line over the approaches that no other one beats."""
    made = plot_race(table, cost, title=title, xlabel=xlabel or cost.replace("_", " "), ax=ax)
    front = pareto(table, cost)
    ax = made.axes[0] if ax is None else ax
    line = {"color": "#7f7f7f", "lw": 1.2, "zorder": 0, "drawstyle": "steps-post"}
    ax.plot(front[cost], front["mean"], **line)
    return made


def clear_winners(table: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """Of each situation of `bill` the most accurate, or "" where it isn't clearly the first.

    Clearly: the whole 95 % interval of its lead over the second, seed by seed, is above zero.
    """
    winners = []
    for place, own in table.groupby(PLACE, observed=True):
        first, second = own.nlargest(2, "mean")["approach"]
        here = runs[(runs[PLACE] == list(place)).all(axis=1)]
        lead = paired_gain(here, first, second)
        winners.append(first if (lead["low"] > 0).any() else "")
    return winners


def fronts_in_words(table: pd.DataFrame, costs: Mapping[str, str], runs: pd.DataFrame) -> str:
    """How often each approach is on the front of each cost, and is clearly most accurate.

    table: from `bill` of the runs.
    """
    places = list(table.groupby(PLACE, observed=True))
    lines = []
    for cost, label in costs.items():
        on = [name for _, own in places for name in pareto(own, cost)["approach"]]
        counts = pd.Series(on).value_counts()
        told = ", ".join(f"*{label_of(name)}* {n}" for name, n in counts.items())
        lines.append(f"- {label}: {told}")
    least = min(len(own) for _, own in places)
    won = pd.Series([name for name in clear_winners(table, runs) if name], dtype=object)
    told = ", ".join(f"*{label_of(name)}* in {n}" for name, n in won.value_counts().items())
    said = f" ({told})" if told else ""
    return (
        f"Of {len(places)} situations with {least} approaches or more, the most accurate is "
        f"clearly ahead of the second, seed by seed, in **{len(won)}**{said}; "
        f"{len(places) - len(won)} are too close to call. On the front (some by luck, "
        "since means are compared):\n\n" + "\n".join(lines)
    )


def plot_duel(duel: pd.DataFrame) -> Figure:
    """Gain against cost ratio, one point a situation of `cost_ratios`, ten times marked."""
    made, ax = figure("Full fine-tuning beside the frozen network, one point a situation", width=8)
    for name, look in looks(sorted(duel["backbone"].unique())).items():
        own = duel[duel["backbone"] == name]
        ax.plot(own["ratio"], 100 * own["gain"], look.marker, color=look.colour, label=look.label)
    ax.axvline(10, color="#7f7f7f", ls="--", label="ten times the cost")
    ax.axhline(0, color="#333333", lw=1)
    ax.set(xscale="log", xlabel="times the processor seconds (log scale)")
    ticks = [1, 3, 10, 30, 100, 300]
    ax.set_xticks(ticks, map(str, ticks))
    ax.set_ylabel("gain in accuracy (points)")
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return made


def duel_in_words(duel: pd.DataFrame) -> str:
    """For each backbone: the typical ratio, its span and how often it is ten; then the gains."""
    lines = []
    for name, own in duel.groupby("backbone"):
        ten, ratio = int((own["ratio"] >= 10).sum()), own["ratio"]
        lines.append(
            f"- {label_of(name)}: typically **{typical(ratio):.0f} times** (from {ratio.min():.0f} "
            f"to {ratio.max():.0f} over situations); ten times or more in {ten} of {len(own)} "
            "situations"
        )
    sure = duel[duel["runs"] > 2]
    up, down = int((sure["low"] > 0).sum()), int((sure["high"] < 0).sum())
    lines.append(
        f"- accuracy: of {len(sure)} situations with both on three seeds or more, full fine-tuning "
        f"is clearly ahead in {up} and clearly behind in {down}"
    )
    return "\n".join(lines)


def modules_in_words(runs: pd.DataFrame) -> str:
    """LoRA's and adapters' processor seconds over full fine-tuning's, for each backbone."""
    lines = []
    for name in (LORA, ADAPTER):
        table = cost_ratios(runs, name, FULL_FINE_TUNING)
        told = ", ".join(
            f"{label_of(network)} {typical(own['ratio']):.2f} (dearer in "
            f"{(own['ratio'] > 1).sum()} of {len(own)})"
            for network, own in table.groupby("backbone")
        )
        lines.append(f"- *{label_of(name)}* over full fine-tuning: {told}")
    return "\n".join(lines)


def findings(runs: pd.DataFrame | None = None) -> str:
    """What the records say of costs today, for the notebook's last section."""
    runs = recorded() if runs is None else runs
    duel = cost_ratios(runs, FULL_FINE_TUNING, FEATURE_EXTRACTION)
    lines = [
        f"- Full fine-tuning takes {typical(own['ratio']):.0f} times the seconds of a frozen "
        f"network on {label_of(name)}, from {own['ratio'].min():.0f} to "
        f"{own['ratio'].max():.0f} over situations."
        for name, own in duel.groupby("backbone")
    ]
    told = [
        f"{typical(ratio):.2f} times ({label_of(name)}; slower in {(ratio > 1).sum()} of "
        f"{len(ratio)} situations)"
        for name in (LORA, ADAPTER)
        for ratio in [cost_ratios(runs, name, FULL_FINE_TUNING)["ratio"]]
    ]
    lines.append(f"- Small modules take {' and '.join(told)} the seconds of full fine-tuning.")
    return "\n".join(lines)


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
        style = {"mfc": fill, "mec": look.colour, "ms": 10, "ls": "none", "label": look.label}
        ax.plot(row.seconds, row.mean, marker=look.marker, **style)
    end = 3 * max(seconds, table["seconds"].max())
    ax.axvspan(seconds, end, color="#dddddd", alpha=0.6)
    ax.set_xlim(table["seconds"].min() / 2, end)
    log_axis(ax)
    ax.set(xlabel="processor seconds (log scale; grey: over the budget)")
    ax.set_ylabel("test accuracy (mean over draws)")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return made


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
    forward and backward; forward_ms, backward_ms, optimizer_ms, step_ms (their sum), processor
    time, medians of `repeats` steps on `size` examples taken in turns. Frozen lower stages are
    computed before.
    """
    held = {name: first_step(backbone, task, name, size) for name in approaches}

    timers = {name: step_timer(step, processor_laps) for name, step in held.items()}
    times = in_turns(timers, repeats)
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


def plot_parts(parts: Mapping[str, pd.DataFrame]) -> Figure:
    """`step_parts` of several networks, a panel each: a bar an approach, cut in three."""
    made, axes = figure("Where the time of a training step goes", width=8, height=3.2,
                        columns=len(parts), squeeze=False)  # fmt: skip
    colours = {"forward": "#bbbbbb", "backward": "#f0c27b", "optimizer": "#333333"}
    for ax, (name, table) in zip(axes[0], parts.items(), strict=True):
        left = np.zeros(len(table))
        shown = [style_of(approach).short for approach in table["approach"]]
        for part, colour in colours.items():
            ax.barh(shown, table[f"{part}_ms"], left=left, color=colour, label=part)
            left += table[f"{part}_ms"]
        ax.set(xlabel="processor milliseconds", title=label_of(name))
        if ax is not axes[0, 0]:
            ax.set_yticklabels([])
    entries = axes[0, 0].get_legend_handles_labels()
    made.legend(*entries, loc="outside lower center", ncols=3)
    return made


def parts_in_words(parts: Mapping[str, pd.DataFrame]) -> str:
    """Each approach's step as a share of a full one, with calls and FLOPs, for each network."""
    lines = []
    for name, table in parts.items():
        table = table.set_index("approach")
        share = table.div(table.loc[FULL_FINE_TUNING]).drop(FULL_FINE_TUNING)
        told = ", ".join(
            f"*{style_of(row.Index).short}* **{row.step_ms:.0%}** ({row.gflops:.0%} of the FLOPs, "
            f"{row.calls:.0%} of the calls)"
            for row in share.itertuples()
        )
        lines.append(f"- {label_of(name)}: {told}")
    return "\n".join(lines)


def plot_epochs(prices: Mapping[str, Price], epochs: int, backbone: str) -> Figure:
    """GFLOP for one example over all epochs; what is frozen runs once, and in the last bar often.

    prices: approach → `measure_price`.
    """
    bars = {label_of(name): p.flops(1, epochs) / 1e9 for name, p in prices.items()}
    frozen = prices[FEATURE_EXTRACTION]
    bars["frozen, nothing kept"] = epochs * (frozen.prepare_flops + frozen.step_flops) / 1e9
    ratio = prices[FULL_FINE_TUNING].flops(1, epochs) / frozen.flops(1, epochs)
    title = f"{label_of(backbone)}, {epochs} epochs: full computes {ratio:.0f} times the kept probe"
    made, ax = figure(title, width=8, height=3)
    ax.barh(
        list(bars), list(bars.values()), color=[*(style_of(n).colour for n in prices), "#b3cde3"]
    )
    ax.invert_yaxis()
    ax.set_xlabel("GFLOP for one example, all epochs")
    return made
