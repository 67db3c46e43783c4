"""Pictures inside a table: unpacked once, by several processes at once, and whole."""

import io
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from helpers.advisor.read import arrow_files
from helpers.advisor.read.any_format import read_data
from helpers.errors import UserError

LOOK = """
import sys
from pathlib import Path
from helpers.advisor.read.any_format import read_data
print(len(read_data(Path(sys.argv[1])).items))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def table(tmp_path):
    """A Parquet file of 400 pictures in two classes."""
    rng, cells = np.random.default_rng(0), []
    for number in range(400):
        held = io.BytesIO()
        pixels = rng.integers(0, 100, (12, 12)) + 100 * (number % 2)
        Image.fromarray(pixels.astype("uint8")).save(held, "PNG")
        cells.append({"bytes": held.getvalue(), "path": f"{number}.png"})
    labels = ["ab"[number % 2] for number in range(400)]
    file = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"image": cells, "label": labels}), file)
    return file


def test_three_first_looks_at_once(table, cache):
    looks = [
        subprocess.Popen(
            [sys.executable, "-c", LOOK, str(table)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    assert [look.communicate(timeout=120) for look in looks] == [("400\n", "")] * 3
    assert not list(cache.rglob("*.partial"))


def test_a_first_look_beside_another_one_takes_what_that_has_written(table, monkeypatch):
    """Between looking whether a picture is there and writing it, another process writes it."""
    real = arrow_files.write_kept

    def write_kept(file, content):
        real(file, content)
        real(file, content)

    monkeypatch.setattr(arrow_files, "write_kept", write_kept)
    assert len(read_data(table)) == 400


def test_a_damaged_picture_is_said_and_unpacked_again(table, cache, capsys):
    file = read_data(table).items[7]
    whole = file.read_bytes()
    file.write_bytes(bytes(len(whole)))
    assert read_data(table).items[7].read_bytes() == whole
    assert "are damaged" in capsys.readouterr().err
    read_data(table)
    assert capsys.readouterr().err == ""


def test_the_cache_may_be_deleted_while_pictures_are_unpacked(table, cache, monkeypatch):
    real, turns = arrow_files.write_kept, []

    def write_kept(file, content):
        turns.append(file)
        if len(turns) in (100, 300):
            shutil.rmtree(cache / "advisor")
        real(file, content)

    monkeypatch.setattr(arrow_files, "write_kept", write_kept)
    assert all(file.is_file() for file in read_data(table).items)


def test_a_place_that_can_not_be_made_is_not_a_full_disk(table, cache):
    (cache / "advisor").mkdir(parents=True)
    (cache / "advisor" / "pictures").write_text("in the way")
    with pytest.raises(UserError) as error:
        read_data(table)
    assert "free some space" not in str(error.value) and "pictures" in str(error.value)
