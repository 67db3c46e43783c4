"""CSV files of results that only grow, by one whole line at a time.

`RowFile` bears kills and other writers. `ResultsFile` declares one of the files of
`data/results/`: its columns, and which of them ask the question that a row answers.
"""

import csv
import hashlib
import io
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from helpers.errors import UserError
from helpers.paths import results_dir
from helpers.storage.files import TRIES, Result, locked, write_whole

DAMAGED = 2  # bytes of a header that may be wrong before it counts as that of other columns


def csv_line(values: Sequence[object]) -> bytes:
    """Values as one line of a CSV file, its end included."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode("utf-8")


@dataclass(frozen=True)
class RowFile:
    """A CSV file that only grows, by one whole line at a time.

    columns: its header. complete: tells whether the cells of a last line without its end are a
    whole row (an editor took the line break away); what a kill left of a line is cut off.
    checked: every line ends with a hash of itself, for files that no git watches over; damaged
    lines are said to be so and dropped.
    """

    path: Path
    columns: Sequence[str]
    complete: Callable[[list[str]], bool] = lambda cells: False
    checked: bool = False

    @property
    def header(self) -> bytes:
        """The file's first line."""
        return csv_line([*self.columns, "check"] if self.checked else self.columns)

    def read(self) -> bytes:
        """The header and the whole lines, ends as LF; the header where there is no file.

        No lock is taken: an unfinished last line is left out, unless it is a whole row. Raises
        UserError for other columns.
        """
        data = _normal(self.path.read_bytes()) if self.path.exists() else self.header
        whole, tail = _split(data)
        data = (data + b"\n" if self._is_row(tail) else whole) or self.header
        if self.checked:
            self._refuse_other(data)
        if self.checked and self._as_checked(data) != data:
            self.prepare()
            return self._as_checked(self.path.read_bytes())
        self._check(data)
        return data

    def prepare(self) -> None:
        """Make the file where it is missing and mend its end. Raises UserError as `append` does."""
        self._in_file(self._mended)

    def append(self, cells: Sequence[object], *, key: bool = False) -> bool:
        """Append one line, which is on the disk when this returns.

        key: the first cell is one; False is returned, and nothing changed, where it is there.
        Raises UserError for a folder that can't be written to, a full disk, or other columns.
        """

        def add(file: BinaryIO) -> bool:
            held = self._mended(file)
            first = str(cells[0]).encode()
            if key and any(line.split(b",", 1)[0] == first for line in held.splitlines()[1:]):
                return False
            line = csv_line(cells)
            self._write(file, _with_check(line[:-1]) if self.checked else line)
            return True

        return self._in_file(add)

    def append_row(self, row: Mapping[str, object], *, key: bool = False) -> bool:
        """`append` of named cells: numbers to six digits, NaN as an empty cell.

        Raises UserError for a row with other columns, too.
        """
        if set(row) != set(self.columns):
            odd = ", ".join(sorted(set(row) ^ set(self.columns)))
            raise UserError(
                f"a row of {self.path.name} has the columns of its header; these differ: {odd}"
            )
        return self.append([_cell(row[name]) for name in self.columns], key=key)

    def _in_file(self, do: Callable[[BinaryIO], Result]) -> Result:
        """What `do` returns of the opened file; again where its folder was deleted meanwhile."""
        for left in reversed(range(TRIES)):
            try:
                with self._opened() as file:
                    return do(file)
            except UserError as error:
                if not left or not isinstance(error.__cause__, FileNotFoundError):
                    raise
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        with locked(Path(f"{self.path}.lock")):
            if not self.path.exists() or self.path.stat().st_size == 0:
                write_whole(self.path, self.header)
            if self.checked:
                self._drop_damaged()
            with self.path.open("r+b", buffering=0) as file:
                yield file

    def _drop_damaged(self) -> None:
        data = _normal(self.path.read_bytes())
        whole = data[: data.rfind(b"\n") + 1]
        self._refuse_other(whole)
        kept = self._as_checked(whole)
        if kept != whole:
            gone = whole.count(b"\n") - kept.count(b"\n")
            print(f"{self.path} was damaged: {gone} of its rows are dropped", file=sys.stderr)
            write_whole(self.path, kept)

    def _as_checked(self, data: bytes) -> bytes:
        """The header and those of the lines that are as they were written."""
        lines = data.splitlines(keepends=True)[1:]
        return self.header + b"".join(
            line for line in lines if line == _with_check(line.rpartition(b",")[0])
        )

    def _mended(self, file: BinaryIO) -> bytes:
        """The file's bytes, ending in a whole line; the file is mended where it does not."""
        data = file.read()
        self._check(data)
        whole, tail = _split(data)
        if not tail:
            return data
        if self._is_row(tail):
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
            return data + b"\n"
        file.truncate(len(whole))
        return whole

    def _is_row(self, line: bytes) -> bool:
        """Whether a last line without its end is a row all the same."""
        if not line:
            return False
        if self.checked:
            return line + b"\n" == _with_check(line.rpartition(b",")[0])
        try:
            (cells,) = csv.reader([line.decode("utf-8")], strict=True)
        except (UnicodeDecodeError, ValueError, csv.Error):
            return False
        return len(cells) == len(self.columns) and self.complete(cells)

    def _refuse_other(self, data: bytes) -> None:
        """Raise UserError where the header of a checked file names other columns.

        What names no columns, or differs in at most DAMAGED bytes, is a damaged header instead.
        """
        header, _, _ = data.partition(b"\n")
        alike = len(header) + 1 == len(self.header)
        if alike and sum(a != b for a, b in zip(header, self.header, strict=False)) <= DAMAGED:
            return
        if re.fullmatch(rb"(?:[A-Za-z_]\w*,)+check", header):
            self._check(header + b"\n")

    def _check(self, data: bytes) -> None:
        header = _normal(data[: data.find(b"\n") + 1])
        if header == self.header:
            return
        have = header.decode("utf-8", "replace").strip().split(",")
        odd = sorted(set(have) ^ set(self.columns)) or ["their order"]
        raise UserError(
            f"{self.path} has other columns than this version writes (differing: "
            f"{', '.join(odd[:3])}); take the file back from git or move it away"
        )

    def _write(self, file: BinaryIO, line: bytes) -> None:
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
                f"cannot append to {self.path} ({error.strerror or error}); free some disk space"
            ) from error


@dataclass(frozen=True)
class ResultsFile:
    """One file of `data/results/` that measurements are appended to and never edited.

    key: the columns that ask the question which a row answers; it is measured once. text: columns
    that may be empty, and are text though a cell may look like a number. Every method takes another
    file's path, for tests and for measurements that are kept apart.
    """

    name: str
    columns: Sequence[str]
    key: Sequence[str]
    text: Sequence[str] = ()

    def rows(self, path: Path | None = None) -> RowFile:
        """The file as lines."""
        path = results_dir() / self.name if path is None else path
        # Nothing tells a shortened last cell from a whole one, so as many cells as columns are one.
        return RowFile(path, self.columns, complete=lambda cells: True)

    def load(self, path: Path | None = None) -> pd.DataFrame:
        """The recorded rows; none where nothing is recorded yet.

        Raises UserError for a file with other columns.
        """
        data = io.BytesIO(self.rows(path).read())
        table = pd.read_csv(data, encoding="utf-8", dtype=dict.fromkeys(self.text, str))
        return table.fillna(dict.fromkeys(self.text, ""))

    def append(self, row: Mapping[str, Any], path: Path | None = None) -> bool:
        """Append one whole line: numbers to six digits, NaN as an empty cell.

        Where the first column alone is the key, False is returned, and nothing changed, if the row
        is there. Raises UserError for a row with other columns, or a place that can't be written
        to.
        """
        alone = list(self.key) == list(self.columns[:1])
        return self.rows(path).append_row(row, key=alone)

    def question(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """What a row answers: the cells of its key, numbers to six digits, as they are written."""
        return tuple(
            float(f"{row[name]:.6g}") if isinstance(row[name], float) else row[name]
            for name in self.key
        )

    def recorded(self, path: Path | None = None) -> set[tuple[Any, ...]]:
        """The questions that the file answers."""
        return {self.question(row) for row in self.load(path)[list(self.key)].to_dict("records")}

    def missing(
        self, asked: Iterable[Mapping[str, Any]], path: Path | None = None
    ) -> list[Mapping[str, Any]]:
        """Those of the rows asked for, which need the columns of the key, that have no answer."""
        known = self.recorded(path)
        return [row for row in asked if self.question(row) not in known]


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The lines that have their end, and what follows the last of them."""
    whole = data.rfind(b"\n") + 1
    return data[:whole], data[whole:]


def _with_check(body: bytes) -> bytes:
    """A line whose last cell is a hash of those before."""
    return body + b"," + hashlib.blake2b(body, digest_size=8).hexdigest().encode() + b"\n"


def _cell(value: object) -> object:
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else f"{value:.6g}"


def _normal(data: bytes) -> bytes:
    """Line ends as LF: a checkout on Windows may have changed them."""
    return data.replace(b"\r\n", b"\n")
