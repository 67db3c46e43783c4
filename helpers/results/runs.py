"""The recorded runs, `data/results/runs.csv`: append whole rows, load them, sum them up.

One row is one measured run and one line of the file. Rows are appended and never edited, under a
lock that processes on one machine share, so that a kill or a second writer can't leave half a row.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.errors import UserError
from helpers.paths import results_dir
from helpers.results.schema import (
    BY_NAME,
    COLUMNS,
    COMPARED,
    NAMES,
    SCHEMA,
    cells,
    check_columns,
    run_id,
)
from helpers.results.statistics import pareto, regret, summarise
from helpers.storage.results_file import RowFile

__all__ = [
    "COMPARED",
    "SCHEMA",
    "append",
    "append_diverged",
    "diverged",
    "load_runs",
    "pareto",
    "regret",
    "run_id",
    "runs_path",
    "summarise",
]


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
    return RowFile((path or runs_path()).with_name("diverged.csv"), ("run_id", "sweep"))


def prepare(path: Path | None = None) -> None:
    """Make the file of records where it is missing, and see that it can be written to.

    Call it before hours of work. Raises UserError as `append` does.
    """
    _file(path).prepare()


def load_runs(
    path: Path | None = None,
    sweep: str | list[str] | None = None,
    schema: int | None = COMPARED,
    **filters: Any,
) -> pd.DataFrame:
    """Return the recorded runs as a DataFrame with the schema's columns and dtypes.

    schema: rows of one recipe only, since rows of two can't be compared; None gives all.
    sweep: only rows that this sweep, or these sweeps, recorded; learning-rate trials bear the name
    SWEEP/tuning. filters: column=value or column=[values].
    A file that is not there gives no rows. No lock is taken: an unfinished last line is left out.
    Raises UserError for an unknown column, or a file with other columns or broken cells.
    """
    check_columns(filters)
    held = _file(path)
    texts = pd.read_csv(
        io.BytesIO(held.read()), dtype=str, keep_default_na=False, na_filter=False, encoding="utf-8"
    )
    runs = pd.DataFrame({name: _typed(texts[name], held.path) for name in NAMES})
    for name, wanted in ({"sweep": sweep, "schema": schema} | filters).items():
        if wanted is not None:
            several = isinstance(wanted, (list, tuple, set, frozenset, pd.Index))
            runs = runs[runs[name].isin(list(wanted) if several else [wanted])]
    return runs.reset_index(drop=True)


def _typed(texts: pd.Series, path: Path) -> pd.Series:
    """Cells as the column's dtype; exact, since ids are hashed again from what is read."""
    column = BY_NAME[texts.name]
    values = texts.where(texts != "", "nan") if column.kind == "number" else texts
    try:
        return values.astype(object).astype(column.dtype)
    except ValueError as error:
        raise UserError(
            f"{path} holds a cell that is no {column.kind} in column {texts.name!r} ({error}); "
            "take the file back from git"
        ) from error


def _file(path: Path | None) -> RowFile:
    return RowFile(runs_path() if path is None else path, NAMES, _is_whole)


def _is_whole(values: list[str]) -> bool:
    """Tell whether the cells of a line are all there: the last one has a fixed shape."""
    return bool(re.fullmatch(COLUMNS[-1].pattern, values[-1]))
