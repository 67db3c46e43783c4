"""Seconds of a run that nobody has started: from recorded FLOPs and throughput, on this machine,
on N workers, and (as an extrapolation that was not measured) on a GPU.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.errors import UserError
from helpers.vocabulary import CLASSICAL

KIND = ["backbone", "image_size", "approach"]
# Peak 32-bit TFLOP/s without tensor cores, as the makers' data sheets give them.
PEAKS = {"NVIDIA T4": 8.1, "NVIDIA A100": 19.5, "NVIDIA H100 SXM": 67.0}
REACHED = (0.1, 0.4)  # share of its peak that small-batch training reaches: assumed, not measured


@dataclass(frozen=True)
class CostModel:
    """Per kind of run (backbone, input size, approach): work per example and epoch, and speed.

    table: index KIND; `work` in FLOPs per training example and epoch asked for, as recorded, so
    that early stopping is in it; `rate` in FLOPs per processor second. Classical models, which do
    no counted work, have a rate in examples per second and work 1.
    """

    table: pd.DataFrame

    def seconds(
        self, backbone: str, image_size: int, approach: str, n_train: int, epochs: int
    ) -> float:
        """Predicted seconds on one core, preparation of cached features included.

        A kind that was not recorded borrows from its approach on the same backbone at the nearest
        input size (work grows with the area of pictures, rates stay). Raises UserError when the
        approach was never recorded on that backbone.
        """
        row, scale = self._kind(backbone, image_size, approach)
        return float(row["work"] * scale * n_train * epochs / row["rate"])

    def _kind(self, backbone: str, image_size: int, approach: str) -> tuple[pd.Series, float]:
        if (backbone, image_size, approach) in self.table.index:
            return self.table.loc[(backbone, image_size, approach)], 1.0
        rows = self.table.reset_index()
        rows = rows[(rows["backbone"] == backbone) & (rows["approach"] == approach)]
        if rows.empty:
            raise UserError(
                f"no run of {approach!r} on {backbone!r} is recorded, so its seconds can't be told"
            )
        near = rows.iloc[np.abs(np.log(rows["image_size"] / image_size)).argmin()]
        power = 1 if near["modality"] == "text" else 2
        return near, float((image_size / near["image_size"]) ** power)


def fit_costs(runs: pd.DataFrame) -> CostModel:
    """Medians over recorded runs on a CPU; processor seconds, since the clock's depend on others.

    Raises UserError when there is no such run.
    """
    runs = runs[runs["device"].str.startswith("cpu")]
    if runs.empty:
        raise UserError("no run on a CPU is recorded, so no seconds can be predicted")
    counted = runs["approach"] != CLASSICAL
    asked = runs["n_train"] * runs["epochs"]
    done = runs["flops_train"].where(counted, asked)
    rate = done / runs["train_cpu_seconds"].clip(lower=1e-4)
    made = runs.assign(work=done / asked, rate=rate)
    table = made.groupby(KIND, observed=True).agg(
        work=("work", "median"), rate=("rate", "median"), modality=("modality", "first")
    )
    return CostModel(table)


def held_out_errors(runs: pd.DataFrame) -> pd.DataFrame:
    """Predict each task's runs from the other tasks': a row per run that could be predicted.

    Columns: those of KIND, task, n_train, `seconds` (as recorded), `predicted`, and `error`, the
    factor between the two, at least 1. Only what is known before a run goes into its prediction.
    """
    parts, runs = [], runs.dropna(subset=["train_cpu_seconds"])
    for task in sorted(runs["task"].unique()):
        own, others = runs[runs["task"] == task], runs[runs["task"] != task]
        known = set(zip(others["backbone"], others["approach"], strict=True))
        keys = zip(own["backbone"], own["approach"], strict=True)
        own = own[[key in known for key in keys]]
        if own.empty:
            continue
        model = fit_costs(others)
        asked = own[[*KIND, "n_train", "epochs"]].itertuples(index=False)
        predicted = [model.seconds(*map(_plain, row)) for row in asked]
        parts.append(own.assign(predicted=predicted, seconds=own["train_cpu_seconds"]))
    if not parts:
        raise UserError("to hold a task out, another with the same backbone must be recorded")
    table = pd.concat(parts)[[*KIND, "task", "n_train", "seconds", "predicted"]]
    log = np.log(table["predicted"].clip(lower=1e-3) / table["seconds"].clip(lower=1e-3))
    return table.assign(error=np.exp(log.abs())).reset_index(drop=True)


def gpu_seconds(flops: float, device: str) -> tuple[float, float]:
    """(least, most) seconds for so many FLOPs on a GPU: an extrapolation, none was measured.

    Raises UserError for a device that is not in PEAKS.
    """
    if device not in PEAKS:
        raise UserError(f"no peak is known for {device!r}; known are {', '.join(PEAKS)}")
    low, high = (flops / (PEAKS[device] * 1e12 * share) for share in reversed(REACHED))
    return low, high


def makespan(seconds: Iterable[float], workers: int, efficiency: float = 1.0) -> float:
    """Seconds until the last of `workers` is done, longest runs first.

    efficiency: of a worker beside others against one alone (two_workers in bench.csv, halved).
    Graham 1969: this order ends at most a third later than the best one.
    """
    if workers < 1 or not 0 < efficiency <= 1:
        raise UserError(f"makespan needs 1 worker or more and 0 < efficiency <= 1; got {workers}")
    ends = [0.0] * workers
    for run in sorted(seconds, reverse=True):
        heapq.heappush(ends, heapq.heappop(ends) + run / efficiency)
    return max(ends)


def _plain(value: object) -> object:
    return value.item() if hasattr(value, "item") else value
