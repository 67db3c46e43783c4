"""What labels mean: one class for one label, whatever bytes or digits it is written with."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

import numpy as np

from helpers.advisor.data import Finding, counted, listing
from helpers.errors import printable

# One half of a character: what stands for a byte that is not UTF-8, or was cut out of an emoji.
HALF = re.compile("[\ud800-\udfff]")
# Nobody sees them, so labels that differ in them alone print alike.
# The last line: letters and patterns that are blank, and what chooses how an emoji is drawn.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\u2800\u3164\uffa0\ufe00-\ufe0f]"
)
# Within words of some scripts and within emoji they mean something, so a label keeps them.
_JOINERS = re.compile("[\u200c\u200d]")
# A leading zero is kept: 01 and 1 may be codes.
_NUMBER = re.compile(r"[-+\u2212]?(0|[1-9][0-9]*)(\.[0-9]*)?(e[-+]?[0-9]{1,3})?", re.IGNORECASE)
_TRUTHS = {"false": "0", "true": "1"}
_BETWEEN = re.compile(r"(?<=[^\W_])[\s_.'\u2019\u2010-\u2015-]+(?=[^\W_])")


def as_label(value: object) -> str:
    """The label that a cell or a folder's name holds, fit to be printed; "" where there is none."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    text = unicodedata.normalize("NFC", _UNSEEN.sub("", str(value)))
    return printable(" ".join(text.split()))


def joined_labels(values: Sequence[object]) -> tuple[list[str], list[Finding]]:
    """Name the label of each example, and tell where several spellings became one class.

    0 and 0.0 are one number, and so are 0 and false where nothing but 0, 1, true and false stands;
    a letter with its accent and a letter beside an accent, or names that differ in marks without a
    width, print alike.
    """
    named = [as_label(value) for value in values]
    short = _one_spelling(set(named))
    named = [short.get(name, name) for name in named]
    spellings = defaultdict(set)
    for name, value in zip(named, values, strict=True):
        if isinstance(value, str | int):  # the others were numbers before
            spellings[name].add(" ".join(str(value).split()))
    joined = {name: found for name, found in spellings.items() if len(found) > 1 and name}
    if not joined:
        return named, []
    told = [f"{name} ({' and '.join(sorted(map(ascii, joined[name])))})" for name in sorted(joined)]
    finding = Finding(
        "labels that were joined",
        "warning",
        f"{counted(len(joined), 'class is', 'classes are')} written in several ways that are the "
        f"same number or print alike, and count as one: {listing(told)}.",
        (),
        "If they are different classes, give them names that can be told apart.",
    )
    return named, [finding]


def _one_spelling(names: Iterable[str]) -> dict[str, str]:
    """The shortest spelling of each number that has several; one without an exponent first."""
    values: dict[Decimal, list[str]] = defaultdict(list)
    numbers = {name: _number(_TRUTHS.get(name.lower(), name)) for name in names if name}
    if not {*numbers.values()} <= {0, 1}:  # true and 1 may be two classes beside others
        numbers = {name: _number(name) for name in numbers}
    for name, value in numbers.items():
        if value is not None:
            values[value].append(name)
    several = [found for found in values.values() if len(found) > 1]

    def plain(name: str) -> tuple:
        return "e" in name.lower(), len(name), name

    return {name: min(found, key=plain) for found in several for name in found}


def _number(name: str) -> Decimal | None:
    return Decimal(name.replace("\u2212", "-")) if _NUMBER.fullmatch(name) else None


def natural(name: str) -> tuple:
    """Sort -1 before 0, 2 before 10, and names by their letters."""
    value = _number(name)
    if value is not None:
        return ((0, value, ""),)
    return tuple(
        (0, Decimal(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d+)", name)
        if part
    )


def alike(name: str) -> str:
    """What spellings of one name share: Non-Fiction and non fiction do, C, C++ and C# do not.

    A sign at either end counts, and so do signs between digits and the case of a single letter.
    The width of letters does not, nor do marks that join them.
    """
    variants = ("<wide>", "<narrow>")  # of East Asian letters
    name = "".join(
        unicodedata.normalize("NFKC", letter)
        if unicodedata.decomposition(letter).startswith(variants)
        else letter
        for letter in _JOINERS.sub("", name)
    )
    letters = name.strip("_ ").casefold() if len(name) > 1 else name

    def without(found: re.Match) -> str:
        before, after = letters[found.start() - 1], letters[found.end()]
        return found[0] if before.isdigit() and after.isdigit() else ""

    return _BETWEEN.sub(without, letters) or name


def spellings(names: Iterable[str]) -> list[list[str]]:
    """The names that look like one class written in several ways, two or more each."""
    found = defaultdict(list)
    for name in names:
        found[alike(name)].append(name)
    return [names for names in found.values() if len(names) > 1]
