"""Notebook 09: what many tasks cost over years, in storage, computing and people's hours.

Versions are kept, as whoever must say later which model answered has to. An upgrade is a new base:
parts that were trained on the old one are trained again, and both bases are kept; full copies hold
all their weights and are left as they are (they gain nothing from the new base either).
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.display.diagrams import plot_bill
from helpers.display.figures import Picture, figure
from helpers.display.plots import plot_curves
from helpers.errors import UserError
from helpers.lessons.trade_offs import cost_ratios, recorded, typical
from helpers.paths import results_dir
from helpers.results.learning_curves import comparable
from helpers.results.runs import load_runs
from helpers.vocabulary import (
    ADAPTER,
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    LORA,
    PARTIAL_FINE_TUNING,
    counted,
    label_of,
    phrase_of,
    style_of,
)

FULL = FULL_FINE_TUNING
HEAD = FEATURE_EXTRACTION
APPROACHES = (HEAD, ADAPTER, LORA, PARTIAL_FINE_TUNING, FULL)
COUNTS = (1, 3, 10, 30, 100, 300, 1_000)
HOUR = 3600.0
PEOPLE = "people"


@dataclass(frozen=True)
class Plan:
    """Tasks, retrainings of each in a year, years, and upgrades of the base in all that time."""

    tasks: int
    retrainings: float = 2.0
    years: float = 3.0
    upgrades: int = 0

    def __post_init__(self) -> None:
        if self.tasks < 1 or min(self.retrainings, self.years, self.upgrades) < 0:
            raise UserError("a plan needs 1 task or more, and nothing below zero")

    @property
    def trainings(self) -> float:
        """How often one task is trained while its base stays: at first, then again and again."""
        return 1 + self.retrainings * self.years


@dataclass(frozen=True)
class Prices:
    """What the reader pays, in euros, and the minutes of a person that checking a release takes."""

    wage: float = 60.0  # an hour of a person
    minutes: float = 20.0
    core_hour: float = 0.05
    gb_month: float = 0.02


def recorded_costs() -> pd.DataFrame:
    """`unit_costs` of what is compared on 200 examples, where a network read most tasks alike."""
    runs = comparable(load_runs(dial=0.0, n_train=200))
    runs = runs[runs["approach"].isin(APPROACHES)]
    tried = runs.groupby(["backbone", "image_size", "task"])["approach"].nunique()
    whole = tried[tried == len(APPROACHES)].reset_index()
    sides = whole.groupby("backbone")["image_size"].agg(lambda sizes: sizes.mode().iloc[0])
    return unit_costs(runs[runs["image_size"] == runs["backbone"].map(sides)])


def unit_costs(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per backbone and approach: `file_mb`, and `cpu_seconds` of one training.

    runs: recorded, of one size. Only tasks count on which all APPROACHES were run, so that rows
    compare; medians over tasks and seeds. `base_mb` is a full copy less its head, 0 for full
    copies, which share none. `tasks` says how many a row rests on.
    """
    runs = runs[runs["approach"].isin(APPROACHES)]
    whole = runs.groupby(["backbone", "task"])["approach"].transform("nunique") == len(APPROACHES)
    groups = runs[whole].groupby(["backbone", "approach"])
    table = groups.agg(
        file_mb=("stored_mb", "median"),
        cpu_seconds=("train_cpu_seconds", "median"),
        tasks=("task", "nunique"),
    ).reset_index()
    sizes = table.pivot(index="backbone", columns="approach", values="file_mb")
    base = sizes[FULL] - sizes[HEAD] if len(sizes) else pd.Series(dtype=float)
    table["base_mb"] = table["backbone"].map(base).where(table["approach"] != FULL, 0.0)
    order = table["approach"].map(APPROACHES.index).sort_values(kind="stable").index
    return table.loc[order].sort_values("backbone", kind="stable", ignore_index=True)


def bill(costs: pd.DataFrame, plan: Plan, prices: Prices) -> pd.DataFrame:
    """The rows of `costs` with what a whole plan takes, and its bill in euros.

    Adds versions (of one task), storage_mb and cpu_hours, then disks (all files on them from the
    first day: an upper bound), computing and people.
    """
    shares = costs["base_mb"] > 0
    versions = plan.trainings + plan.upgrades * shares
    storage = (1 + plan.upgrades) * costs["base_mb"] + plan.tasks * versions * costs["file_mb"]
    hours = plan.tasks * versions * costs["cpu_seconds"] / HOUR
    people = plan.tasks * versions * prices.minutes / 60 * prices.wage
    return costs.assign(
        versions=versions,
        storage_mb=storage,
        cpu_hours=hours,
        disks=storage / 1000 * prices.gb_month * 12 * plan.years,
        computing=hours * prices.core_hour,
        people=people,
    )


def times_less(costs: pd.DataFrame, approach: str, tasks: float) -> float:
    """Storage of full copies over that of an approach with its base, one version of each task.

    costs: of one backbone. Infinitely many tasks give the ratio of the files, which no number of
    tasks can beat.
    """
    rows = costs.set_index("approach")
    part, full = rows.loc[approach], rows.loc[FULL]
    shared = 0.0 if math.isinf(tasks) else part["base_mb"] / tasks
    return float(full["file_mb"] / (shared + part["file_mb"]))


def plot_years(plan: Plan, prices: Prices) -> Picture:
    """Draw one task through the years: its base, and a mark for each release that people check."""
    months = 12 * plan.years
    dates = np.arange(round(plan.trainings)) * (12 / plan.retrainings if plan.retrainings else 0)
    between = 6 / plan.retrainings if plan.retrainings else 0  # half of what parts two releases
    news = [months * (i + 0.5) / plan.upgrades + between for i in range(plan.upgrades)]
    made, ax = figure("One task through the years: every mark is a release", width=8, height=3.2)
    ends, told = [0, *news, months], []
    for place, (start, end) in enumerate(zip(ends, ends[1:], strict=False)):
        ax.barh(3, end - start, left=start, color=str(0.85 - 0.2 * (place % 2)), ec="white")
        ax.text((start + end) / 2, 3, f"base {place + 1}", ha="center", va="center")
    for row, name, size, extra in ((2, LORA, 6, news), (1, FULL, 13, [])):
        look = style_of(name)
        ax.plot(dates, [row] * len(dates), "s", color=look.colour, ms=size)
        ax.plot(extra, [row + 0.3] * len(extra), "X", color="#b2182b", ms=11)
        releases = len(dates) + len(extra)
        hours = plan.tasks * releases * prices.minutes / 60
        words = f"{releases} releases; {plan.tasks} tasks: {hours:,.0f} hours of people"
        ax.text(0, row - 0.42, words, size="small", va="center")
        told.append(f"{label_of(name)}: {words}")
    ax.set_yticks([3, 2, 1], ["the base", "LoRA, small files", "full copies"])
    ax.set(
        xlabel="months (X: again, because the base changed)", xlim=(-1, months + 1), ylim=(0.3, 3.6)
    )
    ax.grid(visible=False)
    made.alt = f"{plan.years:g} years of one task, {plan.upgrades} new bases. {'. '.join(told)}"
    return made


def plot_costs(costs: pd.DataFrame, plan: Plan, prices: Prices) -> Picture:
    """Draw the bill of a plan, a bar an approach, and say what of it people are."""
    table = bill(costs, plan, prices).set_index("approach")[["disks", "computing", PEOPLE]]
    whole = table.sum(axis=1)
    share = (table[PEOPLE] / whole).min()
    title = f"People: {'over 99 %' if share > 0.99 else f'at least {share:.0%}'} of every bill"
    bills = {label_of(name): dict(row) for name, row in table.iterrows()}
    return plot_bill(bills, f"euros in {plan.years:g} years", title)


def bill_in_words(costs: pd.DataFrame, plan: Plan, prices: Prices) -> str:
    """What full copies of a plan cost, and what LoRA saves of that and adds to it, in euros.

    costs: of one backbone.
    """
    rows = bill(costs, plan, prices).set_index("approach")
    full, lora = rows.loc[FULL], rows.loc[LORA]
    saved = full["disks"] + full["computing"] - lora["disks"] - lora["computing"]
    more = lora[PEOPLE] - full[PEOPLE]
    told = (
        f"{plan.tasks} tasks for {plan.years:g} years, retrained {plan.retrainings:g} times a "
        f"year, {prices.minutes:g} minutes of a person at {prices.wage:g} euros an hour for each "
        f"release: full copies of {label_of(full['backbone'])} cost **{full[PEOPLE]:,.0f} euros of "
        f"people**, {full['disks']:,.0f} of disks and {full['computing']:,.2f} of computing. LoRA "
        f"{'saves' if saved > 0 else 'adds'} {abs(saved):,.0f} euros of disks and computing"
    )
    if not more:
        return f"{told}."
    return (
        f"{told} and adds **{more:,.0f} of people**, because {plan.upgrades} new bases send every "
        "task through the check again."
    )


def check_in_words(costs: pd.DataFrame, plan: Plan, prices: Prices) -> str:
    """How short the check of a release would be that costs no more than disks and computing.

    costs: of one backbone.
    """
    rows = bill(costs, plan, prices).set_index("approach")
    rest = (rows["disks"] + rows["computing"]) / (plan.tasks * rows["versions"])
    full, lora = (HOUR * rest[[FULL, LORA]] / prices.wage).map("**{:.2g} seconds**".format)
    return (
        f"At {prices.wage:g} euros an hour a release's disks and computing cost as much as a check "
        f"of {full} with {phrase_of(FULL)} and of {lora} with {phrase_of(LORA)}."
    )


def plot_times_less(costs: pd.DataFrame) -> Picture:
    """How many times less storage LoRA takes than full copies, a line a network."""
    rows = [
        (network, n, times_less(own, LORA, n))
        for network, own in costs.groupby("backbone")
        for n in COUNTS
    ]
    table = pd.DataFrame(rows, columns=["network", "tasks", "times"])
    title = f"{label_of(LORA)}: how many times less than full copies, base included"
    made = plot_curves(table, "tasks", "times", title=title, by="network", log_x=True,
                       ylabel="times less (dashed: a hundred)")  # fmt: skip
    made.axes[0].axhline(100, color="#333333", ls="--", lw=1)
    made.axes[0].set_yscale("log")
    made.axes[0].yaxis.set_major_formatter("{x:g}")
    return made


def files_in_words(costs: pd.DataFrame) -> str:
    """For each network: its base, and how many times less a hundred and endless tasks take."""
    lines = []
    for network, own in costs.groupby("backbone"):
        told = [
            f"{label_of(name)} {times_less(own, name, 100):.0f} (at most "
            f"{times_less(own, name, math.inf):,.0f})"
            for name in (LORA, ADAPTER, HEAD)
        ]
        base = f"base {own['base_mb'].max():.1f} MB"
        lines.append(f"- **{label_of(network)}**, {base}: {', '.join(told)}")
    return "Times less for a hundred tasks:\n\n" + "\n".join(lines)


def seconds_in_words() -> str:
    """How the seconds of a training with LoRA stand to full fine-tuning's, on each network.

    `bill` rests on fewer: on the situations of one size in which all approaches were run.
    """
    table = cost_ratios(recorded(), LORA, FULL)
    told = ", ".join(
        f"{typical(own['ratio']):.2f} on {label_of(name)} ({counted(len(own), 'situation')})"
        for name, own in table.groupby("backbone")
    )
    return (
        "Over all sizes and tasks that were recorded with both, one training with LoRA takes so "
        f"many times the seconds of {phrase_of(FULL)}: {told}."
    )


def served_in_words() -> str:
    """What was measured of serving twenty tasks on one base."""
    bench = pd.read_csv(results_dir() / "bench.csv", encoding="utf-8").set_index("name")["ratio"]
    return (
        "Measured with twenty LoRA tasks on MiniLM: a task is read, verified and swapped in within "
        f"**{bench['adapter_swap_ms']:.0f} ms**, and all twenty in memory take "
        f"**{bench['library_memory']:.2f} times** what the base does alone."
    )


def findings() -> str:
    """What the records say today at the default prices, for the notebook's last section."""
    costs, plan, prices = recorded_costs(), Plan(50, retrainings=4, upgrades=2), Prices()
    largest = costs[costs["backbone"] == costs.loc[costs["base_mb"].idxmax(), "backbone"]]
    told = ", ".join(
        f"{times_less(own, LORA, 100):.0f} on {label_of(name)}"
        for name, own in costs.groupby("backbone")
    )
    return "\n".join([
        f"- {bill_in_words(largest, plan, prices)}",
        f"- A hundred tasks take so many times less with LoRA than in full copies: {told}. "
        "That depends on the network.",
        f"- A small file does not always mean a short training. {seconds_in_words()}",
    ])  # fmt: skip
