"""Files that grow by whole lines: ends that kills and editors leave, keys, columns, questions."""

import errno
import math
import os
import subprocess
import sys
from functools import partial

import pytest

from helpers.errors import UserError
from helpers.storage import upkeep
from helpers.storage.files import PARTIAL, in_cache, write_whole
from helpers.storage.results_file import ResultsFile, RowFile

COLUMNS = ["name", "value"]


@pytest.fixture
def file(tmp_path):
    return RowFile(tmp_path / "folder" / "rows.csv", COLUMNS)


def test_a_missing_file_reads_as_its_header_and_is_made_by_the_first_row(file):
    assert file.read() == b"name,value\n"
    assert file.append(["a, b", 1])
    assert file.path.read_bytes() == b'name,value\n"a, b",1\n'


def test_what_a_kill_left_is_cut_off_and_what_an_editor_took_is_given_back(file):
    file.append(["a", 1])
    with file.path.open("ab") as half:
        half.write(b"b,2")
    assert file.read().endswith(b"a,1\n")
    complete = RowFile(file.path, COLUMNS, lambda cells: cells[-1] == "2")
    complete.prepare()
    assert file.path.read_bytes().endswith(b"a,1\nb,2\n")
    with file.path.open("ab") as half:
        half.write(b"c,3")
    file.append(["d", 4])
    assert file.path.read_bytes() == b"name,value\na,1\nb,2\nd,4\n"


def test_a_key_stands_once(file):
    assert file.append(["a", 1], key=True)
    before = file.path.read_bytes()
    assert not file.append(["a", 2], key=True)
    assert file.path.read_bytes() == before


def test_other_columns_are_refused_unharmed(file):
    file.append(["a", 1])
    before = file.path.read_bytes()
    other = RowFile(file.path, ["name", "size"])
    for ask in (other.read, other.prepare, lambda: other.append(["a", 1])):
        with pytest.raises(UserError, match="size, value"):
            ask()
    assert file.path.read_bytes() == before


def test_a_whole_file_replaces_another_and_leaves_nothing_beside_it(tmp_path):
    for data in (b"first", b"second"):
        write_whole(tmp_path / "file", data)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"second")]


DECLARED = ResultsFile("none.csv", ["task", "lr", "note", "value"], ["task", "lr"], text=["note"])


def row(**changes):
    return {"task": "a", "lr": 1 / 3, "note": "", "value": math.nan} | changes


def test_rows_of_a_declared_file_are_loaded_as_they_were_appended(tmp_path):
    path = tmp_path / "results.csv"
    assert DECLARED.load(path).empty and list(DECLARED.load(path)) == list(DECLARED.columns)
    assert DECLARED.append(row(), path) and DECLARED.append(row(lr=1e-5, note="007"), path)
    assert path.read_bytes() == b"task,lr,note,value\na,0.333333,,\na,1e-05,007,\n"
    table = DECLARED.load(path)
    assert table["note"].tolist() == ["", "007"]
    assert table["lr"].tolist() == [0.333333, 1e-5] and table["value"].isna().all()
    with pytest.raises(UserError, match="differ: value"):
        DECLARED.append({k: v for k, v in row().items() if k != "value"}, path)


def test_a_question_is_answered_by_what_the_file_holds_of_it(tmp_path):
    path = tmp_path / "results.csv"
    asked = [row(), row(lr=1e-5), row(task="b")]
    assert DECLARED.missing(asked, path) == asked
    DECLARED.append(row(value=1.0), path)
    assert DECLARED.recorded(path) == {("a", 0.333333)} == {DECLARED.question(row())}
    assert DECLARED.missing(asked, path) == asked[1:]


def test_a_key_in_the_first_column_alone_stands_once(tmp_path):
    keyed = ResultsFile("none.csv", ["key", "value"], ["key"])
    path = tmp_path / "results.csv"
    assert keyed.append({"key": "a", "value": 1}, path)
    assert not keyed.append({"key": "a", "value": 2}, path)
    assert keyed.load(path).to_dict("records") == [{"key": "a", "value": 1}]


@pytest.mark.parametrize("read_first", [True, False])
def test_a_last_row_without_its_line_end_is_kept(tmp_path, read_first):
    path = tmp_path / "results.csv"
    for task in "xy":
        DECLARED.append(row(task=task), path)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    if read_first:
        assert DECLARED.load(path)["task"].tolist() == ["x", "y"]
    DECLARED.append(row(task="z"), path)
    assert DECLARED.load(path)["task"].tolist() == ["x", "y", "z"]


def test_what_a_kill_left_of_a_line_is_cut_off(tmp_path):
    path = tmp_path / "results.csv"
    DECLARED.append(row(task="x"), path)
    with path.open("ab") as file:
        file.write(b"y,0.3")
    assert DECLARED.load(path)["task"].tolist() == ["x"]
    DECLARED.append(row(task="z"), path)
    assert DECLARED.load(path)["task"].tolist() == ["x", "z"]


def test_a_last_checked_row_without_its_line_end_is_kept(checked):
    for name in ("a", "b"):
        checked.append([name, 1])
    whole = checked.path.read_bytes()
    checked.path.write_bytes(whole.rstrip(b"\n"))
    assert checked.read() == whole
    checked.append(["c", 1])
    assert checked.path.read_bytes().startswith(whole)


def test_a_declared_file_lies_with_the_results():
    assert DECLARED.rows().path.parts[-3:] == ("data", "results", "none.csv")


# --- files of the cache, which no git watches over -----------------------------------------------


@pytest.fixture
def checked(tmp_path):
    return RowFile(tmp_path / "rows.csv", COLUMNS, checked=True)


def test_a_checked_file_gives_its_rows_back(checked):
    checked.append(["a, b", 1], key=True)
    lines = checked.read().decode().splitlines()
    assert lines[0] == "name,value,check" and lines[1].startswith('"a, b",1,')


def test_a_checked_file_of_other_columns_is_refused_unharmed(checked):
    checked.append(["a", 1])
    before = checked.path.read_bytes()
    for columns in (["name", "size"], ["value", "name"], ["name"], ["name", "value", "more"]):
        other = RowFile(checked.path, columns, checked=True)
        for ask in (other.read, other.prepare, partial(other.append, columns)):
            with pytest.raises(UserError, match="other columns"):
                ask()
    assert checked.path.read_bytes() == before


@pytest.mark.parametrize("place", range(40))
def test_any_changed_byte_of_a_checked_file_costs_at_most_its_row(checked, place, capsys):
    for name in ("a", "b"):
        checked.append([name, 1], key=True)
    whole = checked.path.read_bytes()
    data = bytearray(whole)
    data[place] ^= 3
    checked.path.write_bytes(data)
    kept = checked.read().splitlines()
    assert set(kept) <= set(whole.splitlines()) and len(kept) >= 1
    assert kept[0] == b"name,value,check"
    assert "was damaged" in capsys.readouterr().err
    for name in ("a", "b"):
        checked.append([name, 1], key=True)
    assert sorted(checked.read().splitlines()) == sorted(whole.splitlines())
    assert capsys.readouterr().err == ""


# --- what killed processes leave ------------------------------------------------------------------

HOLD = """
import os, sys, time
from pathlib import Path
from helpers.storage.files import held
path = Path(sys.argv[1])
path.mkdir() if sys.argv[2] == "folder" else path.touch()
with held(path):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows holds open files itself")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_only_what_nobody_holds_is_left_behind(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path))
    (tmp_path / "features").mkdir()
    path = tmp_path / "features" / f"x{PARTIAL}"
    command = [sys.executable, "-c", HOLD, str(path), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as maker:
        try:
            assert maker.stdout.readline() == b"held\n"
            upkeep.tidy()
            assert path.exists()
        finally:
            maker.kill()
            maker.wait()
    upkeep.tidy()
    assert not path.exists()


def test_what_older_versions_made_is_left_for_a_day(tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path))
    new, old = tmp_path / "features" / "partial-1", tmp_path / "images" / "x.tmp"
    new.mkdir(parents=True)
    old.parent.mkdir()
    old.touch()
    os.utime(old, (1.6e9, 1.6e9))
    upkeep.tidy()
    assert new.exists() and not old.exists()


def test_models_used_longest_ago_go_first_and_are_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path))
    monkeypatch.setitem(upkeep.KINDS, "models", ("advisor/own-*/models/*", 2.5e-6))
    for age in range(4):
        model = tmp_path / "advisor" / "own-1" / "models" / str(age)
        model.mkdir(parents=True)
        (model / "model.safetensors").write_bytes(bytes(1000))
        os.utime(model, (1.6e9 - age, 1.6e9 - age))
    assert upkeep.usage()["models"] == 4000
    upkeep.tidy()
    left = sorted(path.name for path in (tmp_path / "advisor" / "own-1" / "models").iterdir())
    assert left == ["0", "1"]
    assert upkeep.usage()["models"] == 2000


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full.*free some space"),
        (errno.EACCES, "make it writable"),
        (errno.EIO, "try again"),
    ],
)
def test_the_mend_suits_the_reason(tmp_path, number, said):
    def refuse():
        raise OSError(number, os.strerror(number))

    with pytest.raises(UserError, match=said) as error:
        in_cache(tmp_path / "a", "keeping it", refuse)
    assert number == errno.ENOSPC or "space" not in str(error.value)


def test_a_folder_that_is_deleted_meanwhile_is_made_again(tmp_path):
    turns = []

    def make():
        turns.append(1)
        if len(turns) < 3:
            (tmp_path / "a").rmdir()
        (tmp_path / "a" / "file").write_text("x")
        return len(turns)

    assert in_cache(tmp_path / "a", "keeping it", make) == 3
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        in_cache(tmp_path / "a", "keeping it", lambda: (tmp_path / "elsewhere").read_bytes())


def test_a_folder_of_the_cache_that_is_a_link_is_counted_once(tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "weights").write_bytes(bytes(1_000))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "assets").symlink_to(tmp_path / "disk")
    (tmp_path / "cache" / "notes").write_bytes(bytes(10))
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    sizes = upkeep.usage()
    assert (sizes["assets"], sizes["other"]) == (1_000, 10)
