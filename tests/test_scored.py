"""The advisor's scores that ship agree with the runs that ship."""

import importlib.util
import shutil
import sys

import pandas as pd
import pytest

from helpers import records
from helpers.paths import data_dir, results_dir

TOOL = data_dir().parent / "tools" / "score_advisor.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("score_advisor", TOOL)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(
        spec
    )  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_scores_follow_the_recorded_runs(tool, tmp_path):
    shipped = results_dir() / "advisor.csv"
    copy = tmp_path / shipped.name
    shutil.copy(shipped, copy)
    tool.refresh(copy, records.load())
    assert copy.read_text() == shipped.read_text(), "run: python tools/score_advisor.py --refresh"


def test_regret_and_its_error_over_the_seeds(tool):
    wide = pd.DataFrame({"lora": [0.70, 0.72], "lp_ft": [0.74, 0.72]}, index=[0, 1])
    told = tool.worth("lora", wide)
    assert (told["best"], told["regret_points"], told["regret_error"]) == ("lp_ft", 2.0, 2.0)
    assert tool.worth("lp_ft", wide)["regret_points"] == 0


def test_a_seed_that_an_approach_lacks_is_left_out(tool):
    runs = records.load()
    case = tool.CASES["digits"]
    whole = tool.recorded(case, runs)
    own = (runs["task"] == "digits") & (runs["backbone"] == case.backbone)
    own &= (runs["n_train"] == case.n_train) & (runs["image_size"] == case.size)
    gone = runs[~(own & (runs["approach"] == "lora") & (runs["seed"] == 4))]
    assert sorted(whole.index) == [0, 1, 2, 3, 4]
    assert sorted(tool.recorded(case, gone).index) == [0, 1, 2, 3]
