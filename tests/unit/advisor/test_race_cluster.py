"""A race on a Dask cluster of real processes: rows and models come back, losses lose no run."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from own import write_pictures, write_texts
from tiny import tiny_task
from tqdm import tqdm

from helpers.advisor.export import load_model
from helpers.advisor.pipeline import Request, advise
from helpers.advisor.race import cluster as cluster_module
from helpers.advisor.race.cluster import Cluster
from helpers.advisor.race.rounds import Race
from helpers.advisor.race.runs import RaceFile, RaceRun, SkipKind, execute
from helpers.advisor.race.standings import read_test
from helpers.advisor.read.any_format import read_data
from helpers.advisor.task import make_own_task
from helpers.backbones import load_backbone
from helpers.cli.commands import main
from helpers.errors import DataNotFound, UserError

distributed = pytest.importorskip("distributed", reason="the extra `distributed` is not installed")
from distributed.client import ClosedClientError  # noqa: E402

POCKET = ("--backbone", "pocket", "--image-size", "28", "--measure")


class Processes:
    """A scheduler and workers as processes of their own; the workers have a cache of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.started = folder, []
        self.cache = folder / "cache of the workers"
        self.scheduler = self.start("scheduler", "--host", "127.0.0.1", "--port", "0",
                                    "--scheduler-file", "scheduler.json")  # fmt: skip
        wait_for(lambda: (folder / "scheduler.json").is_file())
        self.address = json.loads((folder / "scheduler.json").read_text())["address"]

    def start(self, kind: str, *arguments: str, **settings: str) -> subprocess.Popen:
        """Start a process of Dask's, the leader of a group."""
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments]
        env = os.environ | {"TRANSFER_CACHE": str(self.cache), "OMP_NUM_THREADS": "1"} | settings
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        made = subprocess.Popen([*command, "--no-dashboard"], cwd=self.folder, env=env,
                                start_new_session=True, **quiet)  # fmt: skip
        self.started.append(made)
        return made

    def workers(self, count: int = 1, **settings: str) -> subprocess.Popen:
        """Start workers under a nanny, which starts those anew that die."""
        few = ("--nworkers", str(count), "--nthreads", "1")
        made = self.start("worker", self.address, *few, **settings)
        with self.client() as client:
            before = len(client.nthreads())
            wait_for(lambda: len(client.nthreads()) >= max(count, before))
        return made

    def client(self):
        """Connect, beside whoever else does."""
        return distributed.Client(self.address, set_as_default=False)

    def kill_runner(self, times: int = 1) -> list[str]:
        """SIGKILL the worker that is training, so many times; returns the addresses."""
        killed = []
        with self.client() as client:
            pids = client.run(os.getpid)
            while len(killed) < times:
                wait_for(lambda: training(client) - set(killed), 0.02)
                worker = (training(client) - set(killed)).pop()
                os.kill(pids[worker], signal.SIGKILL)
                killed.append(worker)
        return killed

    def stop(self, process: subprocess.Popen) -> None:
        """SIGKILL a process and what it has started in its group."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def training(client) -> set[str]:
    """Workers that have a run of a race in hand."""
    held = client.processing()
    return {w for w, keys in held.items() if any(str(k).startswith("execute") for k in keys)}


def wait_for(condition, pause: float = 0.1) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, "nothing moves"
        time.sleep(pause)


@contextmanager
def processes(folder: Path):
    """A scheduler that is gone afterwards, with its workers."""
    made = Processes(folder)
    try:
        yield made
    finally:
        for process in reversed(made.started):
            made.stop(process)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of pictures, and a cache of its own."""
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield write_pictures(folder / "bars")


@pytest.fixture(scope="module")
def looked(place):
    return advise(Request(place, backbone="pocket", image_size=28))


@pytest.fixture(scope="module")
def cluster(place, tmp_path_factory):
    with processes(tmp_path_factory.mktemp("cluster")) as made:
        made.workers(2)
        yield made


def race_on(address: str, looked, seconds: float = 200) -> Race:
    network = load_backbone(looked.looked.backbone, size=looked.looked.image_size)
    return Race(looked.looked, looked.answer.expected, network, seconds, address)


def run(race: Race, *jobs) -> None:
    with tqdm(total=round(race.seconds), disable=True) as bar:
        race.run(jobs, bar)


def test_rows_and_models_come_back(cluster, looked):
    race = race_on(cluster.address, looked)
    assert race.workers == 2
    names = ("classical", "feature_extraction", "lora")
    jobs = [race.job(name, 0) for name in names] + [race.job("classical", 1)]
    run(race, *jobs)
    assert race.left_out == {}
    assert set(race.rows["run_id"]) == {race.file.run_id(job) for job in jobs}
    assert (cluster.cache / "advisor").is_dir(), "the workers are to have another cache than we"
    rows = race.rows.set_index("run_id")
    for job in jobs[:3]:
        assert race.file.has_model(job)
        assert read_test(race.file, job).n == 40
        assert load_model(race.file.model_folder(job)).recipe["n_train"] == 48
        assert rows.loc[race.file.run_id(job), "threads"] == 1
    here = execute(jobs[3], race.file)  # this one keeps no model, so nothing is overwritten
    assert here["right"] == rows.loc[here["run_id"], "right"]


def test_the_command_races_on_a_cluster(cluster, place, tmp_path, capsys):
    file = tmp_path / "answer.json"
    command = ["advise", str(place), *POCKET, "--minutes", "0.25", "--json", str(file)]
    assert main([*command, "--scheduler", cluster.address]) == 0, capsys.readouterr().err
    told = json.loads(file.read_text(encoding="utf-8"))
    assert len(told["measured"]) > 1 and told["settings"]["scheduler"] == cluster.address
    assert told["test"]["approach"] == told["approach"]
    assert capsys.readouterr().err.strip() == ""


def test_texts_travel_with_the_runs(cluster, place, tmp_path):
    file = write_texts(tmp_path / "texts.csv")
    own = make_own_task(read_data(file), None)
    file.unlink()
    try:
        load_backbone("minilm", size=8)
    except DataNotFound as error:
        pytest.skip(str(error))
    race = RaceFile(own, "minilm", 8)
    job = RaceRun("classical", 40, 0, lr=1.0, epochs=100, seed=0)
    ((done, row),) = Cluster(cluster.address, race).open().rows([job], lambda _: 60.0)
    assert done == job and row["run_id"] == race.run_id(job) and row["n_judged"] == 10
    assert read_test(race, job).n == 10


def test_a_worker_that_sees_other_files_is_named(cluster, tmp_path):
    place = write_pictures(tmp_path / "bars", tiny_task(48, n_classes=3, seed=5))
    seen = advise(Request(place, backbone="pocket", image_size=28))
    pictures = sorted(place.rglob("*.png"))
    pictures[0].write_bytes(pictures[1].read_bytes())
    with pytest.raises(UserError, match="the worker at tcp.* sees other files in .* same path"):
        race_on(cluster.address, seen)
    place.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="the worker at tcp.* cannot take part.* does not exist"):
        race_on(cluster.address, seen)


def test_a_worker_without_this_package_is_named(cluster, looked, tmp_path):
    (tmp_path / "helpers").mkdir()
    older = 'raise ImportError("no such module")'
    (tmp_path / "helpers" / "__init__.py").write_text(older, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with cluster.client() as client:
        others = len(client.nthreads())
        odd = cluster.start("worker", cluster.address, "--nthreads", "1", PYTHONPATH=path)
        wait_for(lambda: len(client.nthreads()) > others)
        try:
            with pytest.raises(UserError, match="install this version of the package there"):
                race_on(cluster.address, looked)
        finally:
            cluster.stop(odd)
            wait_for(lambda: len(client.nthreads()) == others)


def test_what_has_no_time_is_left_out(cluster, looked):
    race = race_on(cluster.address, looked)
    before = len(race.rows)
    race.seconds = 0.0
    run(race, race.job("lora", 7), race.job("classical", 7))
    assert len(race.rows) == before
    kinds = {race.left_out[name].kind for name in ("lora", "classical")}
    assert kinds == {SkipKind.NO_TIME}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("times", [1, 2])
def test_a_run_whose_worker_dies_is_run_again_and_given_up_the_second_time(cluster, looked, times):
    with cluster.client() as client:
        wait_for(lambda: len(client.nthreads()) == 2)
    race = race_on(cluster.address, looked)
    long = replace(race.job("full_fine_tuning", 2 + times), lr=1e-6, epochs=60)
    killer = threading.Thread(target=cluster.kill_runner, args=(times,))
    killer.start()
    run(race, long)
    killer.join()
    done = race.file.run_id(long) in set(race.rows["run_id"])
    assert done == (times == 1)
    told = str(race.left_out.get(long.approach, ""))
    assert ("its worker died 2 times" in told) == (times == 2)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("gone", ["scheduler", "workers"])
def test_a_cluster_that_goes_away_leaves_the_rows(looked, tmp_path, monkeypatch, gone):
    monkeypatch.setattr(cluster_module, "ABSENCE", 1.0)
    with processes(tmp_path) as cluster:
        workers = cluster.workers(1)
        race = race_on(cluster.address, replaced(looked, 11 if gone == "workers" else 12))
        jobs = [race.job("classical", 0), *(race.job("lora", fold) for fold in range(9))]

        before = len(race.rows)

        def pull() -> None:
            wait_for(lambda: len(race.file.load()) > before, 0.02)
            cluster.stop(cluster.scheduler if gone == "scheduler" else workers)

        puller = threading.Thread(target=pull)
        puller.start()
        with pytest.raises(UserError, match="(went away|are gone); what was finished is kept"):
            run(race, *jobs)
        puller.join()
        with pytest.raises(UserError, match="(answers at|no workers).*what was finished is kept"):
            run(race, *jobs)  # the next round finds nobody
    kept = race.file.load()
    held = set(kept["run_id"])
    assert 1 <= len({race.file.run_id(job) for job in jobs} & held) < len(jobs)


def test_a_client_that_closes_while_it_is_used_is_one_sentence():
    def closed(*_, **__):
        raise ClosedClientError("Client is closed. Can't send update-graph message.")

    connection = object.__new__(Cluster)
    connection.address = "tcp://here:1"
    connection.client = SimpleNamespace(submit=closed, cancel=closed, status="closed")
    with pytest.raises(UserError, match="went away; what was finished is kept"):
        connection._submit(len, "", on="a worker")
    connection.client.status = "running"
    connection._cancel(["a future"])
    with pytest.raises(ClosedClientError):  # a client that runs has another fault
        connection._submit(len, "", on="a worker")


def replaced(looked, seed: int):
    """The same look with another seed: none of its runs are there."""
    return replace(looked, looked=replace(looked.looked, seed=seed))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scheduler", "tcp://127.0.0.1:1"], "add --measure"),
        (["--measure", "--scheduler", "nonsense"], "no Dask scheduler answers at 'nonsense'"),
    ],
)
def test_a_bad_scheduler_is_told_before_looking(place, arguments, said, capsys, monkeypatch):
    looked = "helpers.advisor.pipeline.read_data"
    monkeypatch.setattr(looked, lambda *_, **__: pytest.fail("it looked"))
    assert main(["advise", str(place), *arguments]) == 2
    told = capsys.readouterr().err.strip()
    assert said in told and len(told.splitlines()) == 1
