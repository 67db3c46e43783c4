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
        ("stored_mb", "inf", "stored_mb"),
        ("train_seconds", "1e999", "train_seconds"),
        ("total_params", "9" * 30, "total_params"),
        ("total_params", "9" * 5_000, "total_params"),
        ("test_accuracy", "nan", "test_accuracy"),
        ("test_accuracy", "", "test_accuracy"),
        ("test_accuracy", "1.5", "test_accuracy"),
        ("modality", "sound", "modality"),
        ("run_id", "0123456789ab", "another run's"),
        ("seed", "77", "another run's"),
        ("n_test", "4,4", "cells of a row"),
        ("sweep", '"x', "cells of a row"),
    ],
)
def test_a_cell_that_cannot_be_is_refused_with_its_line(path, name, raw, says):
    change(path, 3, name, raw)
    with pytest.raises(UserError, match=rf"line 3 .*{says}"):
        records.load_runs(path)


def test_two_stray_quotes_swallow_no_rows(path):
    for line in (2, 6):
        change(path, line, "sweep", '"x')
    with pytest.raises(UserError, match="line 2 has not"):
        records.load_runs(path)


def test_a_run_that_stands_twice_is_refused_with_its_line(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[1]]))
    with pytest.raises(UserError, match="line 8 records '[0-9a-f]{12}' once more"):
        records.load_runs(path)
