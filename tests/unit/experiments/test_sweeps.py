"""Sweeps: what they ask, fair tuning, and that no stop, failure or dead worker loses a run."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from rows import make_row

from helpers import vocabulary
from helpers.approaches import APPROACHES
from helpers.errors import DataNotFound, UserError
from helpers.experiments import grids, single_run, sweeps, workers
from helpers.experiments.grids import ALL, SWEEPS, Block, Sweep
from helpers.paths import results_dir
from helpers.results import runs as records
from helpers.tasks import TASKS, load_task, train_examples
from helpers.tasks.domain_dial import DIAL_STEPS
from helpers.training.loop import TrainingDiverged

# Imports once, then forks a run of the toy sweep for every line it reads: "WORKERS SECONDS".
RUNNER = """
import os, signal, sys
from functools import partial
from pathlib import Path
from test_sweeps import fake, toy
from helpers.experiments import grids, sweeps
path, log = Path(sys.argv[1]), Path(sys.argv[2])
grids.SWEEPS["toy"] = toy(seeds=30)
# A shell that starts tests in the background has them ignore Ctrl-C, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
for line in sys.stdin:
    count, seconds = line.split()
    child = os.fork()
    if child == 0:
        os.setsid()
        run = partial(fake, log=log, seconds=float(seconds))
        sweeps.run_sweep("toy", int(count), path=path, run=run)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
TOY_RUNS = 6 + 2 * 2 * 30


def toy(**changes) -> Sweep:
    """Two approaches, two sizes, three seeds; learning rates are tuned unless `rates` are given.

    Both approaches start from the same three rates, of which 0.003 lies in the middle.
    """
    box = {"sizes": (50, 200), "approaches": ("lora", "adapter"), "seeds": 3, "tuning_size": 500}
    return Sweep("toy", "a test", (Block("pocket", ("digits",), **(box | changes)),))


FAILURE = ValueError("this one\nfails")


def fake(
    config, *, log=None, seconds=0.0, best=0.003, fail="", error=FAILURE, die=None, always=False
):
    """Stand in for a measured run: its validation accuracy is highest at the rate `best`.

    log: a file that gets one line a call. fail: text in the approach's or lr's name that fails,
    with `error`.
    die: a file; a worker that does not find it makes it and dies, or dies `always`.
    """
    config = config.resolved()
    if log is not None:
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{config.approach} {config.n_train} {config.seed} {config.lr:g}\n")
    time.sleep(seconds)
    if fail and fail in f"{config.approach} {config.lr:g}":
        raise error
    if die is not None and config.seed == 1 and (always or not die.exists()):
        die.touch()
        os.kill(os.getpid(), 9)
    val = 0.9 if config.lr == best else 0.8
    # On test the best rate is the worst, so a choice that peeks at test is found out.
    return make_row(**asdict(config), val_accuracy=val, test_accuracy=1 - val)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.csv"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "calls.txt"


@pytest.fixture
def sweep(monkeypatch):
    """Register a toy sweep; call it with changes to the block."""

    def put(**changes):
        monkeypatch.setitem(SWEEPS, "toy", toy(**changes))
        return "toy"

    return put


def load(path: Path, **filters):
    """The rows of a file, of whatever recipe."""
    return records.load_runs(path, schema=None, **filters)


def calls(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def check_whole(path: Path, rows: int) -> None:
    """Whole, unique, re-hashable rows, and as many as there should be."""
    runs = load(path)
    assert len(runs) == rows and runs.run_id.is_unique
    assert [records.run_id(row) for row in runs.to_dict("records")] == list(runs.run_id)
    assert path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_asks_well_formed_questions(name):
    none = records.load_runs(Path("none.csv"))
    plan = sweeps.make_plan(name, {})
    listed = sweeps.cells(name, none)
    assert len(listed) == len(plan.ready) + len(plan.waiting) > 0
    assert len({sweeps.identity(config) for config in listed}) == len(listed)
    assert all(0 < config.n_train <= train_examples(config.task) for config in listed)
    seeds = Counter(replace(c, seed=0) for c in listed)  # two where a run is long, one from scratch
    assert all(seeds[c] >= 2 for c in seeds if c.approach in ("lora", "adapter")), name


@pytest.mark.parametrize("name", [name for name in SWEEPS if SWEEPS[name].tuned])
def test_every_approach_gets_the_same_number_of_trials(name):
    none = records.load_runs(Path("none.csv"))
    trials = sweeps.cells(name + grids.TUNING, none)
    count = Counter((*arm(c), c.n_train) for c in trials)
    assert set(count.values()) == {3}
    assert {c.seed for c in trials} == {0}
    assert {key[:-1] for key in count} == {arm(c) for c in sweeps.cells(name, none)}


def arm(config) -> tuple:
    return config.backbone, config.task, config.dial, config.approach, config.settings


def test_grids_name_what_the_registries_hold():
    assert set(vocabulary.SHIPPED) == set(APPROACHES)
    assert (0.0, *grids.DIALS) == pytest.approx(tuple(DIAL_STEPS))
    steps = {c.task + str(c.dial) for name in SWEEPS for c in sweeps.cells(name)}
    assert len(steps) >= 12


@pytest.mark.parametrize("task", [name for name, info in TASKS.items() if info.train_examples])
def test_registered_numbers_of_examples_are_what_is_loaded(task):
    try:
        loaded = load_task(task)
    except DataNotFound as error:
        pytest.skip(str(error))
    if loaded.origin == "sample":
        pytest.skip("only the sample is here")
    assert train_examples(task) == len(loaded.train)


def test_sizes_over_the_pool_are_left_out_and_all_is_the_pool(sweep):
    sweep(sizes=(50, 5_000, ALL), rates=grids.DEFAULT_RATE)
    assert {c.n_train for c in sweeps.cells("toy")} == {50, train_examples("digits")}


def test_on_every_example_a_solver_has_a_run_for_each_to_be_paired_with(sweep):
    sweep(sizes=(ALL,), approaches=vocabulary.SHIPPED, rates=grids.DEFAULT_RATE)
    held = Counter(cell.approach for cell in sweeps.cells("toy"))
    assert held == dict.fromkeys(vocabulary.SHIPPED, 3)


def test_small_sizes_come_first_then_seeds_then_the_cheap(sweep):
    sweep(approaches=vocabulary.SHIPPED, rates=grids.DEFAULT_RATE)
    listed = sweeps.cells("toy")
    assert [c.n_train for c in listed] == sorted(c.n_train for c in listed)
    assert [c.seed for c in listed[:24]] == [0] * 8 + [1] * 8 + [2] * 8
    for start in range(0, len(listed), 8):
        assert {c.approach for c in listed[start : start + 8]} == set(vocabulary.SHIPPED)
        assert listed[start].approach == "classical"


def test_bad_blocks_are_refused():
    for bad in ({"seeds": 0}, {"sizes": (-1,)}):
        with pytest.raises(UserError):
            toy(**bad)


def test_rates_are_tuned_first_and_by_validation(sweep, path, log):
    outcome = sweeps.run_sweep(sweep(), path=path, run=partial(fake, log=log))
    assert (outcome.done, outcome.failed, outcome.left) == (18, [], 0)
    assert [call.split()[1] for call in calls(log)[:6]] == ["500"] * 6
    check_whole(path, 18)
    runs = load(path)
    assert Counter(runs.sweep) == {"toy/tuning": 6, "toy": 12}
    assert set(runs[runs.sweep == "toy"].lr) == {0.003}
    assert set(runs[runs.sweep == "toy/tuning"].seed) == {0}


def test_a_sweep_that_is_whole_runs_nothing(sweep, path, log):
    sweeps.run_sweep(sweep(), path=path, run=fake)
    before = path.read_bytes()
    outcome = sweeps.run_sweep("toy", path=path, run=partial(fake, log=log))
    assert (outcome.done, calls(log), path.read_bytes()) == (0, [], before)
    assert sweeps.missing("toy", load(path)) == []
    assert len(sweeps.recorded_runs("toy", load(path))) == 12


def test_only_what_is_missing_runs(sweep, path, log):
    sweeps.run_sweep(sweep(), path=path, run=fake)
    lines = path.read_bytes().splitlines(keepends=True)
    gone = [line for line in lines if b",50," in line and b",adapter," in line]
    path.write_bytes(b"".join(line for line in lines if line not in gone))
    assert len(gone) == len(open_runs := sweeps.missing("toy", load(path))) == 3
    # A run that diverged has its answer, and a sweep that has no other left is whole.
    other = path.with_name("elsewhere") / path.name
    other.parent.mkdir()
    for config in open_runs:
        records.append_diverged(sweeps.identity(config), "toy", other)
    assert sweeps.missing("toy", load(path), other) == []
    assert sweeps.run_sweep("toy", path=path, run=partial(fake, log=log)).done == 3
    assert sorted(calls(log)) == [f"adapter 50 {seed} 0.003" for seed in range(3)]


def test_the_runs_of_a_closed_sweep_are_found_and_are_those_of_the_first_round():
    runs = records.load_runs(schema=None)
    listed = pd.read_csv(results_dir() / "first_round.csv")
    assert {name.removesuffix(grids.TUNING) for name in listed["sweep"]} <= set(grids.CLOSED)
    assert not listed.duplicated().any()
    for name, ids in listed.groupby("sweep")["run_id"]:
        found = sweeps.recorded_runs(name, runs)
        assert sorted(found["run_id"]) == sorted(ids) and set(found["schema"]) == {1}
    assert set(runs.loc[runs["schema"] == 1, "run_id"]) == set(listed["run_id"])
    sizes = {name: len(sweeps.recorded_runs(name, runs)) for name in grids.CLOSED}
    assert sizes == {
        "pocket": 912, "pocket_large": 0, "lite0": 429, "lite0_all": 0, "resolution": 27,
        "minilm": 502, "anchor": 6, "clothing": 13, "solar": 14, "lr_sensitivity": 126, "stages": 90
    }  # fmt: skip


def test_a_closed_sweep_has_rows_of_whatever_records_it_is_asked_of(path):
    runs = records.load_runs(schema=None)
    assert sweeps.recorded_runs("anchor", runs.iloc[::-1])["run_id"].is_unique
    assert sweeps.recorded_runs("pocket", load(path)).empty


@pytest.mark.parametrize("step", ["stages", "pocket/tuning"])
def test_a_closed_sweep_is_never_run_again(path, log, step):
    with pytest.raises(UserError, match="earlier recipe and is closed.*open sweeps are: repair"):
        sweeps.run_sweep(step, path=path, run=partial(fake, log=log))
    with pytest.raises(UserError, match="closed"):
        sweeps.sweep_command(step)
    assert calls(log) == [] and not path.exists()


def test_open_sweeps_are_those_of_the_second_round():
    assert list(grids.SWEEPS) == [sweep.name for sweep in grids.SECOND_ROUND]
    assert not set(grids.SWEEPS) & set(grids.CLOSED)


def test_trials_at_the_sweeps_own_size_are_not_run_twice(sweep, path, log):
    sweep(sizes=(ALL,), tuning_size=ALL, approaches=("lora",))
    outcome = sweeps.run_sweep("toy", path=path, run=partial(fake, log=log))
    assert outcome.done == len(calls(log)) == 3 + 2  # seed 0 at the best rate is a trial already
    found = sweeps.recorded_runs("toy", load(path))
    assert sorted(found.seed) == [0, 1, 2] and set(found.lr) == {0.003}


def test_a_run_that_fails_stops_no_other(sweep, path, capsys):
    sweep(rates=grids.DEFAULT_RATE)
    outcome = sweeps.run_sweep("toy", path=path, run=partial(fake, fail="adapter"))
    assert (outcome.done, len(outcome.failed), outcome.left) == (6, 6, 0)
    check_whole(path, 6)
    assert all("\n" not in line for line in outcome.failed)
    assert "adapter n=50 seed=0 lr=0.003: ValueError: this one fails" in outcome.failed[0]
    assert capsys.readouterr().err.count("failed: toy: digits") == 6


def test_a_trial_that_diverges_counts_as_tried_also_in_a_later_process(sweep, path):
    diverging = partial(fake, fail="lora 0.01", error=TrainingDiverged("the loss became nan"))
    outcome = sweeps.run_sweep(sweep(), path=path, run=diverging)
    assert len(outcome.failed) == 1 and outcome.left == 0
    assert set(load(path, sweep="toy", approach="lora").lr) == {0.003}
    again = sweeps.run_sweep("toy", path=path, run=fake)
    assert (again.done, again.failed) == (0, [])


def test_a_trial_that_fails_otherwise_is_tried_again_before_a_rate_is_chosen(sweep, path):
    outcome = sweeps.run_sweep(sweep(), path=path, run=partial(fake, fail="lora 0.01"))
    assert load(path, sweep="toy", approach="lora").empty and len(outcome.failed) == 1 + 6
    sweeps.run_sweep("toy", path=path, run=fake)
    assert set(load(path, sweep="toy").approach) == {"adapter", "lora"}


def test_where_all_trials_fail_the_runs_are_told_as_failed(sweep, path):
    outcome = sweeps.run_sweep(sweep(), path=path, run=partial(fake, fail="lora"))
    assert len(outcome.failed) == 3 + 6
    assert sum("no learning rate worked" in line for line in outcome.failed) == 6
    assert set(load(path, sweep="toy").approach) == {"adapter"}


@pytest.mark.parametrize("limit", [1, 5, 6, 7, 17])
def test_limit(sweep, path, limit):
    outcome = sweeps.run_sweep(sweep(), limit=limit, path=path, run=fake)
    assert outcome.done == len(load(path)) == limit
    assert outcome.left == 12 - max(0, limit - 6)
    sweeps.run_sweep("toy", path=path, run=fake)
    check_whole(path, 18)


def test_bad_numbers_and_names(path):
    for bad in ({"workers": 0}, {"limit": 0}):
        with pytest.raises(UserError, match="must be 1 or more"):
            sweeps.run_sweep("repair", path=path, run=fake, **bad)
    for name in ("pockets", "elsewhere", "repair/tunings"):
        with pytest.raises(UserError) as error:
            sweeps.sweep_command(name)
        assert all(known in str(error.value) for known in SWEEPS)


def test_command_tells_what_it_did(sweep, path, monkeypatch, capsys):
    monkeypatch.setattr(records, "runs_path", lambda: path)
    diverging = partial(fake, fail="lora 0.01", error=TrainingDiverged("the loss became nan"))
    monkeypatch.setattr(sweeps, "run_sweep", partial(sweeps.run_sweep, run=diverging))
    sweep()
    assert sweeps.sweep_command("toy", limit=6) == 1
    assert "toy: 12 runs, 0 recorded, 12 to do" in capsys.readouterr().out
    assert sweeps.sweep_command("toy") == 0  # the trial diverged, which another try would repeat
    assert "12 recorded now, 0 failed, 0 left" in capsys.readouterr().out


def test_a_place_that_can_not_be_written_to_is_found_before_any_run(sweep, tmp_path, log):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        sweeps.run_sweep(sweep(), path=tmp_path / "file" / "runs.csv", run=partial(fake, log=log))
    assert calls(log) == []


def test_a_row_that_answers_another_question_is_refused(sweep, path):
    outcome = sweeps.run_sweep(
        sweep(rates=grids.DEFAULT_RATE), path=path, run=lambda config: fake(config) | {"seed": 9}
    )
    assert len(outcome.failed) == 12 and "another question" in outcome.failed[0]
    assert load(path).empty


def test_a_sample_is_not_recorded_as_the_full_data(monkeypatch):
    sample = SimpleNamespace(origin="sample")
    monkeypatch.setattr(single_run, "task_for", lambda config: sample)
    with pytest.raises(UserError, match="only the sample"):
        workers.measure(single_run.RunConfig("products", "pocket", "lora", 50))


def test_threads_are_limited_and_given_back(path, sweep):
    import torch

    def threads_in(config):
        seen.append(torch.get_num_threads())
        return fake(config)

    before, seen = torch.get_num_threads(), []
    sweeps.run_sweep(sweep(rates=grids.DEFAULT_RATE), path=path, run=threads_in)
    assert set(seen) == {1} and torch.get_num_threads() == before


@pytest.mark.slow
def test_two_workers_append_whole_rows_and_die_without_loss(sweep, path, tmp_path):
    sweep(seeds=6, rates=grids.DEFAULT_RATE)
    run = partial(fake, die=tmp_path / "died", log=tmp_path / "log")
    outcome = sweeps.run_sweep("toy", 2, path=path, run=run)
    assert (tmp_path / "died").exists()
    assert outcome.failed == []
    check_whole(path, 24)


@pytest.mark.slow
def test_a_run_that_kills_its_worker_every_time_is_given_up_alone(sweep, path, tmp_path):
    sweep(seeds=4, sizes=(50,), approaches=("lora",), rates=grids.DEFAULT_RATE)
    run = partial(fake, die=tmp_path / "died", always=True)
    outcome = sweeps.run_sweep("toy", 2, path=path, run=run)
    (told,) = outcome.failed
    assert "seed=1" in told and "its worker died" in told
    assert set(load(path).seed) == {0, 2, 3}


class Runner:
    """Starts the toy sweep in processes of their own, each the leader of a group, to be stopped."""

    def __init__(self, path: Path, log: Path) -> None:
        # It finds what this test finds.
        here = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(path), str(log)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=os.environ | here,
        )  # fmt: skip

    def start(self, workers: int, seconds: float = 0.002) -> int:
        """Start a run of the sweep; returns its process id."""
        self.process.stdin.write(f"{workers} {seconds}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def ended(self) -> int:
        """Wait for the run; returns its exit status, negative for a signal."""
        return int(self.process.stdout.readline())


@pytest.fixture
def runner(path, log):
    """Return a Runner that is gone after the test."""
    made = Runner(path, log)
    with made.process:
        yield made
        made.process.stdin.close()


def wait_for(least: int, count) -> None:
    deadline = time.monotonic() + 120
    while count() < least:
        assert time.monotonic() < deadline, "nothing moves"
        time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ten_kills_at_random_moments_lose_at_most_the_run_in_flight(path, log, runner):
    rng, seen = random.Random(1), set()
    for _ in range(10):
        started, moment = runner.start(1), len(calls(log)) + rng.randint(1, 10)
        wait_for(moment, lambda: len(calls(log)))
        time.sleep(rng.uniform(0, 0.01))
        os.killpg(started, signal.SIGKILL)
        assert runner.ended() == -signal.SIGKILL
        now = set(load(path).run_id)
        assert seen <= now
        seen = now
    assert 0 < len(seen) < TOY_RUNS, "the kills must come in the middle"
    runner.start(1)
    assert runner.ended() == 0
    check_whole(path, TOY_RUNS)
    assert TOY_RUNS <= len(calls(log)) <= TOY_RUNS + 10, "only runs in flight are run again"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_two_workers_stopped_and_started_again(path, log, runner, number):
    started = runner.start(2, 0.02)
    wait_for(10, lambda: len(load(path)))
    os.killpg(started, number)
    assert runner.ended() != 0
    assert 10 <= len(load(path)) < TOY_RUNS
    runner.start(1)
    assert runner.ended() == 0
    check_whole(path, TOY_RUNS)


def test_a_scheduler_without_dask_says_what_to_install(sweep, path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"freeze-tune-adapt\[distributed\]"):
        sweeps.run_sweep(sweep(), scheduler="tcp://127.0.0.1:8786", path=path, run=fake)


def test_a_scheduler_that_is_not_there(sweep, path, monkeypatch):
    """No client is made: one that failed could be collected while another starts, and hang both."""
    pytest.importorskip("distributed", reason="the extra `distributed` is not installed")
    monkeypatch.setattr("distributed.Client", lambda *_, **__: pytest.fail("a client was made"))
    for address in ("tcp://127.0.0.1:1", "nonsense"):
        with pytest.raises(UserError, match="no Dask scheduler answers"):
            sweeps.run_sweep(sweep(), scheduler=address, path=path, run=fake)


@pytest.mark.slow
def test_a_cluster_runs_each_once_though_a_worker_is_killed(sweep, path, tmp_path):
    distributed = pytest.importorskip("distributed", reason="the extra is not installed")
    sweep(seeds=8)
    run = partial(fake, die=tmp_path / "died", seconds=0.02)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, scheduler_port=0
    ) as cluster:
        address = cluster.scheduler_address
        outcome = sweeps.run_sweep("toy", scheduler=address, path=path, run=run)
    assert (tmp_path / "died").exists()
    assert outcome.failed == []
    check_whole(path, 6 + 32)
