"""One live run on `pocket` at a point of the explorer, beside what is recorded there."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from helpers.display.explorer.settings import Point
from helpers.errors import UserError
from helpers.results.learning_curves import Curve, Measured, comparable
from helpers.results.runs import matching
from helpers.results.statistics import mean_interval
from helpers.vocabulary import phrase_of

TASK, BACKBONE = "products_near", "pocket"
MOST_EXAMPLES = 200  # so that every approach ends in seconds
TESTED = 500  # test pictures that are read
SEED = 1_000  # no grid asks for it: a draw that no record holds
PICTURES_ONLY = "The live run needs pictures: pocket, the network that trains here, reads no texts."


@dataclass(frozen=True)
class Live:
    """A live run: what was trained on, what it reached, and both in a sentence."""

    examples: int
    accuracy: float
    words: str


def nearest_dial(distance: float, held: Measured) -> int | None:
    """Return the place of the recorded curve whose dial brings it nearest; None without one."""
    own = [
        (abs(curve.distance - distance), place)
        for place, curve in enumerate(held.curves)
        if (curve.task, curve.backbone) == (TASK, BACKBONE)
    ]
    return min(own)[1] if own else None


def announcement(point: Point, approach: str, held: Measured) -> str:
    """Return what is about to be run, in a sentence."""
    n, dial, _ = _asked(point, held)
    return f"Training {phrase_of(approach)} on {n:,} product photos, dial {dial:.2f} …"


def run_live(point: Point, approach: str, held: Measured, runs: pd.DataFrame) -> Live:
    """Train an approach on `pocket` with the settings that are recorded for it.

    At most `MOST_EXAMPLES` are trained on; the dial is the recorded one nearest to the distance.
    Raises UserError for a point that is not about pictures, or a run that fails.
    """
    if point.modality != "image":
        raise UserError(PICTURES_ONLY)
    from helpers.experiments.single_run import RunConfig, run  # torch takes a second to load

    n, dial, curve = _asked(point, held)
    settings = _recorded_settings(runs, approach, n, dial)
    config = RunConfig(TASK, BACKBONE, approach, n, seed=SEED, dial=dial, **settings)
    row = run(config, n_test=TESTED)
    return described(approach, n, dial, row, curve)


def described(
    approach: str, n: int, dial: float, row: dict[str, float], curve: Curve | None
) -> Live:
    """Return a run as a point and a sentence that sets it beside the recorded interval."""
    reached, spent = float(row["test_accuracy"]), row["train_seconds"] + row["prepare_seconds"]
    words = (
        f"Live: {phrase_of(approach)} on {n:,} product photos (dial {dial:.2f}) reached "
        f"{reached:.3f} on {TESTED} test pictures, in {spent:.1f} s"
    )
    return Live(n, reached, f"{words}; {_beside(reached, approach, n, curve)}.")


def _beside(reached: float, approach: str, n: int, curve: Curve | None) -> str:
    if curve is None or n not in curve.accuracy or approach not in curve.accuracy[n]:
        return "no run is recorded at this very point"
    values = curve.accuracy[n][approach].dropna()
    if len(values) < 2:
        return "too few runs are recorded at this very point"
    _, low, high = mean_interval(values)
    side = "inside" if low <= reached <= high else "above" if reached > high else "below"
    return (
        f"that is {side} the recorded interval, {low:.3f} to {high:.3f} over {len(values)} seeds "
        "(which is for their mean: a single run may well lie outside)"
    )


def _asked(point: Point, held: Measured) -> tuple[int, float, Curve | None]:
    """How many examples, at which dial, and the curve that is recorded there."""
    place = nearest_dial(point.distance, held)
    curve = None if place is None else held.curves[place]
    return min(point.examples, MOST_EXAMPLES), curve.dial if curve else 0.0, curve


def _recorded_settings(runs: pd.DataFrame, approach: str, n: int, dial: float) -> dict[str, Any]:
    """Rate, options and recipe of the recorded runs nearest in size; nothing without one."""
    asked = {"task": TASK, "backbone": BACKBONE, "approach": approach, "dial": dial}
    own = matching(comparable(runs), **asked)
    if own.empty:
        return {}
    row = own.loc[(own["n_train"] - n).abs().idxmin()]
    settings = {"lr": float(row["lr"]), "settings": str(row["settings"])}
    return settings | {"schema": int(row["schema"])}
