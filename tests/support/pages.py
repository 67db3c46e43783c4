"""A small page over the real records, and the random settings that it is asked at."""

import functools
import random

from helpers.display.explorer.settings import Axes, Point
from helpers.results import runs as records
from helpers.results.learning_curves import Measured, measured_curves
from tools.site.explorer_answers import KINDS
from tools.site.explorer_page import ALL_SLIDERS, build

SMALL = Axes(
    examples=(50, 200, 1_000, 5_000, 100_000),
    distance=(0.0, 0.25, 0.5, 0.65, 0.9),
    budget_minutes=(0.05, 0.5, None),
    latency_ms=(1.0, 5.0, None),
    tasks=(1, 10),
)


@functools.cache
def small_page() -> tuple[str, Measured]:
    """Return the page over SMALL, and the curves that it was read from."""
    runs = records.load_runs()
    return build(runs, axes=SMALL, commit="0123456789"), measured_curves(runs)


def settings(axes: Axes, number: int, seed: int = 0) -> list[dict]:
    """Return random settings as the page's script takes them: places on the axes, switches."""
    chance = random.Random(seed)
    made = []
    for _ in range(number):
        modality, llm = chance.choice(KINDS)
        made.append(
            {name: chance.randrange(len(getattr(axes, name))) for name, *_ in ALL_SLIDERS}
            | {"modality": modality, "llm": llm}
            | {name: chance.random() < 0.3 for name in ("unlabelled", "local_only")}
        )
    return made


def as_point(axes: Axes, setting: dict) -> Point:
    """Return the point that a setting stands for."""
    values = {name: getattr(axes, name)[setting[name]] for name, *_ in ALL_SLIDERS}
    return Point(**(setting | values))
