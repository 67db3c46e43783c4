"""Whether stored bytes are those that were written: hashes of files, remembered, and sealed JSON.

A file is hashed once for each state that the system reports of it. That state is its device, inode,
size, and the times of its last write and last change. The last one (ctime) makes the others safe to
trust: the system sets it whenever content, name or times change, and no call sets it back, so
`touch -r`, `cp -p` or `rsync -t` over a file can't bring an old state back. Two writes within one
tick of the clock could share it, so a state younger than SETTLED is not remembered. Windows has no
such time, and there a file is hashed whenever it is asked for. What no state shows: a program that
keeps a file mapped for writing, and a clock that was set back.
"""

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from helpers import paths
from helpers.errors import UserError
from helpers.storage.files import write_whole

SETTLED = 2_000_000_000  # nanoseconds; the coarsest clock of a file system in use ticks so
HAS_CHANGE_TIME = os.name == "posix"
# Paths are strings below: a folder may hold 100,000 files, and Path takes ten times as long.
_HEAD, _TAIL = b'{"sha256": "%s", "content":\n', b"\n}\n"
_HEAD_LENGTH = len(_HEAD) - 2 + 64


class Damaged(ValueError):
    """Bytes that are not those that were sealed."""


def sealed(content: Any) -> bytes:
    """JSON that carries the hash of what it holds; it covers every byte."""
    body = json.dumps(content, indent=1).encode("ascii")
    return _HEAD % hashlib.sha256(body).hexdigest().encode() + body + _TAIL


def unsealed(data: bytes) -> Any:
    """What `sealed` was given. Raises Damaged for any other bytes, before they are parsed."""
    body = data[_HEAD_LENGTH : -len(_TAIL)]
    if data != _HEAD % hashlib.sha256(body).hexdigest().encode() + body + _TAIL:
        raise Damaged("it is not what was sealed")
    return json.loads(body)


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digests(files: Sequence[Path], root: Path | None = None) -> list[str]:
    """SHA-256 of each file's content; empty for what is no plain file or can't be read.

    root: a folder above them all, for which the states of its files are remembered together;
    None: the lowest one.
    """
    names = [os.path.abspath(file) for file in files]  # noqa: PTH100
    if not names:
        return []
    ledger = _ledger(str(root) if root else os.path.commonpath({os.path.dirname(n) for n in names}))  # noqa: PTH120
    known = _remembered(ledger)
    states = {name: _state(name) for name in dict.fromkeys(names)}
    found = {n: known[n][1] for n, s in states.items() if s and known.get(n, ("",))[0] == s}
    rest = [name for name in states if name not in found]
    if rest:
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            read = dict(zip(rest, pool.map(_read, rest), strict=True))
        found |= {name: digest for name, (_, digest) in read.items()}
        _remember(ledger, known, {n: [s, digest] for n, (s, digest) in read.items() if s})
    return [found[name] for name in names]


def altered(folder: Path, hashes: Mapping[str, str], root: Path | None = None) -> list[str]:
    """Names of files below a folder whose content has another hash than is told, or is gone."""
    now = digests([folder / name for name in hashes], root)
    return [name for name, is_now in zip(hashes, now, strict=True) if is_now != hashes[name]]


def tree_hash(hashes: Mapping[str, str]) -> str:
    """One hash for the names and hashes of several files, in any order."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def _state(name: str) -> list[int] | None:
    """What the system reports of a plain file; None for anything else, which is never opened."""
    try:
        return _of(os.stat(name))  # noqa: PTH116
    except OSError:
        return None


def _of(status: os.stat_result) -> list[int] | None:
    if not stat.S_ISREG(status.st_mode):
        return None
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _read(name: str) -> tuple[list[int] | None, str]:
    """The hash of a file, and its state where that may be remembered."""
    started = time.time_ns()
    if _state(name) is None:
        return None, ""
    try:
        with open(name, "rb") as handle:  # noqa: PTH123
            before = _of(os.fstat(handle.fileno()))
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
            after = _of(os.fstat(handle.fileno()))
    except OSError:
        return None, ""
    safe = HAS_CHANGE_TIME and before and before == after and started - before[-1] > SETTLED
    return (before if safe else None), digest


def _ledger(root: str) -> Path:
    name = hashlib.blake2b(os.fsencode(root), digest_size=12).hexdigest()
    return paths.cache_dir() / "stamps" / f"{name}.json"


def _remembered(ledger: Path) -> dict[str, Any]:
    try:
        return unsealed(ledger.read_bytes())
    except (OSError, Damaged):
        return {}


def _remember(ledger: Path, known: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Write down states of files, without those of files that are gone.

    Two processes may overwrite each other's: then a file is hashed once more.
    """
    if not new:
        return
    kept = {name: held for name, held in known.items() if os.path.exists(name)}  # noqa: PTH110
    with contextlib.suppress(OSError, UserError):
        ledger.parent.mkdir(parents=True, exist_ok=True)
        write_whole(ledger, sealed(kept | dict(new)), synced=False)


def below(folder: Path, leave_out: Iterable[str] = ()) -> dict[str, str]:
    """Hash of every file below a folder, by its path there."""
    gone = set(leave_out)
    # os.walk passes over folders that vanish while it looks; Path.rglob would raise.
    found = [Path(place) / name for place, _, names in os.walk(folder) for name in names]
    files = sorted(file for file in found if file.name not in gone)
    names = [file.relative_to(folder).as_posix() for file in files]
    return dict(zip(names, digests(files, folder), strict=True))
