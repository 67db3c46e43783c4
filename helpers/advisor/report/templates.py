"""The templates of what is handed over: the page and the model card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from helpers.advisor.report.as_json import warnings_of
from helpers.approaches import get_approach
from helpers.backbones import BACKBONES
from helpers.errors import printable
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


def model_card(told: Mapping[str, Any], recipe: Mapping[str, Any], test: Mapping[str, Any]) -> str:
    """What an exported model is, was measured at, and must not be used for, as Markdown.

    Sections after Mitchell et al. (2019), "Model Cards for Model Reporting", arXiv 1810.03993.
    told: what `advise --json` writes; recipe, test: of the model.
    """
    text = template("model_card.md").render(
        told=told,
        recipe=recipe,
        test=test,
        warnings=warnings_of(told),
        picture=recipe["modality"] == "image",
        pretrained=get_approach(recipe["approach"]).uses_pretrained,
        weights=BACKBONES.get(recipe["backbone"]),
    )
    return "\n".join(map(printable, text.split("\n")))
