"""`read_data`: a folder, a table or a `datasets` folder -> labelled examples and what was odd."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path

from helpers.advisor.data import MOST_EXAMPLES, Finding, OwnData, counted, listing
from helpers.advisor.read import arrow_files
from helpers.advisor.read.build import SPLIT_NAMES, Listed, Table, assemble, read_each
from helpers.advisor.read.class_folders import list_examples, read_texts
from helpers.advisor.read.folder_layout import (
    PICTURE_SUFFIXES,
    TEXT_SUFFIXES,
    is_hidden,
    lay_out,
)
from helpers.advisor.read.labels import HALF
from helpers.advisor.read.tables import READERS, choose_columns, read_table
from helpers.errors import UserError
from helpers.paths import expanded

_MENDS = {  # of files of kinds that hold no labelled examples
    PICTURE_SUFFIXES: "name the folder that has one folder of pictures for each class",
    TEXT_SUFFIXES: "name the folder that has one folder of texts for each class, or a table",
    (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"): "unpack it and name the folder",
    (".xlsx", ".xls", ".ods", ".numbers"): "export the sheet as CSV in UTF-8",
}
_ABOUT_DATA = {"dataset_infos.json", "dataset_info.json"}  # what the Hub keeps beside tables
_ADDRESS = re.compile(r"\s*(https?|s3|gs)://", re.IGNORECASE)
_SHARD = re.compile(r"\d+|.*-\d+-of-\d+")


def read_data(
    path: str | Path,
    *,
    prefer: str | None = None,
    columns: Mapping[str, str | None] | None = None,
) -> OwnData:
    """List the labelled examples at `path`, without decoding any picture.

    path: a folder of class folders of pictures or of text files (with or without train, validation
        and test folders); a CSV, TSV, Parquet or JSON-lines table of picture paths or texts and
        labels, or a folder of such tables named after splits; a folder that `datasets` saved
        (`save_to_disk`).
    prefer: "image" or "text", to be taken where a folder holds both and neither is rare.
    columns: a table's columns by role ("text", "image", "label", "group", "split"), found by name
        and content where none is named; "none" for no group or no split. Paths in a table are
        relative to the table.

    What is odd but can be lived with comes back in `findings`. Raises UserError, one sentence,
    where the data cannot be used.
    """
    named, root = columns or {}, _existing(path)
    tables = _tables(root)
    if tables is not None:
        return assemble(root, *_from_tables(root, tables, named))
    if given := [f"--{role}-column" for role, name in named.items() if name]:
        raise UserError(
            f"{root} is a folder of class folders, where {given[0]} means nothing; point at a "
            "table to choose columns"
        )
    layout = lay_out(root, prefer)
    listed = list_examples(layout)
    if layout.modality == "text":
        read_texts(root, listed)
    return assemble(root, layout.modality, listed)


def _existing(path: str | Path) -> Path:
    """Return the path; raise UserError for what cannot be data at all."""
    root = expanded(path)
    try:
        if not root.exists():
            raise UserError(f"{root} does not exist; name a folder of class folders or a table")
        is_folder, is_file = root.is_dir(), root.is_file()
    except (OSError, ValueError) as error:
        raise UserError(f"{str(root)!r} cannot be opened ({error}); check the path") from error
    if is_folder and not os.access(root, os.R_OK | os.X_OK):
        raise UserError(f"{root} cannot be opened; ask for the right to read it")
    if is_folder or (is_file and root.suffix.lower() in {*READERS, ".arrow"}):
        return root
    suffix, others = root.suffix.lower(), ", ".join(sorted(READERS))
    mends = (mend for kinds, mend in _MENDS.items() if suffix in kinds)
    mend = next(mends, f"use a folder of class folders, or one of {others}")
    what = f"a file of kind {suffix or 'unknown'}" if is_file else "neither file nor folder"
    raise UserError(f"{root} is {what}; {mend}")


def _tables(root: Path) -> list[tuple[str | None, Table]] | None:
    """Return the tables of `root` with the split that each stands for; None: class folders."""
    if root.is_file() and root.suffix.lower() == ".arrow":
        return [(None, arrow_files.read_arrow(root))]
    if root.is_dir() and arrow_files.is_saved_dataset(root):
        return arrow_files.read_saved_dataset(root)
    if root.is_file():
        return [(None, read_table(root))]
    try:
        entries = sorted(root.iterdir())
    except OSError:
        return None  # lay_out says why
    seen = [file for file in entries if not is_hidden(file.name)]
    tables = [file for file in seen if _is_table(file)]
    folders = [file for file in seen if file.is_dir()]
    if not tables:
        return None if _hold_examples(folders) else _tables_below(root, folders)
    names = [file.stem for file in tables]
    if names != ["metadata"] and _hold_examples(folders):
        return None
    # A table's name begins with its split: train.csv, test-00000-of-00001.parquet.
    splits = [SPLIT_NAMES.get(re.split("[-_.]", name.lower())[0]) for name in names]
    if not all(splits):
        if len(tables) > 1 and not all(map(_SHARD.fullmatch, names)):
            raise UserError(
                f"{root} holds several tables ({', '.join(file.name for file in tables[:5])}); "
                "name one of them, or call them train, validation and test"
            )
        splits = [None] * len(tables)
    return list(zip(splits, read_each(_table_below, tables), strict=True))


def _is_table(file: Path) -> bool:
    return file.suffix.lower() in READERS and file.name not in _ABOUT_DATA and file.is_file()


def _tables_below(root: Path, folders: Sequence[Path]) -> list[tuple[str | None, Table]] | None:
    """The tables of a snapshot of the Hub: in data/, in a folder of a configuration or split."""
    holding = [folder for folder in folders if any(_is_table(f) for f in folder.rglob("*"))]
    if len(holding) == 1:
        return _tables(holding[0])
    splits = {folder: SPLIT_NAMES.get(folder.name.lower()) for folder in holding}
    if not all(splits.values()):
        raise UserError(
            f"{root} holds tables in several folders ({listing([f.name for f in holding])}); name "
            "one of them"
        )
    return [(s, table) for f, s in splits.items() for _, table in _tables(f) or ()] or None


def _table_below(file: Path) -> Table:
    """Read a table in a folder; its places begin with its name, since there may be several."""
    table = read_table(file)
    table.where = [f"{file.name} {place}" for place in table.where]
    return table


def _hold_examples(folders: Sequence[Path]) -> bool:
    """Whether folders hold pictures or, two or more of them, several texts: fewer are notes."""
    texts: Counter[Path] = Counter()
    for folder, pattern in product(folders, ("*", "*/*")):  # two levels down are enough to see it
        for file in folder.glob(pattern):
            if file.suffix.lower() in PICTURE_SUFFIXES:
                return True
            texts[file.parent] += file.suffix.lower() in TEXT_SUFFIXES
    return sum(n > 1 for n in texts.values()) > 1


def _from_tables(
    root: Path, tables: Sequence[tuple[str | None, Table]], asked: Mapping[str, str | None]
) -> tuple[str, Listed]:
    """The modality and the examples of tables, each with the split that it stands for."""
    parts = [_listed(table, split, asked) for split, table in tables]
    kinds = {kind for kind, _ in parts}
    if len(kinds) > 1:
        raise UserError(
            f"{root}: some tables hold texts and others pictures; name one of them, or the column "
            "with --text-column or --image-column"
        )
    return kinds.pop(), _joined(root, [listed for _, listed in parts])


def _listed(table: Table, split: str | None, asked: Mapping[str, str | None]) -> tuple[str, Listed]:
    """Turn the rows of a table into examples. Returns the modality too. asked: columns by role."""
    modality, taken = choose_columns(table, asked)
    item, group = taken[modality], taken["group"]
    labels = table.columns[taken["label"]]
    if names := table.class_names.get(taken["label"]):
        labels = [_class_name(names, label) for label in labels]
    ignored = [name for name in table.columns if name not in taken.values()]
    if split:
        splits, taken = [split] * len(table), taken | {"split": None}
    else:
        splits = list(table.columns[taken["split"]]) if taken["split"] else None
    listed = Listed(
        items=list(table.columns[item]),
        labels=list(labels),
        splits=splits,
        groups=list(table.columns[group]) if group else None,
        where=list(table.where),
        findings=list(table.findings),
        columns=taken | {"ignored": ignored},
    )
    if modality == "image":
        _find_pictures(table, item, listed)
    else:
        _check_texts(table, item, listed)
    return modality, listed


def _class_name(names: Sequence[str], label: object) -> str:
    """The name of a class number; -1 is how `datasets` marks an example without a label."""
    if isinstance(label, int) and 0 <= label < len(names):
        return names[label]
    return "" if label in (-1, None) else str(label)


def _joined(root: Path, parts: Sequence[Listed]) -> Listed:
    """The examples of several tables as one. Refuses tables of which other columns were taken."""
    first = parts[0].columns
    for part, role in product(parts[1:], first.keys() - {"ignored"}):
        one, other = first[role], part.columns[role]
        if one != other:
            raise UserError(
                f"{root}: the {role} is the column {one!r} in one table and {other!r} in another; "
                "give the columns the same names in every table"
            )

    def all_of(name: str) -> list | None:
        values = [getattr(part, name) for part in parts]
        return None if any(v is None for v in values) else [one for v in values for one in v]

    names = ("items", "labels", "splits", "groups", "where")
    findings = [finding for part in parts for finding in part.findings]
    ignored = dict.fromkeys(name for part in parts for name in part.columns["ignored"])
    columns = first | {"ignored": list(ignored)}
    return Listed(**{n: all_of(n) for n in names}, findings=findings, columns=columns)


def _find_pictures(table: Table, column: str, listed: Listed) -> None:
    """Make paths of the names in a column; leave out rows whose file is not there."""
    if column in table.picture_columns:
        arrow_files.unpack_pictures(table, column, listed)
    else:
        addresses = [
            row for row, name in enumerate(listed.items) if _ADDRESS.match(str(name or ""))
        ]
        if addresses:
            raise UserError(
                f"{table.file}: {len(addresses):,} of {len(listed.items):,} names in {column!r} "
                f"are addresses ({_rows(table, column, addresses)}); download the pictures first "
                "and name the files"
            )
        listed.items = [_picture(table.file, value) for value in listed.items]
    gone = [row for row, file in enumerate(listed.items) if not _is_there(file)]
    if not gone:
        return
    if len(gone) > len(listed.items) / 2:
        raise UserError(
            f"{table.file}: {len(gone):,} of {len(listed.items):,} pictures named in {column!r} do "
            f"not exist ({_rows(table, column, gone)}); paths are taken from the folder of the "
            "table"
        )
    listed.leave_out(
        gone,
        "files that do not exist",
        f"{counted(len(gone), 'row')} of {len(listed.items):,} name a picture that does not exist "
        "and were left out.",
        "Correct the paths; they are taken from the folder of the table.",
        [f"{listed.where[r]}: {table.columns[column][r]!s:.120}" for r in gone[:MOST_EXAMPLES]],
    )


def _rows(table: Table, column: str, rows: Sequence[int]) -> str:
    """The first of some rows, each with what a column holds there."""
    return listing([f"{table.where[row]}: {table.columns[column][row]!r:.120}" for row in rows])


def _is_there(file: Path | None) -> bool:
    with suppress(OSError, ValueError):  # a name that is too long, or that holds a zero
        return file is not None and file.is_file()
    return False


def _picture(table: Path, value: object) -> Path | None:
    if not (name := str(value or "").strip()):
        return None
    file = table.parent / name
    return file if "\\" not in name or _is_there(file) else table.parent / name.replace("\\", "/")


def _check_texts(table: Table, column: str, listed: Listed) -> None:
    """Leave out rows without a text; refuse a column that holds something else."""
    others = [
        f"{listed.where[row]}: {type(value).__name__}"
        for row, value in enumerate(listed.items)
        if value is not None and not isinstance(value, str)
    ]
    if others:
        raise UserError(
            f"{table.file}: {len(others):,} of {counted(len(listed.items), 'row')} hold no text in "
            f"{column!r} ({listing(others)}); name the column of texts with --text-column"
        )
    texts = [value and HALF.sub("\ufffd", value) for value in listed.items]
    halves = [row for row, value in enumerate(listed.items) if value != texts[row]]
    if halves:  # which JSON can hold and nothing can write
        listed.items = texts
        listed.findings.append(
            Finding(
                "halves of characters",
                "note",
                f"{counted(len(halves), 'text holds', 'texts hold')} one half of a character "
                "alone; U+FFFD was read in its place.",
                tuple(listed.where[row] for row in halves[:MOST_EXAMPLES]),
                "Write these texts anew: something cut an emoji in two.",
            )
        )
    gone = [row for row, value in enumerate(listed.items) if not (value and value.strip())]
    if len(gone) == len(listed.items):
        raise UserError(f"{table.file}: every text in {column!r} is empty; name another column")
    found = f"{counted(len(gone), 'row')} of {len(listed.items):,} have no text and were left out."
    listed.leave_out(gone, "empty texts", found, "Fill them in, or remove the rows.")
