"""Files that bear kills, full disks and other writers: written whole, one writer at a time.

What is being made has a name that ends in PARTIAL and is held by its maker, so that `upkeep.tidy`
can tell what a killed process left from what another one is making.
"""

import contextlib
import errno
import os
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from helpers.errors import UserError

try:
    import fcntl
except ModuleNotFoundError:  # Windows, which lets nobody delete an open file anyway
    fcntl = None

Result = TypeVar("Result")
TRIES = 20  # of writing into a folder that somebody deletes
LOCK_SECONDS = 120.0  # a write takes milliseconds; a longer wait means a stuck process
PARTIAL = ".partial"
DAY = 86_400.0  # seconds after which what can't be held is taken for left behind
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


def disk_error(what: str, folder: Path, error: OSError) -> UserError:
    """One sentence for what the system refused in the cache; the mend suits the reason."""
    told = error.strerror or error
    if error.errno in _FULL:
        return UserError(
            f"the disk is full: {what} failed in {folder} ({told}); free some space or let "
            "TRANSFER_CACHE name a folder on another disk"
        )
    if error.errno in _NOT_ALLOWED:
        mend = "make it writable or let TRANSFER_CACHE name a folder you can write to"
        return UserError(f"{what} failed in {folder} ({told}); {mend}")
    return UserError(f"{what} failed in {folder} ({error}); try again")


@contextmanager
def disk_errors(what: str, folder: Path) -> Iterator[None]:
    """Say what the system refuses inside in one sentence, as `disk_error` does."""
    try:
        yield
    except OSError as error:
        raise disk_error(what, folder, error) from error


def read_toml(file: Path) -> dict[str, Any]:
    """What a TOML file holds. Raises UserError for one that is none, or can't be read."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} is not valid TOML ({error}); correct it") from None


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


def write_whole(path: Path, data: bytes, *, synced: bool = True) -> None:
    """Write a file under a temporary name, see it to the disk, and rename it.

    synced: False leaves it to the system when the bytes reach the disk: for what a hash covers.
    """
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=PARTIAL)
    try:
        with held(Path(scratch)):
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                if synced:
                    file.flush()
                    os.fsync(file.fileno())
            Path(scratch).chmod(0o644)  # mkstemp's 0600 would keep the file from other users
            Path(scratch).replace(path)
    finally:
        Path(scratch).unlink(missing_ok=True)


def write_kept(path: Path, data: bytes) -> None:
    """`write_whole` into the cache, whose folders may be deleted at any time.

    Raises UserError where it can't be written to.
    """
    in_cache(path.parent, f"keeping {path.name}", lambda: write_whole(path, data, synced=False))


def in_cache(folder: Path, what: str, make: Callable[[], Result]) -> Result:
    """What `make` returns, which writes into a folder of the cache; again where that was deleted.

    what: is said where the system refuses it. Raises UserError then, and what `make` raises.
    """
    for left in reversed(range(TRIES)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return make()
        except OSError as error:
            ours = error.filename is None or os.fsdecode(error.filename).startswith(str(folder))
            if not ours:
                raise
            if not left or not isinstance(error, FileNotFoundError):
                raise disk_error(what, folder, error) from error
    raise AssertionError("the last try returns or raises")


def there(found: Result | None, path: Path) -> Result:
    """What was found at a path; for `in_cache`, FileNotFoundError where it is gone already."""
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "what was just written is gone", str(path))
    return found


@contextmanager
def held(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a file or folder while the block runs; the system frees it with its holder.

    wait: until another holder lets go. Where the system can't (Windows), nothing is held.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a network's file system may not know it
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def left_behind(path: Path) -> bool:
    """Whether a partial file or folder has no maker any more."""
    try:
        if fcntl is None or not path.name.endswith(PARTIAL):  # of a version that held nothing
            return time.time() - path.stat().st_mtime > DAY
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
