"""The file of one task: safetensors with a description and a digest of every byte, written whole.

The digest lies in the file's own metadata and is taken over the file with zeros in its place, so
header, description, padding and tensors are all covered and no index can fall out of step. It tells
damage, not forgery: whoever alters a file on purpose can compute the digest too.
"""

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from helpers.errors import UserError
from helpers.storage.files import locked, write_whole
from helpers.training.checkpoints import header_of

SCHEMA = 1  # raised when the description or the digest changes its meaning
NO_DIGEST = "0" * 32
MOST_HEADER = 100_000_000  # bytes, as the format itself allows
LOCK = ".lock"  # of a folder of tasks


@dataclass(frozen=True)
class Entry:
    """What a task's file says of itself.

    base: hash of the base's weights. whole: the file holds the full network (a tuned copy), which
    needs no base but its architecture. scale: LoRA's alpha over its rank. input_size: pixels or
    tokens. bits: of the floats in the file; 16 halves it and rounds. digest: of every byte.
    """

    task: str
    approach: str
    backbone: str
    base: str
    settings: str = ""
    scale: float = 1.0
    classes: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    input_size: int = 0
    whole: bool = False
    bits: int = 32
    created: str = ""
    schema: int = SCHEMA
    digest: str = NO_DIGEST


def read_entry(path: Path) -> Entry:
    """Read a file's description, not its tensors; nothing is verified but that it can be read.

    Raises UserError for a file that can't be.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if length > MOST_HEADER:
                raise ValueError("no header is so long")
            return _entry(header_of(start + file.read(length)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path) from error


def read(path: Path) -> tuple[Entry, dict[str, Tensor]]:
    """Read a file's description and tensors, every byte verified.

    Raises UserError for a file that is cut off or altered, or has another schema.
    """
    try:
        data = path.read_bytes()  # once: the file may be replaced at any moment
        entry = _entry(header_of(data))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path) from error
    if entry.schema != SCHEMA:
        raise UserError(
            f"{path} has schema {entry.schema}, and this version reads {SCHEMA}; update the project"
        )
    if entry.digest != _digest(data, entry.digest):
        raise _damaged(path)
    try:
        return entry, safetensors.load(data)
    except SafetensorError as error:  # signed, and yet no tensors
        raise _damaged(path) from error


def write(path: Path, entry: Entry, state: Mapping[str, Tensor], *, overwrite: bool) -> Entry:
    """Write a task's file under a temporary name and rename it; returns the signed entry.

    A kill at any moment leaves the file that was there before, or the new one. Raises UserError
    where a file is there and may not be replaced, or the folder can't be written to.
    """
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    entry = replace(entry, created=created, schema=SCHEMA, digest=NO_DIGEST)
    unsigned = safetensors.save(dict(state), _metadata(entry))
    entry = replace(entry, digest=_digest(unsigned, NO_DIGEST))
    data = unsigned.replace(_quoted(NO_DIGEST), _quoted(entry.digest), 1)
    with locked(path.parent / LOCK):
        if path.exists() and not overwrite:
            raise UserError(f"{path} is there; add the task with replace=True for a new version")
        write_whole(path, data)
    return entry


def _metadata(entry: Entry) -> dict[str, str]:
    values = {key: value for key, value in asdict(entry).items() if key != "digest"}
    return {"digest": entry.digest, "entry": json.dumps(values, sort_keys=True)}


def _entry(header: Mapping[str, Any]) -> Entry:
    """The description in a file's header; an error as `read_entry` catches where it is none."""
    held = header["__metadata__"]
    try:
        values = json.loads(held["entry"])
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    known = {one.name for one in fields(Entry)}
    entry = Entry(**{key: value for key, value in values.items() if key in known})
    digest, classes, scores = held["digest"], tuple(entry.classes), dict(entry.scores)
    return replace(entry, digest=digest, classes=classes, scores=scores)


def _quoted(digest: str) -> bytes:
    """As the header, which is JSON, has it."""
    return f'"digest":"{digest}"'.encode()


def _digest(data: bytes, stored: str) -> str:
    """Hash of a file's bytes with zeros where its own digest is stored; 32 hex digits."""
    blank = data.replace(_quoted(stored), _quoted(NO_DIGEST), 1)
    return hashlib.blake2b(blank, digest_size=16).hexdigest()


def _damaged(path: Path) -> UserError:
    if not path.exists():
        return UserError(f"{path} was removed while it was read; add the task again")
    return UserError(
        f"{path} is damaged (cut off, or altered after it was saved); take it back from a copy, or "
        "train the task again"
    )
