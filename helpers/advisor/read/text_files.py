"""Text files, one example each: `read_texts` turns a list of files into texts."""

from __future__ import annotations

import codecs
import io
import stat
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from helpers.advisor.data import MOST_EXAMPLES, Finding, counted, listing
from helpers.advisor.read.build import Listed
from helpers.errors import UserError

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
    texts, unreadable = _read_all(files, most + 1)
    _refuse(root, names, unreadable, texts)
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
        found = f"{counted(len(unreadable), 'text')} of {n} cannot be read"
        first = f"; the first {next(iter(unreadable.values()))}"
        mend = "Save them anew as UTF-8."
        listed.leave_out(list(unreadable), "unreadable files", found, mend, more=first)
    empty = [row for row, text in enumerate(listed.items) if not text.strip()]
    found = f"{counted(len(empty), 'file')} of {n} hold no text"
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


def _read_all(files: Sequence[Path], most: int) -> tuple[list[str], dict[int, str]]:
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


def _refuse(
    root: Path, names: Sequence[str], unreadable: dict[int, str], texts: Sequence[str]
) -> None:
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
