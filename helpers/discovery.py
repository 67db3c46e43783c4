"""A new file in a package of registry entries is found by being there."""

from __future__ import annotations

import importlib
import pkgutil
import sys


def import_members(package: str) -> list[str]:
    """Import every module of a package, so that what each registers is known; returns their names.

    Modules come in the order of their names; those that were imported before keep their place.
    """
    folders = sys.modules[package].__path__
    names = sorted(found.name for found in pkgutil.iter_modules(folders, f"{package}."))
    for name in names:
        importlib.import_module(name)
    return names
