"""The audit: a whole sweep passes, each broken limit is a line, what is missing breaks nothing."""

import json

import pandas as pd
import pytest
from rows import make_row
from test_sweeps import fake, load, toy

from helpers.approaches import get_approach
from helpers.experiments import audit, sweeps
from helpers.experiments.grids import SWEEPS
from helpers.results import runs as records
from helpers.results import schema
from helpers.results.statistics import trains_by_gradient

KEYS = [
    "ok", "broken", "missing", "rows", "rows_of_this_recipe", "rehashed", "comparison", "blocks",
    "edges", "late_best", "updates", "trials", "below_probe",
]  # fmt: skip
RUNS = 3 + 3 + 4 + 3 * 2 * 3  # lp_ft starts lower and needs a fourth trial


@pytest.fixture(autouse=True)
def sweep():
    """A toy sweep is the only one; afterwards the others are there again, in their order."""
    held = dict(SWEEPS)
    SWEEPS.clear()
    SWEEPS["toy"] = toy(approaches=("lora", "adapter", "lp_ft"))
    yield
    SWEEPS.clear()
    SWEEPS.update(held)


def good(config) -> dict:
    """A run as the protocol wants it; learning rates are best at 0.003."""
    return fake(config) | {"updates": 406, "probe_val_accuracy": 0.7}


@pytest.fixture
def measure(tmp_path):
    """Run the toy sweep to its end and return its rows."""

    def done(run=good) -> pd.DataFrame:
        path = tmp_path / "runs.csv"
        assert sweeps.run_sweep("toy", path=path, run=run).failed == []
        return load(path)

    return done


def stored(**changes) -> pd.DataFrame:
    """One made row with its id, as it is loaded."""
    row = make_row(**changes)
    return pd.DataFrame([row | {"run_id": records.run_id(row)}])


def test_a_whole_sweep_keeps_every_limit(measure):
    runs = measure()
    made = audit.audit(runs)
    assert (made["ok"], made["broken"], made["missing"]) == (True, [], [])
    (block,) = made["blocks"]
    assert block["rows"] == block["done"] == block["declared"] == RUNS == len(runs)
    assert block["whole"] and (block["core_hours"], block["gpu_hours"]) == (
        round(RUNS / 3600, 2),
        0,
    )
    assert made["rehashed"] == {"right": RUNS, "wrong": [], "twice": []}
    assert (made["edges"]["cells"], made["edges"]["cells_searching"]) == (3, 0)
    assert made["updates"] == {"runs": RUNS, "fewest": 406, "limit": 400, "below": []}
    assert made["late_best"]["runs"] == 18, "trials at other rates do not count"
    tried = {name: (c["fewest"], c["most"]) for name, c in made["trials"]["by_approach"].items()}
    assert tried == {"adapter": (3, 3), "lora": (3, 3), "lp_ft": (4, 4)}
    assert made["below_probe"] == {"runs": 10, "below": []}


def test_nothing_measured_is_missing_and_not_broken(tmp_path):
    made = audit.audit(load(tmp_path / "none.csv"))
    assert made["ok"] and made["missing"] == ["toy: 27 of 27 runs"], "a fourth trial may follow"
    assert made["updates"]["fewest"] is made["edges"]["share"] is made["late_best"]["share"] is None
    assert made["late_best"]["worst"] is None
    assert "no runs yet" in audit.report(made)


def test_half_a_sweep_is_missing_and_not_broken(measure):
    runs = measure()
    runs = runs[(runs["approach"] != "adapter") & (runs["seed"] != 1)]
    made = audit.audit(runs)
    assert made["ok"] and made["missing"] == [f"toy: {9 + 4} of {RUNS} runs"]
    assert made["edges"]["cells_searching"] == 1
    assert made["trials"]["by_approach"]["adapter"]["most"] is None


def set_cells(**values):
    """A change of the first row that has the approach, or of the first row."""

    def change(runs: pd.DataFrame) -> pd.DataFrame:
        approach = values.get("approach", runs["approach"].iloc[0])
        first = runs.index[runs["approach"] == approach][0]
        for name, value in values.items():
            runs.loc[first, name] = value
        return runs

    return change


def late(count: int):
    def change(runs: pd.DataFrame) -> pd.DataFrame:
        chosen = runs.index[(runs["sweep"] == "toy")][:count]
        runs.loc[chosen, "best_update"] = runs.loc[chosen, "updates"]
        return runs

    return change


def with_row(**changes):
    return lambda runs: pd.concat([runs, stored(**changes)], ignore_index=True)


STRAY = {"schema": 2, "sweep": "toy/tuning", "lr": 0.5, "updates": 406}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (set_cells(updates=399), "runs with fewer than 400 updates: 1 ("),
        (set_cells(updates=float("nan")), "runs with fewer than 400 updates: 1 ("),
        (late(2), "2 of 18 runs have their best epoch in the last tenth, and at most 10 % may"),
        (set_cells(n_test=9, batch_size=8), "run ids that are not the hash of their row: 1 ("),
        (lambda runs: pd.concat([runs, runs.head(2)]), "run ids that stand there twice: 2 ("),
        (with_row(**STRAY), "trials that no search asked for: 1 ("),
        (
            set_cells(approach="lp_ft", probe_val_accuracy=0.95),
            "runs of lp_ft below their own probe on validation: 1 (",
        ),
        (
            set_cells(approach="lp_ft", probe_val_accuracy=float("nan")),
            "runs of lp_ft below their own probe on validation: 1 (",
        ),
    ],
)
def test_a_broken_limit_is_a_line(measure, change, line):
    made = audit.audit(change(measure()))
    assert not made["ok"]
    assert [told for told in made["broken"] if told.startswith(line)] == made["broken"]
    assert len(made["broken"]) == 1
    assert f"BROKEN: {line}" in audit.report(made)


def test_searches_that_end_at_an_edge_break_a_limit_and_are_listed(measure):
    made = audit.audit(
        measure(lambda config: good(config) | {"val_accuracy": 0.7 + config.lr / 10})
    )
    assert made["broken"] == [
        "3 of 3 searches ended at an edge of what was tried, and at most 5 % may"
    ]
    assert made["edges"]["share"] == 1.0
    listed = {cell["approach"]: (cell["lr"], cell["tried"]) for cell in made["edges"]["listed"]}
    assert listed == {"adapter": (0.3, 6), "lora": (0.3, 6), "lp_ft": (0.1, 6)}
    assert "at an edge: lora on digits, pocket, n=500: 0.3 of 6" in audit.report(made)


def test_different_numbers_of_trials_allowed_break_a_limit(measure, monkeypatch):
    runs = measure()
    seven = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    monkeypatch.setattr(get_approach("lora"), "trials", {"image": seven}, raising=False)
    made = audit.audit(runs)
    assert made["trials"]["allowed_difference"] == 1
    assert made["broken"] == [
        "approaches are allowed different numbers of trials, and all should have the same"
    ]


def test_one_late_run_of_few_breaks_nothing(measure):
    made = audit.audit(late(1)(measure()))
    assert made["ok"] and made["late_best"]["late"] == 1
    assert made["late_best"]["worst"]["share"] == round(1 / 6, 4)


def test_what_is_compared_and_what_not(measure, monkeypatch):
    monkeypatch.setattr(records, "admitted_until", lambda: records.LATEST)
    runs = pd.concat([measure(), stored(schema=1), stored(schema=1, seed=1, origin="sample")])
    left_out = {"a sample of the data": 1, f"recipe {schema.SCHEMA}, not whole yet": RUNS}
    monkeypatch.setattr(schema, "COMPARED", {"image": 1, "text": 0})
    assert audit.audit(runs)["comparison"] == {
        "schema": {"image": 1, "text": 0}, "read": 1, "trials_among_them": 0, "without_times": 0,
        "left_out": left_out,
    }  # fmt: skip
    monkeypatch.setattr(schema, "COMPARED", {"image": 2, "text": 1})
    made = audit.audit(runs)
    assert made["comparison"] == {
        "schema": {"image": 2, "text": 1},
        "read": RUNS,
        "trials_among_them": 10,
        "without_times": 0,
        "left_out": {"a sample of the data": 1, "recipe 1, given up for a later one": 1},
    }
    assert (made["rows"], made["rows_of_this_recipe"]) == (RUNS + 2, RUNS)
    monkeypatch.setattr(records, "admitted_until", lambda: "2000-01-01T00:00:00+00:00")
    made = audit.audit(runs)["comparison"]
    assert made["read"] == 0
    assert made["left_out"] == {
        "a sample of the data": 1, "measured since the last scoring": RUNS + 1
    }  # fmt: skip


def test_another_machines_rows_lend_their_accuracies(measure):
    runs = measure()
    last = runs.index[runs["seed"] == runs["seed"].max()]  # its situation was timed by the first
    runs.loc[last, "device"] = "cpu: Another"
    held = audit.audit(runs)["comparison"]
    assert (held["read"], held["without_times"]) == (RUNS, len(last))
    runs.loc[runs["approach"] == "lora", "device"] = "cpu: Another"
    made = audit.audit(runs)
    alone = int((runs["approach"] == "lora").sum())
    assert made["comparison"]["left_out"]["timed on another machine alone"] == alone
    assert made["comparison"]["read"] == RUNS - alone
    assert "rows without their times, which are another machine's" in audit.report(made)


def test_hours_on_a_graphics_card_are_no_core_hours(measure):
    runs = measure()
    runs.loc[runs["approach"] == "lora", "device"] = "cuda: NVIDIA H100"
    runs["train_cpu_seconds"], runs["train_seconds"], runs["threads"] = 3_600.0, 3_599.0, 2
    (block,) = audit.audit(runs)["blocks"]
    assert (block["core_hours"], block["gpu_hours"]) == (2.0 * (RUNS - 9), 9.0)


@pytest.mark.parametrize("change", [lambda runs: runs, late(2), lambda runs: runs.head(3)])
def test_both_forms_of_the_command(measure, change, monkeypatch, capsys):
    runs = change(measure())
    monkeypatch.setattr(records, "load_runs", lambda schema: runs)
    status = audit.audit_command(as_json=True)
    made = json.loads(capsys.readouterr().out)
    assert list(made) == KEYS
    assert status == int(not made["ok"]) == int(bool(made["broken"]))
    assert audit.audit_command() == status
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[1].split()[:4] == [
        "toy",
        *(str(made["blocks"][0][k]) for k in ("rows", "done")),
    ] + [str(made["blocks"][0]["declared"])]
    assert ("All limits are kept" in lines[-1]) == made["ok"]


# How often the best epoch is late ------------------------------------------------------------


def test_the_last_tenth_begins_after_nine_tenths():
    for updates in range(10, 1_000, 10):
        both = [stored(updates=updates, best_update=updates * 9 // 10 + more) for more in (0, 1)]
        assert [audit._late(runs)["late"] for runs in both] == [0, 1]


def test_late_epochs_are_counted_by_approach():
    rows = [("lora", "digits", 20), ("lora", "textile", 5), ("adapter", "digits", 3)]
    runs = pd.concat(
        [stored(approach=a, task=t, updates=20, best_update=best) for a, t, best in rows]
    )
    found = audit._late(runs)
    assert (found["runs"], found["late"], found["share"]) == (3, 1, round(1 / 3, 4))
    assert found["worst"] == {"approach": "lora", "share": 0.5, "runs": 2}


def test_a_row_that_does_not_tell_its_best_update_is_late():
    rows = [stored(updates=20, best_update=None), stored(updates=None, best_update=3)]
    assert audit._late(pd.concat(rows))["late"] == 2


def test_what_a_solver_fits_has_no_late_epoch():
    rows = {
        ("classical", ""): False,
        ("feature_extraction", "solver=lbfgs"): False,
        ("feature_extraction", "solver=lbfgs;augment=mirror"): False,
        ("feature_extraction", ""): True,
        ("feature_extraction", "solver=loop"): True,
        ("lp_ft", "norm=frozen;solver=lbfgs"): True,
        ("lora", ""): True,
    }
    runs = pd.concat([stored(approach=a, settings=s, updates=20, best_update=20) for a, s in rows])
    assert list(trains_by_gradient(runs)) == list(rows.values())
    assert audit._late(runs)["runs"] == 4
    assert audit._late(runs.head(3))["worst"] is None
