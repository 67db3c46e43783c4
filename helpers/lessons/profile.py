"""How large a cell runs: the sizes readers get, or the small ones that the tests use."""

import os
from typing import TypeVar

from helpers.errors import UserError

T = TypeVar("T")
PROFILES = ("full", "fast")


def profile() -> str:
    """Return "full" (the default) or "fast", from the environment variable TL_PROFILE."""
    name = os.environ.get("TL_PROFILE", "full")
    if name not in PROFILES:
        raise UserError(f"TL_PROFILE is {name!r}: set it to full or fast, or leave it unset.")
    return name


def pick(full: T, fast: T) -> T:
    """Return the size that fits the profile: `pick(full=2_000, fast=200)`."""
    return full if profile() == "full" else fast
