"""The answer for own data as `advise --json` writes it, and as the page and the words read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from helpers.advisor.answer import Answer, Looked
from helpers.advisor.checks.catalogue import RefusedData
from helpers.advisor.checks.shift import SHIFT
from helpers.advisor.data import SPLITS, Finding, OwnData, listing
from helpers.advisor.splits import TOGETHER
from helpers.advisor.verdicts import LOOK, RACE, kept
from helpers.decision import distance_word
from helpers.errors import printable
from helpers.vocabulary import phrase_of

REFUSED = "refused"  # the verdict where no answer can be trusted


def as_json(
    looked: Looked, answer: Answer, race: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What `advise --json` writes: the keys of `decide --json`, and what own data adds."""
    probing, race = looked.probing, race or {}
    about = about_data(looked.own.data, looked.findings)
    distance = probing.distance
    told = {
        "approach": answer.approach,
        "rule": answer.ruled.rule,
        "rule_approach": answer.ruled.approach,
        "reasons": list(answer.reasons),
        "headline": list(answer.headline),
        "believe": believe(looked, about["test_shift"]),
        "flips": [asdict(flip) for flip in answer.ruled.flips],
        "verdict": answer.verdict,
        "chance_right": round(answer.chance, 3),
        "verdict_record": kept(answer.verdict, RACE if race else LOOK),
        "candidates": candidate_rows(looked, answer),
        **about,
        "distance": None if distance is None else round(distance, 4),
        "distance_word": None if distance is None else distance_word(distance),
        "distance_how": probing.how,
        "probe": probing.as_dict(),
        "measured": list(race.get("measured", [])),
        "test": race.get("test"),
        "left_out": race.get("left_out", {}),
        "race_seconds": race.get("race_seconds"),
        "next_measurement": answer.next_measurement,
        "refused": None,
        "settings": settings_of(looked),
    }
    return _fit_to_print(told)


def refused_json(refusal: RefusedData, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What `advise --json` writes where no answer can be trusted: the same keys, and the evidence.

    asked: the fields of the request.
    """
    lists = ("flips", "candidates", "measured", "reasons", "headline")
    absent = ("approach", "rule", "rule_approach", "distance", "distance_word", "distance_how",
              "probe", "test", "race_seconds", "believe", "next_measurement", "chance_right",
              "verdict_record")  # fmt: skip
    told = {
        **dict.fromkeys(absent),
        **{name: [] for name in lists},
        "left_out": {},
        "verdict": REFUSED,
        "refused": str(refusal),
        **about_data(refusal.data, refusal.findings),
        "settings": _plain(asked),
    }
    return _fit_to_print(told)


def about_data(data: OwnData, findings: Sequence[Finding]) -> dict[str, Any]:
    """What was found in the data itself, whatever the answer."""
    rows = {split: data.labels[data.splits == split] for split in SPLITS}
    counts = {split: np.bincount(rows[split], minlength=len(data.classes)) for split in SPLITS}
    shift = next((f.figures for f in findings if f.check == SHIFT and f.figures), None)
    together = next((f.found for f in findings if f.check == TOGETHER), "")
    return {
        "checks": [asdict(finding) for finding in findings],
        "n_examples": len(data),
        "n_classes": len(data.classes),
        **{f"n_{split}": len(rows[split]) for split in SPLITS},
        "classes": [
            {"name": name, **{split: int(counts[split][i]) for split in SPLITS}}
            for i, name in enumerate(data.classes)
        ],
        "columns": data.columns,
        "kept_together": {**data.together_by, "found": together},
        "test_shift": None if shift is None else dict(shift),
    }


def believe(looked: Looked, shift: Mapping[str, Any] | None) -> str:
    """Which of two numbers to believe, where the data bring a test; else nothing."""
    if shift is None:
        return ""
    if "probe_on_test" not in shift:
        return (
            f"The test resembles the training data (AUC {shift['auc']:.2f}), so the "
            f"{looked.probing.probe.accuracy:.3f} out of fold holds for it."
        )
    return (
        f"Believe {shift['probe_on_test']:.3f} ({shift['low']:.3f} to {shift['high']:.3f}), what a "
        f"probe reaches on your test, not the {shift['probe_out_of_fold']:.3f} out of fold or what "
        "is expected from it: the test is of another kind than the training data."
    )


def _fit_to_print(told: Any) -> Any:
    """The same with every string as it can be shown: the page and the terminal read this, too."""
    if isinstance(told, str):
        return printable(told)
    if isinstance(told, Mapping):
        return {key: _fit_to_print(value) for key, value in told.items()}
    return [_fit_to_print(one) for one in told] if isinstance(told, list | tuple) else told


def warnings_of(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The checks that warn. told: what `advise --json` writes."""
    return [check for check in told["checks"] if check["severity"] == "warning"]


def changes_of(told: Mapping[str, Any], before: str = "") -> list[str]:
    """What would change the answer. before: stands before each move of the rule."""
    measure = [told["next_measurement"]] if told["next_measurement"] else []
    return measure + [f"{before}{flip['why']}" for flip in told["flips"] if not flip["applied"]]


def rule_in_words(told: Mapping[str, Any]) -> str:
    """Say what the article's rule answers; of a distance that is not known, for a close domain."""
    if_close = " if the domain is close" if told["distance"] is None else ""
    named = phrase_of(told["rule_approach"])
    return f"The article's rule ({told['rule']}) says {named}{if_close}."


def columns_in_words(columns: Mapping[str, Any]) -> str:
    """Say which column of a table was taken as what, and which were left alone."""
    taken = [(role, name) for role, name in columns.items() if role != "ignored"]
    said = ", ".join(f"no {role}" if name is None else f"{role} '{name}'" for role, name in taken)
    left = listing([f"'{name}'" for name in columns["ignored"]], 10) or "none"
    return f"{said}; ignored: {left}"


def settings_of(looked: Looked) -> dict[str, Any]:
    """What somebody needs to get the same answer again."""
    task = looked.own.task
    return _plain(looked.asked) | {
        "backbone": looked.backbone,
        "pretrained_on": looked.pretrained_on,
        "image_size": looked.image_size,
        "data": looked.own.name,
        "decoded_side": task.train.inputs.shape[1] if task.modality == "image" else None,
        **looked.machine,
    }


def _plain(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request as JSON holds them."""
    held = {name: list(v) if isinstance(v, tuple) else v for name, v in asked.items()}
    return {name: str(v) if isinstance(v, Path) else v for name, v in held.items()}


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
