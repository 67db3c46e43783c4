"""Arrow files: Parquet, and what `datasets` saves with `save_to_disk`, read by pyarrow alone."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from io import BytesIO
from itertools import count, islice
from pathlib import Path

from PIL import Image

from helpers import paths
from helpers.advisor.data import counted, listing
from helpers.advisor.read.build import SPLIT_NAMES, Listed, Table, check_names
from helpers.errors import UserError
from helpers.storage.files import disk_error, write_kept
from helpers.storage.seals import digests

_BATCH = 256  # rows of pictures in memory at a time
_LOOKED_AT = 32  # cells of bytes: texts among them open as no picture


def is_saved_dataset(folder: Path) -> bool:
    """Whether `datasets` saved this folder: one data set, or a dictionary of splits."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def read_parquet(file: Path) -> Table:
    """Read a Parquet file. Raises UserError for a damaged one."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        source = parquet.ParquetFile(file)
        n, schema = source.metadata.num_rows, source.schema_arrow
        return _table(file, schema, n, lambda names: source.iter_batches(_BATCH, columns=names))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, "Parquet", error) from error


def read_arrow(file: Path) -> Table:
    """Read an Arrow file as `datasets` writes it: a stream, or the format with random access."""
    import pyarrow as pa

    try:
        source = pa.memory_map(str(file))  # what is read of it later comes from the disk then
        try:
            table = pa.ipc.open_stream(source).read_all()
        except pa.ArrowInvalid:
            source.seek(0)
            table = pa.ipc.open_file(source).read_all()
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, "Arrow", error) from error
    n, schema = table.num_rows, table.schema
    return _table(file, schema, n, lambda names: table.select(names).to_batches(_BATCH))


def read_saved_dataset(folder: Path) -> list[tuple[str | None, Table]]:
    """Read a folder that `datasets` saved: its splits with their tables.

    Raises UserError where its own lists name files that are not there.
    """
    if not (folder / "dataset_dict.json").is_file():
        return [(None, table) for table in _shards(folder)]
    splits = _json(folder / "dataset_dict.json").get("splits", [])
    if len(splits) == 1:
        return [(None, table) for table in _shards(folder / splits[0])]
    if strange := [repr(split) for split in splits if split.lower() not in SPLIT_NAMES]:
        raise UserError(
            f"{folder} has other splits ({listing(strange)}); save the data set with train, "
            "validation and test alone"
        )
    return [(split, table) for split in splits for table in _shards(folder / split, split)]


def _shards(folder: Path, split: str = "") -> list[Table]:
    """Read the files of one split; their rows are counted through."""
    state = _json(folder / "state.json")
    if state.get("_indices_data_files"):
        raise UserError(f"{folder} was saved with a selection beside the data; save it flattened")
    files = [folder / entry["filename"] for entry in state.get("_data_files", [])]
    if not files:
        raise UserError(f"{folder} names no data files in state.json; save the data set again")
    if missing := [file.name for file in files if not file.is_file()]:
        raise UserError(
            f"{folder} lacks {len(missing):,} of {counted(len(files), 'file')} that its state.json "
            f"names ({listing(missing)}); copy the whole folder"
        )
    tables, rows = [read_arrow(file) for file in files], count(1)
    for table in tables:
        table.where = [f"{split} row {next(rows)}".strip() for _ in table.where]
    return tables


def _json(file: Path) -> dict:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); save the data set again") from error


def _damaged(file: Path, kind: str, error: Exception) -> UserError:
    return UserError(f"{file} is no readable {kind} file ({error}); copy or save it again")


def _table(file: Path, schema: object, n: int, batches: Callable) -> Table:
    """Turn an Arrow table into ours; pictures stay where they are until they are unpacked.

    batches: called with names of columns, yields record batches of them.
    """
    check_names(file, schema.names)

    def cells(name: str) -> Iterator[list]:
        return (batch.column(0).to_pylist() for batch in batches([name]))

    features = _features(schema)
    pictures = tuple(
        field.name
        for field in schema
        if features.get(field.name, {}).get("_type") == "Image"
        or _holds_pictures(field.type, cells(field.name))
    )
    columns = {
        name: _Pictures(n, partial(cells, name))
        if name in pictures
        else _values(file, name, batches([name]))
        for name in schema.names
    }
    names = {
        name: feature["names"]
        for name, feature in features.items()
        if feature.get("_type") == "ClassLabel" and feature.get("names")
    }
    where = [f"row {row + 1}" for row in range(n)]
    return Table(file, columns, where, class_names=names, picture_columns=pictures)


def _values(file: Path, name: str, batches: Iterable) -> list:
    held = [batch.column(0) for batch in batches]
    try:  # older programs store texts as bytes
        cells = (cell for part in held for cell in part.to_pylist())
        return [cell.decode() if isinstance(cell, bytes) else cell for cell in cells]
    except (ValueError, OverflowError) as error:  # texts that are not UTF-8, days past year 9999
        raise UserError(
            f"{file}: the column {name!r} holds what cannot be read ({error}); save it anew, texts "
            "in UTF-8"
        ) from error


def _features(schema: object) -> dict:
    """What `datasets` wrote about the columns into the schema."""
    try:
        return json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}


def _holds_pictures(kind: object, batches: Iterable[list]) -> bool:
    """Whether a column holds files: records of them, or bytes of which some open as a picture."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return {field.name for field in kind} >= {"bytes", "path"}
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        return False
    some = islice((cell for batch in batches for cell in batch if cell), _LOOKED_AT)
    return any(map(_is_picture, some))


def _is_picture(content: bytes) -> bool:
    try:
        with Image.open(BytesIO(content)):
            return True
    except Image.DecompressionBombError:
        return True
    except Exception:  # Pillow raises whatever a format's reader meets
        return False


class _Pictures(list):
    """A column that stays in its file: its cells are pictures, too many to hold at once."""

    def __init__(self, n: int, batches: Callable[[], Iterator[list]]) -> None:
        super().__init__(range(n))
        self.batches = batches


def unpack_pictures(table: Table, column: str, listed: Listed) -> None:
    """Write pictures that lie inside a table into the cache, once; `listed.items` names the files.

    A file is named by its content, so that an unpacked picture is never written twice.
    """
    folder = paths.cache_dir() / "advisor" / "pictures"

    def unpacked(wrong: Collection[Path] = ()) -> list[Path | None]:
        batches = table.columns[column].batches()
        return [_unpacked(cell, folder, table.file.parent, wrong) for b in batches for cell in b]

    try:
        listed.items = unpacked()
        inside = [file for file in listed.items if file and folder in file.parents]
        now = zip(inside, digests(inside, folder), strict=True)
        if wrong := {file for file, digest in now if digest != file.stem}:
            print(f"{len(wrong)} pictures in {folder} are damaged: unpacked again", file=sys.stderr)
            unpacked(wrong)
    except OSError as error:
        raise disk_error(f"unpacking the pictures in {table.file}", folder, error) from error


def _unpacked(cell: object, folder: Path, beside: Path, wrong: Collection[Path]) -> Path | None:
    """The file of a picture, written where it is missing or one of those that are `wrong`."""
    held = cell if isinstance(cell, dict) else {"bytes": cell}
    content, name = held.get("bytes"), held.get("path")
    if content is None:
        return beside / name if name else None
    digest = hashlib.sha256(content).hexdigest()
    suffix = Path(name or "").suffix.lower() or ".img"
    file = folder / digest[:2] / f"{digest}{suffix}"
    if file in wrong or not file.is_file():
        write_kept(file, content)
    return file
