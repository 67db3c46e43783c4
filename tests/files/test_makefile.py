"""`make`: installs once, again when a pin changes, and never believes a failed install."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tools import check_python, install

settings_utils = pytest.importorskip("jupyterlab_server.settings_utils")  # JupyterLab's own

pytestmark = [
    pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed"),
    pytest.mark.skipif(os.name == "nt", reason="the stand-in Python is a shell script"),
]
ROOT_FLAG = "--allow-root" if hasattr(os, "getuid") and os.getuid() == 0 else ""
START = f"--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb {ROOT_FLAG}".strip()
# Stands in for Python: writes down what it is asked, and `-m venv` makes a copy of it.
PYTHON = """\
#!/bin/sh
echo "$*" >> "$CALLS"
if [ "$2" = jupyterlab ]; then echo "$JUPYTER_CONFIG_PATH" > "$CALLS.config"; fi
if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; fi
case "$1 $2 $3" in "-m pip install" | tools/install.py*) exit "${PIP_STATUS:-0}" ;; esac
"""


@pytest.fixture
def clone(tmp_path, root):
    """Return a folder with the Makefile and a stand-in Python, and a function that calls make."""
    (tmp_path / "tools").mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "requirements.lock"):
        shutil.copy(root / name, tmp_path / name)
    for name in ("tools/check_python.py", "tools/install.py"):
        shutil.copy(root / name, tmp_path / name)
    python = tmp_path / "python-stand-in"
    python.write_text(PYTHON, encoding="utf-8")
    python.chmod(0o755)

    def make(*arguments, **environment):
        calls = tmp_path / "calls.txt"
        calls.unlink(missing_ok=True)
        ours = (
            "MAKEFLAGS",
            "MAKELEVEL",
            "MAKEOVERRIDES",
            "MFLAGS",
            "ARGS",
        )  # of `make test ARGS=…`
        clean = {k: v for k, v in os.environ.items() if k not in ours}
        done = subprocess.run(
            ["make", f"PYTHON={python}", *arguments],
            cwd=tmp_path,
            env={**clean, "CALLS": str(calls), **environment},
            capture_output=True,
            text=True,
        )
        lines = calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []
        return done, lines

    return tmp_path, make


def installs(lines):
    return [line for line in lines if line == "tools/install.py"]


def test_jupyterlab_opens_without_questions_of_its_own(clone, root, monkeypatch):
    folder, make = clone
    make("lab", "ARGS=--no-browser")
    told = (folder / "calls.txt.config").read_text(encoding="utf-8").strip()
    assert told == str(folder / "tools" / "lab")
    make("lab", JUPYTER_CONFIG_PATH="/other")
    assert (folder / "calls.txt.config").read_text(encoding="utf-8").strip() == f"{told}:/other"
    # What JupyterLab makes of the folder.
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(root / "tools" / "lab"))
    overrides, error = settings_utils._get_overrides(str(folder))
    asked = overrides["@jupyterlab/apputils-extension:notification"]
    assert error == "" and asked == {"fetchNews": "false", "checkForUpdates": False}


def test_the_first_call_sets_up_and_the_second_does_not(clone):
    _, make = clone
    done, lines = make("lab", "ARGS=--no-browser")
    assert done.returncode == 0, done.stderr
    assert lines == [
        "tools/check_python.py",
        "-m venv .venv",
        "tools/install.py",
        "-m helpers fetch",
        f"-m jupyterlab {START} --no-browser",
    ]
    _, lines = make("test", "ARGS=-m unit")
    assert lines == [
        "-m pip install -c constraints.txt -e .[dev,classroom]",
        "-m helpers fetch",
        "-m pytest -n 2 --dist worksteal -m unit",
    ]
    _, lines = make("student", "ARGS=03")
    assert lines == ["-m tools.classroom.make_student 03"]
    _, lines = make("slides")
    assert lines == ["-m helpers fetch reveal", "-m tools.slides.make_slides"]


def test_make_site_needs_no_data(clone):
    _, make = clone
    make("lab")
    done, lines = make("site")
    assert done.returncode == 0, done.stderr
    assert lines == ["-m tools.site.build_site"]


def test_make_offline_fetches_what_it_copies(clone):
    _, make = clone
    make("lab")
    done, lines = make("offline", "ARGS=--no-wheels")
    assert done.returncode == 0, done.stderr
    assert lines == ["-m helpers fetch", "-m tools.classroom.make_offline --no-wheels"]


@pytest.mark.parametrize("name", ["constraints.txt", "requirements.lock"])
def test_a_changed_pin_installs_again(clone, name):
    folder, make = clone
    make("lab")
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write("one-more==1.0\n")
    assert len(installs(make("lab")[1])) == 1
    assert installs(make("lab")[1]) == []


def test_a_failed_install_is_tried_again(clone):
    folder, make = clone
    make("lab")
    with (folder / "constraints.txt").open("a", encoding="utf-8") as file:
        file.write("one-more==1.0\n")
    done, lines = make("lab", PIP_STATUS="1")
    assert done.returncode != 0
    assert not any("jupyterlab" in line for line in lines)
    assert not list((folder / ".venv").glob("ready-*"))
    shutil.copy(Path(__file__).parents[2] / "constraints.txt", folder)
    assert len(installs(make("lab")[1])) == 1


def test_a_missing_python_is_said_in_one_sentence(clone):
    _, make = clone
    done, _ = make("lab", "PYTHON=python-of-nowhere")
    assert done.returncode != 0
    assert "python-of-nowhere is not here: install Python 3.11 or newer" in done.stderr


@pytest.mark.parametrize(
    ("version", "modules", "words"),
    [
        ((3, 9, 1), {"venv", "ensurepip"}, "Python 3.11 or newer is needed and this is 3.9.1"),
        ((2, 7, 18), set(), "this is 2.7.18"),
        ((3, 12, 0), {"venv"}, "lacks its module ensurepip"),
        ((3, 12, 0), {"ensurepip"}, "lacks its module venv"),
    ],
)
def test_an_unfit_python_is_refused(version, modules, words):
    complaint = check_python.complaint(version, modules)
    assert words in complaint
    assert "make PYTHON=" in complaint


def test_a_fit_python_is_taken():
    assert check_python.complaint((3, 11, 0), {"venv", "ensurepip"}) == ""


HERE = "global.cert='/x'\n"


@pytest.mark.parametrize(
    ("version", "configured", "said"),
    [
        ((3, 11, 5), "", ""),
        ((3, 14, 2), HERE, ""),
        ((3, 12, 0), ":env:.extra-index-url=''", ""),
        ((3, 11, 4), "", "this is 3.11.4"),
        ((3, 15, 0), "", "this is 3.15.0"),
        ((3, 12, 0), HERE + "global.index-url='x'", "index-url"),
        ((3, 12, 0), ":env:.extra-index-url='x'", "extra-index-url"),
        ((3, 12, 0), ":env:.find-links='x'", "find-links"),
    ],
)
def test_hashes_are_held_where_they_can_be(version, configured, said):
    why = install.misfit(version, configured)
    assert said in why and bool(why) == bool(said)


@pytest.mark.parametrize(
    ("wish", "listed", "asked"),
    [
        ("auto", "", ["--require-hashes", "--no-deps"]),
        ("auto", "global.index-url='x'", ["-c"]),
        ("yes", "global.index-url='x'", ["--require-hashes", "--no-deps"]),
        ("no", "", ["-c"]),
    ],
)
def test_a_wrong_hash_is_never_installed_over(monkeypatch, wish, listed, asked):
    """What does not fit is known before pip is asked; once it refuses a hash, that is the end."""
    monkeypatch.setenv("HASHES", wish)
    calls = []

    def run(command, **_):
        calls.append(command[4:5] if command[3] == "install" else [])
        fails = "--require-hashes" in command and refuse
        return subprocess.CompletedProcess(command, int(fails), stdout=listed)

    monkeypatch.setattr(install.subprocess, "run", run)
    refuse = False
    assert install.main() == 0 and [one[0] for one in calls[1:]] == asked
    refuse, calls[:] = True, []
    assert install.main() == int("--require-hashes" in asked)
    assert len(calls) == 2
