"""Text tasks looked into: fair anchors, cuts that are what a network reads, words of a class."""

import numpy as np
import pandas as pd
import pytest
from tiny import tiny_text_task

from helpers.approaches import get_approach
from helpers.backbones import load_backbone
from helpers.errors import UserError
from helpers.lessons.language_models import text_tasks


@pytest.fixture(scope="module")
def minilm():
    return load_backbone("minilm", size=16)


def runs(**accuracies):
    """Rows of three seeds; an argument is approach_size=(test accuracy, validation accuracy)."""
    made = []
    for name, (test, validation) in accuracies.items():
        approach, size = name.rsplit("_", 1)
        for seed in range(3):
            scores = {"test_accuracy": test + seed / 1000, "val_accuracy": validation}
            place = {"task": "reuters8", "backbone": "minilm", "dial": 0.0, "image_size": 32}
            made.append(place | {"approach": approach, "n_train": int(size), "seed": seed} | scores)
    return pd.DataFrame(made)


def test_the_best_is_picked_by_validation_and_the_largest_size_is_whole():
    table = runs(
        classical_50=(0.5, 0.5), lora_50=(0.6, 0.6), feature_extraction_50=(0.7, 0.5),
        classical_1000=(0.9, 0.9), feature_extraction_1000=(0.8, 0.8),
    )  # fmt: skip
    (row,) = text_tasks.best_against_anchor(table).to_dict("records")
    assert (row["n_train"], row["best"]) == (50, "lora")  # 1,000 lacks LoRA; the probe only tests
    assert row["mean"] == pytest.approx(0.1) and row["runs"] == 3
    assert row["accuracy"] == pytest.approx(0.601) and row["anchor"] == pytest.approx(0.501)
    assert text_tasks.best_against_anchor(table[table["approach"] != "classical"]).empty
    assert text_tasks.best_against_anchor(table.iloc[:0]).empty


def test_a_cut_text_is_what_the_network_reads(minilm):
    texts = ["the unbelievable antidisestablishmentarianism of one cat " * 3, "a b", ""]
    for tokens in (3, 7, 12, 16):
        kept = text_tasks.cut(minilm, texts, tokens)
        longer = minilm.tokenizer(kept, 400)
        read = minilm.tokenizer(texts, tokens)
        assert (longer != 0).sum(1).max() <= tokens
        for mine, theirs in zip(longer, read, strict=True):
            mine, theirs = mine[mine != 0][1:-1], theirs[theirs != 0][1:-1]
            assert np.array_equal(mine, theirs[: len(mine)])  # no word that is not read
    assert text_tasks.cut(minilm, texts, 400) == [" ".join(text.split()) for text in texts]
    assert text_tasks.share_read(minilm, texts[1:2], 16) == 1.0
    assert text_tasks.share_read(minilm, texts[:1], 7) < 0.5


def test_both_readers_get_the_same_words_and_more_help(minilm):
    task = tiny_text_task()
    table = text_tasks.accuracy_by_length(task, [3, 12])
    assert table["tokens"].tolist() == [3, 3, 12, 12, 0]
    assert set(table["approach"]) == {"feature_extraction", "classical"}
    assert table["accuracy"].between(0, 1).all()
    assert ((table["low"] <= table["accuracy"]) & (table["accuracy"] <= table["high"])).all()
    whole = table[(table["approach"] == "classical") & (table["tokens"] == 0)]["accuracy"].iloc[0]
    assert whole >= 0.9
    short = text_tasks.cut_task(minilm, task, 3)
    assert max(len(text.split()) for text in short.train.inputs) == 1
    assert np.array_equal(short.test.labels, task.test.labels)


def test_the_words_of_a_class_are_its_own():
    task, classical = tiny_text_task(), get_approach("classical")
    fitted = classical.fit(None, task, classical.config("text", 24))
    words = text_tasks.topic_words(fitted, task.classes, top=3)
    assert set(words["cat"]) <= {"cat", "fur", "purrs", "whiskers"}
    assert set(words["engine"]) <= {"engine", "piston", "torque", "gear"}


def test_what_is_said_follows_the_table(monkeypatch):
    table = runs(classical_50=(0.5, 0.5), lora_50=(0.6, 0.6), feature_extraction_50=(0.7, 0.7))
    said = text_tasks.in_words(text_tasks.best_against_anchor(table), table)
    assert "on 1 of 1 tasks (reuters8)." in said
    assert "clearly ahead in **1** and clearly behind in **0** of 1" in said
    assert "clearly ahead in **0** and clearly behind in **1** of 1" in said
    lost = runs(classical_50=(0.9, 0.9), lora_50=(0.6, 0.6))
    said = text_tasks.in_words(text_tasks.best_against_anchor(lost), lost)
    assert "on 0 of 1 tasks (none), and not on reuters8." in said
    rows = [("feature_extraction", 8, 0.5), ("classical", 8, 0.3), ("feature_extraction", 32, 0.6),
            ("classical", 32, 0.7), ("classical", 0, 0.8)]  # fmt: skip
    by_length = pd.DataFrame(rows, columns=["approach", "tokens", "accuracy"])
    said = text_tasks.lengths_in_words(by_length, 0.25, 8)
    assert "0.800 to **0.300**, behind the probe's 0.500" in said and "**25%**" in said
    assert "**0.600** (+0.100)" in said


def test_what_is_out_of_reach_is_said_and_raises_nothing(monkeypatch):
    def gone(*_, **__):
        raise UserError("no texts here; fetch them")

    backbone, tasks, said = text_tasks.reachable(["reuters8"], size=8, n_train=20, n_test=5)
    assert backbone.recipe.size == 8 and len(tasks["reuters8"].train) == 20 and "reuters8" in said
    lora = get_approach("lora")
    model = lora.build(backbone, 8, lora.options())
    guessed = text_tasks.answers(model, backbone, tasks["reuters8"].test)
    assert guessed.shape == (5,)
    monkeypatch.setattr(text_tasks, "load_task", gone)
    assert text_tasks.reachable(["reuters8"], size=8, n_train=20, n_test=5) == (
        None,
        {},
        "Out of reach here, so the records stand alone: no texts here; fetch them",
    )
