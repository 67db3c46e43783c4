"""Measure what `data/results/distances.csv` lacks; stop it at will and start it again."""

from __future__ import annotations

import argparse

from helpers.experiments import domain_distance
from helpers.experiments.grids import COMPARING


def main() -> None:
    """Measure place by place and print each line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "sweeps", nargs="*", default=COMPARING, metavar="SWEEP",
        help="whose places, also of one task or backbone by its name (those that compare)",
    )  # fmt: skip
    parser.add_argument("--list", action="store_true", help="only print what is missing")
    asked = parser.parse_args()
    for place in domain_distance.missing(sweeps=asked.sweeps):
        if asked.list:
            print(place)
            continue
        row = domain_distance.measure_place(place)
        domain_distance.FILE.append(row)
        print(
            f"{place.backbone} {place.task} dial {place.dial:.2f}: distance {row['distance']:.3f} "
            f"(probe {row['probe']:.3f}, Fréchet {row['frechet']:.3f}, LogME {row['log_me']:.3f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
