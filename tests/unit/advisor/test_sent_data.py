"""What a race sends to its workers is all that a trained model tells of the data."""

from dataclasses import replace

import numpy as np
import pytest
from own import with_splits, write_texts
from PIL import Image

from helpers.advisor.export import model_facts
from helpers.advisor.race.cluster import as_text, from_text
from helpers.advisor.read.any_format import read_data
from helpers.advisor.task import make_own_task

ROW = dict.fromkeys(("approach", "seed", "lr", "epochs", "n_train", "run_id", "accuracy"), "")
ROW["approach"] = "feature_extraction"


class Watched:
    """Stands for own data, and knows which of its fields were read."""

    def __init__(self, data):
        self.data, self.read = data, set()

    def __getattr__(self, name):
        self.read.add(name)
        return getattr(self.data, name)


@pytest.fixture(params=["pictures of 16 bits", "texts"])
def own(request, tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    if request.param == "texts":
        return make_own_task(read_data(write_texts(tmp_path / "texts.csv")), None)
    rng = np.random.default_rng(0)
    for name, (low, high) in {"dark": (100, 3_000), "light": (2_000, 60_000)}.items():
        (tmp_path / "own" / name).mkdir(parents=True)
        for number in range(16):
            picture = rng.integers(low, high, (32, 32)).astype(np.uint16)
            Image.fromarray(picture).save(tmp_path / "own" / name / f"{name} {number}.png")
    return make_own_task(with_splits(read_data(tmp_path / "own")), 32, 1)


def test_a_worker_writes_the_same_recipe(own):
    found, shape = from_text(as_text(own))
    there = make_own_task(found, *shape)
    assert there.name == own.name
    watched = Watched(own.data)
    facts = model_facts(replace(own, data=watched), "pocket", 28, ROW)
    assert model_facts(there, "pocket", 28, ROW) == facts
    assert watched.read, "the recipe tells something of the data"
    for name in watched.read:
        here = getattr(own.data, name)
        assert getattr(found, name) == here and type(getattr(found, name)) is type(here), name
    assert (own.data.scale is None) == (own.task.modality == "text")
