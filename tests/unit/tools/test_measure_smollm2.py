"""What is asked of SmolLM2: trials before runs, rates until the best is inside, each once."""

import math
from itertools import product

import pandas as pd
import pytest

from helpers.lessons.language_models import forgetting, smollm2_records
from helpers.storage.results_file import ResultsFile
from tools.measure import measure_adapted, measure_classified
from tools.measure.measure_classified import Cell


@pytest.fixture
def classified(tmp_path, monkeypatch):
    """An empty file of its own for the rows."""
    held = ResultsFile.rows
    path = tmp_path / "rows.csv"
    monkeypatch.setattr(ResultsFile, "rows", lambda self, given=None: held(self, given or path))
    return smollm2_records.CLASSIFIED


def classified_row(cell, accuracy):
    numbers = dict.fromkeys(smollm2_records.NUMBERS, 0.0)
    row = vars(cell) | numbers | {"val_accuracy": accuracy, "val_loss": 1.0, "test_accuracy": 0.8}
    return row | {"precision": "float32", "threads": 1, "created": "now", "git": "0", "n_test": 100}


def asked(arm):
    return list(measure_classified.cells(["tweets"], [arm]))


def test_rates_are_tried_until_the_best_is_inside_and_runs_take_it(classified):
    arm = ("smollm2", "lora")
    first = [cell for cell in asked(arm) if cell.n_train == 200]
    assert {cell.role for cell in first} == {"trial"} and len(first) == 3
    for cell in first:
        classified.append(classified_row(cell, accuracy=cell.lr))  # the highest rate is the best
    further = [cell for cell in asked(arm) if cell.n_train == 200]
    (new,) = [cell for cell in further if cell not in first]
    assert new.role == "trial" and new.lr > max(cell.lr for cell in first)
    classified.append(classified_row(new, accuracy=math.nan))  # it diverged
    runs = [cell for cell in asked(arm) if cell.n_train == 200 and cell.role == "run"]
    assert [cell.seed for cell in runs] == [0, 1, 2]
    assert {cell.lr for cell in runs} == {max(cell.lr for cell in first)}
    assert not [cell for cell in asked(arm) if cell.n_train == 1000]  # what takes hours


def test_few_shot_takes_the_setting_that_validation_prefers(classified):
    arm = ("smollm2", "few_shot")
    trials = [cell for cell in asked(arm) if cell.n_train == 200]
    assert len(trials) == 4
    for number, cell in enumerate(trials):
        classified.append(classified_row(cell, accuracy=number / 10))
    runs = [cell for cell in asked(arm) if cell.role == "run"]
    assert {cell.settings for cell in runs} == {trials[-1].settings} and len(runs) == 3
    known = {measure_classified.question(row) for row in classified.load().to_dict("records")}
    assert measure_classified.question(vars(trials[0])) in known  # though its rate is no number


def test_one_zero_shot_run_has_its_interval_from_the_test_texts(classified):
    cell = Cell("tweets", "smollm2", "zero_shot", "shots=0;calibrated=0", 0, 0, math.nan, "run")
    classified.append(classified_row(cell, 0.5))
    (row,) = smollm2_records.classified_table().to_dict("records")
    assert row["low"] < row["mean"] == 0.8 < row["high"] and row["runs"] == 1


def adapted_rows(cell, bits):
    """The lines of one adaptation: validation at the end, and test before and after."""
    facts = cell.row() | dict.fromkeys(forgetting.FACTS, 1) | {"steps": measure_adapted.STEPS}
    last = measure_adapted.STEPS
    places = [("validation", last), ("test", 0), ("test", last)]
    for (split, step), corpus in product(places, ("new", *measure_adapted.OLD)):
        numbers = dict.fromkeys(forgetting.NUMBERS, bits if step and corpus == "new" else 2.0)
        yield facts | numbers | {
            "corpus": corpus, "split": split, "step": step, "precision": "float32", "peak_mb": 9.0,
            "stored_bytes": 8, "written": "words" if split == "test" and corpus == "new" else "",
            "created": "now", "git": "0",
        }  # fmt: skip


def test_adaptations_are_tried_run_and_told_beside_each_old_domain(classified):
    records = smollm2_records.ADAPTED
    trials = list(measure_adapted.cells())
    assert {cell.role for cell in trials} == {"trial"} and len(trials) == 3 * 7
    for cell in trials:
        bits = 1.0 if cell.lr in (3e-5, 1e-3) else 1.5
        rows = measure_adapted.diverged(cell) if cell.lr == 1e-4 else adapted_rows(cell, bits)
        for row in rows:
            records.append(row)
    full = [cell for cell in measure_adapted.cells() if cell.approach == "full_fine_tuning"]
    runs = [cell for cell in full if cell.role == "run"]
    assert [cell.lr for cell in runs] == [3e-5] * 3
    assert records.question(trials[0].row()) in measure_adapted.recorded(records.load())
    for cell in runs:
        for row in adapted_rows(cell, 1.0):
            records.append(row)
    table = smollm2_records.adapted_table()
    assert set(table["old"]) == set(measure_adapted.OLD)
    assert table["learned"].tolist() == [1.0, 1.0] and table["forgotten"].tolist() == [0.0, 0.0]


def test_nothing_recorded_is_no_error(classified):
    assert isinstance(smollm2_records.adapted_table(pd.DataFrame(columns=["corpus"])), pd.DataFrame)
    assert smollm2_records.classified_table().empty
