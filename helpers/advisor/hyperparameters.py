"""Settings of a run on own data: the approach's defaults, or what the records found better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from helpers.approaches import APPROACHES
from helpers.results.learning_curves import comparable
from helpers.tasks import family
from helpers.vocabulary import FEATURE_EXTRACTION

BATCH_SIZE = 32
DEFAULT = "the approach's default"
OUT_OF_FOLD = "C with the least loss out of fold on your data"


def settings_of(approach: str, modality: str) -> str:
    """What an approach is trained with beside its rate: as in the second round of records."""
    return APPROACHES[approach].protocol_settings.get(modality, "")


@dataclass(frozen=True)
class Hyperparameters:
    """How an approach is trained here. lr: C for `classical`; epochs: its solver's iterations.

    other: the rate that a race tries beside it; 0 where there is none.
    share: of the epochs, how many are expected to run before early stopping: the best epoch lies
        as far into a run as it did in the records, and this run's own patience follows, which the
        records' runs of a fixed length lack. At most 1; 1 where no record tells.
    origin: where the learning rate comes from, in words.
    """

    approach: str
    lr: float
    epochs: int
    share: float
    origin: str
    other: float = 0.0


def recipes(
    runs: pd.DataFrame,
    backbone: str,
    modality: str,
    n_train: int,
    exclude: Sequence[str] = (),
    strength: float = 0.1,
) -> dict[str, Hyperparameters]:
    """A recipe for every approach. The learning rate is the one that was best most often.

    runs: the records; those on another backbone, or of an excluded family of tasks, have no say.
    strength: C of the probe, which was chosen on this data.
    """
    gone = {family(task) for task in exclude}
    runs = runs[runs["backbone"] == backbone]
    runs = runs[~runs["task"].map(family).isin(gone)]
    held = comparable(runs) if len(runs) else runs
    made = {
        name: _recipe(name, held[held["approach"] == name], modality, n_train)
        for name in APPROACHES
    }
    probe = replace(made[FEATURE_EXTRACTION], lr=strength, share=1.0, origin=OUT_OF_FOLD, other=0.0)
    return made | {FEATURE_EXTRACTION: probe}


def _recipe(name: str, rows: pd.DataFrame, modality: str, n_train: int) -> Hyperparameters:
    approach = APPROACHES[name]
    default = approach.config(modality, n_train, batch_size=BATCH_SIZE)
    if rows.empty:
        other = _next_rate(name, default.lr)
        return Hyperparameters(name, default.lr, default.epochs, 1.0, DEFAULT, other=other)
    # One vote for each task and size, since seeds and dial steps share their choice.
    votes = rows.drop_duplicates(["task", "n_train", "lr"])["lr"].value_counts()
    best = votes[votes == votes.max()].index
    lr = default.lr if default.lr in best else float(best.max())
    told = (
        f"best in {votes.max()} of {votes.sum()} recorded situations on {rows['backbone'].iloc[0]}"
    )
    ran = rows["best_epoch"] / rows["epochs"] + default.patience / default.epochs
    share = float(ran.clip(upper=1.0).mean()) if approach.uses_network else 1.0
    rest = votes.drop(lr, errors="ignore")
    other = float(rest.index[0]) if len(rest) else _next_rate(name, lr)
    return Hyperparameters(name, lr, default.epochs, share, told, other)


def _next_rate(name: str, lr: float) -> float:
    """The next rate above: optima were found at the upper edge more often than at the lower."""
    return float(f"{lr * 10 ** (1 / APPROACHES[name].trials_per_decade):.1g}")
