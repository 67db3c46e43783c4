"""Tables as people keep them: CSV, TSV, JSON lines and Parquet, each row with its place."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from helpers.advisor.data import MOST_EXAMPLES, Finding, counted, listing
from helpers.advisor.read.arrow_files import read_parquet
from helpers.advisor.read.build import Table, check_names
from helpers.errors import UserError

_LONGEST_FIELD = 16_000_000  # characters: a whole book in one cell is a text, 131,072 is not enough
_SEPARATOR = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)


def read_table(file: Path) -> Table:
    """Read a table. Raises UserError where its encoding, header or rows are not usable."""
    try:
        if file.stat().st_size == 0:
            raise UserError(f"{file} is empty; it needs a header and labelled rows")
        table = READERS[file.suffix.lower()](file)
    except UnicodeDecodeError as error:
        raise _wrong_encoding(file) from error
    except OSError as error:
        raise UserError(
            f"{file} cannot be read ({error.strerror or error}); check the file and its rights"
        ) from error
    if not len(table):
        raise UserError(f"{file} has a header and no rows; it needs labelled examples")
    return table


def _wrong_encoding(file: Path) -> UserError:
    data = file.read_bytes()
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return UserError(
            f"{file} is not UTF-8: line {line} has the byte 0x{data[error.start]:02X}, as "
            "Windows-1252 or Latin-1 write it; save the file as UTF-8"
        )
    return UserError(f"{file} is not UTF-8; save it as UTF-8")


def _check_text(file: Path) -> None:
    """Refuse what is no UTF-8 text by its first bytes."""
    with file.open("rb") as handle:
        start = handle.read(4096)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"{file} is UTF-16, as Excel's 'Unicode text' is; save it as UTF-8")
    if b"\0" in start:
        raise UserError(
            f"{file} is no text file, whatever its name says; export it as CSV in UTF-8"
        )


def _csv(file: Path) -> Table:
    _check_text(file)
    try:
        with long_cells(), file.open(encoding="utf-8-sig", newline="") as handle:
            number, line = next(((n, s) for n, s in enumerate(handle, 1) if s.strip()), (1, ""))
            said = _SEPARATOR.fullmatch(line)  # Excel reads this line, and nobody else
            is_tsv = file.suffix.lower() == ".tsv"
            delimiter = said[1] if said else "\t" if is_tsv else _delimiter(line)
            rest = handle if said else chain([line], handle)
            reader = csv.reader(rest, delimiter=delimiter, strict=True)
            return _rows(file, reader, number + bool(said))
    except csv.Error as error:
        raise UserError(f"{file} is no proper CSV: {error}; correct its quotes") from error


@contextmanager
def long_cells() -> Iterator[None]:
    """Let `csv` read cells as long as a book, which it refuses elsewhere."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _delimiter(line: str) -> str:
    """The separator that cuts the header into most columns; a comma where none does."""
    return max(",;\t|", key=lambda mark: len(next(csv.reader([line], delimiter=mark), [])))


def _rows(file: Path, reader: Iterator[list[str]], first: int) -> Table:
    """first: the number of the line that the reader begins with."""
    header: list[str] = []
    columns: list[list[str]] = []
    where, ragged = [], []
    while True:
        line = reader.line_num + first  # where the next row begins: a quoted text may span lines
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise UserError(
                f"{file}: line {line} is no proper CSV ({error}); correct its quotes"
            ) from error
        if not any(cell.strip() for cell in row):
            continue
        if not header:
            header = [name.strip() for name in row]
            columns = [[] for _ in header]
            check_names(file, header)
            continue
        if len(row) != len(header):
            ragged.append(line)
            continue
        where.append(f"line {line}")
        for column, cell in zip(columns, row, strict=True):
            column.append(cell)
    if not header:
        raise UserError(f"{file} has only blank lines; it needs a header and labelled rows")
    table = Table(file, dict(zip(header, columns, strict=True)), where)
    _skipped(table, ragged, f"have not the {len(header)} columns of the header")
    return table


def _skipped(table: Table, lines: list[int], what: str) -> None:
    """Note lines that were left out; refuse a table where they are most."""
    if not lines:
        return
    rows = len(table) + len(lines)
    if len(lines) > rows / 2:
        raise UserError(
            f"{table.file}: {len(lines):,} of {rows:,} rows {what} (lines "
            f"{listing([str(line) for line in lines])}); correct the file"
        )
    table.findings.append(
        Finding(
            "rows that cannot be read",
            "warning",
            f"{counted(len(lines), 'row')} of {rows:,} in {table.file.name} {what} and were left "
            "out.",
            tuple(f"line {line}" for line in lines[:MOST_EXAMPLES]),
            "Correct these lines; a text with a separator or a line break needs quotes.",
        )
    )


def _json(file: Path) -> Table:
    _check_text(file)
    where, records, bad = [], [], []
    with file.open(encoding="utf-8-sig") as handle:
        for number, line in enumerate(handle, 1):
            if number == 1 and line.startswith("["):
                raise UserError(f"{file} is one JSON list; write one object on each line (.jsonl)")
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):  # no JSON, or brackets in brackets without end
                record = None
            if isinstance(record, dict):
                records.append(record)
                where.append(f"line {number}")
            else:
                bad.append(number)
    if not where and not bad:
        raise UserError(f"{file} has only blank lines; it needs labelled examples")
    names = dict.fromkeys(name for record in records for name in record)
    table = Table(file, {name: [record.get(name) for record in records] for name in names}, where)
    _skipped(table, bad, "are not one JSON object each")
    return table


READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".jsonl": _json,
    ".ndjson": _json,
    ".json": _json,
    ".parquet": read_parquet,
    ".pq": read_parquet,
}
