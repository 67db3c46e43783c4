"""The trial of the rules, for notebook 10 and the README: what the stored table and records say."""

from dataclasses import replace
from functools import cache

import pandas as pd

from helpers.decision import FALLBACK, Situation
from helpers.display.explorer.settings import AXES, Point, minutes_words
from helpers.display.figures import Picture, figure
from helpers.display.plots import log_axis
from helpers.lessons.boxes import quoted
from helpers.paths import results_dir
from helpers.results.evidence import CLEAR, NONE, evidence_near
from helpers.results.expected_regret import mean_regret, recommended
from helpers.results.learning_curves import measured_curves
from helpers.results.rule_cases import (
    ALL,
    ARTICLE,
    CONSTANT,
    EFFICIENT,
    FOLK,
    MEASURED,
    published_table,
    situations,
)
from helpers.results.runs import load_runs
from helpers.vocabulary import (
    ADAPTER,
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    KINDS,
    LORA,
    PARTIAL_FINE_TUNING,
    label_of,
    looks,
    phrase_of,
)

OWN, PUBLISHED = "own", "published"
SLOPES = "hierarchical"  # the rival that sees size, distance, data set and network
WHERE = {OWN: "measured here", PUBLISHED: "published"}
SAYS = {"R1": FEATURE_EXTRACTION, "R2": LORA, "R3": PARTIAL_FINE_TUNING, "R4": FULL_FINE_TUNING}
DRAWN = (FEATURE_EXTRACTION, PARTIAL_FINE_TUNING, FULL_FINE_TUNING, LORA, ADAPTER)
RIVALS = {  # titles of what is no approach
    MEASURED: "the advisor's default",
    CONSTANT: "a constant per kind of data",
    SLOPES: "a model with size and distance",
    ARTICLE: "four steps, cheapest fallback",
    EFFICIENT: "four steps, LoRA or adapter",
    f"{ARTICLE} (refitted)": "four steps, thresholds refitted",
    FOLK: "the 2×2 rule",
}


@cache
def trial(where: str, part: str = ALL) -> pd.DataFrame:
    """Return the rows of `regret.csv` by rule, regrets in points; where: `OWN` or `PUBLISHED`."""
    table = pd.read_csv(results_dir() / "regret.csv")
    rows = table[(table["evidence"] == where) & (table["part"] == part)].set_index("rule")
    regrets = ["mean_regret", "low", "high", "worst_regret"]
    return rows.assign(**{name: 100 * rows[name] for name in regrets})


@cache
def paired(where: str, rule: str, beside: str) -> pd.Series:
    """How many points more `rule` gives up than `beside` on the same cases: more, low and high.

    The interval draws data sets anew; low is NaN where there are too few.
    """
    table = pd.read_csv(results_dir() / "regret_paired.csv")
    table = table.set_index(["evidence", "rule", "beside"])
    return 100 * table.loc[(where, rule, beside), ["more", "low", "high"]]


@cache
def evidence() -> dict[str, pd.DataFrame]:
    """Return the situations that rules are tried on, own and published."""
    own, _ = situations(measured_curves(load_runs()))
    return {OWN: own, PUBLISHED: published_table()}


def constants(where: str) -> pd.Series:
    """Return the one approach that each kind of data would be given by one body of evidence.

    Among own records a clearly cheaper one that is expected to do as well, as ships; published
    tables hardly state what training took.
    """
    found = {kind: mean_regret(rows) for kind, rows in evidence()[where].groupby("modality")}
    return pd.Series({kind: recommended(table) for kind, table in found.items()})


def _named(where: str) -> str:
    chosen = constants(where)
    known = {name: chosen[kind] for kind, name in KINDS.items() if kind in chosen}
    return " and ".join(f"{phrase_of(taken)} for {name}" for name, taken in known.items())


def own_sentence() -> str:
    """Say what the advisor's default gives up here, and what size and distance changed."""
    rows = trial(OWN)
    ours, free = rows.loc[MEASURED], rows.loc[SLOPES]
    fixed = rows["mean_regret"].drop([MEASURED, CONSTANT, SLOPES])
    change = paired(OWN, SLOPES, MEASURED)
    turned = _turned(change, "helped", "did harm", "made no difference that shows")
    return (
        f"In {ours['situations']:.0f} situations measured here, those with at least frozen "
        f"features, partial and full fine-tuning and LoRA ({ours['data_sets']:.0f} data sets, "
        "each left out in turn), the advisor's default, one approach for each kind of data "
        f"({_named(OWN)}), gives up {_points(ours)} of accuracy; the best fixed rule, "
        f"*{_title(fixed.idxmin())}*, {fixed.min():.1f}. **Size and distance {turned}**: a model "
        f"that sees them gives up {_points(free)}, {_more(change)}."
    )


def _points(row: pd.Series) -> str:
    ends = f" ({row['low']:.1f} to {row['high']:.1f})" if row["low"] == row["low"] else ""
    return f"{row['mean_regret']:.1f} points{ends}"


def _more(change: pd.Series) -> str:
    ends = f"{change['low']:+.1f} to {change['high']:+.1f}"
    return f"{change['more']:+z.1f} on the same cases ({ends})"


def _turned(change: pd.Series, less: str, more: str, same: str) -> str:
    """Which of three words holds, by the interval of a paired difference in points given up."""
    return less if change["high"] < 0 else more if change["low"] > 0 else same


def published_sentence() -> str:
    """Say what the same answer gives up on published cases, and what these would choose."""
    rows = trial(PUBLISHED)
    ours, constant = rows.loc[MEASURED], rows.loc[CONSTANT]
    change, free = paired(PUBLISHED, MEASURED, CONSTANT), paired(PUBLISHED, SLOPES, CONSTANT)
    carried = _turned(change, "does better", "does worse", "does about as well")
    seen = _turned(free, "gives up less", "gives up more", "does about as well")
    return (
        f"On {ours['situations']:.0f} published cases ({ours['data_sets']:.0f} data sets) what our "
        f"records choose, {_named(OWN)}, **{carried}**: it gives up {ours['mean_regret']:.1f} "
        "points, a constant learned from the other published data sets "
        f"{constant['mean_regret']:.1f}; difference {_more(change)}. Beside that constant a model "
        f"with size and distance {seen}, {_more(free)}. All of these cases together would choose "
        f"{_named(PUBLISHED)}."
    )


def rule_sentence() -> str:
    """Say how much of the article's rule is our fallback, and what each rule alone gives up."""
    said = []
    for name in SAYS:
        found = {words: trial(where, name)["mean_regret"].get(ARTICLE)
                 for where, words in WHERE.items()}  # fmt: skip
        told = [f"{value:.1f} {words}" for words, value in found.items() if value is not None]
        said.append(f"{name} {' and '.join(told) or 'was tried by neither'}")
    whole, ours = (trial(OWN, part).loc[ARTICLE, "situations"] for part in (ALL, FALLBACK))
    regrets = trial(OWN)["mean_regret"]
    return (
        f"The four-step rule is silent in {ours} of the {whole} situations measured here, and our "
        f"fallback answers. With the cheapest approach there, it gives up {regrets[ARTICLE]:.1f} "
        f"points in all, with LoRA or an adapter {regrets[EFFICIENT]:.1f}. Each rule alone: "
        f"{'; '.join(said)}."
    )


def verdict_box() -> str:
    """Return the findings of the trial as a Markdown quotation."""
    told = (own_sentence, published_sentence, rule_sentence)
    return quoted("What the records say", [f"- {sentence()}" for sentence in told])


def rule_by_rule() -> pd.DataFrame:
    """Return each of the article's rules and both fallbacks, with a constant beside them.

    Points given up where the part of the rule applies, by the rule and by the constant, own and
    published, and in how many situations its answer was tried; both "" where that is none.
    """
    parts = [(name, name, ARTICLE, label_of(says)) for name, says in SAYS.items()]
    parts += [
        ("ours: the cheapest", FALLBACK, ARTICLE, "mostly feature extraction"),
        ("ours: few parameters", FALLBACK, EFFICIENT, "LoRA or adapter"),
    ]
    rows = {}
    for title, part, rule, says in parts:
        row = {"says": says}
        for where in WHERE:
            tried = trial(where, part)["situations"].get(rule, 0)
            for name, column in ((rule, "gives up"), (CONSTANT, "constant")):
                found = trial(where, part)["mean_regret"].get(name) if tried else None
                row[f"{where}: {column}"] = "" if found is None else f"{found:.1f}"
            row[f"{where}: situations"] = tried
        rows[title] = row
    return pd.DataFrame(rows).T


def plot_trial() -> Picture:
    """Draw what each rule gives up, own and published, with intervals over data sets.

    A rule is tried where what it names was run. Its cases stand beside its mark, which is hollow
    where they are fewer than half: rules that were tried elsewhere can't be compared by the eye.
    """
    order = list(trial(OWN).index)[::-1]
    styles = looks(name.removeprefix("always ") for name in order)
    title = "What each rule gives up where it was tried (at the right: its cases)"
    made, axes = figure(title, width=8.0, height=4.8, columns=2, sharey=True)
    for ax, (where, words) in zip(axes, WHERE.items(), strict=True):
        rows = trial(where)
        cases = rows.loc[MEASURED, "situations"]
        for place, name in enumerate(order):
            if name in rows.index:
                row, look = rows.loc[name], styles[name.removeprefix("always ")]
                ax.plot([row["low"], row["high"]], [place] * 2, color=look.colour, lw=1.5)
                few = row["situations"] < cases / 2
                face = {"markerfacecolor": "none"} if few else {}
                at, style = row["mean_regret"], {"color": look.colour, "marker": look.marker}
                ax.plot(at, place, ms=7, **style, **face)
                ax.annotate(f"{row['situations']:.0f}", (1.0, place), ha="right", va="center",
                            xycoords=("axes fraction", "data"), size="x-small")  # fmt: skip
        ax.set(xlabel="points of accuracy, log scale", title=f"{words}, {cases:.0f} cases")
        ax.set_xlim(0.2, 100)
        log_axis(ax)
    axes[0].set_yticks(range(len(order)), [_title(name) for name in order])
    return made


def _title(rule: str) -> str:
    return RIVALS.get(rule, f"always {label_of(rule.removeprefix('always '))}")


@cache
def explorer_sentence() -> str:
    """Say what the records answer for pictures at some of the explorer's stops, and what turns it.

    All would take minutes.
    """
    held, start = measured_curves(load_runs()), Point()
    asked = [Situation(n, far) for n in AXES.examples[1::2] for far in AXES.distance[1::4]]
    near = [one for one in (evidence_near(each, held) for each in asked) if one.verdict != NONE]
    takes = pd.Series([one.take for one in near]).value_counts()
    told = " or ".join(f"**{phrase_of(name)}** ({n})" for name, n in takes.items())
    turned = {}
    for limit in reversed(AXES.budget_minutes[:-1]):
        take = evidence_near(replace(start, budget_minutes=limit).situation(), held).take
        if take and take not in (takes.index[0], *turned):
            turned[take] = f"{phrase_of(take)} within {minutes_words(limit)}"
    return (
        f"Of {len(asked)} pairs of size and distance, {len(near)} have records of pictures near. "
        f"Their answer there: {told}, clearly in {sum(one.verdict == CLEAR for one in near)}. A "
        f"limit on training time turns it: with {start.examples} examples at a distance of "
        f"{start.distance:g} to {', '.join(turned.values()) or 'nothing else'}."
    )
