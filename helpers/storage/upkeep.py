"""The cache as a whole: what killed runs left is deleted, what was used longest ago, too."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from helpers import paths
from helpers.storage.files import PARTIAL, left_behind

# Kind → where its entries lie, and how many gigabytes are kept. A file's entry is all that has its
# stem; its time of use is that of the file named here.
KINDS = {
    "features": ("features/*/*", 8.0),
    "pictures": ("images/*.json", 8.0),
    "models": ("advisor/own-*/models/*", 2.0),
}


def tidy() -> None:
    """Delete partial files and folders of killed processes, and the oldest entries over a limit."""
    root = paths.cache_dir()
    for path in partial_paths(root):
        if left_behind(path):
            _delete(path)
    for kind in KINDS:
        trim(kind, root)


def usage() -> dict[str, int]:
    """Bytes of the cache by kind; "unfinished" are downloads to go on with, and what kills left."""
    root = paths.cache_dir()
    unfinished = [*(root / "assets").glob(".partial-*"), *partial_paths(root)]
    sizes = {"assets": size_of(root / "assets")}
    sizes["features"], sizes["pictures"] = size_of(root / "features"), size_of(root / "images")
    sizes["models"] = sum(map(size_of, root.glob(KINDS["models"][0])))
    # A folder here may be a link to another disk, which the size of the whole would leave out.
    kept = {root / name for name in ("assets", "features", "images")}
    others = set(root.iterdir() if root.is_dir() else ()) - kept
    sizes["other"] = sum(map(size_of, others)) - sizes["models"]
    # These were counted where they lie.
    return sizes | {"unfinished, among them": sum(map(size_of, unfinished))}


def partial_paths(root: Path) -> Iterator[Path]:
    """What is being made in a cache, or was left half made, without downloads."""
    for place, folders, names in os.walk(root):
        if Path(place) == root and "assets" in folders:
            folders.remove("assets")  # downloads go on from what they have
        yield from (Path(place) / name for name in (*folders, *names) if _is_partial(name))
        folders[:] = [name for name in folders if not _is_partial(name)]


def trim(kind: str, root: Path | None = None) -> None:
    """Delete the entries of a kind that were used longest ago while it is over its limit."""
    pattern, limit = KINDS[kind]
    entries = []
    for entry in (root or paths.cache_dir()).glob(pattern):
        if not _is_partial(entry.name):
            parts = [entry] if entry.is_dir() else [*entry.parent.glob(f"{entry.stem}.*")]
            parts = [part for part in parts if part.suffix != ".lock"]
            try:
                entries.append((entry.stat().st_mtime, sum(map(size_of, parts)), parts))
            except OSError:  # other processes fill and trim the same cache
                continue
    total = sum(size for _, size, _ in entries)
    for _, size, parts in sorted(entries, key=lambda entry: entry[0]):
        if total <= limit * 1e9:
            break
        for part in parts:
            _delete(part)
        total -= size


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 of what is gone."""
    total = 0
    try:
        if not path.is_dir():
            return path.stat().st_size
    except OSError:
        return 0
    # os.walk passes over folders that vanish while it looks; Path.rglob would raise.
    for place, _, names in os.walk(path):
        for name in names:
            try:
                total += (Path(place) / name).stat().st_size
            except OSError:
                continue
    return total


def _is_partial(name: str) -> bool:
    # The others are of versions that held nothing of what they made.
    return name.endswith((PARTIAL, ".tmp")) or name.startswith("partial-")


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):  # gone, or open on Windows
        path.unlink()
