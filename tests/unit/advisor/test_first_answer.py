"""The first answer: what was measured leads, pixels come before weights, and words are earned."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import tiny_task
from torch import nn

from helpers.advisor import probe, verdicts
from helpers.advisor.answer import (
    FIRST_ROUND,
    MEASURE_MINUTES,
    _late_reasons,
    _next_words,
    _pixel_reasons,
    _take_reason,
    _unknown_reasons,
    first_choice,
    ruled_here,
)
from helpers.advisor.data import lasting
from helpers.advisor.folds import SizedProbe, strength_of
from helpers.advisor.prior import Expected
from helpers.advisor.probe import affordable_part, probe_own
from helpers.advisor.report.as_json import sure_in_words
from helpers.backbones import Backbone, GlobalAveragePool, Recipe, load_backbone
from helpers.decision import Situation
from helpers.paths import results_dir
from helpers.results.evidence import NONE
from helpers.tasks import Split

SECONDS = {"classical": 0.1, "feature_extraction": 5.0, "lora": 100.0}


def expected(name, accuracy, low=None, high=None, measured=False):
    low, high = accuracy - 0.05 if low is None else low, accuracy + 0.05 if high is None else high
    return Expected(name, accuracy, low, high, 9, "made", measured)


def prior(**accuracies):
    measured = ("classical", "feature_extraction")
    return {n: expected(n, a, measured=n in measured) for n, a in accuracies.items()}


def sized(size, accuracy, n=300, *, part=False):
    return SizedProbe(accuracy=accuracy, low=accuracy - 0.04, high=accuracy + 0.04, n=n, part=part,
                      image_size=size, strength=0.01, seconds=9.0, fit=0.01)  # fmt: skip


RECORDED = pd.DataFrame(
    {"regret": [0.01, 0.08], "cost": [1.0, 0.05]},
    index=["lora", "feature_extraction"],
)


def test_a_better_and_cheaper_measured_result_is_not_overridden():
    news = prior(classical=0.692, feature_extraction=0.58, lora=0.60)
    assert first_choice(news, SECONDS, RECORDED) == "classical"
    masks = prior(classical=0.7, feature_extraction=0.958, lora=0.962)
    assert first_choice(masks, SECONDS, RECORDED) == "feature_extraction"
    close = prior(classical=0.7, feature_extraction=0.90, lora=0.93)
    assert first_choice(close, SECONDS, RECORDED) == "lora"
    unrecorded = first_choice(close, SECONDS, RECORDED[:0])
    assert unrecorded == "feature_extraction"
    # Data sets that do not share the gain make the verdict unsure, not the choice.
    wide = replace(close["lora"], low=0.5, high=0.99)
    assert first_choice(close | {"lora": wide}, SECONDS, RECORDED) == "lora"


def test_what_gave_up_least_is_taken_not_what_is_expected_highest():
    told = prior(classical=0.7, feature_extraction=0.8, lora=0.85, lp_ft=0.87)
    assert first_choice(told, {**SECONDS, "lp_ft": 100.0}, RECORDED) == "lora"


def test_a_look_is_as_sure_as_looks_at_such_data_were_right():
    lost = [0.0, 0.5, 1.5, 2.0, 9.0]
    tasks = ["clothing", "digits", "products", "products", "tweets"]
    looks = pd.DataFrame({"modality": [*["image"] * 4, "text"], "task": tasks,
                          "regret_points": lost})  # fmt: skip
    assert verdicts.smoothed_rate(looks, "image", {}) == pytest.approx(4 / 6)
    assert verdicts.smoothed_rate(looks, "image", {"products"}) == pytest.approx(3 / 4)
    assert verdicts.smoothed_rate(looks, "text", {}) == pytest.approx(1 / 3)
    assert verdicts.smoothed_rate(looks, "text", {"tweets"}) == 0.5  # nothing was scored


def test_the_stated_chance_is_right_on_average_on_held_out_data():
    table = pd.read_csv(results_dir() / verdicts.LOOKS)
    looks = table[table["answer"] == verdicts.LOOK]
    right = looks["regret_points"] <= 100 * verdicts.WITHIN
    assert abs(looks["chance_right"].mean() - right.mean()) < 0.1


@pytest.fixture(scope="module")
def pictures():
    """Pictures whose classes a small version hides: stripes one pixel wide, along or across."""
    rng, n = np.random.default_rng(0), 120
    labels = np.arange(n) % 2
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (28, 14))
    images = np.stack([stripes if label else stripes.T for label in labels])[..., None]
    images = np.clip(images.astype(int) + rng.normal(0, 60, images.shape), 0, 255)
    return Split(images.astype(np.uint8), labels)


class Edges(nn.Module):
    """How much neighbours differ, along and across."""

    def forward(self, x):
        across, along = (torch.diff(x, dim=dim).abs().mean((2, 3)) for dim in (2, 3))
        return torch.stack([across, along], 1)[..., None]


def edges(size):
    recipe = Recipe(size=size, channels=1, mean=(0.5,), std=(0.5,))
    return Backbone("edges", "image", [Edges()], GlobalAveragePool(), 2, recipe)


def own_of(split):
    half = len(split) // 2
    parts = [split.take(np.arange(half)), split.take(np.arange(half, len(split)))]
    data = SimpleNamespace(groups=None, root="made", together=np.arange(len(split)))
    task = SimpleNamespace(train=parts[0], validation=parts[1], modality="image")
    pool = np.arange(len(split))
    return SimpleNamespace(data=data, task=task, pool=pool, rows={"train": pool[:half]})


def test_the_size_that_gets_more_right_is_gone_on_with(pictures, monkeypatch, tmp_path):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path))
    own, small, large = own_of(pictures), edges(7), edges(28)
    features = probe.feature_cache.extract_features(small, np.array(pictures.inputs))
    found = probe_own(small, own, features, native=large)
    assert [one.image_size for one in found.sizes] == [28, 7]
    assert found.probe.accuracy == found.sizes[0].accuracy > found.sizes[1].accuracy + 0.1
    assert all(one.seconds > 0 and not one.part for one in found.sizes)
    assert [one["image_size"] for one in found.as_dict()["sizes"]] == [28, 7]
    alone = probe_own(small, own, features)
    assert [one.image_size for one in alone.sizes] == [7]
    monkeypatch.setattr(probe, "NATIVE_SECONDS", 0.0)
    monkeypatch.setattr(probe, "LEAST_PART", 40)
    part = probe_own(small, own, features, native=large)
    assert part.sizes[0].part and part.sizes[0].n == part.sizes[1].n == part.probe.n == 40
    assert np.bincount(pictures.labels[affordable_part(pictures.labels, 1.0, 0)]).tolist() == [
        20,
        20,
    ]


def test_pixels_are_told_before_weights():
    (more,) = _pixel_reasons([sized(224, 0.924), sized(128, 0.861)])
    assert "6.3 points" in more and "at 224" in more
    (none,) = _pixel_reasons([sized(128, 0.65), sized(224, 0.64)])
    assert "nothing" in none and "at 128" in none
    (part,) = _pixel_reasons([sized(224, 0.9, part=True), sized(128, 0.8, part=True)])
    assert "stratified part" in part
    assert _pixel_reasons([sized(128, 0.9)]) == []


def test_the_strength_of_a_probe_may_be_small():
    """Labels that many noisy features hardly tell: the less the probe believes them the better."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(80, 200)), np.arange(80) % 2
    features[:, 0] += labels
    cuts = [(np.arange(60), np.arange(60, 80)), (np.arange(20, 80), np.arange(20))]
    assert strength_of(features, labels, cuts) <= 0.01


def test_the_told_probe_is_the_one_that_is_handed_over(monkeypatch, tmp_path):
    from helpers.advisor.race.runs import settings_of
    from helpers.approaches import get_approach, parse_options
    from helpers.training.linear import linear_probe

    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path))
    task, network = tiny_task(48, n_classes=3), load_backbone("pocket")
    approach, features = get_approach("feature_extraction"), probe.feature_cache.extract_features
    options = parse_options(approach.options, settings_of(approach.name, "image"))
    fitted = approach.fit(network, task, approach.config("image", 48, lr=0.01), options)
    told = linear_probe(0.01).fit(features(network, task.train.inputs), task.train.labels)
    handed = fitted.predict(task.test).argmax(1).numpy()
    assert (handed == told.predict(features(network, task.test.inputs))).all()


def test_verdicts_follow_the_chance_of_being_right():
    assert verdicts.verdict_of(0.96) == "clear"
    assert verdicts.verdict_of(0.7) == "leaning"
    assert verdicts.verdict_of(0.4) == "too close to call"


def test_what_a_verdict_was_worth_is_counted_or_said_to_be_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(verdicts, "results_dir", lambda: tmp_path)
    assert verdicts.kept("leaning", verdicts.LOOK) is None
    told = {"verdict": "leaning", "chance_right": 0.7, "verdict_record": None}
    assert "was not counted" in sure_in_words(told)
    assert "can't be said" in sure_in_words(told | {"verdict": NONE})
    rows = [("look", "leaning", 0.4), ("look", "leaning", 2.0), ("look", "clear", 0.0),
            ("race", "leaning", 9.0), ("look", "leaning", "")]  # fmt: skip
    table = pd.DataFrame(rows, columns=["answer", "verdict", "regret_points"])
    for name in (verdicts.LOOKS, verdicts.FILE):
        table.to_csv(tmp_path / name, index=False)
    assert verdicts.kept("leaning", verdicts.LOOK) == {
        "right": 1, "cases": 2, "within_points": 1.5
    }  # fmt: skip


@pytest.mark.parametrize("examples", [200, 20_000])
def test_an_unknown_distance_is_unknown(examples):
    asked = Situation(examples, 0.5)
    ruled = ruled_here(asked, known=False)
    said = " ".join(reason.text for reason in ruled.reasons)
    assert "0.50" not in said and "not known" in said
    assert "local only" not in {flip.name for flip in ruled.flips}
    assert all("0." not in flip.why for flip in ruled.flips)
    known = {flip.name for flip in ruled_here(asked, known=True).flips}
    assert "local only" not in known and known
    if examples == 20_000:  # the rule hangs on the distance there
        (flip,) = (flip for flip in ruled.flips if flip.name == "distance")
        assert not flip.applied and flip.approach != ruled.approach
    assert ruled.rule in ("R1", "R2", "R3", "R4", "fallback")


def test_what_the_records_cannot_say_is_said_with_what_would():
    wide = expected("from_scratch", 0.6, 0.164, 0.914)
    assert not wide.known and expected("lora", 0.9).known
    assert replace(wide, measured=True).known
    both = prior(lora=0.9, feature_extraction=0.85)
    both |= {"from_scratch": wide}
    seconds = SECONDS | {"from_scratch": 50.0}
    (said,) = _unknown_reasons(["lora", "from_scratch"], both, seconds)
    assert "one run takes 50 s" in said and "scratch" in said and "0.6" not in said
    assert _unknown_reasons(["lora"], both, seconds) == []
    assert "can't say" in _take_reason("from_scratch", both, 50.0, True)


def test_what_is_to_be_measured_is_a_race_with_the_minutes_it_takes():
    told = prior(classical=0.7, feature_extraction=0.8, lora=0.85, adapter=0.83)
    said = _next_words("lora", ["adapter"], told, SECONDS | {"lora": 900.0, "adapter": 600.0})
    minutes = float(said.partition("--minutes ")[2].partition(")")[0])
    assert minutes * 60 * FIRST_ROUND == pytest.approx(2 * 1_500, abs=60)  # two rates of each
    assert "lora against adapters" in said.lower()
    alone = _next_words("lora", [], told, SECONDS)  # the probe's accuracy is there already
    assert "feature extraction" in alone and f"--minutes {MEASURE_MINUTES:.0f})" in alone
    assert _next_words("feature_extraction", [], told, SECONDS) == ""


def test_what_there_is_no_time_for_is_named():
    (said,) = _late_reasons({"lora", "lp_ft"}, {"lora": 300.0, "lp_ft": 9_000.0}, 2.5)
    assert "2.5: LoRA (5 min); probe, then fine-tuning (2.5 hours)" in said
    assert _late_reasons(set(), {}, None) == []


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.04, "0.04 s"), (5.24, "5 s"), (119.4, "119 s"), (906.7, "15 min"),
     (7_129.0, "119 min"), (7_300.0, "2.0 hours"), (63_700.0, "18 hours")],
)  # fmt: skip
def test_a_time_is_told_with_about_two_digits(seconds, told):
    assert lasting(seconds) == told
