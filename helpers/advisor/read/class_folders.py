"""Pictures or texts in class folders, with or without train/validation/test folders around them."""

from __future__ import annotations

import codecs
import io
import stat
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

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

LONGEST = 100_000  # characters kept of a text: forty times what a backbone reads of it
SHORTEST = 4_000  # characters kept of each where there are very many: still all that one reads
MOST_CHARACTERS = 400_000_000  # of all texts together, as they are held in memory
# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
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


def read_texts(root: Path, listed: Listed) -> None:
    """Put the texts in place of the listed files, whose names stand in `where`.

    UTF-8, or UTF-16 and UTF-32 that begin with a byte order mark. Files that cannot be read, or
    hold no text, are left out and named in findings. At most `LONGEST` characters of a text are
    kept, down to `SHORTEST` where all texts would come to more than `MOST_CHARACTERS`: memory is
    bounded, however long the files are.

    Raises UserError when more than half of the files cannot be read, or none holds a text.
    """
    files, names = [Path(item) for item in listed.items], listed.where
    most = _most([_size(file) for file in files])
    texts, unreadable = _read_all(root, files, names, most + 1)
    listed.items = [text[:most] for text in texts]
    before, n = set(listed.labels), f"{len(names):,}"
    cut = [row for row, text in enumerate(texts) if len(text) > most]
    if cut:
        found = (
            f"Of {counted(len(cut), 'text')} among {n} the first {most:,} characters were kept; a "
            "backbone reads a few hundred tokens, which is less."
        )
        mend = "Put what matters first, or cut them into texts of their own."
        examples = tuple(names[row] for row in cut[:MOST_EXAMPLES])
        listed.findings.append(Finding("texts cut short", "note", found, examples, mend))
    if unreadable:
        found = (
            f"{counted(len(unreadable), 'text')} of {n} cannot be read and were left out; the "
            f"first {next(iter(unreadable.values()))}."
        )
        mend = "Save them anew as UTF-8."
        listed.leave_out(list(unreadable), "unreadable files", found, mend)
    empty = [row for row, text in enumerate(listed.items) if not text.strip()]
    found = f"{counted(len(empty), 'file')} of {n} hold no text and were left out."
    listed.leave_out(empty, "empty texts", found, "Fill them in, or remove them.")
    lost = sorted(before - set(listed.labels))
    if lost:
        found = (
            f"{counted(len(lost), 'class folder holds', 'class folders hold')} no text that can be "
            f"read and did not count as a class: {listing(lost)}."
        )
        mend = "Mend its files or remove the folder."
        listed.findings.append(Finding("classes without a text", "warning", found, (), mend))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0  # reading it says why


def _most(sizes: Sequence[int]) -> int:
    """How many characters to keep of each text, so that all of them stay within bounds."""
    most = LONGEST
    while most > SHORTEST and sum(min(size, most) for size in sizes) > MOST_CHARACTERS:
        most = max(SHORTEST, most * 4 // 5)
    return most


def _read_all(
    root: Path, files: Sequence[Path], names: Sequence[str], most: int
) -> tuple[list[str], dict[int, str]]:
    """The texts, "" for what can't be read, and what is wrong with those by row."""
    texts: list[str] = []
    unreadable: dict[int, str] = {}
    for row, file in enumerate(tqdm(files, "reading", unit="files", leave=False, disable=None)):
        try:
            texts.append(read_text(file, most))
        except (OSError, ValueError) as error:
            is_closed = isinstance(error, OSError)
            unreadable[row] = f"cannot be opened: {error.strerror}" if is_closed else str(error)
            texts.append("")
    if len(unreadable) > len(names) / 2:
        broken, why = [names[row] for row in unreadable], next(iter(unreadable.values()))
        raise UserError(
            f"{root}: {len(broken):,} of {len(names):,} texts cannot be read ({listing(broken)}), "
            f"the first {why}; save them as UTF-8"
        )
    if not any(text.strip() for text in texts):
        raise UserError(
            f"{root}: none of its {counted(len(names), 'file')} holds a text; fill them"
        )
    return texts, unreadable


def read_text(file: Path, most: int = LONGEST) -> str:
    """Return the first characters of a file; raises OSError or ValueError where it is no text."""
    if not stat.S_ISREG(file.stat().st_mode):  # a pipe would be waited for
        raise ValueError("is neither file nor link to one")
    with file.open("rb") as raw:
        start = raw.peek(4)[:4]
        encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), "UTF-8")
        codec = "utf-8-sig" if encoding == "UTF-8" else encoding
        try:
            with io.TextIOWrapper(raw, encoding=codec) as decoded:
                text = decoded.read(most)
        except UnicodeDecodeError as error:
            byte = f"the byte 0x{error.object[error.start]:02X}"
            hint = ", as Windows-1252 or Latin-1 have it" if encoding == "UTF-8" else ""
            raise ValueError(f"is not {encoding}: it holds {byte}{hint}") from error
    if "\0" in text:
        raise ValueError("is no text file: it holds bytes of 0")
    return text


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
    levels = layout.depth + 1
    deeper = [p for p in listed.items if len(p.relative_to(layout.base).parts) > levels]
    if deeper:
        finding = Finding(
            "folders inside class folders",
            "warning" if len(deeper) < len(listed.items) else "note",
            f"{counted(len(deeper), layout.one)} of {len(listed.items):,} lie in folders inside a "
            "class folder and count for the class of the outer folder.",
            tuple(shown(path.relative_to(layout.base)) for path in deeper[:MOST_EXAMPLES]),
            "If the inner folders are the classes, point at the folder right above them.",
        )
        listed.findings.append(finding)
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
    is_text = layout.modality == "text"
    about = {path for path in outside if is_text and is_about(path)}
    examples = set(layout.files) - about
    kinds = UNREAD_TEXTS if is_text else UNREAD_PICTURES
    pictured = set() if is_text else {path.with_suffix("") for path in layout.files}
    others: dict[str, list[Path]] = {"caption": [], "unknown": [], "other": []}
    for path in layout.walk.files:
        suffix, why = path.suffix.lower(), "other"
        if suffix in kinds:
            why = "unknown"
        elif suffix in TEXT_SUFFIXES and path.with_suffix("") in pictured:
            why = "caption"
        if path not in examples:
            others[why].append(path)
    below = [path for path in layout.empty if path.is_relative_to(layout.base)]
    return others | {
        "empty": [p for p in below if 0 < len(p.relative_to(layout.base).parts) <= layout.depth],
        "outside": [path for path in outside if path not in about],
        "closed": layout.walk.closed,
        "loop": layout.walk.loops,
        "name": [path for path in layout.files if HALF.search(str(path))],
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
