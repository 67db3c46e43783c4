"""Pictures in class folders, with or without train/validation/test folders above or below them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from helpers.advisor.assembling import SPLIT_NAMES, Listed, most_common
from helpers.advisor.data import MOST_EXAMPLES, Finding, counted
from helpers.errors import UserError

PICTURE_SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".bmp",
        ".gif",
        ".tif",
        ".tiff",
        ".webp",
        ".avif",
        ".jp2",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".tga",
        ".ico",
    ]
)
_JUNK = {"thumbs.db", "desktop.ini", "icon\r", "__macosx", "__pycache__"}
# Of what lies in a folder and is no example: its name, its name in the plural, what, the mend.
_ODD = {
    "empty class folders": (
        "class folder holds",
        "class folders hold",
        " no picture and did not count as a class.",
        "Fill the folder or remove it.",
    ),
    "pictures outside class folders": (
        "picture lies",
        "pictures lie",
        " in no class folder and were left out.",
        "Move them into the folder of their class.",
    ),
    "folders that cannot be opened": (
        "folder",
        "folders",
        " cannot be opened, and what lies in there was left out.",
        "Ask for the right to read there.",
    ),
    "links that go in a circle": (
        "link leads",
        "links lead",
        " back to a folder above and were not followed.",
        "Remove the links.",
    ),
    "other files": (
        "file is",
        "files are",
        " no picture by name and were left alone.",
        "Convert to JPEG or PNG what is a picture.",
    ),
}


@dataclass
class _Walk:
    """What lies below one folder, and what was in the way."""

    root: Path
    pictures: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)  # folders that cannot be opened
    loops: list[Path] = field(default_factory=list)  # links that lead back to where they are
    empty: list[Path] = field(default_factory=list)  # folders with neither folder nor picture

    def below(self, folder: Path, above: tuple[tuple[int, int], ...] = ()) -> None:
        """Go down in order of names; links to folders are followed, but never in a circle."""
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            if folder == self.root:
                raise UserError(
                    f"{folder} cannot be opened ({error.strerror}); ask for the right to read it"
                ) from error
            self.closed.append(folder)
            return
        here = (status.st_dev, status.st_ino)
        if here in above:
            self.loops.append(folder)
            return
        before = len(self.pictures)
        folders = 0
        for entry in entries:
            path = folder / entry.name
            if is_hidden(entry.name):
                continue
            if entry.is_dir():
                folders += 1
                self.below(path, (*above, here))
            elif path.suffix.lower() in PICTURE_SUFFIXES:
                self.pictures.append(path)
            else:
                self.others.append(path)
        if not folders and len(self.pictures) == before:
            self.empty.append(folder)


def is_hidden(name: str) -> bool:
    """Whether a file is left by a system: .DS_Store, Thumbs.db and their like."""
    return name.startswith(".") or name.lower() in _JUNK


def list_folder(root: Path) -> Listed:
    """List the pictures of a folder with their classes, splits and what was left out.

    Below the root lie class folders, or split folders (train, val, valid, validation, test) with
    class folders in them, or class folders with split folders in them. Pictures deeper inside a
    class folder belong to that class. Raises UserError where no class can be told.
    """
    walk = _Walk(root)
    walk.below(root)
    if not walk.pictures:
        kinds = most_common([path.suffix.lower() or "without suffix" for path in walk.others])
        raise UserError(
            f"{root} holds no pictures ({'files: ' + kinds if kinds else 'it is empty'}); point at "
            "a folder that has one folder of pictures for each class"
        )
    base = _base(walk)
    parts = [path.relative_to(base).parts for path in walk.pictures]
    split_at, class_at = _levels(parts)
    depth = max(split_at, class_at) + 1
    kept = [row for row, names in enumerate(parts) if len(names) > depth]
    if not kept:
        raise UserError(
            f"{base}: its {counted(len(parts), 'picture')} lie in no class folder; put each class "
            "in a folder of its name, or point at a table of paths and labels"
        )
    if split_at >= 0:
        kept = [row for row in kept if parts[row][split_at].lower() in SPLIT_NAMES]
    listed = Listed(
        items=[walk.pictures[row] for row in kept],
        labels=[parts[row][class_at] for row in kept],
        splits=[parts[row][split_at] for row in kept] if split_at >= 0 else None,
    )
    loose = sorted(set(range(len(parts))) - set(kept))
    listed.findings += _findings(walk, base, [walk.pictures[row] for row in loose], depth)
    deeper = [walk.pictures[row] for row in kept if len(parts[row]) > depth + 1]
    listed.findings += _deeper(deeper, base, len(kept))
    return listed


def _base(walk: _Walk) -> Path:
    """Go into a lone folder that wraps the others, as archives are often packed."""
    base = walk.root
    while True:
        tops = {path.relative_to(base).parts[0] for path in walk.pictures}
        inner = base / min(tops)
        lone = len(tops) == 1 and all(path.parent not in (base, inner) for path in walk.pictures)
        if not lone or any(path.parent == base for path in walk.empty):
            return base
        base = inner


def _levels(parts: Sequence[tuple[str, ...]]) -> tuple[int, int]:
    """Tell which part of a path names the split (-1: none) and which the class."""
    tops = {names[0] for names in parts if len(names) > 1}
    splits = {top for top in tops if top.lower() in SPLIT_NAMES}
    # A class may be called "train" (the vehicle): a split folder holds folders, a class pictures.
    holding = {names[0] for names in parts if len(names) > 2 and names[0] in splits}
    if any(SPLIT_NAMES[top.lower()] == "train" for top in holding):
        return 0, 1
    inner = {names[1].lower() for names in parts if len(names) > 2}
    if all(len(names) > 2 for names in parts) and inner <= set(SPLIT_NAMES):
        return 1, 0
    return -1, 0


def _findings(walk: _Walk, base: Path, loose: Sequence[Path], depth: int) -> list[Finding]:
    """Tell what lies below the root and is no example, and why."""
    empty = [
        path
        for path in walk.empty
        if path.is_relative_to(base) and 0 < len(path.relative_to(base).parts) <= depth
    ]
    paths = {
        "empty class folders": empty,
        "pictures outside class folders": loose,
        "folders that cannot be opened": walk.closed,
        "links that go in a circle": walk.loops,
        "other files": walk.others,
    }
    return [
        Finding(
            check,
            "note" if check == "other files" else "warning",
            f"{counted(len(found), *_ODD[check][:2])}{_ODD[check][2]}",
            tuple(path.relative_to(walk.root).as_posix() for path in found[:MOST_EXAMPLES]),
            _ODD[check][3],
        )
        for check, found in paths.items()
        if found
    ]


def _deeper(deeper: Sequence[Path], base: Path, n: int) -> list[Finding]:
    if not deeper:
        return []
    names = tuple(str(path.relative_to(base)) for path in deeper[:MOST_EXAMPLES])
    return [
        Finding(
            "folders inside class folders",
            "warning" if len(deeper) < n else "note",
            f"{counted(len(deeper), 'picture')} of {n:,} lie in folders inside a class folder and "
            "count for the class of the outer folder.",
            names,
            "If the inner folders are the classes, point at the folder right above them.",
        )
    ]
