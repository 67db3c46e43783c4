"""What a look's answer gives up beside answers that ask nothing, for data/results/looks.csv.

    python -m tools.measure.score_looks

Every recorded situation on which all approaches were run is looked at without training, its data
set held out from the records with everything made of the same data (other sizes, networks, steps of
the dial): what probe and model without a network reached there stands for what a look measures,
with the examples that it would have. Beside it stand always the probe (at the recorded size in
pixels), always LoRA, always full fine-tuning, and a constant: what gives up least on the records of
this kind of data. regret_points: what the best recorded approach has more.
seconds: processor seconds of training what is named. intervals: how many accuracies were expected,
not measured; held: how many of their 95 % intervals hold what is recorded; width: their median
width. chance_right is the share of looks at other data sets of the kind that were right
(`helpers.advisor.verdicts.smoothed_rate`). The file is written anew each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pandas as pd
from sklearn.metrics import log_loss

from helpers.advisor.answer import first_choice
from helpers.advisor.prior import (
    MEASURED,
    WITHIN,
    Expected,
    classes_of,
    expected_accuracies,
    recorded_gains,
)
from helpers.advisor.probe import MOST, ProbeScore
from helpers.advisor.verdicts import (
    LOOK,
    LOOKS,
    smoothed_rate,
    verdict_of,
)
from helpers.paths import results_dir
from helpers.results import runs as records
from helpers.results.expected_regret import expected_regret, recommended
from helpers.results.learning_curves import WHOLE, Curve, Measured, measured_curves
from helpers.results.statistics import wilson_interval
from helpers.storage.files import write_whole
from helpers.tasks import family
from helpers.vocabulary import CLASSICAL, FEATURE_EXTRACTION, FULL_FINE_TUNING, LORA

VALIDATION = 100  # examples, beside those to train on, that a probe out of fold is judged by
ASKED = {*WHOLE, CLASSICAL}  # what a situation must have been measured with
FIXED = {"probe": FEATURE_EXTRACTION, "lora": LORA, "full": FULL_FINE_TUNING}


def expected_of(
    curve: Curve, n_train: int, held: Measured, reached: pd.Series, n: int
) -> dict[str, Expected]:
    """What records let expect around the shares of n examples that were reached on a task."""
    scores = {}
    for name in MEASURED:
        count = round(float(reached[name]) * n)
        scores[name] = ProbeScore(count / n, *wilson_interval(count, n), n)
    probing = SimpleNamespace(
        probe=scores[FEATURE_EXTRACTION], classical=scores[CLASSICAL], cause=""
    )
    gains = recorded_gains(curve.modality, held, n_train / classes_of(curve.task))
    return expected_accuracies(probing, gains)


def answers(curve: Curve, n_train: int, held: Measured) -> Iterator[dict[str, Any]]:
    """A row for each answer to one situation. held: the records without its data set."""
    means, seconds = curve.accuracy[n_train].mean(), curve.costs[n_train]["train_seconds"]
    expected = expected_of(curve, n_train, held, means, min(MOST, n_train + VALIDATION))
    names = [name for name in expected if name in means]
    recorded = expected_regret(curve.modality, held, names)
    taken_in = {name: max(1e-3, float(seconds[name])) for name in names}
    chosen = first_choice(expected, taken_in, recorded)
    taken = {LOOK: chosen, **FIXED, "constant": recommended(recorded)}
    told = [expected[name] for name in names if name not in MEASURED]
    inside = [one.low <= means[one.approach] <= one.high for one in told]
    looked = {
        "verdict": "",
        "chance_right": "",
        "intervals": len(told),
        "held": sum(inside),
        "width": round(float(pd.Series([one.high - one.low for one in told]).median()), 3),
    }
    for answer, name in taken.items():
        regret = 100 * float(means.max() - means[name])
        yield {
            "task": curve.task,
            "modality": curve.modality,
            "backbone": curve.backbone,
            "image_size": curve.image_size,
            "n_train": n_train,
            "answer": answer,
            "recommended": name,
            "regret_points": round(regret, 2),
            "seconds": round(float(seconds[name]), 2),
            **(looked if answer == LOOK else dict.fromkeys(looked, "")),
        }


def scored(measured: Measured) -> pd.DataFrame:
    """Every answer to every situation that has ASKED, a row each.

    A look is as sure as those at other data allow.
    """
    less = {one.family: measured.without(one.family) for one in measured.curves}
    table = pd.DataFrame(
        row
        for curve in measured.curves
        for n in (curve.whole if curve.dial == 0 else [])
        if set(curve.accuracy[n].columns) >= ASKED
        for row in answers(curve, n, less[curve.family])
    )
    looks = table[table["answer"] == LOOK]
    chances = [
        smoothed_rate(looks, look.modality, {family(look.task)}) for look in looks.itertuples()
    ]
    table["chance_right"] = pd.Series(chances, looks.index).round(3)
    table["verdict"] = table["chance_right"].map(verdict_of, na_action="ignore")
    return table


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean regret, share within WITHIN, worst regret and mean seconds, by kind and answer."""
    kinds = [table.assign(modality="all"), table] if len(table) else [table]
    rows = pd.concat(kinds).assign(right=lambda t: t["regret_points"] <= 100 * WITHIN + 1e-9)
    return rows.groupby(["modality", "answer"]).agg(
        situations=("right", "size"), regret=("regret_points", "mean"), right=("right", "mean"),
        worst=("regret_points", "max"), seconds=("seconds", "mean"),
    )  # fmt: skip


def main() -> None:
    """Write the file, and print what it comes to."""
    table = scored(measured_curves(records.load_runs()))
    text = table.to_csv(index=False, lineterminator="\n")
    write_whole(results_dir() / LOOKS, text.encode())
    looks = table[table["answer"] == LOOK]
    print(summary(table).round(2).to_string(), end="\n\n")
    print(summary(looks.assign(modality=looks["verdict"])).round(2).to_string(), end="\n\n")
    right, told = looks["regret_points"] <= 100 * WITHIN + 1e-9, looks["chance_right"]
    print(f"log loss of chance_right {log_loss(right, told):.3f}, of 0.7 throughout "
          f"{log_loss(right, [0.7] * len(looks)):.3f}", end="\n\n")  # fmt: skip
    kinds = looks.groupby("modality").agg({"intervals": "sum", "held": "sum", "width": "median"})
    print(kinds.assign(share=kinds["held"] / kinds["intervals"]).round(3).to_string())


if __name__ == "__main__":
    main()
