"""Notebook 12: what a wrong learning rate costs each approach, at equal factors from the best."""

import numpy as np
import pandas as pd

from helpers.lessons.photos import NETWORK, PHOTOS
from helpers.lessons.product_photos import PLACE
from helpers.results.runs import load_runs
from helpers.vocabulary import CLASSICAL, style_of

TRIALS = ["photos/tuning", "repair/tuning"]
LOST = ["lost at a third of the best rate", "lost at three times it"]


def rates_tried() -> pd.DataFrame:
    """Learning rates tried where most approaches were tuned: a row an approach, to show.

    Grids differ in width, so what a wrong rate costs is told at equal factors from the best one;
    where none was tried there, as for penalties, the place is empty.
    """
    trials = load_runs(sweep=TRIALS, task=PHOTOS, backbone=NETWORK)
    trials = trials[trials["approach"] != CLASSICAL]
    places = [own for _, own in trials.groupby(PLACE)]
    most = max(places, key=lambda own: own["approach"].nunique())
    n, side = most[PLACE].iloc[0]
    rows = []
    for approach, own in most.groupby("approach"):
        own = own.sort_values("lr")
        rates, reached = own["lr"].to_numpy(), own["val_accuracy"].to_numpy()
        best = int(reached.argmax())
        lost = [_lost(rates / rates[best], reached[best] - reached, by) for by in (1 / 3, 3)]
        tried = ", ".join(f"{r:g}: {v:.2f}" for r, v in zip(own["lr"], reached, strict=True))
        edge = {0: "lowest", len(own) - 1: "highest"}.get(best, "inside")
        rows.append((style_of(approach).short, tried, *lost, edge))
    tried = f"validation accuracy by rate, freeze by penalty ({n:,} photos at {side} pixels)"
    columns = ["approach", tried, *LOST, "best rate is"]
    table = pd.DataFrame(rows, columns=columns).sort_values(LOST[1], ignore_index=True)
    return table.astype(dict.fromkeys(LOST, object)).fillna("")


def _lost(factors: np.ndarray, lost: np.ndarray, factor: float) -> float:
    """What was lost at about so many times the best rate; NaN where none was tried there."""
    there = lost[np.isclose(factors, factor, rtol=0.15)]
    return round(float(there[0]), 2) if len(there) else np.nan
