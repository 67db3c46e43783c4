"""The answer for own data as `advise --json` writes it, and its parts in sentences."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from helpers.advisor.answer import Answer, Looked
from helpers.advisor.checks.catalogue import RefusedData
from helpers.advisor.checks.shift import SHIFT
from helpers.advisor.data import SPLITS, Finding, OwnData, lasting, listing
from helpers.advisor.prior import WITHIN
from helpers.advisor.splits import TOGETHER
from helpers.advisor.verdicts import LOOK, RACE, kept
from helpers.decision import FALLBACK, distance_word
from helpers.errors import printable
from helpers.results.evidence import NONE
from helpers.vocabulary import phrase_of

REFUSED = "refused"  # the verdict where no answer can be trusted
MILLION = 1_000_000  # predictions that costs are told for
BUSY = "Other programs were running while it was timed: seconds may be too high."
_UNASKED = {"tasks": 1, "seed": 0, "exclude": ()}  # what a command need not say


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
        "probe": probing.as_dict(macro_f1=looked.tells_macro_f1),
        "measured": list(race.get("measured", [])),
        "test": race.get("test"),
        "costs_doubt": BUSY if any(cost.busy for cost in looked.costs.values()) else "",
        "left_out": race.get("left_out", {}),
        "race_seconds": race.get("race_seconds"),
        "next_measurement": answer.next_measurement,
        "refused": None,
        "settings": settings_of(looked),
        "command": command_of(looked.asked),
    }
    return _fit_to_print(told)


def refused_json(refusal: RefusedData, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What `advise --json` writes where no answer can be trusted: the same keys, and the evidence.

    asked: the fields of the request.
    """
    lists = ("flips", "candidates", "measured", "reasons", "headline")
    absent = ("approach", "rule", "rule_approach", "distance", "distance_word", "distance_how",
              "probe", "test", "race_seconds", "believe", "next_measurement", "chance_right",
              "verdict_record", "costs_doubt")  # fmt: skip
    told = {
        **dict.fromkeys(absent),
        **{name: [] for name in lists},
        "left_out": {},
        "verdict": REFUSED,
        "refused": str(refusal),
        **about_data(refusal.data, refusal.findings),
        "settings": dict(asked),
        "command": command_of(asked),
    }
    return _fit_to_print(told)


def about_data(data: OwnData, findings: Sequence[Finding]) -> dict[str, Any]:
    """What was found in the data itself, whatever the answer."""
    n, held = len(data.classes), {split: data.labels[data.splits == split] for split in SPLITS}
    counts = {split: np.bincount(rows, minlength=n).tolist() for split, rows in held.items()}
    shift = next((f.figures for f in findings if f.check == SHIFT and f.figures), None)
    together = next((f.found for f in findings if f.check == TOGETHER), "")
    return {
        "checks": [asdict(finding) for finding in findings],
        "n_examples": len(data),
        "n_classes": n,
        **{f"n_{split}": len(rows) for split, rows in held.items()},
        "classes": [
            {"name": name, **{split: counts[split][i] for split in SPLITS}}
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
            f"The test resembles the training data (AUC {shift['auc']:.2f}), so what the probe "
            f"gets right out of fold ({looked.probing.probe.accuracy:.3f}) holds for it."
        )
    sizes = [one.image_size for one in looked.probing.sizes]
    at = f" at {min(sizes)} pixels" if len(sizes) > 1 else ""
    return (
        f"Believe {shift['probe_on_test']:.3f} ({shift['low']:.3f} to {shift['high']:.3f}), what a "
        f"probe{at} reaches on your test, and neither its {shift['probe_out_of_fold']:.3f} out of "
        "fold nor what is expected below: the test is of another kind than the training data."
    )


def _fit_to_print(told: Any) -> Any:
    """The same as JSON holds it, with every string as page and terminal can show it."""
    if isinstance(told, str | Path):
        return printable(str(told))
    if isinstance(told, Mapping):
        return {key: _fit_to_print(value) for key, value in told.items()}
    return [_fit_to_print(one) for one in told] if isinstance(told, list | tuple) else told


def warnings_of(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The checks that warn. told: what `advise --json` writes."""
    return [check for check in told["checks"] if check["severity"] == "warning"]


def rule_in_words(told: Mapping[str, Any]) -> str:
    """Say what the article's rule answers; of a distance that is not known, for a close domain."""
    if_close = " if the domain is close" if told["distance"] is None else ""
    said = f"The article's rule ({told['rule']}) says"
    if told["rule"] == FALLBACK:
        said = "None of the article's rules fits; our fallback says"
    said = f"{said} {phrase_of(told['rule_approach'])}{if_close}."
    if told["rule_approach"] == told["approach"]:
        return said
    return f"{said} The answer follows what was measured here and recorded, not the rule."


def distance_in_words(told: Mapping[str, Any]) -> str:
    """Say how far the data lie from the pretraining, by which reference; or why that is unknown."""
    if told["distance"] is None:
        return f"How far the data lie from the pretraining is not known: {told['distance_how']}."
    return (
        f"Distance from the pretraining, 0 to 1: {told['distance']:.2f} ({told['distance_word']}, "
        f"{told['distance_how']}, which stands for what the network has seen). The rule alone asks "
        "for it."
    )


def sure_in_words(told: Mapping[str, Any]) -> str:
    """How sure the choice is, and how often that word was right where it was counted."""
    if told["verdict"] == NONE:
        return "How sure the choice is can't be said: of such data nothing is recorded to compare."
    record, within = told["verdict_record"], 100 * WITHIN
    said = (
        f"The choice: {100 * told['chance_right']:.0f} % sure that no other approach lies more "
        f"than {within:.1f} points above."
    )
    if record is None:
        return f"{said} How often such answers are right on other data was not counted."
    return f"{said} {record['right']} of {record['cases']} such answers were right on other data."


def costs_of(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the approach costs on this machine: time, with money where an hour has a price; of what.

    Predicted from a few timed steps, as if nothing else ran.
    """
    price, named = told["settings"]["hour_price"], told["approach"]
    taken = next((row for row in told["candidates"] if row["approach"] == named), None)
    if taken is None:
        return []
    seconds = {
        "to train it on this machine, and each time again": taken["train_seconds"],
        "for a million predictions, one by one": taken["latency_ms"] / 1000 * MILLION,
    }
    if price is None:
        return [(lasting(s), what) for what, s in seconds.items()]
    money = {what: s / 3600 * price for what, s in seconds.items()}
    paid = {what: f"{one:,.2f}" if one >= 0.01 else "below 0.01" for what, one in money.items()}
    return [(f"{lasting(s)} · {paid[what]}", what) for what, s in seconds.items()]


def steps_of(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What to do next, each with its command if it has one: mend, measure, take the model."""
    ask = told["command"]
    if told["refused"]:
        return [("Mend this, then ask again:", ask)]
    warned = [check["check"] for check in warnings_of(told)]
    steps = [(f"Look at what the checks warn of: {listing(warned)}.", "")] if warned else []
    if told["next_measurement"]:
        steps.append((told["next_measurement"], ""))
    return [*steps, ("Get the trained model:", f"{ask} --export FOLDER")]


def command_of(asked: Mapping[str, Any]) -> str:
    """The command that asks the same again. asked: the fields of the request."""
    words = ["python", "-m", "helpers", "advise", str(asked["path"])]
    for name, value in asked.items():
        flag = f"--{name.replace('_', '-')}"
        if name == "path" or value is None or value is False or value == _UNASKED.get(name):
            continue
        several = value if isinstance(value, tuple | list) else [value]
        words += [flag] if value is True else [w for one in several for w in (flag, str(one))]
    return shlex.join(words)


def columns_in_words(columns: Mapping[str, Any]) -> str:
    """Say which column of a table was taken as what, and which were left alone."""
    taken = [(role, name) for role, name in columns.items() if role != "ignored"]
    said = ", ".join(f"no {role}" if name is None else f"{role} '{name}'" for role, name in taken)
    left = listing([f"'{name}'" for name in columns["ignored"]], 10) or "none"
    return f"{said}; ignored: {left}"


def settings_of(looked: Looked) -> dict[str, Any]:
    """What somebody needs to get the same answer again."""
    task = looked.own.task
    return dict(looked.asked) | {
        "backbone": looked.backbone,
        "pretrained_on": looked.pretrained_on,
        "image_size": looked.image_size,
        "data": looked.own.name,
        "decoded_side": task.train.inputs.shape[1] if task.modality == "image" else None,
        **looked.machine,
    }


def candidate_rows(looked: Looked, answer: Answer) -> list[dict[str, Any]]:
    """A row for each approach, best expected accuracy first; costs are of this machine."""
    rows = []
    for one in sorted(answer.expected.values(), key=lambda one: -one.accuracy):
        cost, recipe = looked.costs[one.approach], looked.recipes[one.approach]
        spent = {name: getattr(cost, name) for name in ("stored_mb", "latency_ms", "memory_mb")}
        spent["train_seconds"] = looked.seconds(one.approach)
        rows.append(
            {
                **{name: round(getattr(one, name), 4) for name in ("accuracy", "low", "high")},
                **{name: float(f"{value:.4g}") for name, value in spent.items()},
                **{n: getattr(one, n) for n in ("approach", "runs", "origin", "measured", "known")},
                "lr": recipe.lr,
                "epochs": recipe.epochs,
                "lr_origin": recipe.origin,
            }
        )
    return rows


def heading(name: str) -> str:
    """An approach's name as it begins a line."""
    words = phrase_of(name)
    return f"{words[0].upper()}{words[1:]}"
