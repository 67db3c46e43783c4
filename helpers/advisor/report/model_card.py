"""A model card: what an exported model is, what it was measured at, and where it must not be used.

Sections after Mitchell et al. (2019), "Model Cards for Model Reporting", arXiv 1810.03993.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helpers.advisor.report.as_json import warnings_of
from helpers.advisor.report.templates import template
from helpers.approaches import get_approach
from helpers.backbones import BACKBONES
from helpers.errors import printable


def model_card(told: Mapping[str, Any], recipe: Mapping[str, Any], test: Mapping[str, Any]) -> str:
    """The card as Markdown. told: what `advise --json` writes; recipe, test: of the model."""
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
