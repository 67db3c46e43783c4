"""Entries that are found by name: a new file in a package registers what it holds by being there.

Tasks, backbones and approaches each have such a package. A look-up of a name that is not there
raises one sentence with the nearest name.
"""

import importlib
import pkgutil
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from helpers.errors import UserError

Entry = TypeVar("Entry")
MOST_LISTED = 40  # names in a message; a list of thousands helps nobody


def import_members(package: str) -> list[str]:
    """Import every module of a package, so that what each registers is known; returns their names.

    Modules come in the order of their names; those that were imported before keep their place.
    """
    folders = sys.modules[package].__path__
    names = sorted(found.name for found in pkgutil.iter_modules(folders, f"{package}."))
    for name in names:
        importlib.import_module(name)
    return names


def find(kind: str, name: str, entries: Mapping[str, Entry], also: str = "") -> Entry:
    """Return an entry by name; `kind` and `also` as in `unknown_name`, which it raises."""
    if name not in entries:
        raise unknown_name(kind, name, entries, also)
    return entries[name]


def closest_name(name: object, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like `name`, or None where none does."""
    close = get_close_matches(str(name), sorted(known), n=1, cutoff=0.5)
    return close[0] if close else None


def unknown_name(kind: str, name: object, known: Iterable[str], also: str = "") -> UserError:
    """Build (not raise) the error for a name that a registry lacks.

    kind: what is being looked up ("task", "asset"). known: the names that exist; the closest of
    them is suggested, else all are listed, or counted where they are many. also: what else may be
    asked for, such as "timm:NAME".
    """
    names = sorted(known)
    close = closest_name(name, names)
    if close:
        hint = f"did you mean {close!r}?"
    elif len(names) > MOST_LISTED:
        hint = f"none of the {len(names):,} known names is spelled like it"
    else:
        hint = "choose one of: " + ", ".join(names)
    return UserError(f"there is no {kind} {name!r}; {hint}" + (f" (or {also})" if also else ""))
