"""More points by larger pictures, or by moving weights? Beside one frozen network, by seed."""

from collections.abc import Callable

import pandas as pd

from helpers.approaches import get_approach
from helpers.display.figures import Picture, figure
from helpers.lessons.photos import PHOTOS
from helpers.results.statistics import mean_interval
from helpers.tasks import TASKS
from helpers.vocabulary import CLASSICAL, FEATURE_EXTRACTION, FROM_SCRATCH, label_of, style_of

ENDS = ("points", "low", "high")
NO_LEVER = (CLASSICAL, FROM_SCRATCH)  # they don't start from the pretrained network
BAR_FROM = 3  # draws; two bound next to nothing
SAME_PHOTOS = "all there are: bars over trainings"  # beside a number of photos, in figures


def levers(
    runs: pd.DataFrame, start_from: Callable[..., int] = max, *, both: bool = False
) -> pd.DataFrame:
    """Points gained on the frozen network: by larger pictures, or by moving weights.

    Both start from the largest pictures (`start_from=min`: the smallest) with weights moved and
    larger ones beside them. both: also rows with weights moved on larger pictures than those. A
    row a lever and number of photos: n_train, start (pixels), image_size, approach, points, low,
    high (95 %, seed by seed), runs, seconds, flops, start_seconds, start_flops (medians).
    """
    rows, keys = [], ["image_size", "approach"]
    for n, own in runs[~runs["approach"].isin(NO_LEVER)].groupby("n_train"):
        wide = own.pivot(index="seed", columns=keys, values="test_accuracy")
        costs = own.groupby(keys)[["train_cpu_seconds", "flops_train"]].median()
        frozen = {side for side, name in wide if name == FEATURE_EXTRACTION}
        moved = {side for side, name in wide if name != FEATURE_EXTRACTION}
        sides = [side for side in frozen & moved if side < max(frozen)]
        start = (start_from(sides, default=0), FEATURE_EXTRACTION)
        for lever in wide if sides else ():
            changed = (lever[0] > start[0]) + (lever[1] != start[1])
            if lever[0] < start[0] or not changed or (changed == 2 and not both):
                continue
            gain = 100 * (wide[lever] - wide[start]).dropna()
            if len(gain):
                reach = (*mean_interval(gain), len(gain))
                rows.append((n, start[0], *lever, *reach, *costs.loc[lever], *costs.loc[start]))
    names = ["n_train", "start", "image_size", "approach", "points", "low", "high", "runs",
             "seconds", "flops", "start_seconds", "start_flops"]  # fmt: skip
    return pd.DataFrame(rows, columns=names)


def plot_levers(runs: pd.DataFrame) -> Picture:
    """`levers`, a panel for each number of photos: by pixels, by weights, and by both (hollow)."""
    table = levers(runs, both=True)
    panels = list(table.groupby("n_train"))[-2:]
    title = "More points by larger pictures, or by moving weights?" if panels else "Not recorded"
    height = 1.3 + 0.3 * sum(len(own) for _, own in panels)
    made, axes = figure(title, width=8, height=min(5.0, height), rows=max(1, len(panels)),
                        squeeze=False, sharex=True)  # fmt: skip
    for ax, (n, own) in zip(axes[:, 0], panels, strict=False):
        own = own.assign(larger=own["image_size"] > own["start"], both=_both(own))
        own = own.sort_values(["both", "larger", "points"], ascending=[False, True, True])
        for place, row in enumerate(own.itertuples()):
            look = style_of(row.approach)
            reach = (row.high - row.low) / 2 if row.runs >= BAR_FROM else 0
            fill = "white" if row.both else look.colour
            style = {"fmt": look.marker, "color": look.colour, "mfc": fill, "capsize": 3}
            ax.errorbar(row.points, place, xerr=reach, **style)
        names = [f"{label_of(r.approach)}, {r.image_size} px ({r.seconds:,.0f} s)"
                 for r in own.itertuples()]  # fmt: skip
        ax.set_yticks(range(len(names)), names)
        ax.axvline(0, color="#333333", lw=1)
        words = f"{n:,} photos{f' ({SAME_PHOTOS})' if whole_list(n) else ''}, "
        words += f"beside feature extraction at {own['start'].iloc[0]} px"
        ax.set_title(words, loc="left", size="medium", weight="normal")
    axes[-1, 0].set_xlabel("points gained (bar: 95 % interval, from three draws on)")
    return made


def levers_in_words(runs: pd.DataFrame) -> str:
    """For each number of photos: what the largest pictures gained, and the best way to move."""
    lines, top = [], levers(runs)
    for n, own in top.groupby("n_train"):
        sharp, way = best_levers(own)
        plain = get_approach(way.approach).serves_plain_network()
        lines.append(
            f"- **{n:,} photos.** {sharp.image_size} pixels in place of {sharp.start} gave the "
            f"frozen network **{points_in_words(sharp)}** for {sharp.seconds:,.0f} processor "
            f"seconds in place of {sharp.start_seconds:,.0f}. Of all ways to move weights at "
            f"{sharp.start} pixels, by the mean, *{label_of(way.approach)}* gained most: "
            f"**{points_in_words(way)}** for {way.seconds:,.0f} seconds"
            f"{_level_with(runs, own, way)}."
            f"{_cheapest_words(runs, own, sharp, way)} Each answer later takes "
            f"{sharp.flops / sharp.start_flops:.0f} times the computing with the larger pictures, "
            f"and {'no more' if plain else 'a little more'} with the moved weights."
            f"{_same_photos(n)}"
        )
    for n, own in together(runs).groupby("n_train"):
        way = own.loc[own["points"].idxmax()]
        lines.append(
            f"- **{n:,} photos, both together**: *{label_of(way.approach)}* at {way.image_size} "
            f"pixels gained most, {points_in_words(way)} for {way.seconds:,.0f} seconds"
            f"{_level_with(runs, own, way)}."
        )
    low, starts = levers(runs, min), top.groupby("n_train")["start"].first()
    for n, own in low[low["start"] != low["n_train"].map(starts)].groupby("n_train"):
        sharp, way = best_levers(own)
        lines.append(
            f"- **{n:,} photos, from {sharp.start} pixels**, which loses most: "
            f"{sharp.image_size} pixels gave the frozen network {points_in_words(sharp)}, "
            f"*{label_of(way.approach)}* at {way.start} pixels {points_in_words(way)}."
        )
    return "\n".join(lines)


def _level_with(runs: pd.DataFrame, own: pd.DataFrame, way: pd.Series) -> str:
    """The approach that comes second on the same pictures, unless `way` is clearly ahead of it."""
    others = own[(own["image_size"] == way.image_size) & (own["approach"] != way.approach)]
    others = others[others["approach"] != FEATURE_EXTRACTION]
    if others.empty:
        return ""
    second = others.loc[others["points"].idxmax()]
    word = unsure_lead(runs, way, second)
    return f", {word} *{label_of(second.approach)}* ({second.points:+.1f})" if word else ""


def _cheapest_words(runs: pd.DataFrame, own: pd.DataFrame, sharp: pd.Series, way: pd.Series) -> str:
    """The cheapest clear gain, where `way` is another one, and what larger pictures leave of it."""
    cheap = cheapest_clear(own)
    if cheap is None:
        return ""
    gap, told = points_apart(runs, cheap, sharp), ""
    if cheap.approach != way.approach:
        told = (
            f" The cheapest that is clearly ahead, *{label_of(cheap.approach)}*, gained "
            f"**{points_in_words(cheap)}** for {cheap.seconds:,.0f}."
        )
    if gap.empty:
        return told
    apart = pd.Series(dict(zip(ENDS, mean_interval(gap), strict=True)) | {"runs": len(gap)})
    apart["n_train"] = cheap.n_train
    name = label_of(cheap.approach)
    return f"{told} Beside the larger pictures *{name}* gained {points_in_words(apart)}."


def _same_photos(n_train: int) -> str:
    if not whole_list(n_train):
        return ""
    return (
        " These are all photos of the training list, so trainings differ in their random numbers "
        "alone, and a frozen network's not even in these."
    )


def together(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of `levers` with weights moved on larger pictures."""
    table = levers(runs, both=True)
    return table[_both(table)]


def _both(table: pd.DataFrame) -> pd.Series:
    """Which rows of `levers` change the pictures and the approach."""
    return (table["image_size"] > table["start"]) & (table["approach"] != FEATURE_EXTRACTION)


def best_levers(own: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Of `levers` at one number of photos: the largest pictures, and the best way to move."""
    moved = own["image_size"] == own["start"]
    sharp = own[~moved].sort_values("image_size").iloc[-1]
    return sharp, own[moved].sort_values("points").iloc[-1]


def cheapest_clear(own: pd.DataFrame) -> pd.Series | None:
    """Of `levers` at one number of photos: the cheapest clear gain by moved weights, if any."""
    moved = own[(own["image_size"] == own["start"]) & (own["approach"] != FEATURE_EXTRACTION)]
    clear = moved[(moved["runs"] >= BAR_FROM) & (moved["low"] > 0)]
    return None if clear.empty else clear.loc[clear["seconds"].idxmin()]


def points_in_words(row) -> str:
    """Points gained with their interval, or how few draws there are."""
    if row.runs < BAR_FROM:
        return f"{row.points:+.1f} points ({draws(int(row.runs), row.n_train)})"
    over = " over trainings" if whole_list(row.n_train) else ""
    return f"{row.points:+.1f} points (95 % interval{over} {row.low:+.1f} to {row.high:+.1f})"


def whole_list(n_train: float) -> bool:
    """Tell whether so many are all photos of the training list, which leaves none to draw."""
    return n_train >= TASKS[PHOTOS].train_examples


def draws(runs: int, n_train: int = 0) -> str:
    """Say how many draws of training photos something rests on; of all photos, how many trainings.

    Without n_train: draws.
    """
    kind = "training" if whole_list(n_train) else "draw"
    return f"one {kind}" if runs == 1 else f"{runs} {kind}s"


def unsure_lead(runs: pd.DataFrame, first: pd.Series, second: pd.Series) -> str:
    """How a row of `levers` stands to one with a lower mean; "" where it is clearly ahead.

    Clearly: by the interval over three seeds or more.
    """
    gap = points_apart(runs, first, second)
    if len(gap) >= BAR_FROM and mean_interval(gap)[1] > 0:
        return ""
    return "level with" if min(first["runs"], second["runs"]) < BAR_FROM else "not clearly ahead of"


def points_apart(runs: pd.DataFrame, first: pd.Series, second: pd.Series) -> pd.Series:
    """Points by which one row of `levers` is ahead of another one, by seed."""
    reached = runs[runs["n_train"] == first["n_train"]].pivot(
        index="seed", columns=["image_size", "approach"], values="test_accuracy"
    )
    ours, theirs = (reached[row["image_size"], row["approach"]] for row in (first, second))
    return 100 * (ours - theirs).dropna()


def levers_compared(runs: pd.DataFrame) -> list[str]:
    """Pixels less moved weights, seed by seed, from the smallest pictures and from larger ones."""
    lines = []
    for start_from in (min, max):
        for n, own in levers(runs, start_from).groupby("n_train"):
            sharp, way = best_levers(own)
            gap = points_apart(runs, sharp, way)
            mean, low, high = mean_interval(gap)
            told = f"the one less the other {mean:+.1f} ({low:+.1f} to {high:+.1f})"
            few = f"too few {'trainings' if whole_list(n) else 'draws'} to compare"
            lines.append(
                f"- {n:,} photos, from {sharp.start} pixels: {sharp.points:+.1f} points by "
                f"{sharp.image_size} pixels, {way.points:+.1f} by {label_of(way.approach)}; "
                f"{told if len(gap) >= BAR_FROM else few}."
            )
    return list(dict.fromkeys(lines))
