"""The folder for a room without a network: the clone, its data, the wheels, and what to type."""

import subprocess
import zipfile

import pytest

from helpers.storage import install
from helpers.storage.assets import all_assets
from tools.classroom import make_offline as offline


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Return a small clone that holds one tracked file and one that git ignores."""
    root = tmp_path / "clone"
    (root / "data" / "cache").mkdir(parents=True)
    (root / "README.md").write_text("# Title\n", encoding="utf-8")
    (root / ".gitignore").write_text("data/cache/\n", encoding="utf-8")
    (root / "data" / "cache" / "big.bin").write_bytes(b"0" * 100)
    (root / "data" / "übung.txt").write_text("ü", encoding="utf-8")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=root, check=True)
    monkeypatch.setattr(offline, "ROOT", root)
    return root


@pytest.fixture
def held(tmp_path, monkeypatch):
    """Let this machine hold one fetched asset and one of $TRANSFER_DATA, and no other."""
    cache, given = tmp_path / "cache" / "assets" / "digits", tmp_path / "given" / "fashion-mnist"
    for folder in (cache, given):
        folder.mkdir(parents=True)
        (folder / "file").write_text(folder.name, encoding="utf-8")
    (cache / install._MARKER).write_text("{}", encoding="utf-8")
    found = {"digits": cache, "fashion_mnist": given}
    monkeypatch.setattr(offline, "find_asset", lambda asset: found.get(asset.name))


def pip(calls, status=0):
    """Return a stand-in for subprocess.run that writes two wheels, as pip would."""
    real = subprocess.run

    def run(command, **how):
        if "pip" not in command:
            return real(command, **how)
        calls.append(command)
        wheels = offline.Path(command[command.index("--dest") + 1])
        wheels.mkdir(parents=True, exist_ok=True)
        for name in ("torch-2.0-py3-none-any.whl", "freeze_tune_adapt-0.1.0-py3-none-any.whl"):
            with zipfile.ZipFile(wheels / name, "w") as file:
                file.writestr("a", "b")
        return subprocess.CompletedProcess(command, status)

    return run


def test_the_folder_holds_what_the_room_needs(clone, held, tmp_path, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(offline.subprocess, "run", pip(calls))
    folder = tmp_path / "stick"
    assert offline.main(["--to", str(folder)]) == 0
    inside = folder / offline.CLONE
    assert (inside / "data" / "übung.txt").is_file()
    assert not (inside / "data" / "cache" / "big.bin").exists()
    assert (inside / "data/cache/assets/digits" / install._MARKER).is_file()
    assert (folder / "datasets/fashion-mnist/file").is_file()
    assert [one.name for one in (folder / "wheels").iterdir()] == ["torch-2.0-py3-none-any.whl"]
    (command,) = calls
    assert command[-2:] == [".[dev]", "setuptools>=77"] and "constraints.txt" in command
    said = capsys.readouterr().out
    assert "assets: digits, fashion_mnist" in said
    assert "not on this machine: efficientnet_lite0" in said
    start = (folder / "START.txt").read_text(encoding="utf-8")
    assert "make lab" in start and "TRANSFER_DATA" in start and str(tmp_path) not in start


def test_without_wheels_and_data_sets_nothing_points_at_them(clone, tmp_path, monkeypatch):
    monkeypatch.setattr(offline, "find_asset", lambda asset: None)
    folder = tmp_path / "stick"
    assert offline.main(["--to", str(folder), "--no-wheels"]) == 0
    assert not (folder / "wheels").exists()
    assert "TRANSFER_DATA" not in (folder / "START.txt").read_text(encoding="utf-8")


def test_a_failed_download_and_a_damaged_wheel_are_said(clone, held, tmp_path, monkeypatch):
    monkeypatch.setattr(offline.subprocess, "run", pip([], status=1))
    with pytest.raises(SystemExit, match="pip could not bring"):
        offline.main(["--to", str(tmp_path / "stick")])
    cut = tmp_path / "cut.whl"
    cut.write_bytes(b"PK")
    assert offline.damaged([cut]) == ["cut.whl"]


def test_outside_a_clone_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))  # no clone above it is found
    (tmp_path / "here").mkdir()
    with pytest.raises(SystemExit, match="no git clone"):
        offline.tracked_files(tmp_path / "here")


def test_copied_assets_are_found_where_they_land(clone, held, tmp_path):
    folder = tmp_path / "stick"
    copied, missing = offline.copy_assets(folder)
    assert sorted(copied) == ["digits", "fashion_mnist"]
    assert set(copied) | set(missing) == set(all_assets())
