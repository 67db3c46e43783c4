"""Classifying by prompt: scores are those of one reading, examples are drawn fairly, words fit."""

import numpy as np
import pytest
import torch

from helpers.errors import UserError
from helpers.lessons.language_models.causal_lm import load_causal_lm
from helpers.tasks import TASKS, Split
from tools.measure import prompting
from tools.measure.prompting import PROMPTS, Prompt, calibrated, word_scores

TEXTS = ["the game was good", "a very long text about the price of oil in the state of texas", "no"]
PROMPT = Prompt("Which?", "Text", "Answer", ("good", "bad"))


@pytest.fixture(scope="module")
def lm():
    return load_causal_lm("tiny")


@pytest.mark.parametrize("examples", [(), (("one", 0), ("two", 1))], ids=["zero-shot", "few-shot"])
def test_scores_are_those_of_reading_each_text_by_itself(lm, examples, monkeypatch):
    monkeypatch.setattr(
        prompting, "ROWS", 2
    )  # texts of several lengths in a batch, and two batches
    found = word_scores(lm, PROMPT, TEXTS, examples)
    first = [lm.encode(f" {word}")[0] for word in PROMPT.words]
    for text, scores in zip(TEXTS, found, strict=True):
        shown = "".join(PROMPT.shown(*one) for one in examples)
        whole = lm.encode(PROMPT.opening + shown) + lm.encode(PROMPT.shown(text))
        with torch.inference_mode():
            logits = lm.model(input_ids=torch.tensor([[lm.end, *whole]])).logits[0, -1]
        assert torch.allclose(scores, logits[first].log_softmax(0), atol=1e-4)


def test_an_example_is_shown_with_its_answer_and_a_question_without():
    assert PROMPT.shown("a\nb", 1) == "\n\nText: a b\nAnswer: bad"
    assert PROMPT.shown("a") == "\n\nText: a\nAnswer:"


def test_words_that_begin_alike_are_refused(lm):
    with pytest.raises(UserError, match="begin with the same token"):
        word_scores(lm, Prompt("Which?", "Text", "Answer", ("good", "good")), TEXTS)


def test_examples_are_balanced_and_a_seed_draws_them_again():
    split = Split([f"text {i}" for i in range(30)], np.arange(30) % 3)
    drawn = prompting.drawn(split, 2, seed=1)
    assert sorted(label for _, label in drawn) == [0, 0, 1, 1, 2, 2]
    assert all(split.labels[split.inputs.index(text)] == label for text, label in drawn)
    assert drawn == prompting.drawn(split, 2, seed=1) != prompting.drawn(split, 2, seed=2)


def test_calibration_takes_the_models_liking_away():
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.2]]).log()
    even = calibrated(scores, scores)
    assert scores.argmax(1).tolist() == [0, 0] and even.argmax(1).tolist() == [0, 1]


def test_every_class_of_a_task_has_its_word():
    for name, prompt in PROMPTS.items():
        assert len(prompt.words) == len(TASKS[name].classes)
        assert len(set(prompt.words)) == len(prompt.words)
