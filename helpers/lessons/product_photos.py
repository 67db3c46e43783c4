"""Notebook 12: photos of clothing, recorded and live; pixels beside approaches; a shift."""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from helpers.backbones import load_backbone
from helpers.display.figures import Picture, figure
from helpers.display.plots import legend_beside, log_axis, mark_sizes
from helpers.errors import DataNotFound
from helpers.lessons.levers import (
    BAR_FROM,
    NO_LEVER,
    SAME_PHOTOS,
    draws,
    levers_compared,
    points_apart,
    unsure_lead,
    whole_list,
)
from helpers.lessons.photos import NETWORK, PHOTOS, SIDE, features, fit_live, linear_model
from helpers.lessons.trade_offs import bill, cost_ratios
from helpers.results.learning_curves import comparable
from helpers.results.published import comparable_cases, full_minus_linear
from helpers.results.runs import Recipe, load_runs
from helpers.results.schema import COMPARED, SCHEMA
from helpers.results.statistics import mean_interval, paired_gain, wilson_interval
from helpers.tasks import Task, load_task
from helpers.training.loop import History
from helpers.vocabulary import (
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    LORA,
    LP_FT,
    PARTIAL_FINE_TUNING,
    counted,
    label_of,
    style_of,
)

SHARPER = "native"  # the sweep that feeds the frozen network larger pictures
STORY = (FEATURE_EXTRACTION, PARTIAL_FINE_TUNING, FULL_FINE_TUNING)
Situation = tuple[int, int]  # photos, pixels a side
PLACE = ["n_train", "image_size"]


def recorded(task: str = PHOTOS, schema: Recipe = COMPARED) -> pd.DataFrame:
    """Recorded runs of the ImageNet network on a task, of the recipe that is compared.

    One variant for each approach and situation, and the frozen network at other sizes in pixels.
    """
    rows = load_runs(schema=schema, task=task, backbone=NETWORK)
    sharper = rows[rows["sweep"] == SHARPER]
    return pd.concat([comparable(rows, 1), sharper]).drop_duplicates("run_id", ignore_index=True)


def of_any_task() -> pd.DataFrame:
    """Recorded runs of the network on pictures of any task: what it takes to answer."""
    return load_runs(backbone=NETWORK, dial=0.0)


def situations(runs: pd.DataFrame) -> dict[str, Situation]:
    """What was recorded for the frozen network and two approaches beside it, by name."""
    found = {}
    for (n, side), own in runs.groupby(PLACE):
        tried = set(own["approach"])
        if FEATURE_EXTRACTION in tried and len(tried) > 2:
            found[f"{n:,} photos at {side} pixels"] = (int(n), int(side))
    return found


def at(table: pd.DataFrame, where: Situation) -> pd.DataFrame:
    """The rows of one situation."""
    return table[(table["n_train"] == where[0]) & (table["image_size"] == where[1])]


def busiest(runs: pd.DataFrame) -> str:
    """The situation with most approaches; of equal ones that with most photos and pixels."""
    places = situations(runs)
    return max(places, key=lambda name: (at(runs, places[name])["approach"].nunique(),
                                         *places[name]))  # fmt: skip


def largest(runs: pd.DataFrame) -> str:
    """The situation with most photos, then most pixels.

    Before all others come those with the story's approaches on draws enough for an interval.
    """
    places = situations(runs)
    held = {name: at(runs, where)["approach"].value_counts() for name, where in places.items()}
    return max(places, key=lambda name: (
        (held[name].reindex(STORY, fill_value=0) >= BAR_FROM).all(), *places[name]))  # fmt: skip


def beside_frozen(runs: pd.DataFrame) -> pd.DataFrame:
    """Partial and full fine-tuning beside the frozen network, seed by seed: a table to show."""
    rows = []
    gaps = runs.assign(gap=runs["train_accuracy"] - runs["test_accuracy"])
    for approach in STORY[1:]:
        for row in cost_ratios(runs, approach, FEATURE_EXTRACTION).itertuples():
            here = at(gaps, (row.n_train, row.image_size))
            gap = paired_gain(here, approach, FEATURE_EXTRACTION, value="gap")["mean"].iloc[0]
            few = row.runs < BAR_FROM
            rows.append({
                "photos": row.n_train,
                "pixels": row.image_size,
                "approach": style_of(approach).short,
                "points gained": round(100 * row.gain, 1),
                "95 % interval": "" if few else f"{100 * row.low:+.1f} to {100 * row.high:+.1f}",
                "rests on": draws(row.runs, row.n_train),
                "× seconds": round(row.ratio, 1),
                "gap wider by": round(100 * gap, 1),
            })  # fmt: skip
    return pd.DataFrame(rows).sort_values(["photos", "pixels"], ignore_index=True).tail(12)


def by_recipe() -> pd.DataFrame:
    """`beside_frozen` of the first round and of the second, on the draws that both have."""
    draw = [*PLACE, "approach", "seed"]
    runs = pd.concat([recorded(schema=one).assign(recipe=one) for one in (1, SCHEMA)])
    runs = runs[runs.duplicated(draw, keep=False)]
    rounds = [beside_frozen(own).assign(recipe=one) for one, own in runs.groupby("recipe")]
    both, place = pd.concat(rounds), ["photos", "pixels", "approach"]
    both = both[both.duplicated(place, keep=False)].sort_values([*place, "recipe"])
    shown = [*place, "recipe", "gap wider by", "points gained", "95 % interval", "rests on"]
    return both[shown].reset_index(drop=True)


def clear_gains(runs: pd.DataFrame) -> str:
    """How many gains of moving weights over the frozen network are clear, in a sentence."""
    names = sorted(set(runs["approach"]) - {FEATURE_EXTRACTION, *NO_LEVER})
    found = pd.concat([paired_gain(runs, name, FEATURE_EXTRACTION) for name in names])
    enough = found[found["runs"] >= BAR_FROM]
    if enough.empty:
        return "No way to move weights has three draws beside the frozen network yet."
    up, down = int((enough["low"] > 0).sum()), int((enough["high"] < 0).sum())
    same = int(enough["n_train"].map(whole_list).sum())
    told = f" ({same} of them over trainings of all photos)" if same else ""
    return (
        f"Of {len(enough)} comparisons with the frozen network that have {BAR_FROM} draws or "
        f"more{told}, moving weights is clearly ahead in **{up}** and clearly behind in **{down}**."
    )


def plot_sizes(runs: pd.DataFrame) -> Picture:
    """Learning curves at the size in pixels that has most numbers of photos, the larger of two.

    Dashed: on larger pictures. Bars: 95 % intervals; hollow markers rest on too few runs for one.
    Each curve is moved a little to the side, so that bars don't cover each other.
    """
    table = bill(runs)
    table = table[table["approach"].isin([*STORY, LORA])]
    side = table[table["approach"] == FULL_FINE_TUNING]["image_size"].mode().max()
    title = f"Accuracy by number of product photos, {side} pixels"
    made, ax = figure(title, width=8.0)
    curves = list(table[table["image_size"] >= side].groupby(["image_size", "approach"]))
    for place, ((pixels, approach), own) in enumerate(curves):
        look, few = style_of(approach), own["runs"] < BAR_FROM
        name = f"{look.label}, {pixels} pixels" if pixels > side else look.label
        x = own["n_train"] * 1.04 ** (place - (len(curves) - 1) / 2)
        line, mark = "--" if pixels > side else "-", {"marker": look.marker, "color": look.colour}
        ax.plot(x, own["mean"], line, label=name, **mark)
        reach = (own["high"] - own["mean"])[~few]
        ax.errorbar(x[~few], own["mean"][~few], reach, fmt="none", color=look.colour, capsize=3)
        ax.plot(x[few], own["mean"][few], ls="none", mfc="white", zorder=3, **mark)
    log_axis(ax)
    mark_sizes(ax, table["n_train"])
    most = table["n_train"].max()
    all_of = f"; {most:,} are {SAME_PHOTOS}" if whole_list(most) else ""
    ax.set(xlabel=f"training photos (log scale{all_of})", ylabel="test accuracy")
    legend_beside(ax, "bar: 95 % interval; hollow:\nunder three runs, no interval")
    return made


def sizes_in_words(runs: pd.DataFrame) -> str:
    """What full fine-tuning gained over the frozen network, and cost, by photos: a line a size."""
    table = cost_ratios(runs, FULL_FINE_TUNING, FEATURE_EXTRACTION)
    lines = [
        f"- {own['image_size'].iloc[0]} pixels: "
        + "; ".join(
            f"**{100 * r.gain:+.1f}**{_ends(r)} with {r.n_train:,} photos, for {r.ratio:.0f} times "
            "the seconds"
            for r in own.itertuples()
        )
        for _, own in table.groupby("image_size")
    ]
    return "\n".join(["Points gained by full fine-tuning over the frozen network:", "", *lines])


def _ends(row) -> str:
    if row.runs < BAR_FROM:
        return f" ({draws(row.runs, row.n_train)})"
    over = " over trainings" if whole_list(row.n_train) else ""
    return f" ({100 * row.low:+.1f} to {100 * row.high:+.1f}{over})"


class Live(NamedTuple):
    """One run here and now: its history, accuracy on n_test photos, and processor seconds."""

    approach: str
    side: int
    history: History
    accuracy: float
    n_test: int
    seconds: float

    def __str__(self) -> str:
        low, high = wilson_interval(round(self.accuracy * self.n_test), self.n_test)
        reached = f"**{self.accuracy:.3f}** (95 % interval {low:.3f} to {high:.3f})"
        told = f"*{label_of(self.approach)}*, {self.side} pixels: test accuracy {reached}"
        return f"{told} after {self.seconds:.1f} processor seconds."


def live(approach: str, side: int, *, n_train: int, epochs: int, n_test: int | None = None) -> Live:
    """Train one approach on photos of clothing by the fairer recipe (`photos.fit_live`)."""
    task = load_task(PHOTOS, n_train=n_train, n_test=n_test, image_size=side)
    fitted = fit_live(approach, load_backbone(NETWORK, size=side), task, 0, epochs)
    seconds = fitted.prepare_cpu_seconds + fitted.history.cpu_seconds
    accuracy = fitted.accuracy(task.test)
    return Live(approach, side, fitted.history, accuracy, len(task.test), seconds)


def curves_in_words(history: History) -> str:
    """Whether the validation loss turned while the training loss fell on."""
    losses = history.val_loss
    turn = losses.index(min(losses)) + 1
    ended = f"ended at {losses[-1]:.2f}" if turn < len(losses) else "was still falling at the end"
    return (
        f"The training loss went from {history.train_loss[0]:.2f} to {history.train_loss[-1]:.2f}. "
        f"The validation loss was lowest in epoch {turn} of {len(losses)}, at {min(losses):.2f}, "
        f"and {ended}; validation accuracy peaked at {max(history.val_accuracy):.3f} and ended at "
        f"{history.val_accuracy[-1]:.3f}."
    )


def beside_each_other(small: Live, *others: Live) -> str:
    """Points that each run gained on the first one, and how many times its seconds it took."""
    told = [
        f"{100 * (one.accuracy - small.accuracy):+.1f} points by *{label_of(one.approach)}* at "
        f"{one.side} pixels ({one.seconds / small.seconds:.0f} times the seconds)"
        for one in others
    ]
    return f"Beside the first: **{'; '.join(told)}**."


def elsewhere(tasks: Iterable[str], *, n: int, n_test: int) -> pd.DataFrame:
    """A probe on `n` photos: on more of the same list, and on the published test; live.

    Columns: task, same and test (mean of the classes' accuracies, so that another mix of classes
    is no shift), points, low, high (the difference, 95 % over classes) and classes. Photos that
    are not on this machine are left out, and `attrs["missing"]` says what is.
    """
    rows, missing = [], []
    for name in tasks:
        try:
            task = load_task(name, n_train=2 * n, image_size=SIDE, n_test=n_test)
            rows.append((name, *_shifted(task, n)))
        except DataNotFound as error:
            missing.append(str(error))
    table = pd.DataFrame(rows, columns=["task", "same", "test", "points", "low", "high", "classes"])
    table.attrs["missing"] = missing
    return table


def _shifted(task: Task, n: int) -> tuple[float, ...]:
    base = load_backbone(NETWORK, size=SIDE)
    X, unseen = (features(base, part).arrays[0] for part in (task.train, task.test))
    y, truth = task.train.labels, task.test.labels
    model = linear_model().fit(X[:n], y[:n])
    same, test = (
        pd.Series(model.predict(part) == labels).groupby(labels).mean()
        for part, labels in ((X[n:], y[n:]), (unseen, truth))
    )
    fall = 100 * (test - same).dropna()
    return (same[fall.index].mean(), test[fall.index].mean(), *mean_interval(fall), len(fall))


def elsewhere_in_words(rows: pd.DataFrame) -> str:
    """`elsewhere` in sentences, then the same of the records where they have it."""
    lines = [
        f"- *{label_of(r.task)}*: **{r.same:.3f}** on further photos of the training list, "
        f"**{r.test:.3f}** on the published test: **{r.points:+.1f} points** (95 % interval over "
        f"{r.classes} classes {r.low:+.1f} to {r.high:+.1f})"
        for r in rows.itertuples()
    ]
    lines += [f"- {sentence}." for sentence in rows.attrs.get("missing", ())]
    return "\n".join([*lines, *_recorded_falls()])


def _recorded_falls() -> list[str]:
    """How far each of the story's approaches fell from the published validation to the test."""
    runs = recorded("grocery")
    runs = runs[runs["approach"].isin(STORY)]
    gaps = 100 * (runs["test_accuracy"] - runs["val_accuracy"])
    told, clear = [], False
    for name, own in gaps.groupby(runs["approach"]):
        mean, low, high = mean_interval(own)
        ends = f"{low:+.1f} to {high:+.1f}, " if len(own) >= BAR_FROM else ""
        told.append(f"*{label_of(name)}* {mean:+.1f} ({ends}{counted(len(own), 'run')})")
        clear = clear or high < 0
    lead = (
        "- Groceries as recorded, plain accuracy on the test less that on the published validation "
        "list, in points (95 % interval over draws)"
    )
    end = "" if clear else " No fall is clear; that list is no part of the training list."
    return [f"{lead}: {', '.join(told)}.{end}"] if told else []


def shifted_elsewhere() -> str:
    """What others published of fine-tuning and a linear model on shifted test sets."""
    tuned = (FULL_FINE_TUNING, LP_FT)
    full, first = (full_minus_linear(comparable_cases(), "domain", name) for name in tuned)
    away, home, first = full.loc["shifted"], full.loc["natural"], first.loc["shifted"]
    return (
        f"Published by others, on larger networks: full fine-tuning minus a linear model is "
        f"**{home['mean']:+.1f} points** on tests of the training's kind ({home.cases:.0f} cases "
        f"of natural photos) and **{away['mean']:+.1f}** on shifted ones ({away.cases:.0f} cases; "
        f"the frozen network is ahead in {away.linear_first:.0%} of them). Probe, then fine-tuning "
        f"is at **{first['mean']:+.1f}** in the {first.cases:.0f} that tried it."
    )


def to_ship(runs: pd.DataFrame) -> str:
    """What leads at each number of photos, and the cheapest within two points of it: a list.

    Over all sizes of pictures; numbers of photos with two approaches or fewer are left out.
    """
    lines, table = [], bill(runs)
    for n, own in table[~table["approach"].isin(NO_LEVER)].groupby("n_train"):
        if own["approach"].nunique() < len(STORY):
            continue
        top, second = (row for _, row in own.nlargest(2, "mean").iterrows())
        near = own[own["mean"] >= top["mean"] - 0.02]
        enough = near.loc[near["seconds"].idxmin()]
        said = f"- **{n:,} photos**: {_candidate(top)} has the highest mean"
        word = unsure_lead(runs, top, second)
        if word and second.name != enough.name:
            said += f", {word} {_candidate(second)}"
        if enough.name != top.name:
            said += f"; {_candidate(enough)} {_whether_enough(runs, enough, top)}"
        if enough["image_size"] > top["image_size"]:
            pixels = (enough["image_size"] / top["image_size"]) ** 2
            said += f", but reads {pixels:.0f} times the pixels for each answer"
        few = min(top["runs"], enough["runs"])
        told = f"{said} ({draws(few, n)} each)." if few < BAR_FROM else f"{said}."
        lines.append(told)
    return "\n".join([*lines, *untried(runs)])


def _whether_enough(runs: pd.DataFrame, cheap: pd.Series, top: pd.Series) -> str:
    """Whether three draws or more show that it lies within two points of the best."""
    gap, unsure = points_apart(runs, cheap, top), "lies within two points by the mean, not shown"
    if len(gap) < BAR_FROM:
        return unsure
    mean, low, high = mean_interval(gap)
    return "is enough" if low >= -2 else f"{unsure}: {mean:+.1f} ({low:+.1f} to {high:+.1f})"


def _candidate(row: pd.Series) -> str:
    place = f"*{label_of(row['approach'])}* at {row['image_size']} pixels"
    return f"{place} ({row['mean']:.3f} for {row['seconds']:,.0f} s)"


def untried(runs: pd.DataFrame) -> list[str]:
    """What the frozen network has and no moved weights, a line: most photos and pixels."""
    own = runs[~runs["approach"].isin(NO_LEVER)]
    moved, (n, side) = own[own["approach"] != FEATURE_EXTRACTION], own[PLACE].max()
    if not at(moved, (n, side)).empty:
        return []
    return [
        f"- **Not recorded**: weights moved on more than {moved['n_train'].max():,} photos or at "
        f"more than {moved['image_size'].max()} pixels; the frozen network has up to "
        f"{n:,} photos, and up to {side} pixels."
    ]


def findings(runs: pd.DataFrame | None = None) -> str:
    """What the records of these photos say today, for the notebook's last section."""
    runs = recorded() if runs is None else runs
    lines = [f"- {clear_gains(runs)} If a gain isn't clear, don't pay for it."]
    return "\n".join([*lines, *levers_compared(runs)])
