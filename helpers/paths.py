"""Where things lie. Every path is worked out when asked for, never at import.

`$TRANSFER_DATA`   a folder with data sets laid out as their archives are (optional)
`$TRANSFER_WHEELS` a folder with packages that were copied by hand (optional)
`$TRANSFER_CACHE`  where downloads, decoded images and features go (default: `data/cache/`)
"""

import errno
import functools
import os
import subprocess
import tempfile
from pathlib import Path

import platformdirs

from helpers.errors import UserError

_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}


def data_dir() -> Path:
    """Return the `data/` folder of the clone that this package was installed from."""
    return Path(__file__).resolve().parents[1] / "data"


def results_dir() -> Path:
    """Return the folder of recorded runs."""
    return data_dir() / "results"


def sample_dir() -> Path:
    """Return the folder of the sample that ships with a clone."""
    return data_dir() / "sample"


def weights_dir() -> Path:
    """Return the folder of weights that ship with a clone."""
    return data_dir() / "weights"


@functools.cache
def commit() -> str:
    """Return the commit the code was at, or "unknown" outside a checkout; asked once."""
    command = ["git", "rev-parse", "--short=10", "HEAD"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=data_dir(), timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def given_folder(variable: str) -> Path | None:
    """Return the folder that an environment variable names, or None when it is unset or empty.

    Raises UserError when it names something that is not a folder.
    """
    value = os.environ.get(variable, "")
    if not value:
        return None
    folder = expanded(value)
    if not folder.is_dir():
        raise UserError(
            f"{variable} names {value!r}, which is not a folder; correct it or unset it"
        )
    return folder.resolve()


def expanded(path: str | Path) -> Path:
    """The path with ~ spelled out. Raises UserError where that is the home of nobody here."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path} cannot be found ({error}); write the path in full") from error


def cache_dir() -> Path:
    """Return the writable cache folder, made if needed.

    It is `$TRANSFER_CACHE`, else `data/cache/`, else (where `data/` is read-only) the user's own
    cache folder. Raises UserError when `$TRANSFER_CACHE` or the last resort cannot be written.
    """
    named = os.environ.get("TRANSFER_CACHE", "")
    if named:
        return _made(expanded(named), "set TRANSFER_CACHE to a folder you can write to")
    usual = data_dir() / "cache"
    if _writable(usual):
        return usual
    return _made(_user_cache(), "set TRANSFER_CACHE to a folder you can write to")


def cache_dirs() -> list[Path]:
    """Return the folders to read cached files from, the writable one first.

    A clone that was filled once and is now read-only (a class room's share) stays of use: its
    `data/cache/` is read although nothing can be written there. A `$TRANSFER_CACHE` stands alone.
    """
    first, usual = cache_dir(), data_dir() / "cache"
    named = bool(os.environ.get("TRANSFER_CACHE", ""))
    return [first] if named or first == usual or not usual.is_dir() else [first, usual]


def _user_cache() -> Path:
    return platformdirs.user_cache_path("freeze-tune-adapt", appauthor=False)


def _made(folder: Path, mend: str) -> Path:
    if not _writable(folder):
        raise UserError(f"cannot write to the cache folder {folder}; {mend}")
    return folder.resolve()


def _writable(folder: Path) -> bool:
    """Tell whether a file can be made in `folder`: permission bits lie on shares and for root."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except (FileExistsError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno in _READ_ONLY:
            return False
        raise UserError(
            f"cannot write to {folder} ({error}); free some space or let TRANSFER_CACHE name "
            "another folder"
        ) from error
