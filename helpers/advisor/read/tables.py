"""Tables as people keep them (CSV, TSV, JSON lines, Parquet), and what each of their columns is."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from statistics import mean
from typing import NoReturn

from helpers.advisor.data import MOST_EXAMPLES, Finding, counted, listing
from helpers.advisor.read.arrow_files import read_parquet
from helpers.advisor.read.build import Table, check_names
from helpers.advisor.read.folder_layout import PICTURE_SUFFIXES
from helpers.errors import UserError
from helpers.registry import unknown_name

NAMES = {
    "image": "image image_path img img_path image_file image_name file file_name filename filepath "
    "file_path path picture photo",
    "text": "text texts sentence review content body message comment description title tweet "
    "document question utterance headline",
    "label": "label labels class class_name classes category target y species sentiment "
    "label_name topic intent",
    "split": "split subset partition set data_split dataset_split usage",
    "group": "group groups group_id patient patient_id subject subject_id person person_id "
    "product_id user_id author session session_id video video_id scene scene_id source_id",
}
_LOOK_AT = 500  # rows: enough to tell paths from texts
NO_COLUMN = "none"  # named where no column is to be taken, though one looks like it
_LONGEST_FIELD = 16_000_000  # characters: a whole book in one cell is a text, 131,072 is not enough
_SEPARATOR = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)


def choose_columns(
    table: Table, named: Mapping[str, str | None]
) -> tuple[str, dict[str, str | None]]:
    """Find the columns that are not named, by their names first and then by what they hold.

    named: columns by role, one of NAMES; for group and split NO_COLUMN means none at all.
    Returns the modality, and the columns by role: that, label, group and split, the last two None
    where there is none.
    Raises UserError for a name that the table lacks, and where two columns could be meant.
    """
    without = {
        role
        for role in ("group", "split")
        if named.get(role) == NO_COLUMN and NO_COLUMN not in table.columns
    }
    chosen = {role: name for role, name in named.items() if name and role not in without}
    for name in chosen.values():
        if name not in table.columns:
            raise UserError(f"{table.file}: {unknown_name('column', name, table.columns)}")
    _check_named_columns(table)
    if {"text", "image"} <= chosen.keys():
        raise UserError(
            f"{table.file}: the text column {chosen['text']!r} and the image column "
            f"{chosen['image']!r} are both named; an example is one or the other"
        )
    free = [name for name in table.columns if name not in chosen.values()]
    pictures = [] if chosen.keys() & {"text", "image"} else _pictures(table, free)
    modality = "image" if pictures or "image" in chosen else "text"
    if modality not in chosen:
        chosen[modality] = _only(table, pictures, "image") or _text(table, free)
    free = [name for name in free if name != chosen[modality]]
    for role in {"split", "group"} - without - chosen.keys():
        chosen[role] = _by_name(free, role)
    free = [name for name in free if name not in chosen.values()]
    chosen["label"] = chosen.get("label") or _label(table, free, chosen[modality])
    return modality, {role: chosen.get(role) for role in (modality, "label", "group", "split")}


def _check_named_columns(table: Table) -> None:
    """Refuse a table whose first row is data. A header is short words that no row repeats."""
    if table.class_names or table.picture_columns:  # from a file that tells its types
        return
    known = set(" ".join(NAMES.values()).split())
    if any(_plain(name) in known for name in table.columns):
        return
    for name, values in table.columns.items():
        is_data = (
            Path(name).suffix.lower() in PICTURE_SUFFIXES
            or re.fullmatch(r"[-+]?\d+(\.\d+)?", name)
            or len(name.split()) > 6
            or (name and name in values[:_LOOK_AT])
        )
        if is_data:
            short = name if len(name) <= 40 else name[:39] + "…"
            raise UserError(
                f"{table.file} has no header: its first line holds {short!r}; add a line "
                "with the names of the columns, such as text,label or image,label"
            )


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def _by_name(names: Sequence[str], role: str) -> str | None:
    """The column whose name comes first in the list of its role."""
    plain = {_plain(name): name for name in reversed(names)}
    return next((plain[wanted] for wanted in NAMES[role].split() if wanted in plain), None)


def _sample(table: Table, name: str) -> list:
    values = table.columns[name]
    step = max(1, len(values) // _LOOK_AT)
    return [value for value in values[::step] if value not in (None, "")]


def _pictures(table: Table, names: Sequence[str]) -> list[str]:
    """Columns, of these names, whose values are mostly names of pictures."""
    found = [name for name in table.picture_columns if name in names]
    for name in [name for name in names if name not in found]:
        values = _sample(table, name)
        named = [v for v in values if isinstance(v, str) and len(v) < 1000]
        suffixes = [Path(v.strip()).suffix.lower() in PICTURE_SUFFIXES for v in named]
        if values and sum(suffixes) > 0.5 * len(values):
            found.append(name)
    return found


def _text(table: Table, names: Sequence[str]) -> str:
    """A column by its name, else the one with the longest texts of several words."""
    if named := _by_name(names, "text"):
        return named
    texts = {name: [v for v in _sample(table, name) if isinstance(v, str)] for name in names}
    words = {name: mean(len(v.split()) for v in held) for name, held in texts.items() if held}
    best = max(words, key=words.__getitem__, default="")
    return best if words.get(best, 0) >= 2 else _refuse(table, "text", table.columns)


def _label(table: Table, names: Sequence[str], item: str) -> str:
    """A column by its name, else the only one that repeats few values."""
    if named := _by_name(names, "label"):
        return named
    plain = {name: table.columns[name] for name in names if name not in table.picture_columns}
    found = [
        name
        for name, values in plain.items()
        if not any(isinstance(value, list | dict) for value in values)
        and 2 <= len(set(values)) <= len(values) / 2
    ]
    rest = [name for name in table.columns if name != item]
    return _only(table, found, "label") or _refuse(table, "label", rest)


def _only(table: Table, found: Sequence[str], role: str) -> str | None:
    """The one column that was found; of several, the one with a usual name."""
    if len(found) <= 1:
        return found[0] if found else None
    if named := _by_name(found, role):
        return named
    raise UserError(
        f"{table.file}: {' and '.join(map(repr, found))} could each be the {role}; name one "
        f"with --{role}-column"
    )


def _refuse(table: Table, role: str, names: Iterable[str]) -> NoReturn:
    told = [f"{name!r}{'' if _sample(table, name) else ' (empty)'}" for name in names]
    raise UserError(
        f"{table.file} has no column that looks like {role}s among "
        f"{', '.join(told) or 'no other columns'}; name it with --{role}-column, or fill it"
    )


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
