"""Random situations for tests of the rule and of what reads the records."""

from __future__ import annotations

import math
import random

from helpers.decision import Situation

THIRD, TWO_THIRDS = 1 / 3, 2 / 3


BELOW_THIRD, BELOW_TWO_THIRDS = math.nextafter(THIRD, 0), math.nextafter(TWO_THIRDS, 0)


def random_situation(rng: random.Random) -> Situation:
    modality = rng.choice(("image", "text"))
    return Situation(
        examples=rng.choice([1, 4_999, 5_000, 99_999, 100_000, int(10 ** rng.uniform(0, 8))]),
        distance=rng.choice([0.0, BELOW_THIRD, THIRD, TWO_THIRDS, 1.0, rng.random(), "far"]),
        modality=modality,
        llm=modality == "text" and rng.random() < 0.5,
        budget_minutes=rng.choice([None, rng.uniform(0.1, 1e4)]),
        latency_ms=rng.choice([None, rng.uniform(0.1, 1e4)]),
        tasks=rng.choice([1, 9, 10, rng.randint(1, 1_000)]),
        unlabelled=rng.choice([0, 9_999, 10_000, int(10 ** rng.uniform(0, 9))]),
        local_only=rng.random() < 0.5,
    )
