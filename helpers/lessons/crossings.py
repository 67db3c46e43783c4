"""Notebooks 04 to 06: who is ahead on recorded learning curves, where, and what matches what."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb

from helpers.display.figures import MAX_SIZE, Picture, figure
from helpers.display.plots import mark_sizes, plot_curves
from helpers.lessons.claims import effect_in_words, judge_claims
from helpers.results.learning_curves import comparable, on_equal_seeds
from helpers.results.published.cases import comparable_cases
from helpers.results.published.sums import full_minus_linear, size_bands
from helpers.results.runs import Recipe, load_runs
from helpers.results.schema import COMPARED
from helpers.results.statistics import (
    SITUATION,
    examples_to_reach,
    interval_table,
    pair,
    paired_gain,
    stays_above_zero,
)
from helpers.vocabulary import (
    ADAPTER,
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    KINDS,
    LORA,
    label_of,
    style_of,
)

PLACE = ("task", "backbone", "image_size", "dial")
SMALL, CHEAP = "best_small_module", "frozen_or_small_module"
CHEAP_SIDE = (FEATURE_EXTRACTION, LORA, ADAPTER)
FEW, FEW_CLAIM = 5_000, 8  # examples that the claim of this number calls few
LEAST = 3  # seeds that an interval is shown for: two bound next to nothing
BANDS = (1_000, 5_000, 20_000, 100_000)  # of published training sets


def recorded(schema: Recipe = COMPARED) -> pd.DataFrame:
    """Recorded runs that compare approaches on equal terms, tasks as they are (no domain dial).

    `curve` says on which network, at which size of input, which task. schema: of which recipe.
    """
    runs = comparable(load_runs(schema=schema))
    runs = runs[runs["dial"] == 0]
    unit = runs["modality"].map({"image": " px", "text": " tokens"})
    network = runs["backbone"].map(label_of) + ", " + runs["image_size"].astype(str) + unit
    return runs.assign(curve=network + ": " + runs["task"].map(label_of))


def curves(runs: pd.DataFrame) -> list[str]:
    """Curves of `recorded` with frozen features and full fine-tuning, those of most sizes first."""
    gains = paired_gain(runs, FULL_FINE_TUNING, FEATURE_EXTRACTION, by=["curve", "n_train"])
    sizes = gains.groupby("curve").size()
    return list(sizes.sort_values(ascending=False, kind="stable").index)


def chosen(runs: pd.DataFrame, names: Sequence[str], called: str) -> pd.DataFrame:
    """Of `names` the run with the best validation accuracy, seed by seed, as approach `called`.

    `picked` says which it was.
    """
    some = runs[runs["approach"].isin(names)].sort_values("val_accuracy", kind="stable")
    best = some.drop_duplicates([*SITUATION, "seed"], keep="last")
    return best.assign(approach=called, picked=best["approach"])


def three_lines(runs: pd.DataFrame, beside: str = "") -> pd.DataFrame:
    """Learning curves of the frozen network, the best small module, full, and one `beside`."""
    table = _means(pd.concat([runs, chosen(runs, (LORA, ADAPTER), SMALL)]))
    table.loc[table["runs"] < LEAST, ["low", "high"]] = math.nan
    return table[table["approach"].isin([FEATURE_EXTRACTION, SMALL, FULL_FINE_TUNING, beside])]


def _means(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean accuracy on equal seeds by curve, n_train and approach, with a 95 % interval."""
    place = ["curve", "n_train"]
    return on_equal_seeds(interval_table(runs, [*place, "approach"], "test_accuracy"), runs, place)


def plot_lines(runs: pd.DataFrame, curve: str, beside: str = "") -> Picture:
    """Draw `three_lines` of one curve; the title says where full fine-tuning gets ahead."""
    own = runs[runs["curve"] == curve]
    row = overtakes(own).iloc[0]
    if math.isnan(row.examples):
        told = f"Frozen is ahead up to {row.largest:,}"
    elif row.smallest == row.largest:
        told = f"Full is ahead at the one size, {'not ' * math.isnan(row.clear)}clearly"
    else:
        about = "" if row.examples <= row.smallest else "about "
        sure = "nowhere clearly" if math.isnan(row.clear) else f"first clearly at {row.clear:,.0f}"
        told = f"Full is ahead from {about}{row.examples:,.0f}, {sure}"
    return _over_sizes(three_lines(own, beside), f"{curve}. {told}")


def plot_live(rows: pd.DataFrame, title: str) -> Picture:
    """Draw live curves. rows: of `photos.live_race` at several sizes."""
    return _over_sizes(interval_table(rows, ["n_train", "approach"], "accuracy"), title)


def _over_sizes(table: pd.DataFrame, title: str) -> Picture:
    made = plot_curves(table, "n_train", title=title, log_x=True, xlabel="training examples")
    mark_sizes(made.axes[0], table["n_train"])
    return made


def overtakes(runs: pd.DataFrame) -> pd.DataFrame:
    """Where full fine-tuning overtakes frozen features as examples grow: a row a curve (PLACE).

    Columns: those of PLACE; `examples`, where the mean paired gain turns from below zero to above
    (straight over log n; the smallest size where it lies above from the start; NaN: never up to
    `largest`); `clear`, the smallest size at which its 95 % interval lies above zero (NaN: none);
    `smallest` and `largest` size measured.
    """
    gains = paired_gain(runs, FULL_FINE_TUNING, FEATURE_EXTRACTION)
    rows = []
    for place, own in gains.groupby(list(PLACE), observed=True):
        own = own.sort_values("n_train")
        clear = own[own["low"] > 0]["n_train"].min()
        sizes = own["n_train"]
        found = stays_above_zero(sizes.to_numpy(float), own["mean"].to_numpy(float))
        rows.append((*place, found, clear, int(sizes.min()), int(sizes.max())))
    return pd.DataFrame(rows, columns=[*PLACE, "examples", "clear", "smallest", "largest"])


def duels(runs: pd.DataFrame, ours: str, theirs: str) -> pd.DataFrame:
    """What `ours` gains over `theirs` in each situation of `recorded`, paired by seed.

    CHEAP: of frozen features, LoRA and adapters the one that validation prefers, seed by seed.
    Columns: SITUATION, curve, modality, mean, low, high, runs, and `ahead`: the name that is
    clearly ahead (the whole 95 % interval on its side), or "".
    """
    if CHEAP in (ours, theirs):
        cheap = chosen(runs, CHEAP_SIDE, CHEAP)
        runs = pd.concat([runs, cheap])
    table = paired_gain(runs, ours, theirs, by=[*SITUATION, "curve", "modality"])
    table = table[table["runs"] >= 2].drop(columns="approach").reset_index(drop=True)
    table["ahead"] = np.select([table["low"] > 0, table["high"] < 0], [ours, theirs], "")
    return table


def plot_duels(table: pd.DataFrame, ours: str, theirs: str, title: str) -> Picture:
    """Draw the gains of `duels` in points, a row for each curve, coloured where one is ahead."""
    names = sorted(table["curve"].unique(), reverse=True)
    made, ax = figure(title, width=MAX_SIZE[0], height=min(MAX_SIZE[1], 1.2 + 0.24 * len(names)))
    look = {"": ("#e3e6ea", "too close to call")}
    for name in (theirs, ours):
        style = style_of(FEATURE_EXTRACTION if name == CHEAP else name)
        look[name] = style.colour, f"{label_of(name)} clearly ahead"
    for name, (colour, label) in look.items():
        own = table[table["ahead"] == name]
        places = [names.index(curve) for curve in own["curve"]]
        ax.scatter(own["n_train"], places, marker="s", s=230, color=colour, alpha=0.75, label=label)
    for row in table.itertuples():
        dark = sum(to_rgb(look[row.ahead][0])) < 1
        style = {"ha": "center", "va": "center", "size": 7, "color": "white" if dark else "black"}
        ax.text(row.n_train, names.index(row.curve), f"{round(100 * row.mean):+d}", **style)
    sizes = table["n_train"]
    ax.set(xscale="log", xlim=(sizes.min() / 1.5, sizes.max() * 1.5))
    mark_sizes(ax, sizes)
    ax.set_yticks(range(len(names)), names, size=8)
    ax.set_ylim(-0.7, len(names) - 0.3)
    ax.set_xlabel(f"training examples; numbers: {label_of(ours)} minus the other, in points")
    made.legend(loc="outside lower center", ncols=3, fontsize="small", frameon=False)
    return made


def duels_in_words(table: pd.DataFrame, ours: str, theirs: str) -> str:
    """How often each side of `duels` was clearly ahead."""
    counts = table["ahead"].value_counts()
    return (
        f"Of {len(table)} recorded situations with both on two draws or more, *{label_of(ours)}* "
        f"was clearly ahead of *{label_of(theirs)}* in **{counts.get(ours, 0)}** and clearly "
        f"behind in **{counts.get(theirs, 0)}**; {counts.get('', 0)} are too close to call."
    )


def kinds_in_words(table: pd.DataFrame, ours: str, theirs: str) -> str:
    """How often each side of `duels` was ahead, a line for each kind of data."""
    lines = []
    for kind, own in table.groupby("modality"):
        ahead, least = own["ahead"], own["n_train"].min()
        lines.append(
            f"- {KINDS[kind]}, from {least:,} examples: clearly ahead **{(ahead == ours).sum()}**, "
            f"clearly behind **{(ahead == theirs).sum()}** of {len(own)}; the mean is ahead in "
            f"{(own['mean'] > 0).sum()}"
        )
    return "\n".join(lines)


def picks_in_words(runs: pd.DataFrame) -> str:
    """How often validation took each approach of the cheap side, a line for each kind of data."""
    lines = []
    for kind, own in chosen(runs, CHEAP_SIDE, CHEAP).groupby("modality"):
        shares = own["picked"].value_counts(normalize=True)
        told = ", ".join(f"*{label_of(name)}* **{share:.0%}**" for name, share in shares.items())
        lines.append(f"- {KINDS[kind]}: {told} of {len(own)} draws")
    return "\n".join(lines)


def rounds_in_words(table: pd.DataFrame, ours: str, theirs: str) -> str:
    """What two recipes say of the situations that both measured; table: `duels` of the second."""
    early = duels(recorded(1), ours, theirs)
    both = table.merge(early, on=[*SITUATION, "curve", "modality"], suffixes=("", "_early"))
    both = both[both["modality"].map(COMPARED) > 1]
    told = []
    for end in ("_early", ""):
        points, ahead = round(100 * both["mean" + end].mean(), 1) + 0.0, both["ahead" + end]
        told.append(
            f"{points:+.1f} points on average, clearly ahead in {(ahead == ours).sum()}, "
            f"behind in {(ahead == theirs).sum()}"
        )
    return (
        f"In the {len(both)} situations that both rounds of runs measured, *{label_of(ours)}* less "
        f"*{label_of(theirs)}* was {told[0]} in the earlier round and **{told[1]}** in the later."
    )


def rule_in_words(table: pd.DataFrame) -> str:
    """How often the cheap side of `duels` was ahead at all, and what the ledger makes of it."""
    (verdict,) = judge_claims(ids=(FEW_CLAIM,))
    effect = "" if verdict.effect is None else f" {effect_in_words(verdict)} {verdict.unit}."
    return (
        f"The cheap side's mean was ahead in **{(table['mean'] > 0).sum()} of {len(table)}** "
        "situations. Those of one data set are related, so the box above averages within each "
        f"data set first: **{verdict.verdict}**,{effect}"
    )


def own_crossing(rows: pd.DataFrame, approach: str, baseline: str) -> str:
    """Where one live approach overtakes another, from a few sizes, and whether that may be luck.

    rows: of `photos.live_race` at several sizes (n_train, seed, approach, accuracy).
    """
    wide = rows.pivot(index=["n_train", "seed"], columns="approach", values="accuracy")
    gains = (wide[approach] - wide[baseline]).rename("gain").reset_index()
    table = interval_table(gains, ["n_train"], "gain")
    sizes, largest = table["n_train"].to_numpy(float), table["n_train"].max()
    found = stays_above_zero(sizes, table["mean"].to_numpy(float))
    clear = table[table["low"] > 0]["n_train"].min()
    if math.isnan(found):
        where = f"did not overtake *{label_of(baseline)}* up to {largest:,} examples"
    else:
        at_most = "at most " if found <= sizes[0] else "about "
        number = f"{found:,.0f}" if math.isnan(clear) else f"**{found:,.0f}**"
        where = f"was ahead of *{label_of(baseline)}* from {at_most}{number} examples on"
    steps = "; ".join(f"{100 * r.mean:+.1f} points at {r.n_train:,}" for r in table.itertuples())
    told, name = f"{where} ({steps})", label_of(approach)
    if math.isnan(clear):
        unsure = "**No crossing can be told**: at no size is the gain clear. By the mean,"
        return f"{unsure} *{name}* {told}."
    sure = f"Clearly ahead, with the whole interval above zero, from: **{clear:,.0f}**."
    return f"*{name[0].upper()}{name[1:]}* {told}. {sure}"


def gaps_in_words(runs: pd.DataFrame) -> str:
    """How often full fine-tuning wins where its training accuracy runs further away, and where not.

    Away from test accuracy, beside the frozen network; a line for each kind of data.
    """
    names = (FULL_FINE_TUNING, FEATURE_EXTRACTION)
    sides = [runs[runs["approach"] == name] for name in names]
    both = pair(*sides, [*SITUATION, "seed"], ["train_accuracy", "test_accuracy"])
    both["won"] = both["test_accuracy"] > both["test_accuracy_theirs"]
    gap = both["train_accuracy"] - both["test_accuracy"]
    both["wider"] = gap > both["train_accuracy_theirs"] - both["test_accuracy_theirs"]
    lines = []
    for kind, own in both.groupby("modality"):
        sides = {"there": own["won"][own["wider"]], "elsewhere": own["won"][~own["wider"]]}
        told = " and ".join(
            f"**{won.sum()} of {len(won)}** {which}" for which, won in sides.items() if len(won)
        )
        lines.append(
            f"- {KINDS[kind]}: full fine-tuning had the wider gap in {own['wider'].sum()} of "
            f"{len(own)} paired runs; it won {told}"
        )
    return "\n".join(lines)


def luck_by_size(runs: pd.DataFrame) -> pd.DataFrame:
    """How far two draws lie apart, and how far approaches do, in points, by training examples.

    Deviations, the median over curves. Only the curves and approaches count that all sizes have;
    where none has all, the size that fewest curves have is left out.
    """
    while (table := _deviations(runs)).empty and runs["n_train"].nunique() > 1:
        rarest = runs.groupby("n_train")["curve"].nunique()[::-1].idxmin()  # the largest of these
        runs = runs[runs["n_train"] != rarest]
    ratio = table["between approaches"] / table["between draws"]
    table = table.assign(**{"approaches / draws": ratio}).round(1)
    return table.rename_axis("training examples").reset_index()


def _deviations(runs: pd.DataFrame) -> pd.DataFrame:
    sizes = runs.groupby(["curve", "approach"])["n_train"].transform("nunique")
    runs = runs[sizes == runs["n_train"].nunique()]
    cells = runs.groupby(["curve", "n_train", "approach"])["test_accuracy"].agg(["mean", "std"])
    levels = cells.groupby(["curve", "n_train"])
    table = pd.DataFrame(
        {"between draws": levels["std"].median(), "between approaches": levels["mean"].std()}
    )
    return (100 * table.dropna()).groupby("n_train").median()


def sizes_in_words(runs: pd.DataFrame) -> str:
    """From how few to how many examples our records reach, and the published cases."""
    cases = comparable_cases()["n_train"]
    return (
        f"Our records reach from {runs['n_train'].min():,} to **{runs['n_train'].max():,}** "
        f"examples; the published cases of this collection from {cases.min():,.0f} to "
        f"**{cases.max():,.0f}**."
    )


def published_by_size() -> pd.DataFrame:
    """What full fine-tuning gained over the frozen network in published cases, by examples."""
    table = full_minus_linear(comparable_cases(), size_bands(BANDS))
    table = table[table["cases"] > 0]
    table["frozen first (%)"] = 100 * table.pop("linear_first")
    names = {"data_sets": "data sets", "mean": "mean gain", "median": "median gain"}
    return table.rename(columns=names).rename_axis("examples").round(1).reset_index()


def published_in_words() -> str:
    """How often the frozen network came first in published cases with few examples."""
    table = full_minus_linear(comparable_cases(), size_bands((FEW,))).iloc[0]
    first = table["linear_first"] * table["cases"]
    return (
        f"Below {FEW:,} examples the frozen network came first in **{first:.0f} of "
        f"{table['cases']:.0f}** published cases ({table['linear_first']:.0%})."
    )


def needed(runs: pd.DataFrame, approach: str, target: str) -> pd.DataFrame:
    """Examples that `approach` needs to match `target` with the fewest that both were run with.

    A row for each curve on which `approach` has two sizes. Columns: curve, n (examples of the
    target), examples (NaN: not reached; the smallest size that was measured: at most that),
    smallest and largest size measured, seeds (of `approach`, the fewest of any size).
    """
    rows = []
    for curve, own in _means(runs).groupby("curve"):
        goals, line = (own[own["approach"] == name] for name in (target, approach))
        goals = goals[goals["n_train"].isin(line["n_train"])]
        if len(goals) and len(line) > 1:
            goal = goals.loc[goals["n_train"].idxmin()]
            sizes = int(line["n_train"].min()), int(line["n_train"].max())
            found = examples_to_reach(line, float(goal["mean"]))
            rows.append((curve, int(goal["n_train"]), found, *sizes, int(line["runs"].min())))
    return pd.DataFrame(rows, columns=["curve", "n", "examples", "smallest", "largest", "seeds"])


def needed_in_words(runs: pd.DataFrame, approach: str, target: str) -> str:
    """How often, of all curves, as few examples were enough, more were, and no size was."""
    table, lone = needed(runs, approach, target), _with_one_size(runs, approach, target)
    as_few = int((table["examples"] <= table["n"]).sum())
    missed = table[table["examples"].isna()]
    least = (missed["largest"] / missed["n"]).min()
    beyond = f", though {least:.0f} times as many or more were tried" if len(missed) else ""
    if len(lone):
        tasks = ", ".join(dict.fromkeys(curve.split(": ")[1] for curve, _ in lone.index))
        ends = f"{lone['gap'].min():+.0f} to {lone['gap'].max():+.0f} points"
        beyond += f"; on **{len(lone)}** ({tasks}) it has one size, where as many left it at {ends}"
    once = (table["seeds"] == 1).sum() + (lone["runs"] == 1).sum()
    return (
        f"*{label_of(approach).capitalize()}* matched *{label_of(target)}* with as few examples on "
        f"**{as_few} of {len(table) + len(lone)}** curves, with more on "
        f"**{len(table) - as_few - len(missed)}**, at no size that was measured on "
        f"**{len(missed)}**{beyond}. {once} of these curves rest on one draw."
    )


def _with_one_size(runs: pd.DataFrame, approach: str, target: str) -> pd.DataFrame:
    """The curves that `needed` leaves out: `gap` in points, `runs` of `approach`; by curve."""
    wide = _means(runs).pivot(index=["curve", "n_train"], columns="approach")
    lone = wide["mean"].groupby("curve")[approach].transform("count") == 1
    gap = 100 * (wide["mean", approach] - wide["mean", target])
    return pd.DataFrame({"gap": gap, "runs": wide["runs", approach]})[lone].dropna()


def needed_table(runs: pd.DataFrame, approach: str, target: str) -> pd.DataFrame:
    """`needed` to be shown: the curves where it was reached first."""
    table = needed(runs, approach, target).sort_values("examples", ignore_index=True).head(12)
    names = {"curve": "network and task", "n": label_of(target)}
    shown = table[["curve", "n"]].rename(columns=names)
    shown[label_of(approach)] = [_told(row) for row in table.itertuples()]
    return shown.assign(**{f"seeds {label_of(approach)}": table["seeds"]})


def _told(row) -> str:
    if math.isnan(row.examples):
        return f"over {row.largest:,}"
    return f"{'at most ' if row.examples <= row.smallest else ''}{row.examples:,.0f}"
