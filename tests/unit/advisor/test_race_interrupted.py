"""Ctrl-C in the middle of `advise --measure`: one sentence, and no finished run is lost."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from own import write_pictures

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")
SAID = "stopped; what was finished is kept"
PARTS = ("*.partial", "*.tmp", "partial-*")


def heed_ctrl_c() -> None:
    """A shell that starts tests in the background has them ignore it, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Race:
    """`python -m helpers advise DATA --measure` in a process group of its own."""

    def __init__(self, place: Path, cache: Path) -> None:
        self.cache = cache
        self.command = [sys.executable, "-m", "helpers", "advise", str(place),
                        "--backbone", "pocket", "--image-size", "28", "--measure"]  # fmt: skip
        self.settings = os.environ | {"TRANSFER_CACHE": str(cache)}

    @contextlib.contextmanager
    def started(self, minutes: float):
        """The race, going on; it is gone afterwards."""
        process = subprocess.Popen(
            [*self.command, "--minutes", str(minutes)], env=self.settings, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=heed_ctrl_c,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def interrupted(self, when, minutes: float = 5.0) -> tuple[int, str, str]:
        """Press Ctrl-C once `when()` is true; returns (exit status, stdout, stderr)."""
        with self.started(minutes) as process:
            deadline = time.monotonic() + 120
            while not when():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline, "nothing moves"
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
            out, err = process.communicate(timeout=30)
            return process.returncode, out, err

    def rows(self) -> list[str]:
        """Whole lines of the finished runs."""
        files = list(self.cache.glob("advisor/own-*/race-*.csv"))
        if not files:
            return []
        text = files[0].read_text(encoding="utf-8")
        return text[: text.rfind("\n") + 1].splitlines()[1:]

    def check_whole(self) -> None:
        """Nothing in the cache is half-written, and every model that has a recipe loads."""
        left = [path for part in PARTS for path in self.cache.rglob(part)]
        assert left == []
        for file in self.cache.rglob("*.json"):
            json.loads(file.read_text(encoding="utf-8"))
        for file in self.cache.glob("advisor/own-*/race-*.csv"):
            lines = file.read_text(encoding="utf-8")
            assert lines.endswith("\n")
            assert len({line.count(",") for line in lines.splitlines()}) == 1


@pytest.fixture
def race(tmp_path):
    return Race(write_pictures(tmp_path / "bars"), tmp_path / "cache")


def check_told(status: int, out: str, err: str) -> None:
    """Status 130, one sentence on stderr, and no answer."""
    assert status == 130, err
    assert err.strip() == SAID
    assert out == ""


def test_a_race_goes_on_after_ctrl_c(race):
    check_told(*race.interrupted(lambda: len(race.rows()) >= 2))
    kept = race.rows()
    assert len(kept) >= 2
    race.check_whole()
    with race.started(0.3) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Measured on your data" in out
    after = race.rows()
    assert after[: len(kept)] == kept
    ids = [line.split(",")[0] for line in after]
    assert len(ids) == len(set(ids)), "a finished run was done again"


@pytest.mark.parametrize("stage", ["images", "advisor/own-*/probe-*.json"])
def test_looking_can_be_stopped(race, stage):
    """While pictures are decoded, and while steps are timed; the next call looks to its end."""
    check_told(*race.interrupted(lambda: any(race.cache.glob(stage))))
    assert race.rows() == []
    race.check_whole()
