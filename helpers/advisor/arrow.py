"""Arrow files: Parquet, and what `datasets` saves with `save_to_disk`, read by pyarrow alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from helpers import paths
from helpers.advisor.assembling import SPLIT_NAMES, Listed
from helpers.advisor.tables import Table
from helpers.errors import UserError

_BATCH = 256  # rows of pictures in memory at a time


def is_saved_dataset(folder: Path) -> bool:
    """Whether `datasets` saved this folder: one data set, or a dictionary of splits."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def read_parquet(file: Path) -> Table:
    """Read a Parquet file. Raises UserError for a damaged one."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return _table(file, parquet.read_table(file))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, "Parquet", error) from error


def read_arrow(file: Path) -> Table:
    """Read an Arrow file as `datasets` writes it: a stream, or the format with random access."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(file)) as source:
            try:
                return _table(file, pa.ipc.open_stream(source).read_all())
            except pa.ArrowInvalid:
                source.seek(0)
                return _table(file, pa.ipc.open_file(source).read_all())
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, "Arrow", error) from error


def read_saved_dataset(folder: Path) -> list[tuple[str | None, Table]]:
    """Read a folder that `datasets` saved: its splits with their tables.

    Raises UserError where its own lists name files that are not there.
    """
    if (folder / "dataset_dict.json").is_file():
        splits = _json(folder / "dataset_dict.json").get("splits", [])
        known = [split for split in splits if SPLIT_NAMES.get(split.lower())]
        if len(splits) == 1:
            return [(None, table) for table in _shards(folder / splits[0])]
        if len(known) < len(splits):
            strange = next(split for split in splits if split not in known)
            raise UserError(
                f"{folder} has a split {strange!r}; save the data set with train, validation and "
                "test alone"
            )
        return [(split, table) for split in splits for table in _shards(folder / split)]
    return [(None, table) for table in _shards(folder)]


def _shards(folder: Path) -> list[Table]:
    state = _json(folder / "state.json")
    if state.get("_indices_data_files"):
        raise UserError(f"{folder} was saved with a selection beside the data; save it flattened")
    files = [folder / entry["filename"] for entry in state.get("_data_files", [])]
    if not files:
        raise UserError(f"{folder} names no data files in state.json; save the data set again")
    for file in files:
        if not file.is_file():
            raise UserError(f"{file} is missing, and state.json names it; copy the whole folder")
    return [read_arrow(file) for file in files]


def _json(file: Path) -> dict:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); save the data set again") from error


def _damaged(file: Path, kind: str, error: Exception) -> UserError:
    return UserError(f"{file} is no readable {kind} file ({error}); copy or save it again")


def _table(file: Path, table: object) -> Table:
    """Turn an Arrow table into ours; columns of pictures stay in Arrow until they are unpacked."""
    import pyarrow as pa

    features = _features(table.schema)
    pictures = tuple(
        field.name
        for field in table.schema
        if features.get(field.name, {}).get("_type") == "Image" or _holds_pictures(field.type)
    )
    columns = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        columns[name] = _Lazy(column) if name in pictures else column.to_pylist()
    names = {
        name: feature["names"]
        for name, feature in features.items()
        if feature.get("_type") == "ClassLabel" and feature.get("names")
    }
    where = [f"row {row + 1}" for row in range(table.num_rows)]
    return Table(file, columns, where, class_names=names, picture_columns=pictures)


def _features(schema: object) -> dict:
    """What `datasets` wrote about the columns into the schema."""
    try:
        return json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}


def _holds_pictures(kind: object) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return {field.name for field in kind} >= {"bytes", "path"}
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


class _Lazy(list):
    """A column that stays in Arrow: its cells are pictures, too many to hold at once."""

    def __init__(self, column: object) -> None:
        super().__init__(range(len(column)))
        self.column = column


def unpack_pictures(table: Table, column: str, listed: Listed) -> None:
    """Write pictures that lie inside a table into the cache, once; `listed.items` names the files.

    A file is named by its content, so that an unpacked picture is never written twice.
    """
    folder = paths.cache_dir() / "advisor" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    cells = table.columns[column].column
    files: list[Path | None] = []
    for start in range(0, len(cells), _BATCH):
        for cell in cells.slice(start, _BATCH).to_pylist():
            files.append(_unpacked(cell, folder, table.file.parent))
    listed.items = files


def _unpacked(cell: object, folder: Path, beside: Path) -> Path | None:
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if content is None:
        name = cell.get("path") if isinstance(cell, dict) else None
        return beside / name if name else None
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    name = cell.get("path") if isinstance(cell, dict) else None
    suffix = Path(name or "").suffix.lower() or ".img"
    file = folder / digest[:2] / f"{digest}{suffix}"
    if not file.is_file() or file.stat().st_size != len(content):
        file.parent.mkdir(exist_ok=True)
        partial = file.with_suffix(".partial")
        partial.write_bytes(content)
        partial.replace(file)
    return file
