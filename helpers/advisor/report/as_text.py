"""An advice in words, for a terminal: the answer first, then what it rests on."""

from __future__ import annotations

import textwrap
from typing import Any

from helpers.advisor.report.as_json import (
    columns_in_words,
    costs_of,
    distance_in_words,
    heading,
    rule_in_words,
    steps_of,
    sure_in_words,
    warnings_of,
)
from helpers.vocabulary import phrase_of

WIDTH = 100  # characters of a line on a terminal
_HEAD = (
    f"  {'approach':24}{'accuracy':>9}  {'95 % interval':16}{'train s':>9}{'memory MB':>11}"
    f"{'stored MB':>11}{'ms each':>9}"
)


def in_words(advice: Any) -> str:
    """Return the answer, the warnings, the candidates and what to do next, for a terminal."""
    told = advice.as_dict()
    lines = [f"{heading(told['approach'])} ({told['verdict']})", ""]
    lines += _bullets(_short(told))
    if warnings := warnings_of(told):
        lines += ["", "Look at these first:"]
        lines += _bullets([f"{one['check']}: {one['found']} {one['mend']}" for one in warnings])
    lines += ["", _HEAD]
    lines += [_row(row, told["approach"]) for row in told["candidates"]]
    lines += ["", "What to do next:", *_bullets([" ".join(step) for step in steps_of(told)])]
    if changes := [flip["why"] for flip in told["flips"] if not flip["applied"]]:
        lines += ["", "What would change the rule's answer:", *_bullets(changes)]
    return "\n".join(lines)


def _short(told: dict[str, Any]) -> list[str]:
    """The reasons that a reader of a terminal needs; all of them stand in the JSON and the page."""
    said = [
        f"{told['n_examples']:,} examples of {told['n_classes']} classes: {told['n_train']:,} "
        f"train, {told['n_validation']:,} validation, {told['n_test']:,} test.",
        told["kept_together"]["found"],
        *([told["believe"]] if told["believe"] else []),
        sure_in_words(told),
        f"It costs {'; '.join(map(' '.join, costs_of(told)))}. {told['costs_doubt']}",
        *told["headline"],
    ]
    if told["columns"]:
        said.insert(1, f"Columns: {columns_in_words(told['columns'])}.")
    return [*said, distance_in_words(told), rule_in_words(told)]


def _bullets(sentences: list[str]) -> list[str]:
    """Wrapped between words alone: a command or a path is copied whole."""
    lines = []
    for sentence in sentences:
        lines += textwrap.wrap(sentence.strip(), WIDTH - 2, initial_indent="- ",
                               subsequent_indent="  ", break_on_hyphens=False,
                               break_long_words=False)  # fmt: skip
    return lines


def _row(row: dict[str, Any], taken: str) -> str:
    accuracy, interval = "not known", ""
    if row["known"]:
        accuracy, interval = f"{row['accuracy']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}"
    mark = "> " if row["approach"] == taken else "  "
    return (
        f"{mark}{phrase_of(row['approach']):24}{accuracy:>9}  "
        f"{interval:16}{row['train_seconds']:9.1f}{row['memory_mb']:11.0f}{row['stored_mb']:11.2f}"
        f"{row['latency_ms']:9.2f}"
    )
