"""Notebook 08: pixels beside approaches in seconds and money; latency against its own noise."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from helpers.approaches import APPROACHES, get_approach, merge_lora
from helpers.approaches.base import protocol_updates
from helpers.backbones import Backbone, clone
from helpers.display.figures import Picture, figure, set_title
from helpers.display.plots import legend_beside, log_axis
from helpers.experiments.steps import first_step
from helpers.experiments.timing import in_turns, latency_ms
from helpers.lessons.levers import BAR_FROM, levers, points_apart, points_in_words, whole_list
from helpers.lessons.trade_offs import SERVING, typical
from helpers.results.statistics import mean_interval
from helpers.tasks import Task
from helpers.vocabulary import (
    ADAPTER,
    CLASSICAL,
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    LORA,
    label_of,
    looks,
    style_of,
)

TRAINING, ANSWERS = "#333333", "#bbbbbb"
HOUR = 3600.0
PRICES = ["choice", "n_train", "photo", "update", "answer"]
TURNS = ("the same network, fastest turn", "the same network, slowest turn")
MISSING = "Not recorded at two sizes in pixels yet"
SAME, MERGED, UNMERGED = "the same network, again", "LoRA, merged", "LoRA, unmerged"
SERVED = {SAME: CLASSICAL, MERGED: LORA, UNMERGED: LORA, ADAPTER: ADAPTER}  # in whose colour


def most_measured(runs: pd.DataFrame) -> pd.DataFrame:
    """`levers` for the number of photos with most pictures' sizes; empty where none has two."""
    table = levers(runs)
    if table.empty:
        return table
    sizes = table.groupby("n_train")["image_size"].nunique()
    return table[table["n_train"] == max(sizes[sizes == sizes.max()].index)]


def plot_lever_costs(runs: pd.DataFrame) -> Picture:
    """Points gained against seconds of training: larger pictures (joined), and approaches."""
    table = most_measured(runs)
    made, ax = figure(MISSING if table.empty else "", width=8)
    if table.empty:
        return made
    start, photos = table.iloc[0], int(table["n_train"].iloc[0])
    sharp = table[table["image_size"] > start["start"]].sort_values("image_size")
    seconds, points = [start.start_seconds, *sharp.seconds], [0, *sharp.points]
    look = style_of(FEATURE_EXTRACTION)
    ax.plot(seconds, points, "o-", color=look.colour, label=f"{look.label}, larger pictures")
    for row in table.itertuples():
        look = style_of(row.approach)
        mark = {"marker": look.marker, "color": look.colour, "zorder": 3}
        if row.runs < BAR_FROM:
            ax.plot(row.seconds, row.points, mfc="white", ms=9, **mark)
        else:
            reach = row.high - row.points
            ax.errorbar(row.seconds, row.points, reach, capsize=3, ms=9, **mark)
    for side, at, gain in zip([start["start"], *sharp["image_size"]], seconds, points, strict=True):
        beside = (8, -4) if gain else (8, 4)  # not on the line at zero
        ax.annotate(f"{side} px", (at, gain), beside, textcoords="offset points")
    moved = table[table["image_size"] == start["start"]]
    for name, look in looks(moved["approach"]).items():
        row = moved[moved["approach"] == name].iloc[0]
        label = f"{look.label}, {row.start} px"
        ax.plot([], [], look.marker, color=look.colour, ms=9, label=label)
    ax.axhline(0, color="#333333", lw=1)
    ax.set(xlabel="processor seconds of one training (log scale)")
    log_axis(ax)
    ax.set_ylabel("points above the frozen network")
    set_title(ax, f"{photos:,} photos: what seconds buy, by pixels and by approach")
    repeats = "trainings" if whole_list(photos) else "draws"
    legend_beside(ax, f"bar: 95 % interval over {repeats};\nhollow: one or two of them")
    return made


def levers_in_money(runs: pd.DataFrame, latencies: pd.DataFrame, euro_an_hour: float) -> str:
    """The best of pixels and the best of approaches: points, seconds, and cents for a training.

    latencies: as of `price_list`.
    """
    table = most_measured(runs)
    if table.empty:
        return ""
    sharper = table["image_size"] > table["start"]
    best = [part.loc[part["points"].idxmax()] for part in (table[sharper], table[~sharper])]
    told = [
        f"{points_in_words(row)} for {row.seconds - row.start_seconds:.0f} seconds more "
        f"({100 * euro_an_hour * (row.seconds - row.start_seconds) / HOUR:.3f} cents)"
        for row in best
    ]
    pixels, way = best
    _, low, high = mean_interval(points_apart(runs, pixels, way))
    ahead = "Which gains more is open"
    if low > 0 or high < 0:
        ahead = f"{'Larger pictures' if low > 0 else 'Moved weights'} gained more"
    answer = answer_seconds(latencies)
    slower = answer[pixels.image_size] / answer[pixels.start]
    return (
        f"With {pixels.n_train:,} photos, {pixels.image_size} pixels in place of {pixels.start} "
        f"brought **{told[0]}**; the best approach at {pixels.start} pixels, "
        f"*{label_of(way.approach)}*, **{told[1]}**. {ahead}. Larger "
        "pictures need no learning rate, no tuning and no second copy of the network. Their price "
        "comes with more photos, each of which passes once, and with every answer: each takes "
        f"{pixels.flops / pixels.start_flops:.1f} times the computing, and took {slower:.1f} times "
        "as long as recorded, since not all of an answer's time is computing."
    )


def answer_seconds(latencies: pd.DataFrame) -> pd.Series:
    """Recorded seconds of an answer by the plain network, by side in pixels: medians."""
    plain = latencies[latencies["approach"] == FEATURE_EXTRACTION]
    return plain.groupby("image_size")["latency_ms"].median() / 1000


def price_list(runs: pd.DataFrame, latencies: pd.DataFrame) -> pd.DataFrame:
    """What training and answering cost in processor seconds: a row a choice and size recorded.

    runs: of the photos. latencies: runs of the same network, of any task at its sizes. Columns:
    choice; n_train; photo (seconds a training photo, for what is computed once), update
    (seconds an update; 0 for a frozen network), as recorded with so many photos; answer
    (seconds a photo by the plain network: whether an
    adapter slows it is undecided).
    """
    table = most_measured(runs)
    if table.empty:
        return pd.DataFrame(columns=PRICES)
    first = table.iloc[0]
    start = (first.start, FEATURE_EXTRACTION)
    kept = table.assign(moved=table["image_size"] == first.start)
    kept = kept.sort_values(["moved", "image_size", "seconds"])
    rows = [start, *kept[["image_size", "approach"]].itertuples(index=False)]
    parts, answer = _parts(runs), answer_seconds(latencies)
    made = [
        (f"{looks([name])[name].short}, {side} px", n, *part, answer[side])
        for side, name in rows
        for n, *part in parts.loc[[(side, name)]].itertuples(index=False)
    ]
    return pd.DataFrame(made, columns=PRICES)


def _parts(runs: pd.DataFrame) -> pd.DataFrame:
    """Median seconds by photo and by update, by n_train; index: image_size, approach.

    The processor's seconds are one figure a run, so they are parted as those of the clock are.
    """
    clock = runs["prepare_seconds"] + runs["train_seconds"]
    once = (runs["prepare_seconds"] / clock).where(runs["updates"].notna(), 1.0)
    seconds = runs["train_cpu_seconds"]
    parts = runs[["image_size", "approach", "n_train"]].assign(
        photo=seconds * once / runs["n_train"],
        update=(seconds * (1 - once) / runs["updates"]).where(runs["updates"].notna(), 0.0),
    )
    keys = ["image_size", "approach", "n_train"]
    return parts.groupby(keys, observed=True).median().reset_index("n_train")


def nearest_size(prices: pd.DataFrame, photos: int) -> pd.DataFrame:
    """Of `price_list` the size recorded that is nearest to so many photos: a row a choice."""
    away = (np.log(prices["n_train"].astype(float) / photos)).abs()
    nearest = away.groupby(prices["choice"], sort=False).idxmin()
    return prices.loc[nearest].reset_index(drop=True)


def training_seconds(prices: pd.DataFrame, photos: int) -> pd.Series:
    """Processor seconds of one training; updates are as many as the records' recipe makes.

    prices: one row a choice (`nearest_size`).
    """
    return prices["photo"] * photos + prices["update"] * protocol_updates("image", photos)


def plot_money(
    prices: pd.DataFrame, euro_an_hour: float, photos: int, answers: int, *, watts: float
) -> Picture:
    """One bar a choice: a training on `photos` and `answers` photos answered, in euro and kWh."""
    prices = nearest_size(prices, photos)
    train = training_seconds(prices, photos)
    hours = pd.DataFrame({"train": train, "answer": prices["answer"] * answers})
    euro = hours * euro_an_hour / HOUR
    whole = euro.sum(axis=1)
    made, ax = figure(MISSING if prices.empty else "", width=8, height=3.6)
    if prices.empty:
        return made
    ax.barh(prices["choice"], euro["train"], color=TRAINING, label="one training")
    left = {"left": euro["train"], "color": ANSWERS, "label": "answers"}
    ax.barh(prices["choice"], euro["answer"], **left)
    for place, cost in enumerate(whole):
        ax.annotate(f" {cost:,.3g}", (cost, place), va="center")
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.margins(x=0.15)
    ax.set_xlabel(f"euro, at {euro_an_hour:g} for an hour of a core")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    kwh = hours.sum(axis=1) / HOUR * watts / 1000
    set_title(ax, f"{whole.min():,.3g} to {whole.max():,.3g} euro, {kwh.min():,.2g} to "
              f"{kwh.max():,.2g} kWh")  # fmt: skip
    return made


def people_in_words(
    prices: pd.DataFrame, photos: int, *, euro_an_hour: float, wage: float, minutes: float
) -> str:
    """What a person's minutes at a release cost, in trainings of the dearest choice."""
    if prices.empty:
        return ""
    prices = nearest_size(prices, photos)
    seconds = training_seconds(prices, photos)
    training = seconds.max() / HOUR * euro_an_hour
    person = wage * minutes / 60
    return (
        f"{minutes:g} minutes of a person cost {person:,.0f} euro, as much as "
        f"**{person / training:,.0f} trainings** of the dearest choice on the list "
        f"(*{prices['choice'][seconds.idxmax()]}*, {photos:,} photos, {training:.3f} euro each)."
    )


def latency_ratios(runs: pd.DataFrame) -> pd.DataFrame:
    """Recorded latency over the fully tuned network's, a row a situation and way of serving.

    Columns: those of SERVING, served, approach, ratio. What computes the same as the plain network
    is `SAME`: how far its ratio lies from one is noise. So is `MERGED`, which stands for itself.
    """
    plain = [name for name, one in APPROACHES.items()
             if one.uses_network and one.serves_plain_network()]  # fmt: skip
    ways = [(name, "latency_ms", MERGED if name == LORA else SAME) for name in plain]
    ways += [(LORA, "latency_unmerged_ms", UNMERGED), (ADAPTER, "latency_ms", ADAPTER)]
    medians = runs.groupby([*SERVING, "approach"])[["latency_ms", "latency_unmerged_ms"]].median()
    base = medians["latency_ms"].xs(FULL_FINE_TUNING, level="approach")
    parts = []
    for name, column, served in ways:
        if name != FULL_FINE_TUNING and name in medians.index.get_level_values("approach"):
            ratio = (medians[column].xs(name, level="approach") / base).dropna()
            parts.append(ratio.rename("ratio").reset_index().assign(served=served, approach=name))
    return pd.concat(parts, ignore_index=True)


def noise_band(ratios: pd.DataFrame) -> tuple[float, float]:
    """What 95 % of ratios of a network to itself lie between."""
    same = ratios[ratios["served"] == SAME]["ratio"]
    low, high = np.quantile(same, [0.025, 0.975])
    return float(low), float(high)


def plot_latency(runs: pd.DataFrame) -> Picture:
    """Ratios of `latency_ratios`, a row a way of serving, over the band of noise."""
    ratios = latency_ratios(runs)
    low, high = noise_band(ratios)
    made, ax = figure("Latency beside the plain network, one mark a situation", height=3)
    ax.axvspan(low, high, color="#dddddd", label="noise: 95 % of a network against itself")
    names = [name for name in SERVED if (ratios["served"] == name).any()]
    for place, name in enumerate(names):
        own, colour = ratios[ratios["served"] == name]["ratio"], style_of(SERVED[name]).colour
        ax.plot(own, np.full(len(own), place), "|", color=colour, ms=14, mew=1.5)
        ax.plot(typical(own), place, "D", color=colour, mec="#1a1d21", ms=7)
    ax.set_yticks(range(len(names)), map(label_of, names))
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlabel("times the plain network's latency (diamond: typical)")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), fontsize="small")
    return made


def latency_in_words(runs: pd.DataFrame) -> str:
    """The band of noise, and for each way of serving how often it lies beyond."""
    ratios = latency_ratios(runs)
    low, high = noise_band(ratios)
    timings = ratios[ratios["served"] == SAME].groupby("approach")["ratio"]
    same = timings.agg(typical)
    lines = [
        f"Of {timings.size().sum()} timings of a network against itself, the middle 95 % lie "
        f"between {low:.2f} and {high:.2f} times as slow. "
        f"Averaged over situations, {len(same)} approaches that serve that network still come out "
        f"between **{same.min():.2f}** and **{same.max():.2f}**. A difference within that is "
        "nothing.\n"
    ]
    for name in (MERGED, UNMERGED, ADAPTER):
        own = ratios[ratios["served"] == name]["ratio"]
        if len(own):
            beyond = int((own > high).sum())
            lines.append(
                f"- *{name}*: typically **{typical(own):.2f} times**, slower than noise explains "
                f"in {beyond} of {len(own)} situations"
            )
    return "\n".join(lines)


def timed_against_itself(
    backbone: Backbone, task: Task, *, turns: int, repeats: int
) -> dict[str, float]:
    """Latency of one example in turns, here and now, over the plain network's.

    The least of all turns; beside it, the least and the most that a turn of the plain network took.
    """
    full = get_approach(FULL_FINE_TUNING)
    models = {kind: get_approach(kind).build(clone(backbone), 5, get_approach(kind).options())
              for kind in (FULL_FINE_TUNING, LORA, ADAPTER)}  # fmt: skip
    models[SAME] = full.build(clone(backbone), 5, full.options())
    models[MERGED] = merge_lora(clone(models[LORA]))
    raw = first_step(backbone, task, FULL_FINE_TUNING, 1)[1]
    timers: Mapping = {
        kind: partial(latency_ms, model, raw, repeats=repeats) for kind, model in models.items()
    }
    held = in_turns(timers, turns)
    best = {kind: min(taken) for kind, taken in held.items()}
    ends = [one / best[FULL_FINE_TUNING] for one in _ends(held[FULL_FINE_TUNING] + held[SAME])]
    names = {SAME: SAME, MERGED: MERGED, LORA: UNMERGED, ADAPTER: ADAPTER}
    ratios = {told: best[kind] / best[FULL_FINE_TUNING] for kind, told in names.items()}
    return ratios | dict(zip(TURNS, ends, strict=True))


def _ends(taken: Sequence[float]) -> tuple[float, float]:
    return min(taken), max(taken)


def turns_in_words(here: Mapping[str, Mapping[str, float]]) -> str:
    """How far one turn of the same network lies from another, by network, in a sentence."""
    told = ", ".join(
        f"{one[TURNS[0]]:.2f} to {one[TURNS[1]]:.2f} ({label_of(name)})"
        for name, one in here.items()
    )
    return f"The same network, turn by turn: {told}.\nWhat lies within that may be noise."
