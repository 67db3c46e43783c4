"""How examples lie in folders: of which kind, what wraps them, what names split and class."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from helpers.advisor.data import counted
from helpers.advisor.read.build import SPLIT_NAMES
from helpers.advisor.read.text_files import is_about
from helpers.errors import UserError


class MixedKinds(UserError):
    """Pictures and texts lie beside each other, and nothing says which are meant."""


_FEW = 0.2  # of the other kind: notes among pictures, or drawings among texts, mix no kinds
RARE = 0.1  # of all examples: what is rarer than that is not how the data is laid out


def tell_modality(
    root: Path, pictures: Sequence[Path], named: Sequence[Path], bare: Collection[Path]
) -> str:
    """Return "image" or "text", by what lies in folders.

    named: texts by their ending, bare: files without one, which count where there is little else.
    Raises MixedKinds where neither is rare beside the other.
    """
    shown = {path.with_suffix("") for path in pictures}
    own = [path for path in pictures if path.parent != root]
    texts = [p for p in named if p.parent != root and p.with_suffix("") not in shown]
    if not own and (texts or bare or (named and not pictures)):
        return "text"
    if not texts and len(own) < _FEW * len(bare):
        return "text"
    if len(texts) <= _FEW * len(own):
        return "image"
    if len(own) <= _FEW * len(texts):
        return "text"
    raise MixedKinds(
        f"{root} mixes {counted(len(own), 'picture')} ({own[0].relative_to(root)}) and "
        f"{counted(len(texts), 'text')} ({texts[0].relative_to(root)}), and one kind is learned at "
        "a time; move the other kind to a folder of its own, or name the backbone that reads one"
    )


def base_folder(root: Path, files: Sequence[Path], empty: Sequence[Path]) -> Path:
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
        if len(loose) > (0 if inner.name.lower() in SPLIT_NAMES else RARE) * len(below):
            return base
        base = inner


def levels(parts: Sequence[tuple[str, ...]]) -> tuple[dict[str, str], int, int]:
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
    alike: dict[tuple[bool, str], dict[str, str]] = defaultdict(dict)
    for name in sorted(names):
        for pattern in (
            r"(?P<word>[a-z]+)[\W_]+(?P<rest>.+)",
            r"(?P<rest>.+)[\W_](?P<word>[a-z]+)",
        ):
            found = re.fullmatch(pattern, name.lower())
            if found and found["word"] in SPLIT_NAMES:
                key = (pattern.startswith("(?P<word>"), found["rest"])
                alike[key][name] = SPLIT_NAMES[found["word"]]
    return max(
        (found for found in alike.values() if len(set(found.values())) > 1), key=len, default={}
    )
