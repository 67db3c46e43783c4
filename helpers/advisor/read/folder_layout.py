"""How a folder is laid out: what lies in it, of which kind, what names the split and the class."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from helpers.advisor.data import counted
from helpers.advisor.read.build import SPLIT_NAMES
from helpers.errors import UserError

PICTURE_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif",
     ".jp2", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico"]
)  # fmt: skip
UNREAD_PICTURES = frozenset(  # pictures that need a program of their own
    [".heic", ".heif", ".hif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2",
     ".raf", ".raw", ".psd", ".svg", ".exr", ".hdr", ".dcm", ".nii", ".eps", ".tgs", ".jxr"]
)  # fmt: skip
UNREAD_TEXTS = frozenset(
    [".doc", ".docx", ".odt", ".rtf", ".pdf", ".html", ".htm", ".xml", ".epub", ".tex", ".eml"]
)
TEXT_SUFFIXES = frozenset([".txt", ".text", ".md"])
_JUNK = {"thumbs.db", "desktop.ini", "icon\r", "__macosx", "__pycache__"}
_ABOUT = ("readme", "license", "licence", "copying", "notice", "citation", "changelog")
_NO_KIND = re.compile(r"(\.(\d+|[0-9a-f]{16,}))?")
_FEW = 0.2  # of the other kind: notes among pictures, or drawings among texts, mix no kinds
_RARE = 0.1  # of all examples: what is rarer than that is not how the data is laid out


@dataclass
class Walk:
    """What lies below one folder, in order of names, and what was in the way."""

    files: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)  # folders that cannot be opened
    loops: list[Path] = field(default_factory=list)  # links that lead back to where they are
    leaves: list[Path] = field(default_factory=list)  # folders without folders in them


@dataclass(frozen=True)
class Layout:
    """What a look at the names below a folder shows; no file is opened for it.

    modality: "image" or "text". files: the examples, in order of names. walk: all that lies there.
    base: the folder that holds the class folders, or the split folders around them.
    splits: names of folders that stand for a split, and the split. split_at, class_at: which part
        of a path below `base` names the split (-1: none does) and the class.
    empty: folders without an example.
    """

    root: Path
    modality: str
    files: list[Path]
    walk: Walk
    base: Path
    splits: dict[str, str]
    split_at: int
    class_at: int
    empty: list[Path]

    @property
    def one(self) -> str:
        """What an example is called."""
        return "text" if self.modality == "text" else "picture"

    @property
    def depth(self) -> int:
        """How many folders below the base a class folder lies; 1: right in it."""
        return max(self.split_at, self.class_at) + 1


def lay_out(root: Path, prefer: str | None = None) -> Layout:
    """Look at the names of everything below a folder, and tell how examples lie in it.

    prefer: see `read_data`. A text with the name of a picture beside it is its caption.
    Files without an ending are texts, unless nearly all texts have one.

    Raises UserError where the folder holds no example, or pictures and texts mixed.
    """
    walk = _walk(root)
    kind, files = _chosen(root, walk, prefer)
    if not files:
        names = Counter(path.suffix.lower() or "without suffix" for path in walk.files)
        common = ", ".join(f"{n:,} {name}" for name, n in names.most_common(5))
        content = f"files: {common}" if names else "it is empty"
        raise UserError(
            f"{root} holds no pictures or texts ({content}); point at a folder that has one folder "
            "of pictures or texts for each class"
        )
    holding = {path.parent for path in files}
    empty = [path for path in walk.leaves if path not in holding]
    base = _base_folder(root, files, empty)
    below = [path.relative_to(base).parts for path in files if path.is_relative_to(base)]
    return Layout(root, kind, files, walk, base, *_levels(below), empty)


def _walk(root: Path) -> Walk:
    """Go down in order of names; links to folders are followed, but never in a circle."""
    walk, above = Walk(), {str(root): frozenset()}

    def closed(error: OSError) -> None:
        if str(error.filename) == str(root):
            raise UserError(
                f"{root} cannot be opened ({error.strerror}); ask for the right to read it"
            ) from error
        walk.closed.append(Path(error.filename))

    for name, folders, files in os.walk(root, onerror=closed, followlinks=True):
        folder, seen = Path(name), above.pop(name) | {_identity(name)}
        below = [folder / one for one in sorted(folders) if not is_hidden(one)]
        loops = [one for one in below if one.is_symlink() and _identity(one) in seen]
        walk.files += [folder / one for one in files if not is_hidden(one)]
        walk.leaves += [] if below else [folder]
        walk.loops += loops
        folders[:] = [one.name for one in below if one not in loops]
        above |= {os.path.join(name, one): seen for one in folders}  # noqa: PTH118
    walk.files.sort()
    return walk


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)  # noqa: PTH116
    return status.st_dev, status.st_ino


def is_hidden(name: str) -> bool:
    """Whether a file is left by a system: .DS_Store, Thumbs.db and their like."""
    return name.startswith(".") or name.lower() in _JUNK


def is_about(file: Path) -> bool:
    """Whether a file outside class folders is there to be read by people: README, LICENSE."""
    return file.stem.lower().startswith(_ABOUT)


def _chosen(root: Path, walk: Walk, prefer: str | None) -> tuple[str, list[Path]]:
    """The modality, by what lies in folders, and its files.

    prefer: what to take where neither is rare beside the other; without it UserError is raised.
    """
    pictures = [path for path in walk.files if path.suffix.lower() in PICTURE_SUFFIXES]
    named = [path for path in walk.files if path.suffix.lower() in TEXT_SUFFIXES]
    # Names without an ending that says a kind, which count where there is little else: 49960,
    # post.17, 00001.7c53336b37003a92.
    bare = {p for p in walk.files if p.parent != root and _NO_KIND.fullmatch(p.suffix.lower())}
    captioned = {path.with_suffix("") for path in pictures}
    inside = [path for path in pictures if path.parent != root]
    texts = [p for p in named if p.parent != root and p.with_suffix("") not in captioned]
    no_picture = not inside and (texts or bare or (named and not pictures))
    if no_picture or (not texts and len(inside) < _FEW * len(bare)):
        kind = "text"
    elif len(texts) <= _FEW * len(inside):
        kind = "image"
    elif len(inside) <= _FEW * len(texts):
        kind = "text"
    elif prefer is None:
        raise UserError(
            f"{root} mixes {counted(len(inside), 'picture')} ({inside[0].relative_to(root)}) and "
            f"{counted(len(texts), 'text')} ({texts[0].relative_to(root)}), and one kind is "
            "learned at a time; move the other kind to a folder of its own, or name the backbone "
            "that reads one"
        )
    else:
        kind = prefer
    if kind == "image":
        return kind, pictures
    wanted = bare if len(bare) > _RARE * (len(bare) + len(named)) else set()
    wanted = wanted.union(named)
    return kind, [path for path in walk.files if path in wanted]


def _base_folder(root: Path, files: Sequence[Path], empty: Sequence[Path]) -> Path:
    """Go into a lone folder that wraps the others, as archives are often packed.

    files: the examples below `root`. empty: folders with nothing in them; beside one of these a
    lone folder is a class.
    """
    base = root
    while True:
        below = [path for path in files if path.is_relative_to(base)]
        tops = {path.relative_to(base).parts[0] for path in below if path.parent != base}
        if len(tops) != 1 or any(path.parent == base for path in empty):
            return base
        inner = base / tops.pop()
        # A few files beside the folders are what somebody says about the data. A lone train folder
        # with files beside it is a split.
        loose = [path for path in below if path.parent in (base, inner) and not is_about(path)]
        if len(loose) > (0 if inner.name.lower() in SPLIT_NAMES else _RARE) * len(below):
            return base
        base = inner


def _levels(parts: Sequence[tuple[str, ...]]) -> tuple[dict[str, str], int, int]:
    """Tell which folders are splits, and which part of a path names the split and which the class.

    parts: paths below the base. Returns names of folders with their splits, and two places; the
    split's is -1 where there is none.
    """
    # A class may be called "train" (the vehicle): a split folder holds folders, a class examples.
    deep = [names for names in parts if len(names) > 2]
    splits = _split_folders({names[0] for names in deep})
    if "train" in splits.values():
        return splits, 0, 1
    inner = {names[1] for names in deep}
    if len(deep) == sum(len(names) > 1 for names in parts) and inner:
        splits = {name: SPLIT_NAMES.get(name.lower(), "") for name in inner}
        if all(splits.values()):
            return splits, 1, 0
    return {}, -1, 0


def _split_folders(names: set[str]) -> dict[str, str]:
    """Which folders stand for a split: train and test, or news-train and news-test."""
    plain = {name: SPLIT_NAMES[name.lower()] for name in names if name.lower() in SPLIT_NAMES}
    if plain:
        return plain
    alike: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    patterns = (r"(?P<word>[a-z]+)[\W_]+(?P<rest>.+)", r"(?P<rest>.+)[\W_](?P<word>[a-z]+)")
    for name, pattern in product(sorted(names), patterns):
        match = re.fullmatch(pattern, name.lower())
        if match and match["word"] in SPLIT_NAMES:
            alike[pattern, match["rest"]][name] = SPLIT_NAMES[match["word"]]
    several = (splits for splits in alike.values() if len(set(splits.values())) > 1)
    return max(several, key=len, default={})
