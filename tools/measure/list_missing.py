"""List what the open sweeps ask for and the records lack, with the reason: missing.csv.

    python -m tools.measure.list_missing

Run it whenever rows are added to data/results/runs.csv: what is recorded decides which further
learning rates are tried and which seeds run. `python -m helpers sweep NAME` measures them. Sweeps
of an earlier recipe are closed and not listed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from helpers.experiments.grids import SWEEPS, TUNING
from helpers.experiments.single_run import RunConfig
from helpers.experiments.sweeps import missing, steps_of
from helpers.paths import results_dir
from helpers.results import runs as records

CELL = ["sweep", "backbone", "task", "dial", "approach", "n_train", "settings"]
COLUMNS = [*CELL, "lr", "seeds", "reason"]


def main() -> None:
    """Write the list, and print what it holds in all."""
    runs = records.load_runs(schema=None)
    listed = list_missing(runs)
    listed.to_csv(results_dir() / "missing.csv", index=False, lineterminator="\n")
    count = listed["seeds"].str.split().str.len().sum()
    print(f"{count} runs of {len(listed)} cells are missing, as far as the records tell")


def list_missing(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per cell and learning rate that lacks runs, in the order in which they are run."""
    table = pd.DataFrame(_rows(runs), columns=[*CELL, "lr", "reason", "seed"])
    seeds = table.groupby([*CELL, "lr", "reason"], dropna=False, sort=False)["seed"]
    listed = seeds.agg(lambda several: " ".join(map(str, sorted(several))))
    return listed.rename("seeds").reset_index()[COLUMNS]


def _rows(runs: pd.DataFrame) -> Iterator[tuple]:
    for name in SWEEPS:
        for step in steps_of(name):
            for config in missing(step, runs):
                cell = [step, config.backbone, config.task, round(config.dial, 4), config.approach]
                cell += [config.n_train, config.settings, config.lr, _reason(step, config)]
                yield (*cell, config.seed)


def _reason(step: str, config: RunConfig) -> str:
    if step.endswith(TUNING):
        return "not measured yet; a trial of a learning rate"
    if config.lr is None:
        return "not measured yet; the trials of its learning rate have not ended"
    return "not measured yet"


if __name__ == "__main__":
    main()
