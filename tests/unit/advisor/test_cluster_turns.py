"""How a race uses the workers of a cluster, on made workers: who has which run, what is lost."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from helpers.advisor.race import cluster as module
from helpers.advisor.race.cluster import DIED, LATE, Cluster
from helpers.advisor.race.runs import OutOfTime, RaceRun, SkipKind, Skipped
from helpers.errors import UserError


class Future:
    """What a made worker returns, or raises; None: it is still at it."""

    def __init__(self, outcome):
        self.outcome, self.cancelled = outcome, False

    def done(self):
        return self.outcome is not None

    def exception(self, timeout=None):
        return self.outcome if isinstance(self.outcome, BaseException) else None

    def result(self, timeout=None):
        return self.outcome, {}

    def add_done_callback(self, call):
        call(self)


class Client:
    """A scheduler of made workers. outcomes: by approach, what its runs come to, in turn."""

    def __init__(self, workers, outcomes):
        self.workers, self.outcomes = set(workers), outcomes
        self.status, self.started, self.cancelled = "running", [], []
        self.scheduler = SimpleNamespace(ncores=None)

    def sync(self, *_, **__):
        return dict.fromkeys(self.workers, 1)

    def submit(self, call, *more, key="", workers=None, pure=True):
        kind = key.rpartition("-")[0]
        if kind == "execute_remotely":
            job = call.job
            self.started.append((job["approach"], workers[0]))
            outcome = self.outcomes[job["approach"]].pop(0)
            return Future(outcome(self, workers[0]) if callable(outcome) else outcome)
        return Future({"seen": True})

    def cancel(self, futures):
        self.cancelled += futures


def job(name):
    return RaceRun(name, 40, 1, 0.1, 1, 0)


def raced(monkeypatch, workers=("a", "b"), allowed=lambda _: 60.0, **outcomes):
    """The outcomes by approach, each a row or why there is none; the client, and the cluster."""
    client = Client(workers, outcomes)

    @contextmanager
    def connected(*_):
        yield client

    def sealed(function, mine):
        return SimpleNamespace(job=mine[0] if function.__name__ == "execute_remotely" else None)

    for name, value in {
        "_connected": connected, "_sealed": sealed, "as_text": lambda own: "", "TICK": 0.0,
        "ABSENCE": 0.0,
    }.items():  # fmt: skip
        monkeypatch.setattr(module, name, value)
    race = SimpleNamespace(
        own=SimpleNamespace(name="own"), backbone="pocket", image_size=28,
        run_id=lambda job: job.approach, has_model=lambda job: True,
    )  # fmt: skip
    cluster = Cluster("tcp://here:1", race).open()
    found = {done.approach: came for done, came in cluster.rows([*map(job, outcomes)], allowed)}
    return found, client, cluster


def row(name):
    return {"run_id": name}


def gone(client, worker):
    client.workers.discard(worker)


def test_runs_share_the_workers_and_come_back(monkeypatch):
    names = ("lora", "adapter", "lp_ft")
    found, client, cluster = raced(monkeypatch, **{name: [row(name)] for name in names})
    assert found == {name: row(name) for name in names} and cluster.count == 2
    assert client.started == [("lora", "a"), ("adapter", "b"), ("lp_ft", "a")]


def test_what_a_run_meets_is_why_there_is_no_row(monkeypatch):
    found, *_ = raced(
        monkeypatch, lora=[OutOfTime("too long")], adapter=[ValueError("odd")], lp_ft=[row("else")]
    )
    assert found["lora"] == Skipped(SkipKind.TOO_SLOW, "too long")
    assert found["adapter"] == Skipped(SkipKind.FAILED, "ValueError: odd")
    assert found["lp_ft"].kind is SkipKind.FAILED and "older" in found["lp_ft"].text


def test_a_run_whose_worker_dies_goes_to_another_once(monkeypatch):
    found, client, _ = raced(monkeypatch, lora=[gone, row("lora")])
    assert found["lora"] == row("lora") and [who for _, who in client.started] == ["a", "b"]
    found, client, _ = raced(monkeypatch, ("a", "b", "c"), lora=[gone, gone, row("lora")])
    assert found["lora"] is DIED and len(client.started) == 2


def test_what_takes_too_long_is_cancelled(monkeypatch):
    found, client, _ = raced(
        monkeypatch, allowed=lambda _: -module.OVERTIME, lora=[lambda *_: None]
    )
    assert found["lora"] is LATE and client.cancelled


def test_what_may_not_start_is_left_out(monkeypatch):
    why = Skipped(SkipKind.NO_TIME, "no time left")
    found, client, _ = raced(monkeypatch, allowed=lambda _: why, lora=[], adapter=[])
    assert set(found.values()) == {why} and not client.started


def test_without_any_worker_the_race_ends(monkeypatch):
    with pytest.raises(UserError, match="all workers of tcp://here:1 are gone; what was finished"):
        raced(monkeypatch, ("a",), lora=[gone, row("lora")])
