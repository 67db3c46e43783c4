"""Exercises take their worked answer, and neither a blank nor a constant nor a near miss."""

import runpy
from itertools import chain
from pathlib import Path

import pytest
from wrong_answers import BLANKS, constants, mistakes

import helpers.lessons
from helpers.lessons.exercises.check import judge
from tools.notebooks import notebook_rules as rules

ROOT = Path(__file__).resolve().parents[2]
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.py"))


@pytest.mark.notebooks
@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_only_what_is_worked_out_is_right(path, monkeypatch):
    taken, judged = [], []

    def ask(exercise, right):
        """Judge at once: what a solution holds may change after its check."""
        judged.append(exercise)
        verdict = judge(exercise, right)
        assert verdict.right, verdict.message
        blanks = ((f"{blank!r}", blank) for blank in BLANKS)
        for what, wrong in chain(blanks, constants(right), mistakes(right)):
            verdict = judge(exercise, wrong)
            if verdict.right and getattr(wrong, "done", True):
                taken.append(f"{exercise} takes {what}")

    monkeypatch.chdir(path.parent)
    monkeypatch.setattr(helpers.lessons, "check", ask)
    runpy.run_path(str(path), run_name="solution")
    assert judged == rules.exercises(path.read_text(encoding="utf-8"))
    assert not taken
