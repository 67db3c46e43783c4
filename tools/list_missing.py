"""List what the grids declare and the records lack, with the reason: data/results/missing.csv.

    python tools/list_missing.py

A reason is the time that the runs would take: by the cost model, on one core of the machine that
measured the rest. `python -m helpers sweep NAME` measures them; run this again afterwards.
"""

from __future__ import annotations

import pandas as pd

from helpers import records
from helpers.cost_model import CostModel, fit_costs
from helpers.errors import UserError
from helpers.experiments import RunConfig
from helpers.grids import SWEEPS, TUNING
from helpers.paths import results_dir
from helpers.sweeps import missing

CELL = ["sweep", "backbone", "task", "dial", "approach", "n_train", "settings"]
COLUMNS = [*CELL, "lr", "seeds", "reason"]


def main() -> None:
    """Write the list, and print what it holds in all."""
    runs = records.load()
    model = fit_costs(runs)
    steps = [step for sweep in SWEEPS.values() for step in _steps(sweep.name, sweep.tuned)]
    rows = [_row(step, config, model) for step in steps for config in missing(step, runs)]
    table = pd.DataFrame(rows, columns=[*CELL, "lr", "seed", "seconds"])
    keys = [*CELL, "lr"]
    groups = table.groupby(keys, dropna=False, sort=False)
    listed = groups.agg(
        seeds=("seed", lambda seeds: " ".join(map(str, sorted(seeds)))), seconds=("seconds", "sum")
    ).reset_index()
    listed["reason"] = listed.pop("seconds").map(_reason)
    listed[COLUMNS].to_csv(results_dir() / "missing.csv", index=False, lineterminator="\n")
    hours = table["seconds"].sum() / 3600
    print(f"{len(table)} runs of {len(listed)} cells are missing, about {hours:.1f} core hours")


def _steps(name: str, tuned: bool) -> list[str]:
    return [name + TUNING, name] if tuned else [name]


def _row(step: str, config: RunConfig, model: CostModel) -> tuple:
    try:
        seconds = model.seconds(
            config.backbone, config.image_size, config.approach, config.n_train, config.epochs
        )
    except UserError:
        seconds = float("nan")
    cell = [step, config.backbone, config.task, round(config.dial, 4), config.approach]
    return (*cell, config.n_train, config.settings, config.lr, config.seed, seconds)


def _reason(seconds: float) -> str:
    if seconds != seconds:
        return "not measured yet; nothing like it is recorded to tell its time from"
    return f"not measured yet; about {max(1, round(seconds))} s on one core"


if __name__ == "__main__":
    main()
