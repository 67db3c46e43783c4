"""The live race of photos: pairs by seed, who may enter, what stands beside it from the records."""

import numpy as np
import pandas as pd
import pytest

from helpers.lessons import photos
from helpers.results import recipe_in_words
from helpers.vocabulary import CLASSICAL, FEATURE_EXTRACTION, PARTIAL_FINE_TUNING
from helpers.vocabulary import FULL_FINE_TUNING as FULL


def rows(**scores):
    """Accuracies by approach, one for each seed."""
    made = [
        (name, seed, 200, value, 2.0 + seed)
        for name, values in scores.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(made, columns=["approach", "seed", "n_train", "accuracy", "seconds"])


def test_a_race_runs_on_any_registered_task_and_network():
    found = photos.live_race("digits", "pocket", n_train=30, seeds=(0, 1), epochs=1, n_test=40)
    assert list(found["approach"].unique()) == list(photos.WAIT_FOR)
    assert found.groupby("approach")["seed"].nunique().eq(2).all()
    assert found["accuracy"].between(0, 1).all() and (found["seconds"] > 0).all()
    again = photos.live_race("digits", "pocket", n_train=30, seeds=(0,), epochs=1, n_test=40)
    assert again["accuracy"].tolist() == found[found["seed"] == 0]["accuracy"].tolist()


def test_standings_are_means_best_first():
    table = photos.standings(rows(lora=[0.5, 0.7, 0.6], classical=[0.3, 0.3, 0.3]))
    assert table["approach"].tolist() == ["lora", "classical"]
    assert table["mean"].tolist() == pytest.approx([0.6, 0.3])
    assert table["low"][0] < 0.6 < table["high"][0] and table["seconds"].tolist() == [3.0, 3.0]


def test_a_lead_is_taken_seed_by_seed():
    # The seeds differ by far more than the two entrants, which the pairs don't mind.
    found = rows(lora=[0.30, 0.51, 0.70], classical=[0.25, 0.45, 0.65])
    mean, low, high = photos.lead(found, "lora", CLASSICAL)
    assert mean == pytest.approx(0.0533, abs=1e-4) and 0 < low < high < 0.1
    told = photos.lead_in_words(found, "lora", CLASSICAL)
    assert "+5.3 points" in told and "luck" not in told
    unclear = rows(lora=[0.3, 0.5, 0.7], classical=[0.4, 0.4, 0.8])
    assert "luck" in photos.lead_in_words(unclear, "lora", CLASSICAL)
    more = pd.concat([found, found[found["approach"] == "lora"].assign(seed=[7, 8, 9])])
    assert photos.lead_in_words(more, "lora", CLASSICAL) == told  # three pairs, not six seeds


def test_what_is_recorded_beside_a_race_is_of_its_own_situation(monkeypatch):
    row = {
        "approach": FULL,
        "n_train": 200,
        "image_size": photos.SIDE,
        "seed": 0,
        "test_accuracy": 0.7,
    }
    others = [{"n_train": 50}, {"image_size": 64}, {"approach": "lora"}]
    seeds = [row | {"test_accuracy": 0.9, "seed": 1}, row | {"test_accuracy": 0.8, "seed": 2}]
    asked = {}

    def recorded(*rows):
        table = pd.DataFrame([*rows, *(row | other | {"test_accuracy": 0.1} for other in others)])
        monkeypatch.setattr(photos, "load_runs", lambda **filters: asked.update(filters) or table)
        return photos.recorded_beside(200, FULL)

    monkeypatch.setattr(photos, "comparable", lambda runs, seeds: runs)
    assert "is not recorded yet" in recorded()
    assert asked["schema"] == 2 and asked["task"] == photos.PHOTOS
    assert "**0.700** (1 seed, corrected" in recorded(row)  # no interval from so few
    assert recipe_in_words({"image": 2}) in recorded(row)  # which the live race does not follow
    frozen = [r | {"approach": FEATURE_EXTRACTION, "test_accuracy": 0.6} for r in (row, *seeds)]
    told = recorded(row, *seeds, *frozen)
    assert "**0.800** (95 % interval 0.552 to 1.048, 3 seeds); *full fine-tuning*" in told
    assert "**+20.0 points** (95 % interval -4.8 to +44.8, 3 seeds), which may be luck." in told


@pytest.mark.parametrize(
    ("live", "told"),
    [
        ((0.002, -0.06, 0.07), "gained nothing clear against freezing"),
        ((0.05, 0.01, 0.09), "by +5.0 points against"),
        ((-0.05, -0.09, -0.01), "by -5.0 points against"),
    ],
)
def test_a_live_gain_stands_beside_the_recorded_one(monkeypatch, live, told):
    made = rows(**{PARTIAL_FINE_TUNING: [0.7, 0.8, 0.9], FEATURE_EXTRACTION: [0.6, 0.7, 0.8]})
    monkeypatch.setattr(photos, "recorded", lambda n_train: made)
    said = photos.beside_records(live)
    assert told in said and "fine-tuning has **+10.0 points** (+10.0 to +10.0)" in said


def test_controls_and_who_passes_them():
    table = photos.controls(["digits"], n_train=30, n_test=40, draws=2)
    assert set(table["approach"]) == {"guessing", CLASSICAL, photos.RANDOM, FEATURE_EXTRACTION}
    made = [("a", w, s, v) for w, vs in {
        FEATURE_EXTRACTION: (0.8, 0.81, 0.82), CLASSICAL: (0.5, 0.52, 0.51), "guessing": (0.9,) * 3,
    }.items() for s, v in enumerate(vs)]  # fmt: skip
    table = pd.DataFrame(made, columns=["task", "approach", "seed", "accuracy"])
    assert photos.passed(table, CLASSICAL) == ["a"] and photos.passed(table, "guessing") == []
    legend = photos.plot_controls(table, "x").axes[0].get_legend().get_texts()
    assert {text.get_text() for text in legend} >= {"feature extraction", "no network", "guessing"}


def test_confusions_are_counted_both_ways_most_often_first():
    truth, said = np.array([0, 0, 0, 1, 2]), np.array([1, 1, 0, 0, 2])
    table = photos.most_confused(truth, said, ["hat", "shirt", "shoes"])
    assert table.values.tolist() == [["hat", "shirt", 3]]
    assert photos.guessing(truth) == 0.6


def test_one_thing_is_varied(monkeypatch):
    seen = []

    class Done:
        prepare_cpu_seconds, history = 1.0, type("H", (), {"cpu_seconds": 2.0, "best": (0.5, 0.1)})

        def accuracy(self, split):
            return 0.6

    def fit(name, backbone, data, seed, epochs, **changes):
        seen.append((name, seed, changes))
        return Done()

    monkeypatch.setattr(photos, "fit_live", fit)
    monkeypatch.setattr(photos, "load_task", lambda *_, **__: type("T", (), {"test": None}))
    table = photos.vary("top_stages", (0, 2), n_train=20, seeds=(0,))
    assert seen == [(FEATURE_EXTRACTION, 0, {}), (PARTIAL_FINE_TUNING, 0, {"top_stages": 2})]
    assert table["seconds"].tolist() == [3.0, 3.0] and table["validation"].tolist() == [0.5, 0.5]
    seen.clear()
    photos.vary("lr", (0.1,), n_train=20, seeds=(0,), top_stages=1)
    assert seen == [(PARTIAL_FINE_TUNING, 0, {"lr": 0.1, "top_stages": 1})]


def test_controls_say_whether_guessing_misled():
    def told(pretrained):
        made = {
            "guessing": (0.3,) * 3,
            CLASSICAL: (0.5, 0.52, 0.51),
            photos.RANDOM: (0.5, 0.49, 0.5),
        }
        scores = rows(**made, **{FEATURE_EXTRACTION: pretrained})
        return photos.controls_in_words(scores.assign(task="digits"))

    assert "**1 of 1** tasks" in told((0.5, 0.51, 0.5)) and "**0** (none)" in told((0.5, 0.51, 0.5))
    assert "too easy an opponent on digits" in told((0.5, 0.51, 0.5))
    assert "**1** (digits)" in told((0.8, 0.81, 0.8))
    assert "misleads on none" in told((0.8, 0.81, 0.8))


def test_a_confusion_matrix_has_shares_of_each_row():
    truth, said = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 1, 1, 1, 1, 1])
    made = photos.plot_confusion(truth, said, ["hat", "shoes"])
    (ax,) = made.axes
    assert [text.get_text() for text in ax.texts] == ["25", "75", "", "100"]
    assert "hat and shoes, 3 times" in made.alt


def test_weights_help_the_rare_class():
    rng = np.random.default_rng(0)
    y = np.array([0] * 90 + [1] * 10)
    parts = [((rng.normal(size=(100, 2)) + y[:, None]).astype(np.float32), y) for _ in range(2)]
    told = photos.balance_in_words(*parts, ["hat", "shoes"])
    assert "90 show a hat and 10 a shoes" in told
    plain, weighted = (float(line.split("**")[3]) for line in told.splitlines()[-2:])
    assert weighted > plain
