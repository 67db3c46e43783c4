"""The box that a notebook begins with: what is known, and what of it is provisional."""

from collections.abc import Iterable

from helpers.results.schema import PROVISIONAL


def quoted(title: str, lines: Iterable[str]) -> str:
    """Lines of Markdown under a title as a quotation, with what is provisional at its end."""
    told = [f"**{title}**", "", *lines]
    if PROVISIONAL:
        told += ["", f"{PROVISIONAL[0].upper()}{PROVISIONAL[1:]}."]
    return "\n".join(f"> {line}".rstrip() for line in told)
