"""Errors that a reader can act on: one sentence that names what, where and the mend."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """Bad input. The command line prints it on one line and leaves with exit code 2."""


class DataNotFound(UserError):
    """A data set or a file that this machine does not hold; the message says how to get it."""


def closest_name(name: object, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like `name`, or None where none does."""
    close = get_close_matches(str(name), sorted(known), n=1, cutoff=0.5)
    return close[0] if close else None


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UserError:
    """Build (not raise) the error for a name that a registry lacks.

    `kind` is what is being looked up ("task", "asset"), `known` the names that exist. The
    closest of them is suggested, else all are listed.
    """
    names = sorted(known)
    close = closest_name(name, names)
    hint = f"did you mean {close!r}?" if close else "choose one of: " + ", ".join(names)
    return UserError(f"there is no {kind} {name!r}; {hint}")
