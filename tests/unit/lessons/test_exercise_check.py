"""Exercise answers: a pass, a hint, never an exception."""

import sys
import types

import pytest

from helpers.lessons.exercises import check
from helpers.lessons.exercises.grading import (
    Exercise,
    Score,
    answers,
    choice,
    number,
    points,
    predicted,
    signed,
)


def broken(answer):
    raise RuntimeError("no such layer")


@pytest.fixture(autouse=True)
def exercises(monkeypatch):
    """Put a notebook 99 with each kind of exercise beside the real ones; forget earlier tries."""
    module = types.ModuleType("helpers.lessons.exercises.n99")
    module.ANSWERS = {
        "99.1": Exercise(
            number(lambda: 200, within=0.05), ("Look again.", "It is near 200."), "Yes."
        ),
        "99.2": Exercise(choice("LoRA"), ("Two matrices.",)),
        "99.3": Exercise(broken, ("Name a layer.",)),
        "99.4": Exercise(lambda answer: len(answer) == 3 or "Three are wanted.", ("Count.",)),
        "99.5": Exercise(lambda got: Score(got, f"It got {got}."), ("All of it.",), "Well done."),
        "99.6": Exercise(lambda answer: print("beware", file=sys.stderr) is None, ("Any.",)),
    }
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(check, "_tries", {})


@pytest.mark.parametrize("answer", [200, 190.5, 209])
def test_number_within_the_margin_is_right(answer):
    verdict = check.judge("99.1", answer)
    assert verdict.right
    assert verdict.message == "Exercise 99.1: right. Yes."


@pytest.mark.parametrize("answer", [189, 211, "200", None, True, float("nan")])
def test_other_answers_get_a_hint(answer):
    verdict = check.judge("99.1", answer)
    assert not verdict.right
    assert "Look again." in verdict.message


def test_an_exact_number_takes_no_neighbour():
    assert number(3)(3)
    assert number(3)(3.0)
    assert not number(3)(3.01)


def test_a_function_is_tried_on_cases_and_its_miss_is_shown():
    rule = answers("total", [((1e9, [1, 2]), 3), ((5, []), 0)])
    assert rule(lambda _, values: sum(values)) is True
    assert rule(lambda *_: 3) == "total(5, []) is 0, and yours says 3."
    assert rule(lambda *_: True) == "total(1e+09, [1, 2]) is 3, and yours says True."
    assert "answer = total" in rule(3)


def test_choice_ignores_case_and_space():
    assert check.judge("99.2", " lora ").right
    assert not check.judge("99.2", "adapter").right
    assert "in quotes" in check.judge("99.2", 4).message


def test_repeated_tries_show_more(capsys):
    for answer in (1, 1, 1, 200):
        check.check("99.1", answer)
    lines = capsys.readouterr().out.splitlines()
    assert "Look again." in lines[0]
    assert "It is near 200." in lines[1]
    assert "It is near 200." in lines[2]
    assert "right" in lines[3]


def test_an_open_stub_gets_the_first_hint_every_time(capsys):
    for _ in range(3):
        check.check("99.1", ...)
    assert capsys.readouterr().out.count("not answered yet. Hint: Look again.") == 3


def test_a_failing_rule_does_not_raise():
    message = check.judge("99.3", object()).message
    assert "cannot be judged (RuntimeError: no such layer)" in message
    assert "cannot be judged (TypeError" in check.judge("99.4", 3).message


def test_a_rule_can_say_what_is_off():
    assert "Three are wanted." in check.judge("99.4", [1]).message
    assert check.judge("99.4", [1, 2, 3]).right


@pytest.mark.parametrize("exercise", ["99.9", "98.1", "", "nonsense", 3.2])
def test_an_unknown_exercise_is_said(exercise, capsys):
    check.check(exercise, 1)
    assert "There is no exercise" in capsys.readouterr().out


def test_partial_credit_is_said_with_a_hint_and_full_credit_is_right():
    half = check.judge("99.5", 0.5)
    assert (half.right, half.credit) == (False, 0.5)
    assert half.message == "Exercise 99.5: 50% of the credit. It got 0.5. Hint: All of it."
    whole = check.judge("99.5", 1.0)
    assert (whole.right, whole.credit) == (True, 1.0)
    assert whole.message == "Exercise 99.5: right. It got 1.0. Well done."


def test_a_grade_is_points_or_an_error_with_the_hint():
    assert check.grade("99.5", 0.25, points=4) == 1.0
    assert check.grade("99.1", 200, points=3) == 3.0
    for exercise, answer in [("99.1", 1), ("99.1", ...), ("99.5", 0.0), ("99.3", 1), ("99.9", 1)]:
        with pytest.raises(AssertionError, match="99"):
            check.grade(exercise, answer)


def test_grading_leaves_nothing_on_stderr(capsys):
    assert check.grade("99.6", 1) == 1.0
    assert capsys.readouterr().err == ""


GUESS = predicted(lambda: {"a": 10.0, "b": -2.0}, full=1.0, nothing=5.0, unit="points")


@pytest.mark.parametrize(
    ("answer", "credit"),
    [
        ({"a": 10, "b": -2}, 1.0),
        ({"a": 11, "b": -3}, 1.0),
        ({"a": 13, "b": -5}, 0.5),
        ({"a": 30, "b": -2}, 0.0),
        ({"a": float("nan"), "b": -2}, 0.0),
    ],
)
def test_a_guess_earns_by_how_near_it_is(answer, credit):
    score = GUESS(answer)
    assert score.credit == pytest.approx(credit)
    assert "b: -2.0 points, and you said" in score.message


def test_a_guess_needs_every_name():
    assert GUESS({"a": 1}) == "A dict with the keys a, b is wanted."
    assert GUESS({"a": 1, "b": ...}) == "Still to fill in: b."


def head_loop(parameters, counts):
    """Return exercise 03.2's loop over some parameters, with BatchNorm counting or not."""
    import torch

    def train_head(model, X, y, steps):
        model.train()
        model.backbone.train(counts)
        optimizer = torch.optim.SGD(parameters(model), lr=0.01)
        for _ in range(steps):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(X), y).backward()
            optimizer.step()

    return train_head


@pytest.mark.parametrize(
    ("parameters", "counts", "words"),
    [
        (lambda model: model.backbone.parameters(), True, "weights of the backbone moved"),
        (lambda model: model.parameters(), False, "weights of the backbone moved"),
        (lambda model: model.head.parameters(), True, "that are no weights moved"),
        (lambda model: list(model.head.parameters())[:1], False, "the head did not learn"),
        (lambda model: model.head.parameters(), False, "right."),
    ],
)
def test_each_bug_of_the_loop_is_named(parameters, counts, words):
    assert words in check.judge("03.2", head_loop(parameters, counts)).message


def test_a_common_mistake_is_told_and_nothing_else():
    gained, changed = points(lambda: 21.5, within=0.02), signed(lambda: -0.4, within=0.03)
    assert gained(21.5) is True and "points are wanted" in gained(0.215)
    assert gained(3.0) is False and gained(-21.5) is False
    assert changed(-0.4) is True and "sign is not" in changed(0.4)
    assert changed(0.1) is False and "number is wanted" in changed("fall")
