"""Records: what is refused, what a kill or a second writer can't break, and the summaries."""

import errno
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from rows import make_row

from helpers.errors import UserError
from helpers.results import runs as records
from helpers.results import schema
from helpers.results.statistics import pareto, regret, summarise
from helpers.storage import files, results_file

WRITER = """
import sys
from pathlib import Path
from rows import make_row
from helpers.results import runs as records
start, stop = int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
for seed in range(start, stop):
    records.append(make_row(seed=seed), Path(sys.argv[1]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results" / "runs.csv"


def filled(path: Path, rows: int) -> bytes:
    for seed in range(rows):
        assert records.append(make_row(seed=seed), path)
    return path.read_bytes()


def start_writer(folder: Path, path: Path, start: int, stop: int) -> subprocess.Popen:
    """A process that appends rows of the seeds start..stop; returns once it has begun."""
    command = [sys.executable, "-c", WRITER, str(path), str(start), str(stop)]
    here = {"PYTHONPATH": os.pathsep.join(sys.path)}  # it finds what this test finds
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | here, cwd=folder)
    with writer.stdout:
        assert writer.stdout.readline().strip() == b"ready"
    return writer


def test_row_returns_as_it_was_written(path):
    row = make_row(lr=1 / 3, dial=1 / 6, test_accuracy=0.8765, flops_train=1.23456e15)
    assert records.append(row, path)
    loaded = records.load_runs(path).iloc[0]
    for name, value in row.items():
        assert loaded[name] == value, name
    assert loaded["run_id"] == records.run_id(row) == records.run_id(loaded)


def test_dtypes_are_fixed_with_and_without_rows(path):
    empty = records.load_runs(path)
    filled(path, 2)
    loaded = records.load_runs(path)
    assert list(loaded.columns) == list(schema.NAMES)
    for column in schema.COLUMNS:
        assert loaded[column.name].dtype == empty[column.name].dtype
        assert loaded[column.name].dtype == pd.Series([], dtype=column.dtype).dtype


def test_missing_optional_values_stay_missing(path):
    records.append(make_row(source_accuracy_before=math.nan, source_accuracy_after=None), path)
    loaded = records.load_runs(path).iloc[0]
    assert math.isnan(loaded.source_accuracy_before) and math.isnan(loaded.source_accuracy_after)


def test_same_question_has_one_row(path):
    before = filled(path, 3)
    assert not records.append(make_row(seed=1, test_accuracy=0.1, sweep="other"), path)
    assert path.read_bytes() == before


def test_appending_leaves_earlier_bytes_alone(path):
    before = filled(path, 3)
    assert b"\r" not in before and before.endswith(b"\n")
    records.append(make_row(seed=3), path)
    after = path.read_bytes()
    assert after.startswith(before)
    assert after[len(before) :].count(b"\n") == 1


def test_run_id_is_of_the_question_alone():
    row = make_row()
    first = records.run_id(row)
    assert len(first) == 12 and int(first, 16) >= 0
    assert records.run_id(row | {"test_accuracy": 0.3, "device": "cuda", "sweep": "x"}) == first
    assert records.run_id(row | {"seed": np.int64(0), "dial": 0, "lr": np.float64(0.001)}) == first
    for name in schema.IDENTITY:
        if name != "schema":
            other = "other" if schema.BY_NAME[name].kind == "text" else 1
            other = 7 if name in ("seed", "n_train", "epochs", "batch_size") else other
            assert records.run_id(row | {name: other}) != first, name


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("test_accuracy", math.nan),
        ("test_accuracy", 1.01),
        ("test_accuracy", -0.1),
        ("test_accuracy", "0.5"),
        ("macro_f1", None),
        ("train_seconds", -1.0),
        ("train_seconds", math.inf),
        ("n_train", 0),
        ("n_train", 50.5),
        ("n_train", True),
        ("dial", 1.5),
        ("lr", math.nan),
        ("lr", 0.0),
        ("schema", 0),
        ("modality", "sound"),
        ("origin", ""),
        ("task", ""),
        ("task", "two\nlines"),
        ("settings", "a\u2028b"),
        ("created", "yesterday"),
        ("run_id", "000000000000"),
        ("accuracy", 0.5),
    ],
)
def test_bad_values_are_refused_by_name(path, column, value):
    before = filled(path, 1)
    with pytest.raises(UserError, match=repr(column)):
        records.append(make_row(seed=9) | {column: value}, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("column", [c.name for c in schema.COLUMNS if c.required][2:])
def test_a_required_column_can_not_be_left_out(path, column):
    row = make_row()
    del row[column]
    with pytest.raises(UserError, match=repr(column)):
        records.append(row, path)
    assert not path.exists()


@pytest.mark.parametrize("cut", [1, 2, 40, 10_000])
def test_half_written_last_line_is_dropped_and_no_other(path, cut):
    whole = filled(path, 3)
    last = whole.splitlines(keepends=True)[-1]
    half = last[: max(1, len(last) - 1 - cut)]
    path.write_bytes(whole[: -len(last)] + half)
    assert list(records.load_runs(path).seed) == [0, 1]  # a reader never sees the half line
    assert records.append(make_row(seed=2), path)
    assert path.read_bytes() == whole


def test_whole_last_line_without_its_end_is_kept(path):
    whole = filled(path, 3)
    path.write_bytes(whole[:-1])
    assert records.append(make_row(seed=3), path)
    assert list(records.load_runs(path).seed) == [0, 1, 2, 3]
    assert path.read_bytes().startswith(whole)


def test_windows_line_ends_are_read(path):
    path.parent.mkdir()
    path.write_bytes(filled(path.with_name("other.csv"), 2).replace(b"\n", b"\r\n"))
    assert list(records.load_runs(path).seed) == [0, 1]
    assert not records.append(make_row(seed=1), path)
    assert records.append(make_row(seed=2), path)
    assert list(records.load_runs(path).seed) == [0, 1, 2]


def test_an_empty_file_gets_its_header(path):
    path.parent.mkdir()
    path.touch()
    assert records.load_runs(path).empty
    assert records.append(make_row(), path)
    assert len(records.load_runs(path)) == 1


def test_file_of_another_schema_is_refused_unharmed(path):
    path.parent.mkdir()
    path.write_bytes(b"run_id,task\nabc,digits\n")
    for use in (lambda: records.load_runs(path), lambda: records.append(make_row(), path)):
        with pytest.raises(UserError, match="other columns"):
            use()
    assert path.read_bytes() == b"run_id,task\nabc,digits\n"


def test_broken_cell_is_a_clear_error(path):
    path.parent.mkdir()
    path.write_bytes(filled(path.with_name("other.csv"), 1).replace(b",50,", b",fifty,"))
    with pytest.raises(UserError, match="n_train"):
        records.load_runs(path)


def test_read_only_folder_is_a_clear_error(path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    before = filled(path, 1)
    monkeypatch.setattr(files.FileLock, "acquire", refuse)
    with pytest.raises(UserError, match="make the folder writable"):
        records.append(make_row(seed=5), path)
    assert path.read_bytes() == before
    assert len(records.load_runs(path)) == 1  # reading needs no lock


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_folder_without_permission_is_a_clear_error(path):
    filled(path, 1)
    path.parent.chmod(0o555)
    try:
        with pytest.raises(UserError, match="make the folder writable"):
            records.append(make_row(seed=5), path)
    finally:
        path.parent.chmod(0o755)


def test_full_disk_leaves_whole_rows(path, monkeypatch):
    before = filled(path, 2)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="free some disk space"):
            records.append(make_row(seed=2), path)
    assert path.read_bytes() == before
    assert records.append(make_row(seed=2), path)


def test_writers_side_by_side_lose_and_double_nothing(tmp_path, path):
    writers = [start_writer(tmp_path, path, *ends) for ends in ((0, 100), (100, 200), (50, 150))]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    runs = records.load_runs(path)
    assert sorted(runs.seed) == list(range(200))
    assert runs.run_id.is_unique
    assert path.read_bytes().count(b"\n") == 201


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_ten_kills_at_random_moments_lose_nothing(tmp_path, path):
    rng, seen = random.Random(0), set()
    for _ in range(10):
        writer = start_writer(tmp_path, path, 0, 1500)
        time.sleep(rng.uniform(0.0, 0.25))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        now = set(records.load_runs(path).seed)
        assert seen <= now
        seen = now
    assert 0 < len(seen) < 1500, "the kills must come in the middle"
    assert start_writer(tmp_path, path, 0, len(seen) + 50).wait(timeout=120) == 0
    runs = records.load_runs(path)
    assert list(runs.seed) == list(range(len(seen) + 50))
    assert [records.run_id(row) for _, row in runs.iterrows()] == list(runs.run_id)


def test_filters(path):
    for seed, (task, dial) in enumerate([("digits", 0.0), ("textile", 1 / 6), ("digits", 1 / 6)]):
        records.append(make_row(seed=seed, task=task, dial=dial, sweep=f"s{seed}"), path)
    assert list(records.load_runs(path, task="digits").seed) == [0, 2]
    assert list(records.load_runs(path, task="digits", dial=1 / 6).seed) == [2]
    assert list(records.load_runs(path, seed=[0, 1]).seed) == [0, 1]
    assert list(records.load_runs(path, sweep="s1").seed) == [1]
    assert list(records.load_runs(path, sweep=["s1", "s2"]).index) == [0, 1]
    with pytest.raises(UserError, match="approach"):
        records.load_runs(path, aproach="lora")


def runs_of(values: dict[tuple, list[float]], **more) -> pd.DataFrame:
    """Runs with the accuracies given for each (task, approach), a seed for each."""
    rows = [
        make_row(task=task, approach=approach, seed=seed, test_accuracy=value, **more)
        for (task, approach), several in values.items()
        for seed, value in enumerate(several)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("n", [2, 3, 5, 12])
def test_interval_is_students_t(n):
    values = np.random.default_rng(n).uniform(0.5, 0.9, n)
    table = summarise(runs_of({("digits", "lora"): list(values)}))
    spread = scipy.stats.sem(values)
    low, high = scipy.stats.t.interval(0.95, n - 1, loc=values.mean(), scale=spread)
    assert table.loc[0, ["mean", "low", "high"]].tolist() == pytest.approx(
        [values.mean(), low, high], rel=1e-12
    )
    assert table.loc[0, "runs"] == n


def test_one_run_has_no_interval():
    table = summarise(runs_of({("digits", "lora"): [0.7]}))
    assert table.loc[0, "mean"] == 0.7 and table.loc[0, "runs"] == 1
    assert table[["low", "high"]].isna().all(axis=None)


def test_costs_are_medians_and_other_values_can_be_summed_up():
    runs = runs_of({("digits", "lora"): [0.5, 0.6, 0.7]})
    runs["train_seconds"] = [1.0, 2.0, 90.0]
    assert summarise(runs).loc[0, "train_seconds"] == 2.0
    assert summarise(runs, value="train_seconds").loc[0, "mean"] == 31.0


def test_summary_of_no_runs_is_an_empty_table(path):
    table = summarise(records.load_runs(path))
    assert table.empty and {"approach", "mean", "low", "high", "runs"} <= set(table.columns)


def test_groups_that_mix_questions_are_refused():
    runs = runs_of({("digits", "lora"): [0.5, 0.6], ("textile", "lora"): [0.5, 0.6]})
    with pytest.raises(UserError, match="'task'"):
        summarise(runs, by=["approach"])
    trials = pd.concat([runs, runs.assign(lr=0.5)])
    with pytest.raises(UserError, match="'lr'"):
        summarise(trials)
    with pytest.raises(UserError, match="twice"):
        summarise(pd.concat([runs, runs]))
    with pytest.raises(UserError, match="accuracy"):
        summarise(runs, value="accuracy")


def test_regret_by_hand():
    runs = runs_of(
        {
            ("a", "lora"): [0.8, 0.9],
            ("a", "full_fine_tuning"): [0.9, 0.9],
            ("b", "lora"): [0.6, 0.6],
            ("b", "full_fine_tuning"): [0.5, 0.3],
        }
    )
    table = regret(summarise(runs)).set_index(["task", "approach"])
    assert table.regret.to_dict() == pytest.approx(
        {
            ("a", "lora"): 0.05,
            ("a", "full_fine_tuning"): 0.0,
            ("b", "lora"): 0.0,
            ("b", "full_fine_tuning"): 0.2,
        }
    )
    assert table.best.to_dict() == {
        ("a", "lora"): "full_fine_tuning",
        ("a", "full_fine_tuning"): "full_fine_tuning",
        ("b", "lora"): "lora",
        ("b", "full_fine_tuning"): "lora",
    }
    with pytest.raises(UserError, match="twice"):
        regret(summarise(runs), by=["backbone"])


def test_pareto_front_against_every_pair():
    rng = np.random.default_rng(0)
    for _ in range(50):
        table = pd.DataFrame(
            {"cost": rng.integers(0, 6, 12) / 1.0, "mean": rng.integers(0, 6, 12) / 1.0}
        )
        table.loc[0, "mean"] = math.nan
        front = set(pareto(table, "cost").index)
        for row in table.dropna().itertuples():
            beaten = any(
                (o.cost <= row.cost and o.mean >= row.mean)
                and (o.cost < row.cost or o.mean > row.mean)
                for o in table.dropna().itertuples()
            )
            assert (row.Index in front) == (not beaten)
    assert list(pareto(table, "cost").cost) == sorted(pareto(table, "cost").cost)


@pytest.mark.files
def test_recorded_runs_are_whole_unique_and_rehashable():
    path = records.runs_path()
    if not path.exists():
        pytest.skip("nothing is recorded yet: python -m helpers sweep repair")
    data = path.read_bytes().replace(b"\r\n", b"\n")
    assert data.endswith(b"\n")
    runs = records.load_runs(schema=None)
    assert runs.run_id.is_unique
    for position, row in enumerate(runs.to_dict("records")):
        assert records.run_id(row) == row["run_id"], f"row {position}"
        made = schema.cells(row)
        assert results_file.csv_line(made).strip() == data.splitlines()[position + 1], (
            f"row {position}"
        )


def test_rows_of_one_recipe_for_each_kind_of_data(tmp_path):
    path = tmp_path / "runs.csv"
    texts = {"modality": "text", "task": "tweets", "backbone": "minilm"}
    for recipe in (1, 2):
        for kind in ({}, texts):
            records.append(make_row(schema=recipe, **kind), path)
    read = records.load_runs(path, schema={"image": 2, "text": 1})
    assert read.set_index("modality")["schema"].to_dict() == {"image": 2, "text": 1}
    assert len(records.load_runs(path, schema=2)) == 2
    assert len(records.load_runs(path, schema=None)) == 4


def test_rows_measured_since_the_last_scoring_wait_to_be_compared(tmp_path):
    path = tmp_path / "runs.csv"
    for seed, day in enumerate((1, 2)):
        created = f"2026-01-0{day}T00:00:00+00:00"
        records.append(make_row(seed=seed, created=created), path)
    assert list(records.load_runs(path)["seed"]) == [0, 1]  # nothing tells of a scoring
    assert records.admit_all(path) == "2026-01-02T00:00:00+00:00"
    records.append(make_row(seed=2, created="2026-01-03T00:00:00+00:00"), path)
    assert list(records.load_runs(path)["seed"]) == [0, 1]
    assert list(records.load_runs(path, schema=None)["seed"]) == [0, 1, 2]
    records.admit_all(path)
    assert list(records.load_runs(path)["seed"]) == [0, 1, 2]


def test_what_is_withheld_is_said_of_the_kind_that_is():
    assert schema.withheld({"image": 2, "text": 2}) == ""
    assert "withheld: the records of pictures and texts" in schema.withheld({"image": 1, "text": 0})
    assert "withheld: the records of texts" in schema.withheld({"image": 2, "text": 0})


def test_times_are_those_of_one_machine(tmp_path):
    path = tmp_path / "runs.csv"
    for seed, device in enumerate(["cpu: A", "cpu: A", "cpu: B"]):
        records.append(make_row(seed=seed, device=device, train_cpu_seconds=9.0), path)
    records.append(make_row(n_train=7, device="cpu: B"), path)  # nothing of A to stand beside
    rows = records.load_runs(path)
    assert rows["device"].tolist() == ["cpu: A", "cpu: A", "cpu: B"]
    assert rows["train_cpu_seconds"].fillna(-1).tolist() == [9.0, 9.0, -1]
    assert rows.loc[2, list(schema.TIMES)].isna().all() and rows.loc[2, "test_accuracy"] >= 0
    assert rows["peak_memory_mb"].notna().all(), "memory is no time"
    assert len(records.load_runs(path, schema=None)) == 4
    assert records.load_runs(path, schema=None)["train_cpu_seconds"].notna().all()


def test_a_folder_deleted_while_a_row_is_written_is_made_again(tmp_path, monkeypatch):
    path, left = tmp_path / "cache" / "rows.csv", [2]
    write = results_file.write_whole

    def deleted(*given):
        if left[0]:
            left[0] -= 1
            shutil.rmtree(path.parent)
        write(*given)

    monkeypatch.setattr(results_file, "write_whole", deleted)
    file = results_file.RowFile(path, ("key", "value"), checked=True)
    assert file.append(["a", 1], key=True) and left == [0]
    assert b"a,1," in path.read_bytes()
    monkeypatch.setattr(results_file, "TRIES", 2)
    path.unlink()
    left[0] = 2
    with pytest.raises(UserError, match="cannot write to"):
        file.append(["b", 1])
