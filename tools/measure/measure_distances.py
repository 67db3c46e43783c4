"""Measure what `data/results/distances.csv` lacks; stop it at will and start it again."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from helpers.backbones import BACKBONES, load_backbone, reference_of, source_task_of
from helpers.experiments.domain_distance import (
    EXAMPLES,
    as_distance,
    cloud_distance,
    log_me,
    probe,
    reference_features,
)
from helpers.experiments.entry_sweeps import find_sweep
from helpers.experiments.grids import COMPARING
from helpers.experiments.single_run import RunConfig, task_for
from helpers.results.learning_curves import DISTANCES_FILE
from helpers.training.feature_cache import extract_features
from helpers.vocabulary import FEATURE_EXTRACTION


@dataclass(frozen=True)
class Place:
    """One task on one backbone, at one step of the dial and one size (pixels or tokens)."""

    backbone: str
    task: str
    dial: float
    image_size: int


def places(sweeps: Iterable[str] = COMPARING) -> list[Place]:
    """List what sweeps compare approaches on, and first each known source on itself.

    sweeps: names, also of one task or backbone (`entry_sweeps.find_sweep`). Raises UserError for an
    unknown one.
    """
    found = []
    for name in sweeps:
        for block in find_sweep(name).blocks:
            size = block.image_size or BACKBONES[block.backbone].default_size
            source = source_task_of(block.backbone)
            tasks = ((source,) if source else ()) + tuple(block.tasks)
            for task in tasks:
                dials = (0.0,) if task == source else block.dials
                found += [Place(block.backbone, task, dial, size) for dial in dials]
    return list(dict.fromkeys(found))


def measure_place(place: Place, n: int = EXAMPLES) -> dict[str, float | str]:
    """Measure one row: features of n training examples (all, where fewer).

    The Fréchet distance is taken to as many test examples of the backbone's reference,
    or to all of them where there are fewer.
    """
    what = {"dial": place.dial, "image_size": place.image_size}
    asked = RunConfig(place.task, place.backbone, FEATURE_EXTRACTION, n, **what)
    examples = task_for(asked, n_test=1).train
    backbone = load_backbone(place.backbone, size=place.image_size)
    found = np.asarray(extract_features(backbone, examples.inputs, cache=False))
    frechet = cloud_distance(reference_features(place.backbone, place.image_size, n), found)
    score = probe(found, examples.labels)
    return asdict(place) | {
        "probe": score.accuracy,
        "low": score.low,
        "high": score.high,
        "chance": score.chance,
        "above_chance": score.above_chance,
        "frechet": frechet,
        "log_me": log_me(found, examples.labels),
        "distance": as_distance(frechet),
        "n": len(examples),
        "seed": 0,
        "reference": reference_of(place.backbone),
    }


def missing(path: Path | None = None, sweeps: Iterable[str] = COMPARING) -> list[Place]:
    """List the places of some sweeps that the file lacks."""
    return [Place(**row) for row in DISTANCES_FILE.missing(map(asdict, places(sweeps)), path)]


def main() -> None:
    """Measure place by place and print each line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "sweeps", nargs="*", default=COMPARING, metavar="SWEEP",
        help="whose places, also of one task or backbone by its name (those that compare)",
    )  # fmt: skip
    parser.add_argument("--list", action="store_true", help="only print what is missing")
    asked = parser.parse_args()
    for place in missing(sweeps=asked.sweeps):
        if asked.list:
            print(place)
            continue
        row = measure_place(place)
        DISTANCES_FILE.append(row)
        print(
            f"{place.backbone} {place.task} dial {place.dial:.2f}: distance {row['distance']:.3f} "
            f"(probe {row['probe']:.3f}, Fréchet {row['frechet']:.3f}, LogME {row['log_me']:.3f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
