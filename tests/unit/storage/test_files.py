"""Files that grow by whole lines: ends that kills and editors leave, keys, columns, questions."""

import math

import pytest

from helpers.errors import UserError
from helpers.storage.files import write_whole
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


def test_a_declared_file_lies_with_the_results():
    assert DECLARED.rows().path.parts[-3:] == ("data", "results", "none.csv")
