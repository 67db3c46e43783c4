"""The example folder's faults are what it says, and exercise 14.1 takes a mended folder alone."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from helpers.lessons import example_data
from helpers.lessons.exercises.n14 import ANSWERS, is_mended


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return example_data.example_folder(tmp_path_factory.mktemp("data") / "faulty", seed=1)


def advice(folder):
    """What the judge looks at of an advice on a folder."""
    files = sorted(folder.glob("*/*/*.png"))
    classes = sorted({file.parent.name for file in files})
    data = SimpleNamespace(
        items=files,
        classes=classes,
        labels=np.array([classes.index(file.parent.name) for file in files]),
        splits=np.array([file.parts[-3] for file in files]),
    )
    return SimpleNamespace(looked=SimpleNamespace(own=SimpleNamespace(data=data)))


def test_the_faults_are_where_it_says(planted):
    shown = [(planted.folder / name).read_bytes() for name in planted.copy]
    assert shown[0] == shown[1]
    assert len(np.unique(np.asarray(Image.open(planted.folder / planted.blank)))) == 1
    truth = example_data.true_classes()
    for file, name in planted.mislabelled.items():
        assert truth[np.asarray(Image.open(planted.folder / file)).tobytes()] == name
        assert name not in file
    again = example_data.example_folder(planted.folder.with_name("again"), seed=1)
    assert (again.copy, again.mislabelled) == (planted.copy, planted.mislabelled)
    checks = [{"examples": [f"{planted.copy[0]} = {planted.copy[1]}", *planted.mislabelled]}]
    told = planted.found(checks)
    assert "blank picture was **missed**" in told and "across splits was found" in told
    assert f"**{example_data.WRONG} of {example_data.WRONG}**" in told


def test_only_a_mended_folder_is_right(planted):
    folder = planted.folder
    assert "advise" in is_mended(folder)
    assert "repeats" in is_mended(advice(folder))
    (folder / planted.copy[0]).unlink()
    assert "shows nothing" in is_mended(advice(folder))
    (folder / planted.blank).unlink()
    assert "another class" in is_mended(advice(folder))
    for file, name in list(planted.mislabelled.items())[:2]:
        (folder / file).replace(folder / "train" / name / (folder / file).name)
    assert is_mended(advice(folder)) is True
    for file in sorted(folder.glob("train/*/*.png"))[:20]:
        file.unlink()
    assert "more went" in is_mended(advice(folder))


@pytest.mark.parametrize(
    "reader",
    [
        lambda table: table["approach"].iloc[0],  # the leader
        lambda table: table.loc[table["seconds"].idxmin(), "approach"],  # the cheapest of all
        lambda table: table[table["p_value"] > 0.05].sort_values("seconds")["approach"].iloc[0],
    ],
)
def test_a_choice_that_cannot_be_defended_is_told(reader):
    assert "is what to defend" in ANSWERS["14.3"].rule(reader)
