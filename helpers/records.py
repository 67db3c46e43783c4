"""The recorded runs, `data/results/runs.csv`: append whole rows, load them, sum them up.

One row is one measured run and one line of the file. Rows are appended and never edited, under a
lock that processes on one machine share, so that a kill or a second writer can't leave half a row.
"""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
from filelock import FileLock, Timeout

from helpers.errors import UserError
from helpers.paths import results_dir
from helpers.schema import BY_NAME, COLUMNS, NAMES, SCHEMA, cells, check_columns, run_id
from helpers.summaries import pareto, regret, summarise

__all__ = ["SCHEMA", "append", "load", "pareto", "regret", "run_id", "runs_path", "summarise"]

HEADER = (",".join(NAMES) + "\n").encode("utf-8")
LOCK_SECONDS = 120.0  # an append takes milliseconds; a longer wait means a stuck process


def runs_path() -> Path:
    """Return the file of recorded runs."""
    return results_dir() / "runs.csv"


def append(row: Mapping[str, Any], path: Path | None = None) -> bool:
    """Append one run; return False when its `run_id` is already there, and change nothing then.

    The row is on the disk when this returns. What a killed writer left of a line is mended first.
    Raises UserError for a row that breaks the schema (nothing is written), for a folder that
    can't be written to, a full disk, or a file with other columns.
    """
    path = runs_path() if path is None else path
    made = cells(row)
    line = _line(made)
    with _locked(path):
        _ensure_header(path)
        with path.open("r+b", buffering=0) as file:
            held = _mended(file, path)
            if made[0].encode() in _ids(held):
                return False
            _write_whole(file, line, path)
    return True


def prepare(path: Path | None = None) -> None:
    """Make the file of records where it is missing, and see that it can be written to.

    Call it before hours of work. Raises UserError as `append` does.
    """
    path = runs_path() if path is None else path
    with _locked(path):
        _ensure_header(path)
        with path.open("r+b", buffering=0) as file:
            _mended(file, path)


def load(
    path: Path | None = None, sweep: str | list[str] | None = None, **filters: Any
) -> pd.DataFrame:
    """Return the recorded runs as a DataFrame with the schema's columns and dtypes.

    sweep: only rows that this sweep, or these sweeps, recorded; learning-rate trials bear the name
    SWEEP/tuning. filters: column=value or column=[values].
    A file that is not there gives no rows. No lock is taken: an unfinished last line is left out.
    Raises UserError for an unknown column, or a file with other columns or broken cells.
    """
    path = runs_path() if path is None else path
    check_columns(filters)
    data = _normal(path.read_bytes()) if path.exists() else HEADER
    data = data[: data.rfind(b"\n") + 1] or HEADER
    _check_header(data, path)
    texts = pd.read_csv(
        io.BytesIO(data), dtype=str, keep_default_na=False, na_filter=False, encoding="utf-8"
    )
    runs = pd.DataFrame({name: _typed(texts[name], path) for name in NAMES})
    for name, wanted in ({"sweep": sweep} | filters).items():
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


def _line(made: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(made)
    return text.getvalue().encode("utf-8")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file's lock; the operating system frees it when a holder is killed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
            yield
    except Timeout as error:
        raise UserError(
            f"another process has held {path}.lock for {LOCK_SECONDS:g} s; end it and try again"
        ) from error
    except OSError as error:
        raise UserError(
            f"cannot write to {path.parent} ({error.strerror}); make the folder writable"
        ) from error


def _ensure_header(path: Path) -> None:
    """Make the file with its header in one step, where it is missing or empty."""
    if path.exists() and path.stat().st_size > 0:
        return
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".partial")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(HEADER)
            file.flush()
            os.fsync(file.fileno())
        Path(scratch).chmod(0o644)  # mkstemp's 0600 would keep the file from other users
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _mended(file: BinaryIO, path: Path) -> bytes:
    """Return the file's bytes, ending in a whole line; mend the file where it does not.

    A last line that has everything but its line break (an editor took it away) gets one; any other
    unfinished line is cut off, which is what a kill in the middle of a write leaves.
    """
    data = file.read()
    _check_header(data, path)
    whole = data.rfind(b"\n") + 1
    tail = data[whole:]
    if not tail:
        return data
    if _is_row(tail):
        file.seek(0, os.SEEK_END)
        file.write(b"\n")
        return data + b"\n"
    file.truncate(whole)
    return data[:whole]


def _is_row(line: bytes) -> bool:
    """Tell whether a line without its end is a whole row: its last cell has a fixed shape."""
    try:
        (values,) = csv.reader([line.decode("utf-8")], strict=True)
    except (UnicodeDecodeError, ValueError, csv.Error):
        return False
    return len(values) == len(NAMES) and bool(re.fullmatch(COLUMNS[-1].pattern, values[-1]))


def _ids(data: bytes) -> set[bytes]:
    return {line.split(b",", 1)[0] for line in data.splitlines()[1:]}


def _normal(data: bytes) -> bytes:
    """Line ends as LF: a checkout on Windows may have changed them."""
    return data.replace(b"\r\n", b"\n")


def _check_header(data: bytes, path: Path) -> None:
    header = _normal(data[: data.find(b"\n") + 1])
    if header == HEADER:
        return
    have = header.decode("utf-8", "replace").strip().split(",")
    odd = sorted(set(have) ^ set(NAMES)) or ["their order"]
    raise UserError(
        f"{path} has other columns than schema {SCHEMA} (differing: {', '.join(odd[:3])}); "
        "take the file back from git or move it away"
    )


def _write_whole(file: BinaryIO, line: bytes, path: Path) -> None:
    """Write a line in one call and see it to the disk; take back what a full disk let in."""
    start = file.seek(0, os.SEEK_END)
    try:
        written = file.write(line)
        if written != len(line):
            raise OSError(f"only {written} of {len(line)} bytes were taken")
        os.fsync(file.fileno())
    except OSError as error:
        file.truncate(start)
        raise UserError(
            f"cannot append to {path} ({error.strerror or error}); free some disk space"
        ) from error
