"""A race keeps time for its end: made runs on a made clock, so that minutes pass in no time."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from own import write_pictures
from tqdm import tqdm

from helpers.advisor.pipeline import Request, advise
from helpers.advisor.prior import Expected
from helpers.advisor.race import rounds
from helpers.advisor.race.rounds import Race
from helpers.advisor.race.runs import SkipKind
from helpers.backbones import load_backbone

STEP = {"feature_extraction": 0.0, "partial_fine_tuning": 0.01}


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))
        place = write_pictures(tmp_path_factory.mktemp("own") / "bars")
        yield advise(Request(place, backbone="pocket", image_size=28))


class Made:
    """Runs that take what was predicted, and get more right with more examples."""

    def __init__(self, monkeypatch, looked, minutes, tmp_path):
        self.now, self.ran = 0.0, []
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(rounds, "time", clock)
        monkeypatch.setattr(rounds, "execute", self.execute)
        monkeypatch.setattr("helpers.advisor.race.runs.own_folder", lambda name: tmp_path)
        own = looked.looked
        epochs = {n: replace(r, epochs=10, share=1.0) for n, r in own.recipes.items()}
        costs = {
            name: replace(cost, prepare=0.0, judge=0.0, step=STEP.get(name, 0.04), fit=0.0)
            for name, cost in own.costs.items()
        }
        own = replace(own, costs=costs, recipes=epochs)
        self.race = Race(own, looked.answer.expected, load_backbone("pocket"), 60 * minutes,
                         started=0.0)  # fmt: skip
        self.race.reserve = 0.0

    def execute(self, job, file, backbone=None, deadline=None, wanted=None):
        rng = np.random.default_rng(len(self.ran))
        n = len(self.race.folds.rows(job.fold)[1])
        right = rng.random(n) < 0.5 + job.n_train / 100 * (job.approach == "lora")
        taken = self.race.looked.costs[job.approach].seconds(
            self.race.looked.recipes[job.approach], job.n_train, n, 0
        )
        self.now += taken
        self.ran.append(job)
        return {
            "run_id": file.run_id(job), "approach": job.approach, "n_train": job.n_train,
            "fold": job.fold, "lr": job.lr, "epochs": job.epochs, "seed": job.seed, "n_judged": n,
            "accuracy": float(right.mean()), "loss": job.lr, "best_epoch": 1, "seconds": taken,
            "right": np.packbits(right).tobytes().hex(), "prepare_seconds": 0.0,
            "train_cpu_seconds": taken, "device": "cpu", "threads": 1, "torch": "2", "git": "",
            "created": "",
        }  # fmt: skip

    def run(self):
        with tqdm(disable=True, total=1) as bar:
            rounds.judge_cheap(self.race, bar)
            names = rounds.credible(self.race)
            rounds.race_credible(self.race, names, bar)
            rounds.judge_on(self.race, bar)
        return names


@pytest.fixture
def made(monkeypatch, looked, tmp_path):
    return lambda minutes: Made(monkeypatch, looked, minutes, tmp_path)


def test_with_time_for_some_the_likeliest_are_trained_on_everything(made):
    race = made(2.0)  # both rates of everybody would take five minutes
    names = race.run()
    ran = {job.approach for job in race.ran if job.fold == 0}
    assert {"classical", "feature_extraction"} <= ran and names[0] in ran
    assert {job.n_train for job in race.ran} == {race.race.n_full}
    late = {n for n, why in race.race.left_out.items() if why.kind is SkipKind.NO_TIME}
    assert late & set(names) and not late & ran
    assert race.now <= 60 * 2.0


def test_who_is_expected_to_get_more_right_is_first_and_who_cannot_lead_is_not_raced(made):
    race = made(60.0).race
    best = max(one.accuracy for one in race.expected.values())

    def told(name, below, width):
        return Expected(name, best - below, best - below - width, best - below + width, 9, "made")

    hopeless, poor, good = (
        told("lora", 0.2, 0.1),
        told("adapter", 0.2, 0.3),
        told("lp_ft", 0, 0.1),
    )
    race.expected = {**race.expected, "lora": hopeless, "adapter": poor, "lp_ft": good}
    names = rounds.credible(race)
    assert names.index("lp_ft") < names.index("adapter") and "lora" not in names
    assert race.left_out["lora"].kind is SkipKind.HOPELESS


def test_cheap_ones_are_judged_on_everything_whatever_the_time(made):
    race = made(0.05)
    assert race.run() == []  # no time for anybody's last run
    assert {(job.approach, job.n_train) for job in race.ran if job.fold == 0} == {
        ("classical", race.race.n_full), ("feature_extraction", race.race.n_full)
    }  # fmt: skip


def test_each_is_tried_at_two_rates_and_goes_on_with_the_smaller_loss(made):
    race = made(60.0)
    race.run()
    cheap = {job.fold for job in race.ran if job.approach == "classical"}
    assert cheap >= set(range(race.race.folds.count + 1))
    for name in race.race.looked.costs:
        first = {job.lr for job in race.ran if job.approach == name and job.fold == 0}
        recipe = race.race.looked.recipes[name]
        if first and recipe.other:
            assert first == {recipe.lr, recipe.other}, name
            assert race.race.rate(name) == min(first)  # the made loss is the rate
            later = {job.lr for job in race.ran if job.approach == name and job.fold}
            assert later <= {min(first)}
