"""A model card: what an exported model is, what it was measured at, and where it must not be used.

Sections after Mitchell et al. (2019), "Model Cards for Model Reporting", arXiv 1810.03993.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helpers.approaches import get_approach
from helpers.backbones import BACKBONES
from helpers.errors import printable
from helpers.vocabulary import phrase_of


def model_card(told: Mapping[str, Any], recipe: Mapping[str, Any], test: Mapping[str, Any]) -> str:
    """The card as Markdown. told: what `advise --json` writes; recipe, test: of the model."""
    sections = {
        "What it does": _purpose(told, recipe),
        "Data": _data(told, recipe),
        "Numbers": _numbers(told, test),
        "Limits": _limits(told),
        "Licence": _licence(recipe),
        "How to load it": _loading(recipe),
    }
    title = f"# {phrase_of(recipe['approach'])}: {told['n_classes']} classes\n"
    return printable_lines([title, *(f"## {name}\n\n{text}\n" for name, text in sections.items())])


def printable_lines(parts: list[str]) -> str:
    """The parts as one text, each line fit to be shown."""
    return "\n".join(printable(line) for part in parts for line in part.split("\n"))


def _purpose(told: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    what = "picture" if recipe["modality"] == "image" else "text"
    names = ", ".join(recipe["classes"][:20])
    more = len(recipe["classes"]) - 20
    return (
        f"It names the class of a {what}: {names}{f' and {more} more' if more > 0 else ''}. It "
        "always names one of these, whatever it is given."
    )


def _data(told: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    warned = [check for check in told["checks"] if check["severity"] == "warning"]
    found = f"{len(warned)} checks warn; see the limits." if warned else "No check warns."
    return (
        f"{told['n_examples']:,} labelled examples: trained on {recipe['n_train']:,}, tested on "
        f"{told['n_test']:,}. {told['kept_together']['found']} {found}"
    )


def _numbers(told: Mapping[str, Any], test: Mapping[str, Any]) -> str:
    interval = f" (95 % interval {test['low']:.3f} to {test['high']:.3f})" if "low" in test else ""
    probe = told["probe"]
    rows = [
        f"- Accuracy on {test['n']:,} test examples, read once: **{test['accuracy']:.3f}**"
        f"{interval}.",
        f"- A linear probe, out of fold: {probe['accuracy']:.3f} ({probe['low']:.3f} to "
        f"{probe['high']:.3f}).",
        f"- Naming the largest class: {probe['chance']:.3f}.",
    ]
    return "\n".join(rows + ([f"- {told['believe']}"] if told["believe"] else []))


def _limits(told: Mapping[str, Any]) -> str:
    warned = [check for check in told["checks"] if check["severity"] == "warning"]
    rows = [f"- {check['check']}: {check['found']}" for check in warned]
    general = "- The numbers hold for examples like those of the test, and for no others."
    return "\n".join([general, *rows])


def _licence(recipe: Mapping[str, Any]) -> str:
    if not get_approach(recipe["approach"]).uses_pretrained:
        return "No pretrained weights are in it; it is yours, as the data allow."
    info = BACKBONES.get(recipe["backbone"])
    weights = f"{info.licence}, pretrained on {info.pretrained_on}" if info else "see its own card"
    return f"Weights of {recipe['backbone']}: {weights}. What was trained is yours, as data allow."


def _loading(recipe: Mapping[str, Any]) -> str:
    reads = (
        f"uint8 (N, {recipe['side']}, {recipe['side']}, {recipe['channels']}): pictures cut to a "
        "square at their centre"
        if recipe["modality"] == "image"
        else f"token ids (N, at most {recipe['image_size']}) of {recipe['backbone']}'s tokenizer"
    )
    return (
        "```python\nfrom helpers.advisor import load_model  # pip install freeze-tune-adapt\n\n"
        'model = load_model("this folder")\nmodel.classify([…])\n```\n\n'
        "`python load_me.py FILE_OR_TEXT …` does so from a terminal, and tests the model again "
        "where nothing is named. If a file `model-….onnx` lies beside this card, any ONNX runtime "
        f"reads it: `inputs` is {reads}; `probabilities` is (N, {len(recipe['classes'])})."
    )
