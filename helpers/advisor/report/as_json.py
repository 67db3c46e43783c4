"""The answer for own data as `advise --json` writes it, and as the page and the words read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from helpers.advisor.answer import Answer, Looked
from helpers.advisor.data import SPLITS, listing
from helpers.advisor.verdicts import LOOK, RACE, kept
from helpers.decision import distance_word
from helpers.errors import printable


def as_json(
    looked: Looked, answer: Answer, race: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What `advise --json` writes: the keys of `decide --json`, and what own data adds."""
    probing, task = looked.probing, looked.own.task
    distance = probing.distance
    told = {
        "approach": answer.approach,
        "rule": answer.ruled.rule,
        "rule_approach": answer.ruled.approach,
        "reasons": list(answer.reasons),
        "headline": list(answer.headline),
        "flips": [asdict(flip) for flip in answer.ruled.flips],
        "verdict": answer.verdict,
        "chance_right": round(answer.chance, 3),
        "verdict_record": kept(answer.verdict, LOOK if race is None else RACE),
        "candidates": candidate_rows(looked, answer),
        "checks": [asdict(finding) for finding in looked.findings],
        "n_examples": len(looked.own.data),
        "n_classes": len(task.classes),
        "n_train": len(task.train),
        "n_validation": len(task.validation),
        "n_test": len(task.test),
        "classes": _class_rows(task),
        "distance": None if distance is None else round(distance, 4),
        "distance_word": None if distance is None else distance_word(distance),
        "distance_how": probing.how,
        "probe": probing.as_dict(),
        "measured": list((race or {}).get("measured", [])),
        "test": (race or {}).get("test"),
        "left_out": (race or {}).get("left_out", {}),
        "race_seconds": (race or {}).get("race_seconds"),
        "next_measurement": answer.next_measurement,
        "columns": looked.own.data.columns,
        "settings": settings_of(looked),
    }
    return _fit_to_print(told)


def _fit_to_print(told: Any) -> Any:
    """The same with every string as it can be shown: the page and the terminal read this, too."""
    if isinstance(told, str):
        return printable(told)
    if isinstance(told, Mapping):
        return {key: _fit_to_print(value) for key, value in told.items()}
    return [_fit_to_print(one) for one in told] if isinstance(told, list | tuple) else told


def columns_in_words(columns: Mapping[str, Any]) -> str:
    """Say which column of a table was taken as what, and which were left alone."""
    taken = [(role, name) for role, name in columns.items() if role != "ignored"]
    said = ", ".join(f"no {role}" if name is None else f"{role} '{name}'" for role, name in taken)
    left = listing([f"'{name}'" for name in columns["ignored"]], 10) or "none"
    return f"{said}; ignored: {left}"


def settings_of(looked: Looked) -> dict[str, Any]:
    """What somebody needs to get the same answer again."""
    asked = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in looked.asked.items()
    }
    task = looked.own.task
    return asked | {
        "exclude": list(looked.asked["exclude"]),
        "backbone": looked.backbone,
        "pretrained_on": looked.pretrained_on,
        "image_size": looked.image_size,
        "data": looked.own.name,
        "decoded_side": task.train.inputs.shape[1] if task.modality == "image" else None,
        **looked.machine,
    }


def _class_rows(task: Any) -> list[dict[str, Any]]:
    """How many examples of each class each split has."""
    n = len(task.classes)
    counts = {name: np.bincount(getattr(task, name).labels, minlength=n) for name in SPLITS}
    return [
        {"name": name, **{split: int(counts[split][i]) for split in SPLITS}}
        for i, name in enumerate(task.classes)
    ]


def candidate_rows(looked: Looked, answer: Answer) -> list[dict[str, Any]]:
    """A row for each approach, best expected accuracy first; costs are of this machine."""
    rows = []
    order = sorted(answer.expected.values(), key=lambda one: -one.accuracy)
    for one in order:
        cost, recipe = looked.costs[one.approach], looked.recipes[one.approach]
        rows.append(
            {
                "approach": one.approach,
                "accuracy": round(one.accuracy, 4),
                "low": round(one.low, 4),
                "high": round(one.high, 4),
                "train_seconds": _digits(looked.seconds(one.approach)),
                "stored_mb": _digits(cost.stored_mb),
                "latency_ms": _digits(cost.latency_ms),
                "runs": one.runs,
                "memory_mb": _digits(cost.memory_mb),
                "origin": one.origin,
                "measured": one.measured,
                "known": one.known,
                "lr": recipe.lr,
                "epochs": recipe.epochs,
                "lr_origin": recipe.origin,
            }
        )
    return rows


def _digits(value: float) -> float:
    return float(f"{value:.4g}")
