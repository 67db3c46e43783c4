"""The recorded runs, `data/results/runs.csv`: append whole rows and load them.

One row is one measured run and one line of the file. Rows are appended and never edited, under a
lock that processes on one machine share, so that a kill or a second writer can't leave half a row.
"""

import csv
import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.errors import UserError
from helpers.paths import results_dir
from helpers.results import statistics
from helpers.results.schema import (
    COLUMNS,
    COMPARED,
    IDENTITY,
    NAMES,
    TIMES,
    cells,
    check_columns,
    run_id,
)
from helpers.storage.files import write_whole
from helpers.storage.results_file import RowFile

LATEST = "9999"  # after every moment
Recipe = int | Mapping[str, int] | None  # a schema: of all rows, by kind of data, or any


def runs_path() -> Path:
    """Return the file of recorded runs."""
    return results_dir() / "runs.csv"


def append(row: Mapping[str, Any], path: Path | None = None) -> bool:
    """Append one run; return False when its `run_id` is already there, and change nothing then.

    The row is on the disk when this returns. What a killed writer left of a line is mended first.
    Raises UserError for a row that breaks the schema (nothing is written), for a folder that
    can't be written to, a full disk, or a file with other columns.
    """
    return _file(path).append(cells(row), key=True)


def append_diverged(key: str, sweep: str, path: Path | None = None) -> None:
    """Note that a run diverged, beside the file of runs: its question has that answer."""
    _diverged(path).append([key, sweep], key=True)


def diverged(path: Path | None = None) -> frozenset[str]:
    """Return the ids of runs that diverged."""
    lines = _diverged(path).read().decode("utf-8").splitlines()[1:]
    return frozenset(line.partition(",")[0] for line in lines)


def _diverged(path: Path | None) -> RowFile:
    # The id is all that is read, so a last line that has it is a row, whatever its end.
    whole = re.compile(COLUMNS[NAMES.index("run_id")].pattern).fullmatch
    beside = (path or runs_path()).with_name("diverged.csv")
    return RowFile(beside, ("run_id", "sweep"), lambda cells: bool(whole(cells[0])))


def prepare(path: Path | None = None) -> None:
    """Make the file of records where it is missing, and see that it can be written to.

    Call it before hours of work. Raises UserError as `append` does.
    """
    _file(path).prepare()


def load_runs(
    path: Path | None = None,
    sweep: str | list[str] | None = None,
    schema: Recipe = COMPARED,
    **filters: Any,
) -> pd.DataFrame:
    """Return the recorded runs as a DataFrame with the schema's columns and dtypes.

    schema: rows of one recipe only, for every kind of data or by kind, since rows of two can't be
    compared; None gives all. By kind, times are those of one machine (`machines`): NaN in the rows
    of another, and those of what it alone measured are left out.
    sweep: only rows that this sweep, or these sweeps, recorded; learning-rate trials bear the name
    SWEEP/tuning. filters: column=value or column=[values].
    Rows measured since the last scoring (`admitted_until`) are among those of None alone: what is
    computed from records, and saved beside them, goes on to agree with them while a grid runs.
    A file that is not there gives no rows. No lock is taken: an unfinished last line is left out.
    Raises UserError for an unknown column, a file with other columns, or one with a row, named by
    its line, that `append` would not have written, or that stands twice.
    """
    check_columns(filters)
    held = _file(path)
    runs = _parsed(held.read(), held.path).copy()
    if schema is not None:
        runs = runs[runs["created"] <= admitted_until(held.path)]
    if isinstance(schema, Mapping):
        runs, schema = runs[runs["schema"] == runs["modality"].map(schema)], None
        own, timed = machines(runs)
        runs.loc[~own, list(TIMES)] = math.nan
        runs = runs[timed]
    return matching(runs, sweep=sweep, schema=schema, **filters).reset_index(drop=True)


def machines(runs: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Which rows the machine of most rows measured, and of which it timed the approach there.

    Seconds of two machines can't be compared, while accuracies can.
    """
    own = runs["device"].isin(runs["device"].mode().head(1))
    places = [runs[name] for name in (*statistics.SITUATION, "approach")]
    return own, own.groupby(places, observed=True).transform("any").astype(bool)


def matching(rows: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """The rows with these column=value or column=[values]; None asks nothing of a column."""
    for name, value in wanted.items():
        if value is not None:
            several = isinstance(value, (list, tuple, set, frozenset, pd.Index))
            rows = rows[rows[name].isin(list(value) if several else [value])]
    return rows


def admitted_until(path: Path | None = None) -> str:
    """The moment, in UTC as in `created`, up to which rows are compared: that of the last scoring.

    It stands beside the file of runs; where it does not, every row is compared.
    """
    file = _admitted(path)
    return file.read_text(encoding="utf-8").strip() if file.exists() else LATEST


def admit_all(path: Path | None = None) -> str:
    """Let every row that is recorded by now be compared; returns the moment of the last one."""
    moment = load_runs(path, schema=None)["created"].max()
    write_whole(_admitted(path), f"{moment}\n".encode())
    return str(moment)


def _admitted(path: Path | None) -> Path:
    return (path or runs_path()).with_name("admitted_until.txt")


@lru_cache(maxsize=2)  # the same bytes are asked for again and again, and ids are hashed anew
def _parsed(data: bytes, path: Path) -> pd.DataFrame:
    """All rows of the file, none of which breaks the schema."""
    rows = list(_lines(data, path))
    runs = pd.DataFrame({name: _typed(rows, place, path) for place, name in enumerate(NAMES)})
    asked = runs[list(IDENTITY)].to_dict("records")
    for line, (row, told) in enumerate(zip(asked, runs["run_id"], strict=True), 2):
        if run_id(row) != told:
            raise _broken(path, line, f"has the run_id {told!r}, which is another run's")
    for row in runs.index[runs["run_id"].duplicated()]:
        raise _broken(path, row + 2, f"records {runs['run_id'][row]!r} once more")
    return runs


def _lines(data: bytes, path: Path) -> Iterator[list[str]]:
    """The cells of each row. A quote that stands alone would swallow the rows up to the next."""
    for line, raw in enumerate(data.split(b"\n")[1:-1], 2):
        try:
            (cells,) = csv.reader([raw.decode("utf-8")], strict=True)
        except (ValueError, csv.Error):
            cells = []
        if len(cells) != len(NAMES):
            raise _broken(path, line, f"has not the {len(NAMES)} cells of a row")
        yield cells


def _typed(rows: list[list[str]], place: int, path: Path) -> pd.Series:
    """A column's cells in its dtype; exact, since ids are hashed again from what is read."""
    column, read = COLUMNS[place], {}
    for line, row in enumerate(rows, 2):
        if row[place] not in read:
            try:
                read[row[place]] = column.parse(row[place])
            except UserError as error:
                raise _broken(path, line, f"breaks the schema: {error}") from error
    return pd.Series([read[row[place]] for row in rows], dtype=column.dtype)


def _broken(path: Path, line: int, what: str) -> UserError:
    return UserError(f"{path}, line {line} {what}; take the file back from git")


def _file(path: Path | None) -> RowFile:
    # The cells of a line are all there where the last one, which has a fixed shape, is.
    whole = re.compile(COLUMNS[-1].pattern).fullmatch
    return RowFile(path or runs_path(), NAMES, lambda cells: bool(whole(cells[-1])))
