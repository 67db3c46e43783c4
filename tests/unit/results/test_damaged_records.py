"""Records that nothing would have written: each is refused with its line."""

import csv

import pytest
from rows import make_row

from helpers.errors import UserError
from helpers.results import runs as records
from helpers.results import schema
from helpers.storage.results_file import csv_line


@pytest.fixture
def path(tmp_path):
    """A file of six runs."""
    file = tmp_path / "runs.csv"
    for seed in range(6):
        assert records.append(make_row(seed=seed), file)
    return file


def change(path, line, name, raw):
    """Put other bytes in place of one cell; lines count from 1, the header's."""
    lines = path.read_text(encoding="utf-8").splitlines()
    (cells,) = csv.reader([lines[line - 1]])
    whole = dict(zip(schema.NAMES, (csv_line([c]).decode()[:-1] for c in cells), strict=True))
    lines[line - 1] = ",".join((whole | {name: raw}).values())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_row_of_the_same_values_is_read(path):
    change(path, 3, "seed", "1")
    assert len(records.load_runs(path)) == 6


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("total_params", "-5", "total_params"),
        ("stored_mb", "-0.5", "stored_mb"),
        ("n_train", "-50", "n_train"),
        ("n_test", "0", "n_test"),
        ("stored_mb", "inf", "stored_mb"),
        ("train_seconds", "1e999", "train_seconds"),
        ("latency_ms", "-Infinity", "latency_ms"),
        ("n_train", "inf", "n_train"),
        ("total_params", "9" * 30, "total_params"),
        ("total_params", "9" * 5_000, "total_params"),
        ("test_accuracy", "nan", "test_accuracy"),
        ("test_accuracy", "", "test_accuracy"),
        ("test_accuracy", "1.5", "test_accuracy"),
        ("modality", "sound", "modality"),
        ("run_id", "0123456789ab", "another run's"),
        ("seed", "77", "another run's"),
        ("approach", "adapter", "another run's"),
        ("lr", "0.0010000001", "another run's"),
        ("run_id", "0123456789AB", "run_id"),
        ("n_test", "4,4", "cells of a row"),
        ("sweep", '"x', "cells of a row"),
    ],
)
def test_a_cell_that_cannot_be_is_refused_with_its_line(path, name, raw, says):
    change(path, 3, name, raw)
    with pytest.raises(UserError, match=rf"line 3 .*{says}"):
        records.load_runs(path)


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        ({2: ("sweep", '"x'), 6: ("sweep", '"x')}, 2),
        ({3: ("settings", '"'), 4: ("git", '"')}, 3),  # what lies between looks like one cell
        ({4: ("device", '"cpu'), 7: ("device", 'cpu"')}, 4),
        ({6: ("settings", '"a"b')}, 6),
    ],
)
def test_stray_quotes_swallow_no_rows(path, cells, line):
    for where, cell in cells.items():
        change(path, where, *cell)
    with pytest.raises(UserError, match=f"line {line} has not"):
        records.load_runs(path)


@pytest.mark.parametrize(
    ("name", "raw"), [("sweep", "trial"), ("test_accuracy", "0.25"), ("lr", "1e-3")]
)
def test_a_run_that_stands_twice_is_refused_with_its_line(path, name, raw):
    """The same line again, another result of the same question, and the question spelled anew."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[1]]))
    change(path, 8, name, raw)
    with pytest.raises(UserError, match="line 8 records '[0-9a-f]{12}' once more"):
        records.load_runs(path)
