"""The advisor's scores that ship agree with the runs that ship."""

import argparse
import importlib.util
import shutil
import sys

import pandas as pd
import pytest

from helpers.paths import data_dir, results_dir
from helpers.results import runs as records
from helpers.results.learning_curves import measured_curves

TOOLS = data_dir().parent / "tools" / "measure"


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(
        spec
    )  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tool():
    return loaded("score_advisor")


def test_scores_follow_the_recorded_runs(tool, tmp_path):
    shipped = results_dir() / "advisor.csv"
    copy = tmp_path / shipped.name
    shutil.copy(shipped, copy)
    tool.refresh(copy, records.load_runs())
    assert copy.read_text() == shipped.read_text(), (
        "run: python -m tools.measure.score_advisor --refresh"
    )


def test_looks_follow_the_recorded_runs_and_no_learned_constant_beats_them():
    """One fixed approach may give up less, but which one is known only afterwards."""
    looks = loaded("score_looks")
    table, shipped = looks.scored(measured_curves(records.load_runs())), results_dir() / looks.LOOKS
    assert table.to_csv(index=False, lineterminator="\n") == shipped.read_text(), (
        "run: python -m tools.measure.score_looks"
    )
    for kind, regret in looks.summary(table)["regret"].unstack().iterrows():
        assert regret["look"] <= regret["constant"] + 0.05, kind


def test_regret_and_its_error_over_the_seeds(tool):
    wide = pd.DataFrame({"lora": [0.70, 0.72], "lp_ft": [0.74, 0.72]}, index=[0, 1])
    told = tool.worth("lora", wide)
    assert (told["best"], told["regret_points"], told["regret_error"]) == ("lp_ft", 2.0, 2.0)
    assert tool.worth("lp_ft", wide)["regret_points"] == 0


def test_a_seed_that_an_approach_lacks_is_easy_for_it_as_well(tool):
    """The second seed is easier by 0.1: an approach without it is moved up by half of that."""
    wide = pd.DataFrame({"lora": [0.70, 0.80], "lp_ft": [0.74, 0.84], "adapter": [0.72, None]})
    told = tool.worth("adapter", wide)
    assert (told["best"], told["recommended_accuracy"]) == ("lp_ft", 0.77)
    assert told["regret_points"] == 2.0
    assert tool.worth("lora", wide.iloc[:0])["regret_points"] == ""


def test_a_race_chooses_better_than_the_records_do():
    """Simulated races on every recorded situation."""
    module = loaded("simulate_races")
    asked = argparse.Namespace(draws=3, runs=[14], alike=0.7)
    held = measured_curves(records.load_runs())
    cases = module.cases_of(held)
    rows = [row for case in cases for row in module.regrets(case, held, asked)]
    points = pd.DataFrame(rows).groupby("chosen by")["points"].mean()
    assert len(cases) >= 10 and len(rows) == 3 * 3 * len(cases)
    assert points["race"] < points["records"] - 0.3
    assert points["race"] < points["leader"] + 0.2  # what the cheaper may cost
