"""The probe: frozen features once, a linear model out of fold on them, and how far the data lie.

Photos are probed at two sizes, since pixels may be worth more than weights: the size that is fast,
and the network's own (`BackboneInfo.native_size`). What follows works at the better one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from scipy.stats import binomtest
from tqdm import tqdm

from helpers.advisor.data import SPLITS
from helpers.advisor.folds import (
    TIMED,
    ProbeScore,
    SizedProbe,
    cut_folds,
    out_of_fold,
    probed,
    score_of,
    seconds_each,
    sets_of_class,
)
from helpers.advisor.task import Form, OwnTask, key_of
from helpers.approaches import get_approach
from helpers.backbones import Backbone, reference_of
from helpers.decision import distance_word
from helpers.errors import DataNotFound, UserError
from helpers.experiments.domain_distance import (
    EXAMPLES,
    as_distance,
    cloud_distance,
    log_me,
    reference_features,
)
from helpers.results.expected_regret import MARGIN
from helpers.tasks import Split
from helpers.tasks.splits import SPLIT_SEED, stratified_order
from helpers.tasks.words import lack_words
from helpers.training import feature_cache
from helpers.training.linear import prepared
from helpers.training.subset_features import Part, Pool, prefix
from helpers.vocabulary import CLASSICAL, DistanceWord

SIGNIFICANT = 0.01  # a p-value below which the better of two is no luck
MOST, FOLDS = 1_500, 5  # examples that the linear models are tried on, and in how many folds
SOLVER_STEPS = 100
NATIVE_SECONDS = 60.0  # of features at the network's own size, at most: else a part is probed
LEAST_PART = 300  # examples of such a part, at least
TRANSFERS, DOUBTFUL, AT_CHANCE = "features transfer", "doubtful", "no better than chance"
TRANSFERRED = 0.2  # of the way from chance to every example right
_FEW = 20  # different examples, of more than twice as many: what is learned is not met again
_MANY_CUT = 0.1  # of the texts, longer than what the backbone reads
_NO_ROOM = 0.8  # of the examples in the largest class: accuracy hardly shows what is learned


class Cause(StrEnum):
    """What a weak probe may lie at, of what was looked at."""

    FAR = "too distant"
    CUT_OFF = "cut off"
    UNSEEN = "not read"
    IMBALANCED = "imbalanced"
    REPEATED = "repeated"
    NOISE = "nothing found"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Probing:
    """What frozen features show of a task.

    chance: accuracy of always naming the largest class. classical: raw pixels or TF-IDF.
    distance: 0 (like the reference) to 1, None where the reference is not at hand; `how` says
        what it was measured against, or why not. p_value: of probe and classical being as good,
        by McNemar's exact test on the examples that one of them gets right.
    cut: share of the texts that are longer than what the backbone reads. unseen: whether most of
        what a model without a network finds in the texts was measured to be lost in the tokens
        that the backbone reads, or different texts are the same to it; looked at where the probe is
        weak. different: examples that are no copies of each other.
    sizes: the probe at each input size, the one that is gone on with first.
    """

    probe: ProbeScore
    classical: ProbeScore
    chance: float
    p_value: float
    distance: float | None
    how: str
    log_me: float
    cut: float = 0.0
    unseen: bool = False
    different: int = 0
    sizes: tuple[SizedProbe, ...] = ()

    @property
    def above_chance(self) -> float:
        """0: no better than naming the largest class; 1: every example right."""
        return max(0.0, (self.probe.accuracy - self.chance) / max(1e-9, 1 - self.chance))

    @property
    def verdict(self) -> str:
        """The article's test: well above chance the features transfer, barely above they do not."""
        if self.probe.low <= self.chance:
            return AT_CHANCE
        return TRANSFERS if self.above_chance >= TRANSFERRED else DOUBTFUL

    @property
    def cause(self) -> str:
        """What may keep a weak probe down; "" where the features transfer.

        A domain is blamed only where it was measured to be distant and nothing nearer at hand was
        found: texts cut off that a model reading all of them can tell apart, signs that the
        backbone has no token for, one class that leaves accuracy no room, or examples in which a
        model without a network finds nothing either.
        """
        if self.verdict == TRANSFERS:
            return ""
        found = self.classical.low > self.chance
        if found and self.cut > _MANY_CUT:
            return Cause.CUT_OFF
        if found and self.unseen:
            return Cause.UNSEEN
        if not found and self.chance > _NO_ROOM:
            return Cause.IMBALANCED
        if not found:
            few = 0 < self.different <= min(_FEW, self.probe.n / 2)
            return Cause.REPEATED if few else Cause.NOISE
        far = self.distance is not None and distance_word(self.distance) != DistanceWord.CLOSE
        return Cause.FAR if far else Cause.UNKNOWN

    @property
    def baseline_leads(self) -> bool:
        """Whether no network at all was measured to be better, and not by luck."""
        return self.classical.accuracy > self.probe.accuracy and self.p_value < SIGNIFICANT

    def as_dict(self, *, macro_f1: bool = False) -> dict[str, Any]:
        """The figures, as `advise --json` gives them; macro_f1: whether these are among them."""
        classical = self.classical.as_dict(macro_f1=macro_f1)
        del classical["n"]
        return {
            **self.probe.as_dict(macro_f1=macro_f1),
            "chance": round(self.chance, 4),
            "above_chance": round(self.above_chance, 4),
            "verdict": self.verdict,
            "cause": self.cause,
            "classical": classical,
            "p_value": float(f"{self.p_value:.3g}"),
            "log_me": round(self.log_me, 4),
            "sizes": [one.as_dict() for one in self.sizes],
        }


def frozen_features(backbone: Backbone, own: OwnTask) -> np.ndarray:
    """Pooled features, float32 (N, F) in the order of the data; each split is cached by content."""
    whole = None
    for name in tqdm(SPLITS, desc="features", unit="split", leave=False, disable=None):
        part = feature_cache.extract_features(backbone, getattr(own.task, name).inputs)
        if whole is None:
            whole = np.full((len(own.data), part.shape[1]), np.nan, dtype=np.float32)
        whole[own.rows[name]] = part
    return whole


def probe_key(backbone: Backbone, native: Backbone | None, seed: int) -> str:
    """What a probe's result depends on beside the data, as the name of a file."""
    sizes = [one.recipe.size for one in (backbone, native) if one is not None]
    return key_of("probe", 8, backbone.name, sizes, seed, MOST, SOLVER_STEPS)


def _from_facts(facts: dict[str, Any]) -> Probing:
    scores = {name: ProbeScore(**facts.pop(name)) for name in ("probe", "classical")}
    sizes = tuple(SizedProbe(**one) for one in facts.pop("sizes"))
    return Probing(**scores, **facts, sizes=sizes)


# Without a distance it is asked for again, since the reference may be fetched until then.
PROBING = Form(_from_facts, lambda found: None if found.distance is None else asdict(found))


def probe_own(
    backbone: Backbone,
    own: OwnTask,
    features: np.ndarray,
    seed: int = 0,
    cut: np.ndarray | None = None,
    native: Backbone | None = None,
) -> Probing:
    """Everything that frozen features say, from training and validation examples alone.

    features: float32 (N, F), what `frozen_features` returned. cut: bool (N,), see `cut_off`.
    native: the same network at its own input size, probed too; where time is short on a
        stratified part. It is gone on with where it gets more right than counts as equal.
    """
    rows, split = joined_sample(own, seed)
    cuts, labels = _cuts(own, rows, split.labels, seed), split.labels
    named = _classical(own, split, cuts, seed)
    classical = named == labels
    part, found, sizes = _probed_sizes(backbone, native, own, features[rows], rows, split, seed)
    distance, how = _distance(backbone, features[own.rows["train"]])
    told = Probing(
        probe=score_of(found, labels[part]),
        classical=score_of(named, labels),
        chance=float(np.bincount(labels).max() / len(labels)),
        p_value=mcnemar(found == labels[part], classical[part]),
        distance=distance,
        how=how,
        log_me=log_me(features[rows[:EXAMPLES]], labels[:EXAMPLES]),
        cut=0.0 if cut is None else float(cut[own.pool].mean()),
        different=len(np.unique(own.data.together[rows])),
        sizes=tuple(replace(one, part=one.n < len(rows)) for one in sizes),
    )
    if own.task.modality != "text" or told.cause not in (Cause.FAR, Cause.UNKNOWN, Cause.REPEATED):
        return told
    # Each text as the numbers of the tokens that the backbone reads of it, as words.
    ids = backbone.tokenizer(list(split.inputs), backbone.recipe.size)
    read = [" ".join(f"t{number}" for number in row if number) for row in ids]
    if told.cause == Cause.REPEATED:
        return replace(told, unseen=len(set(read)) < len(set(split.inputs)))
    read = Pool(Split(read, labels)).part(np.arange(len(labels)))
    right = _classical(own, read, cuts, seed) == labels
    lost = right.mean() < (told.classical.accuracy + told.chance) / 2  # most of what words tell
    return replace(told, unseen=bool(lost and mcnemar(right, classical) < SIGNIFICANT))


def _probed_sizes(
    backbone: Backbone,
    native: Backbone | None,
    own: OwnTask,
    features: np.ndarray,
    rows: np.ndarray,
    split: Split,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, list[SizedProbe]]:
    """Of the probe to go on with the rows of the split and the classes named; each size, it first.

    features: of the split at the backbone's own size.
    """

    def probe_at(network: Backbone, found: np.ndarray, part: np.ndarray) -> tuple:
        labels, each = split.labels[part], seconds_each(network, few)
        cuts = _cuts(own, rows[part], labels, seed)
        return probed(network.recipe.size, each, found, labels, cuts)

    everything, few = np.arange(len(rows)), split.take(slice(TIMED)).inputs
    small, named = probe_at(backbone, features, everything)
    if native is None:
        return everything, named, [small]
    part = affordable_part(split.labels, seconds_each(native, few), seed)
    if len(part) < len(rows):
        small, _ = probe_at(backbone, features[part], part)
    # Of a part of a pool some at a time, which a race finds.
    found = np.asarray(prefix(native, split.take(part), native.n_stages).arrays[0])
    large, also = probe_at(native, found, part)
    if large.accuracy > small.accuracy + MARGIN:
        return part, also, [large, small]
    return everything, named, [small, large]


def affordable_part(labels: np.ndarray, each: float, seed: int) -> np.ndarray:
    """Rows whose features take NATIVE_SECONDS at most, `each` a row, stratified, int64 (n,)."""
    n = max(LEAST_PART, int(NATIVE_SECONDS / max(1e-9, each)))
    if n >= len(labels):
        return np.arange(len(labels))
    keep = np.sort(stratified_order(labels, SPLIT_SEED + seed)[:n])
    counts = np.bincount(labels[keep])
    return keep[counts[labels[keep]] > 1]


def joined_sample(own: OwnTask, seed: int) -> tuple[np.ndarray, Part]:
    """At most MOST examples of training and validation, stratified: (rows of the data, split)."""
    train, validation = own.task.train, own.task.validation
    labels = np.concatenate([train.labels, validation.labels])
    keep = stratified_order(labels, SPLIT_SEED + seed)[:MOST]
    sets = sets_of_class(labels[keep], own.data.together[own.pool[keep]])
    keep = keep[sets[labels[keep]] > 1]  # out of fold there must be another one
    rows = np.sort(keep)
    split = Pool(train, validation).part(rows)
    if len(np.unique(split.labels)) < 2:
        raise UserError(
            f"{own.data.root}: a probe needs two classes with two examples or more, no copies and "
            "of different groups; add examples"
        )
    return own.pool[rows], split


def mcnemar(right: np.ndarray, other: np.ndarray) -> float:
    """Exact two-sided p-value that two classifiers are as good (McNemar 1947), paired."""
    won, lost = int((right & ~other).sum()), int((other & ~right).sum())
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def _cuts(own: OwnTask, rows: np.ndarray, labels: np.ndarray, seed: int) -> list:
    """Folds of some rows of the data; groups, series and copies are never on both sides."""
    together = own.data.together[rows]
    folds = max(2, min(FOLDS, *sets_of_class(labels, together)[np.unique(labels)]))
    return cut_folds(labels, together, folds, seed)


def _classical(own: OwnTask, split: Part, cuts: list, seed: int) -> np.ndarray:
    """Predictions (n,) of the classical pipeline out of fold."""
    approach, modality, characters = get_approach(CLASSICAL), own.task.modality, False
    if modality == "text":
        raw = np.array(split.inputs, dtype=object)
        # Of the parts that it is fitted to: one with no word at all would leave nothing to count.
        characters = any(lack_words(raw[rows]) for rows, _ in cuts)
    else:  # read some at a time: large ones are not all in memory at once
        raw = split.pool.gathered(split.rows)
    strength = approach.config(modality, len(split)).lr
    pipeline = approach.pipeline(modality, strength, seed, SOLVER_STEPS, characters=characters)
    raw, pipeline = prepared(pipeline, raw)
    split.pool.release()
    return out_of_fold(pipeline, raw, split.labels, cuts)


def _distance(backbone: Backbone, features: np.ndarray) -> tuple[float | None, str]:
    """How far at most EXAMPLES training features lie from the backbone's reference; from which."""
    if not (name := reference_of(backbone.name)):
        return None, f"no reference stands for what {backbone.name} was pretrained on"
    try:
        reference = reference_features(backbone.name, backbone.recipe.size, EXAMPLES)
    except DataNotFound:
        return None, f"the reference data are not here (`python -m helpers fetch {name}`)"
    return as_distance(cloud_distance(reference, features[:EXAMPLES])), f"measured against {name}"
