"""Pictures or texts in class folders, with or without train/validation/test folders around them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from helpers.advisor.data import MOST_EXAMPLES, Finding, counted, listing
from helpers.advisor.read.build import SPLIT_NAMES, Listed
from helpers.advisor.read.folder_layout import (
    TEXT_SUFFIXES,
    UNREAD_PICTURES,
    UNREAD_TEXTS,
    Layout,
    is_about,
)
from helpers.advisor.read.labels import HALF
from helpers.errors import UserError, printable

_UNLABELLED = {"unsup", "unsupervised", "unlabeled", "unlabelled"}

# What lies in a folder and is no example, by why: check, severity, what was found, its mend. {n}
# such things were met, with the endings of one or several, {first} before the others; {one} is the
# kind of example, "picture" or "text", and {known} how it is best saved.
_WORDINGS = {
    "empty": ("empty class folders", "warning",
              "{n} class folder{s} hold{v} no {one} and did not count as a class.",
              "Fill the folder or remove it."),
    "outside": ("{one}s outside class folders", "warning",
                "{n} {one}{s} lie{v} in no class folder and were left out.",
                "Move them into the folder of their class."),
    "unlabelled": ("folders without labels", "note",
                   "{n} {one}{s} lie{v} in a folder for examples without a label and were left "
                   "out.",
                   "Rename the folder if it is a class."),
    "closed": ("folders that cannot be opened", "warning",
               "{n} folder{s} cannot be opened, and what lies in there was left out.",
               "Ask for the right to read there."),
    "loop": ("links that go in a circle", "warning",
             "{n} link{s} lead{v} back to a folder above and were not followed.",
             "Remove the links."),
    "caption": ("captions", "note",
                "{n} text{s} {have} the name of a picture beside it and were left alone.",
                "If the texts are to be told apart, move them to a folder of their own."),
    "unknown": ("{one}s of another kind", "warning",
                "{n} file{s} {be} a {one} of a kind that is not read here ({first} is the first) "
                "and were left out.",
                "Convert what is to count to {known}."),
    "name": ("names that are not UTF-8", "note",
             "{n} {one}{s} {have} a name with bytes that are not UTF-8; they are used, and the "
             "bytes are shown as escapes.",
             "Rename them before the folder is moved elsewhere."),
    "other": ("other files", "note",
              "{n} file{s} {be} no {one} by name and were left alone.",
              "Save what is a {one} as {known}."),
}  # fmt: skip
_KNOWN = {"picture": "JPEG or PNG", "text": ".txt in UTF-8"}
_ENDINGS = {True: {"s": "", "v": "s", "be": "is", "have": "has"},
            False: {"s": "s", "v": "", "be": "are", "have": "have"}}  # fmt: skip


def shown(name: str | Path) -> str:
    """A name as it can be written: bytes in it that are not UTF-8 become escapes."""
    return printable(name.as_posix() if isinstance(name, Path) else name)


def list_examples(layout: Layout) -> Listed:
    """List the examples of a folder with their labels and splits; nothing is opened yet.

    Below the root lie class folders, or split folders (train, val, valid, validation, test, or
    news-train and news-test) with class folders in them, or class folders with split folders in
    them. What lies deeper inside a class folder belongs to that class. Of texts, `where` names the
    files. Raises UserError where no class can be told.
    """
    listed, odd = _listed(layout)
    odd |= _not_examples(layout, odd["outside"])
    if len(odd["unknown"]) >= len(listed.items):
        one, names = layout.one, [shown(path.name) for path in odd["unknown"]]
        raise UserError(
            f"{layout.base}: {len(names):,} of {len(names) + len(listed.items):,} {one}s are of a "
            f"kind that is not read here ({listing(names)}); convert them to {_KNOWN[one]}"
        )
    listed.findings += _findings(layout, odd)
    listed.findings += _deeper(layout, listed.items)
    return listed


def _listed(layout: Layout) -> tuple[Listed, dict[str, list[Path]]]:
    """Return the examples, and the files of their kind that are none, by why."""
    base, files, depth = layout.base, layout.files, layout.depth
    splits, split_at, class_at = layout.splits, layout.split_at, layout.class_at
    below = {path: path.relative_to(base).parts for path in files if path.is_relative_to(base)}
    odd: dict[str, list[Path]] = {"outside": [], "unlabelled": []}
    kept = []
    for path in files:
        names = below.get(path, ())
        if not _UNLABELLED.isdisjoint(name.lower() for name in names[:-1][:depth]):
            odd["unlabelled"].append(path)
        elif len(names) <= depth or (split_at >= 0 and names[split_at] not in splits):
            odd["outside"].append(path)
        else:
            kept.append(path)
    if not kept:
        one = layout.one
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
    if layout.modality == "text":
        listed.where = [shown(path.relative_to(layout.root)) for path in kept]
    return listed, odd


def _not_examples(layout: Layout, outside: list[Path]) -> dict[str, list[Path]]:
    """Folders that hold no example, and files of another kind; captions are told apart.

    outside: examples in no class folder; files about the texts are no longer among them.
    """
    is_text, depth = layout.modality == "text", layout.depth
    about = {path for path in outside if is_text and is_about(path)}
    examples = set(layout.files) - about
    others = [path for path in layout.walk.files if path not in examples]
    kinds = UNREAD_TEXTS if is_text else UNREAD_PICTURES
    unknown = {path for path in others if path.suffix.lower() in kinds}
    pictured = set() if is_text else {path.with_suffix("") for path in layout.files}
    captions = {
        path
        for path in others
        if path.suffix.lower() in TEXT_SUFFIXES and path.with_suffix("") in pictured
    }
    below = [path for path in layout.empty if path.is_relative_to(layout.base)]
    return {
        "empty": [p for p in below if 0 < len(p.relative_to(layout.base).parts) <= depth],
        "outside": [path for path in outside if path not in about],
        "closed": layout.walk.closed,
        "loop": layout.walk.loops,
        "caption": [path for path in others if path in captions],
        "unknown": [path for path in others if path in unknown],
        "name": [path for path in layout.files if HALF.search(str(path))],
        "other": [path for path in others if path not in captions | unknown],
    }


def _findings(layout: Layout, odd: dict[str, list[Path]]) -> list[Finding]:
    """Tell what lies below the root and is no example, and why."""
    findings, one = [], layout.one
    for why, wording in _WORDINGS.items():
        if paths := odd[why]:
            examples = tuple(shown(p.relative_to(layout.root)) for p in paths[:MOST_EXAMPLES])
            words = {"n": f"{len(paths):,}", "one": one, "known": _KNOWN[one]}
            words |= _ENDINGS[len(paths) == 1] | {"first": examples[0]}
            check, severity, found, mend = (text.format(**words) for text in wording)
            findings.append(Finding(check, severity, found, examples, mend))
    return findings


def _deeper(layout: Layout, items: Sequence[Path]) -> list[Finding]:
    base, levels = layout.base, layout.depth + 1
    deeper = [path for path in items if len(path.relative_to(base).parts) > levels]
    if not deeper:
        return []
    names = tuple(shown(path.relative_to(base)) for path in deeper[:MOST_EXAMPLES])
    return [
        Finding(
            "folders inside class folders",
            "warning" if len(deeper) < len(items) else "note",
            f"{counted(len(deeper), layout.one)} of {len(items):,} lie in folders inside a class "
            "folder and count for the class of the outer folder.",
            names,
            "If the inner folders are the classes, point at the folder right above them.",
        )
    ]
