"""Score every rule on the recorded situations, for data/results/regret.csv.

    python -m tools.measure.score_rules

The article's rule, the 2x2, always-X for every X, and the measured answer, which never sees the
family of tasks it is asked about; the article's and the 2x2 also with thresholds refitted on the
other families. Nothing is trained: everything is read from runs.csv and distances.csv.
"""

from __future__ import annotations

import pandas as pd

from helpers.paths import results_dir
from helpers.results import runs as records
from helpers.results.learning_curves import measured_curves
from helpers.results.rival_rules import ARTICLE, FOLK, refit, score, situations, standing

FIRST = ["rule", "mean_regret", "worst_regret", "mean_train_seconds", "tasks", "situations"]


def regret_table(runs: pd.DataFrame) -> pd.DataFrame:
    """The table that is stored; `runs` at its end says how many records it was made from."""
    held = measured_curves(runs)
    table, lacking = situations(held)
    picks = [score(table, held), *(refit(table, rule)[0] for rule in (ARTICLE, FOLK))]
    made = standing(pd.concat(picks, ignore_index=True)).round(5)
    others = [name for name in made.columns if name not in FIRST]
    return made[[*FIRST, *others]].assign(lacking=lacking, runs=len(runs))


def main() -> None:
    """Write the table and print it."""
    made = regret_table(records.load_runs())
    made.to_csv(results_dir() / "regret.csv", index=False, lineterminator="\n")
    print(made.to_string(index=False))


if __name__ == "__main__":
    main()
