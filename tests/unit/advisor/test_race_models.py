"""A trained model that somebody deletes while it is read is trained again."""

import shutil

import pytest

from helpers.advisor.model_folder import read_recipe
from helpers.advisor.race import runs
from helpers.errors import UserError
from tools.attack import subjects


@pytest.fixture
def race_and_job(monkeypatch, tmp_path):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    own = subjects.own_task(subjects.pictures(tmp_path / "pictures", 0))
    job = runs.RaceRun("feature_extraction", len(own.task.train), 0, 1e-3, 1, 0)
    return runs.RaceFile(own, "pocket", subjects.SIDE), job


class Deleted:
    """Reads a model's recipe, and finds its folder deleted a number of times first."""

    def __init__(self, times):
        self.times, self.reads = times, 0

    def __call__(self, folder):
        self.reads += 1
        if self.reads <= self.times:
            shutil.rmtree(folder)
        return read_recipe(folder)["run_id"]


def test_a_model_deleted_while_it_is_read_is_trained_again(race_and_job):
    race, job = race_and_job
    use = Deleted(2)
    assert race.use_model(job, use) == race.run_id(job)
    assert use.reads == 3
    assert list(race.load()["run_id"]) == [race.run_id(job)], "one row, however often trained"


def test_a_cache_that_never_holds_still_is_said(race_and_job):
    race, job = race_and_job
    with pytest.raises(UserError, match="holds no exported model"):
        race.use_model(job, Deleted(runs.TRIALS))


def test_another_fault_is_no_reason_to_train_again(race_and_job, monkeypatch):
    race, job = race_and_job
    race.use_model(job, read_recipe)
    monkeypatch.setattr(runs, "execute", lambda *given: pytest.fail("trained again"))

    def refuse(folder):
        raise UserError("the disk is full")

    with pytest.raises(UserError, match="the disk is full"):
        race.use_model(job, refuse)
