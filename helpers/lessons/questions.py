"""Notebook 15: the article's questions, asked of the records; the checklist."""

import numpy as np
import pandas as pd
from scipy import stats

from helpers.display.figures import Picture, figure
from helpers.lessons import crossings, pitfalls
from helpers.lessons.claims.ledger import judge_claims, situations
from helpers.paths import data_dir
from helpers.results.statistics import SITUATION
from helpers.tasks import family
from helpers.vocabulary import (
    CLASSICAL,
    FEATURE_EXTRACTION,
    FROM_SCRATCH,
    FULL_FINE_TUNING,
    LORA,
    label_of,
    looks,
)


def duel(runs: pd.DataFrame, ours: str, theirs: str) -> str:
    """How often one approach was clearly ahead of another; runs: `crossings.recorded`.

    It says where all that was compared is one network's, and what single draws show elsewhere.
    """
    both = crossings.duels(runs, ours, theirs)
    told, networks = crossings.duels_in_words(both, ours, theirs), both["backbone"].unique()
    if len(networks) != 1:
        return told
    others = runs[(runs["backbone"] != networks[0]) & (runs["seed"] == 0)]
    means = others.pivot_table("test_accuracy", list(SITUATION), "approach")
    means = means.reindex(columns=[ours, theirs])
    gaps = 100 * (means[ours] - means[theirs]).dropna()
    alone = (
        f" On other networks, one draw in each of {len(gaps)} situations, it came out at "
        f"{gaps.min():+.0f} to {gaps.max():+.0f} points, ahead in {(gaps > 0).sum()}."
    )
    return f"{told} All are of {label_of(networks[0])}.{alone if len(gaps) else ''}"


def beside_probe(runs: pd.DataFrame) -> pd.DataFrame:
    """What full fine-tuning gained (points) by how far the probe lies above guessing (0 to 1)."""
    gains = crossings.duels(runs, FULL_FINE_TUNING, FEATURE_EXTRACTION)
    heights = situations(runs).groupby(list(SITUATION))["above_chance"].mean()
    table = gains.join(heights, on=list(SITUATION)).dropna(subset="above_chance")
    return table.assign(points=100 * table["mean"])


def plot_beside_probe(table: pd.DataFrame) -> Picture:
    """Draw `beside_probe`, a mark for each situation, by network."""
    made, ax = figure("Does a good probe mean that little is left to gain?", height=3.8)
    for name, look in looks(table["backbone"]).items():
        own = table[table["backbone"] == name]
        style = {"color": look.colour, "marker": look.marker, "label": look.label}
        ax.scatter(own["above_chance"], own["points"], **style)
    ax.axhline(0, color="#333333", lw=0.8)
    ax.set_xlabel("probe above guessing (0: like guessing, 1: perfect)")
    ax.set_ylabel("gained by full fine-tuning (points)")
    ax.legend(fontsize="small", title="network", loc="center left", bbox_to_anchor=(1, 0.5))
    return made


def probe_in_words(table: pd.DataFrame) -> str:
    """Whether a high probe goes with little left to gain, over data sets."""
    means = table.groupby(table["task"].map(family))[["above_chance", "points"]].mean()
    rho, p = _rank_correlation(means["above_chance"], means["points"])
    sure = "more than luck" if p < 0.05 else "not clearly more than luck"
    return (
        f"Over {len(means)} data sets the rank correlation of the probe's height with what full "
        f"fine-tuning gained is **{rho:+.2f}** (p = {p:.3f}: {sure})."
    )


def _rank_correlation(x: pd.Series, y: pd.Series) -> tuple[float, float]:
    """Spearman's rho, and its p-value over all orders; over 50,000 of them from nine values on.

    With few values the usual approximation by Student's t is too small.
    """
    ranks, other = stats.rankdata(x), stats.rankdata(y) - (len(y) + 1) / 2
    tested = stats.permutation_test(
        (ranks,), lambda order, axis: (order * other).sum(axis=axis), vectorized=True,
        permutation_type="pairings", n_resamples=50_000, rng=np.random.default_rng(0),
    )  # fmt: skip
    return stats.spearmanr(x, y).statistic, tested.pvalue


def checklist() -> str:
    """The page CHECKLIST.md without its title, with links as a notebook needs them."""
    text = (data_dir().parent / "CHECKLIST.md").read_text(encoding="utf-8")
    return text.partition("\n\n")[2].replace("](notebooks/", "](")


TAKEAWAYS = {  # the article's, in our words, and the claim that judges each
    "small data near the pretraining favour freezing": 12,
    "distant data favour moving more layers": 9,
    "large language models favour LoRA": 13,
    "training from scratch, which is to be priced, sometimes wins": 25,
    "a cheaper approach does as well as tuning everything": 28,
}


def takeaways() -> str:
    """What the article asks to take away, each with the verdict of its claim, in a sentence."""
    judged = {one.id: one.verdict for one in judge_claims(ids=tuple(TAKEAWAYS.values()))}
    told = "; ".join(f"{said} (**{judged[number]}**)" for said, number in TAKEAWAYS.items())
    return f"The article's takeaways, as judged above: {told}."


def findings() -> str:
    """What the records say today to the questions, for the notebook's last section."""
    runs = crossings.recorded()
    pairs = ((FULL_FINE_TUNING, FEATURE_EXTRACTION), (LORA, FULL_FINE_TUNING),
             (FROM_SCRATCH, LORA), (CLASSICAL, FEATURE_EXTRACTION))  # fmt: skip
    said = [takeaways(), *(duel(runs, *pair) for pair in pairs), probe_in_words(beside_probe(runs))]
    return "\n".join(
        f"- {one}" for one in [*said, pitfalls.one_seed_in_words(pitfalls.one_seed(runs))]
    )
