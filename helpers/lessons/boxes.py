"""The box that a notebook begins with: what is known, and what is withheld."""

from collections.abc import Iterable

from helpers.results.schema import WITHHELD


def quoted(title: str, lines: Iterable[str]) -> str:
    """Lines of Markdown under a title as a quotation, with what is withheld at its end."""
    told = [f"**{title}**", "", *lines]
    if WITHHELD:
        told += ["", f"{WITHHELD[0].upper()}{WITHHELD[1:]}."]
    return "\n".join(f"> {line}".rstrip() for line in told)
