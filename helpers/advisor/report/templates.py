"""The templates of what is handed over: the page and the model card."""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from helpers.vocabulary import phrase_of


def heading(name: str) -> str:
    """An approach's name as it begins a line."""
    words = phrase_of(name)
    return f"{words[0].upper()}{words[1:]}"


def template(name: str, **filters: Callable) -> Template:
    """A template of this folder; what is set into HTML is escaped.

    A name that it asks for and nobody gave is an error, as in Python.
    """
    templates = Environment(
        loader=PackageLoader(__package__, ""),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    templates.filters |= {"phrase": phrase_of, "heading": heading} | filters
    return templates.get_template(name)
