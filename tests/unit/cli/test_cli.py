"""The command line: exit statuses, one line for bad input, never a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.cli import commands
from helpers.errors import UserError
from helpers.experiments import audit, grids, sweeps
from helpers.results.published import command
from helpers.storage import fetch
from helpers.tasks import TASKS

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments):
    """Run `python -m helpers` as a reader does."""
    command = [sys.executable, "-m", "helpers", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)


def test_help_lists_the_commands_without_torch():
    script = (
        "import sys; from helpers.cli.commands import main\n"
        "try: main(['--help'])\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert all(name in done.stdout for name in ("fetch", "sweep", "claims", "audit", "published"))
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("fetch", "--fast"),
        ("fetch", "no_such_asset"),
        ("sweep", "no_such_sweep"),
        ("sweep", "pocket"),
        ("audit", "--limit"),
        ("published", "--domain", "medcal"),
        ("published", "--data-set", "CIFAR10O"),
        ("published", "--distance", "near"),
        ("published", "--modality", "smell"),
        ("published", "--examples", "0"),
        ("sweep", "repair", "--workers", "0"),
        ("sweep", "repair", "--limit", "many"),
    ],
)
def test_bad_input_is_one_line_and_status_two(arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
    for word in arguments[-1:]:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UserError("the folder is missing:\nmake it"), 2, "the folder is missing: make it"),
        (
            PermissionError(13, "Permission denied", "a/b"),
            2,
            "a/b cannot be opened or written: Permission denied",
        ),
        (KeyboardInterrupt(), 130, "stopped; what was finished is kept"),
    ],
)
def test_errors_of_a_command_become_a_line(monkeypatch, capsys, error, status, line):
    def fail(names):
        raise error

    monkeypatch.setattr(fetch, "fetch", fail)
    assert commands.main(["fetch"]) == status
    assert capsys.readouterr().err == line + "\n"


def test_fetch_passes_names_on(monkeypatch):
    seen = []
    monkeypatch.setattr(fetch, "fetch", seen.append)
    assert commands.main(["fetch"]) == 0
    assert commands.main(["fetch", "digits", "textile"]) == 0
    assert seen == [[], ["digits", "textile"]]


def test_a_task_that_brings_its_data_has_nothing_to_fetch(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(fetch, "fetch", seen.append)
    monkeypatch.setitem(TASKS, "tiny_shapes", TASKS["digits"])
    assert commands.main(["fetch", "tiny_shapes"]) == 0
    assert seen == [] and "tiny_shapes: its module brings the data" in capsys.readouterr().out
    assert commands.main(["fetch", "tiny_shapes", "textile"]) == 0
    assert seen == [["textile"]]


def test_a_python_without_the_packages_is_told_which_to_take():
    command = [sys.executable, "-S", "-m", "helpers", "decide", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "lacks the package" in done.stderr and ".venv/bin/python" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no closed pipes of this kind")
def test_a_reader_that_leaves_early_is_no_error():
    code = (
        "import sys; from helpers.storage import fetch as assets; from helpers.cli import "
        "commands as cli\n"
        "assets.fetch = lambda names: print('x' * 1_000_000, flush=True)\n"
        "sys.exit(cli.main(['fetch']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 0


@pytest.mark.parametrize(("failed", "status"), [(0, 0), (2, 1)])
def test_sweep_passes_its_settings_on_and_tells_of_failures(monkeypatch, failed, status):
    seen = []
    monkeypatch.setattr(sweeps, "sweep_command", lambda *given: seen.append(given) or failed)
    assert commands.main(["sweep", "repair", "--workers", "2", "--limit", "9"]) == status
    assert seen == [("repair", 2, None, 9)]
    assert commands.main(["sweep", "all", "--scheduler", "tcp://here:1"]) == status
    assert seen[1:] == [(name, 1, "tcp://here:1", None) for name in grids.SWEEPS]


def test_published_passes_the_situation_on(monkeypatch):
    seen = []
    monkeypatch.setattr(command, "published_command", lambda **given: seen.append(given) or 0)
    asked = ["--examples", "900", "--modality", "image", "--distance", "far", "--domain", "medical"]
    assert commands.main(["published", *asked, "--data-set", "x", "--llm", "--json"]) == 0
    assert commands.main(["published"]) == 0
    given = {"examples": 900, "modality": "image", "distance": "far", "domain": "medical"}
    nothing = dict.fromkeys([*given, "data_set"]) | {"llm": False, "as_json": False}
    assert seen == [given | {"data_set": "x", "llm": True, "as_json": True}, nothing]


@pytest.mark.parametrize("status", [0, 1])
def test_audit_passes_its_form_on_and_its_status_back(monkeypatch, status):
    seen = []
    monkeypatch.setattr(audit, "audit_command", lambda *, as_json: seen.append(as_json) or status)
    assert commands.main(["audit"]) == commands.main(["audit", "--json"]) == status
    assert seen == [False, True]
