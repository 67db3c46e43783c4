"""Errors that a reader can act on, and somebody's words made fit to be printed."""

import re

# What a terminal or a page obeys and nobody sees: control characters, marks that turn the direction
# of writing or have no width (the joiners of emoji and scripts aside), tags, and half characters.
_OBEYED = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


class UserError(ValueError):
    """Bad input. The command line prints it on one line and leaves with exit code 2."""


class DataNotFound(UserError):
    """A data set or a file that this machine does not hold; the message says how to get it."""


def first_line(error: Exception) -> str:
    """Return what an error says on its first line, or its type where it says nothing."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0]


def printable(text: str) -> str:
    """Return words of somebody's data as they can be shown: what would be obeyed stands as escapes.

    Bytes of a file name that are not UTF-8 are half characters in Python and become escapes too.
    """
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
