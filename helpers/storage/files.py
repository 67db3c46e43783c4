"""Files that bear kills, full disks and other writers: written whole, one writer at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from helpers.errors import UserError

LOCK_SECONDS = 120.0  # a write takes milliseconds; a longer wait means a stuck process


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Hold a lock file, whose folder is made; the operating system frees it with its holder.

    Raises UserError for a folder that can't be written to, a full disk, or a stuck process.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=LOCK_SECONDS):
            yield
    except Timeout as error:
        raise UserError(
            f"another process has held {lock} for {LOCK_SECONDS:g} s; end it and try again"
        ) from error
    except OSError as error:
        raise UserError(
            f"cannot write to {lock.parent} ({error.strerror or error}); free some space there, or "
            "make the folder writable"
        ) from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, see it to the disk, and rename it."""
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".partial")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(scratch).chmod(0o644)  # mkstemp's 0600 would keep the file from other users
        Path(scratch).replace(path)
    finally:
        Path(scratch).unlink(missing_ok=True)
