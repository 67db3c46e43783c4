"""Pictures or texts in class folders, with or without train/validation/test folders around them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from helpers.advisor.data import MOST_EXAMPLES, Finding, counted, listing
from helpers.advisor.read.build import SPLIT_NAMES, Listed, most_common
from helpers.advisor.read.folder_layout import RARE, base_folder, levels, tell_modality
from helpers.advisor.read.text_files import TEXT_SUFFIXES, has_no_ending, is_about, shown
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
_UNLABELLED = {"unsup", "unsupervised", "unlabeled", "unlabelled"}


class _Odd(Enum):
    """Why something in a folder is no example."""

    EMPTY = auto()
    OUTSIDE = auto()
    UNLABELLED = auto()
    CLOSED = auto()
    LOOP = auto()
    CAPTION = auto()
    OTHER = auto()


@dataclass(frozen=True)
class _Wording:
    """A finding about what is no example. {one} is the kind of example, "picture" or "text"."""

    check: str
    singular: str
    plural: str
    rest: str
    mend: str
    severity: str = "warning"

    def finding(self, n: int, one: str, examples: tuple[str, ...]) -> Finding:
        """Return the finding that `n` such things were met. one: "picture" or "text"."""
        words = (self.check, f"{counted(n, self.singular, self.plural)}{self.rest}", self.mend)
        check, found, mend = (text.format(one=one, known=_KNOWN[one]) for text in words)
        return Finding(check, self.severity, found, examples, mend)


_WORDINGS = {
    _Odd.EMPTY: _Wording(
        "empty class folders",
        "class folder holds",
        "class folders hold",
        " no {one} and did not count as a class.",
        "Fill the folder or remove it.",
    ),
    _Odd.OUTSIDE: _Wording(
        "{one}s outside class folders",
        "{one} lies",
        "{one}s lie",
        " in no class folder and were left out.",
        "Move them into the folder of their class.",
    ),
    _Odd.UNLABELLED: _Wording(
        "folders without labels",
        "{one} lies",
        "{one}s lie",
        " in a folder for examples without a label and were left out.",
        "Rename the folder if it is a class.",
        "note",
    ),
    _Odd.CLOSED: _Wording(
        "folders that cannot be opened",
        "folder",
        "folders",
        " cannot be opened, and what lies in there was left out.",
        "Ask for the right to read there.",
    ),
    _Odd.LOOP: _Wording(
        "links that go in a circle",
        "link leads",
        "links lead",
        " back to a folder above and were not followed.",
        "Remove the links.",
    ),
    _Odd.CAPTION: _Wording(
        "captions",
        "text has",
        "texts have",
        " the name of a picture beside it and were left alone.",
        "If the texts are to be told apart, move them to a folder of their own.",
        "note",
    ),
    _Odd.OTHER: _Wording(
        "other files",
        "file is",
        "files are",
        " no {one} by name and were left alone.",
        "Save what is a {one} as {known}.",
        "note",
    ),
}
_KNOWN = {"picture": "JPEG or PNG", "text": ".txt in UTF-8"}


@dataclass
class _Walk:
    """What lies below one folder, in order of names, and what was in the way."""

    root: Path
    files: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)  # folders that cannot be opened
    loops: list[Path] = field(default_factory=list)  # links that lead back to where they are
    leaves: list[Path] = field(default_factory=list)  # folders without folders in them

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
        folders = 0
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if entry.is_dir():
                folders += 1
                self.below(folder / entry.name, (*above, here))
            else:
                self.files.append(folder / entry.name)
        if not folders:
            self.leaves.append(folder)


def is_hidden(name: str) -> bool:
    """Whether a file is left by a system: .DS_Store, Thumbs.db and their like."""
    return name.startswith(".") or name.lower() in _JUNK


def list_folder(root: Path, modality: str | None = None) -> tuple[str, Listed]:
    """List the pictures, or the text files, of a folder; returns "image" or "text" and the list.

    Below the root lie class folders, or split folders (train, val, valid, validation, test, or
    news-train and news-test) with class folders in them, or class folders with split folders in
    them. What lies deeper inside a class folder belongs to that class.

    modality: told from the files when left out. A text with the name of a picture beside it is its
    caption. Files without an ending are texts, unless nearly all texts have one.

    Raises UserError where no class can be told, or pictures and texts are mixed.
    """
    walk = _Walk(root)
    walk.below(root)
    kind, files = _chosen(walk, modality)
    one = "text" if kind == "text" else "picture"
    if not files:
        names = [path.suffix.lower() or "without suffix" for path in walk.files]
        held = f"files: {most_common(names)}" if names else "it is empty"
        wanted = f"{one}s" if modality else "pictures or texts"
        raise UserError(
            f"{root} holds no {wanted} ({held}); point at a folder that has one folder of "
            f"{wanted} for each class"
        )
    holding = {path.parent for path in files}
    empty = [path for path in walk.leaves if path not in holding]
    base = base_folder(root, files, empty)
    listed, depth, odd = _listed(base, files, one)
    odd[_Odd.EMPTY] = [
        path
        for path in empty
        if path.is_relative_to(base) and 0 < len(path.relative_to(base).parts) <= depth
    ]
    odd[_Odd.CLOSED] = walk.closed
    odd[_Odd.LOOP] = walk.loops
    odd |= _others(walk, kind, files, odd[_Odd.OUTSIDE])
    listed.findings += _findings(root, odd, one)
    listed.findings += _deeper(listed.items, base, depth, one)
    return kind, listed


def _chosen(walk: _Walk, modality: str | None) -> tuple[str, list[Path]]:
    """The modality and its files."""
    pictures = [path for path in walk.files if path.suffix.lower() in PICTURE_SUFFIXES]
    named = [path for path in walk.files if path.suffix.lower() in TEXT_SUFFIXES]
    bare = {path for path in walk.files if path.parent != walk.root and has_no_ending(path)}
    kind = modality or tell_modality(walk.root, pictures, named, bare)
    if kind == "image":
        return kind, pictures
    texts = set(named)
    if len(bare) > RARE * (len(bare) + len(named)):
        texts |= bare
    return kind, [path for path in walk.files if path in texts]


def _listed(base: Path, files: list[Path], one: str) -> tuple[Listed, int, dict[_Odd, list[Path]]]:
    """Return the examples, how deep a class folder lies, and the files that are none, by why."""
    below = {path: path.relative_to(base).parts for path in files if path.is_relative_to(base)}
    splits, split_at, class_at = levels(list(below.values()))
    depth = max(split_at, class_at) + 1
    odd: dict[_Odd, list[Path]] = {_Odd.OUTSIDE: [], _Odd.UNLABELLED: []}
    kept = []
    for path in files:
        names = below.get(path, ())
        if not _UNLABELLED.isdisjoint(name.lower() for name in names[:-1][:depth]):
            odd[_Odd.UNLABELLED].append(path)
        elif len(names) <= depth or (split_at >= 0 and names[split_at] not in splits):
            odd[_Odd.OUTSIDE].append(path)
        else:
            kept.append(path)
    if not kept:
        item = "paths" if one == "picture" else "texts"
        raise UserError(
            f"{base}: its {counted(len(files), one)} lie in no class folder; put each class in a "
            f"folder of its name, or point at a table of {item} and labels"
        )
    tops = {below[path][class_at] for path in kept}
    if len(tops) > 1 and all(name.lower() in SPLIT_NAMES for name in tops):
        raise UserError(
            f"{base}: {listing(sorted(tops))} name splits, not classes; make a train folder with a "
            "folder for each class in it"
        )
    listed = Listed(
        items=kept,
        labels=[shown(below[path][class_at]) for path in kept],
        splits=[splits[below[path][split_at]] for path in kept] if split_at >= 0 else None,
    )
    return listed, depth, odd


def _others(
    walk: _Walk, kind: str, files: list[Path], outside: list[Path]
) -> dict[_Odd, list[Path]]:
    """What is of another kind, captions or not; what is about the texts is no longer outside."""
    about = {path for path in outside if is_about(path)} if kind == "text" else set()
    own = set(files) - about
    others = [path for path in walk.files if path not in own]
    stems = {path.with_suffix("") for path in files} if kind == "image" else set()
    captions = {
        path
        for path in others
        if path.suffix.lower() in TEXT_SUFFIXES and path.with_suffix("") in stems
    }
    return {
        _Odd.OUTSIDE: [path for path in outside if path not in about],
        _Odd.CAPTION: [path for path in others if path in captions],
        _Odd.OTHER: [path for path in others if path not in captions],
    }


def _findings(root: Path, odd: dict[_Odd, list[Path]], one: str) -> list[Finding]:
    """Tell what lies below the root and is no example, and why."""
    findings = []
    for why, wording in _WORDINGS.items():
        if found := odd[why]:
            examples = tuple(shown(path.relative_to(root)) for path in found[:MOST_EXAMPLES])
            findings.append(wording.finding(len(found), one, examples))
    return findings


def _deeper(items: Sequence[Path], base: Path, depth: int, one: str) -> list[Finding]:
    deeper = [path for path in items if len(path.relative_to(base).parts) > depth + 1]
    if not deeper:
        return []
    names = tuple(shown(path.relative_to(base)) for path in deeper[:MOST_EXAMPLES])
    return [
        Finding(
            "folders inside class folders",
            "warning" if len(deeper) < len(items) else "note",
            f"{counted(len(deeper), one)} of {len(items):,} lie in folders inside a class folder "
            "and count for the class of the outer folder.",
            names,
            "If the inner folders are the classes, point at the folder right above them.",
        )
    ]
