"""Pictures, texts and names that are seldom seen: what is made of them, and what is printed."""

import csv
import json
import os
import struct
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
from hostile import OBEYED, hostile_labels, told_of
from PIL import Image
from safetensors.torch import load
from tiny import tiny_text_task

from helpers import paths
from helpers.advisor import export, model_folder, pipeline
from helpers.advisor import probe as probe_module
from helpers.advisor.answer import _probe_reasons, first_answer
from helpers.advisor.checks.catalogue import run_checks
from helpers.advisor.checks.pictures import picture_shape, readable
from helpers.advisor.data import OwnData
from helpers.advisor.folds import cut_folds
from helpers.advisor.network import choose_backbone, cut_off
from helpers.advisor.pipeline import Request
from helpers.advisor.probe import (
    AT_CHANCE,
    TRANSFERS,
    Cause,
    ProbeScore,
    Probing,
    probe_own,
)
from helpers.advisor.read.any_format import read_data
from helpers.advisor.report.as_html import report
from helpers.advisor.report.as_json import _fit_to_print
from helpers.advisor.task import decoded, make_own_task
from helpers.approaches import get_approach
from helpers.cli.commands import main
from helpers.decision import Situation
from helpers.errors import UserError, printable
from helpers.results import runs as records
from helpers.tasks import Split, Task
from helpers.tasks.images import ImageError, read_image, square
from helpers.tasks.words import spaced
from tools.attack import malformed_data
from tools.attack.malformed_inputs import odd_entries


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))


def stored(folder, arrays, ending=".png"):
    """Write pictures of two classes in turns, and return what is read of them."""
    for i, array in enumerate(arrays):
        (folder / "ab"[i % 2]).mkdir(exist_ok=True, parents=True)
        Image.fromarray(array).save(folder / "ab"[i % 2] / f"{i:03}{ending}")
    return readable(read_data(folder), 32, 1)


# Bit depth


@pytest.mark.parametrize(
    ("low", "high", "kind", "ending"),
    [
        (0, 4_095, np.uint16, ".png"),
        (0, 1_023, np.uint16, ".tif"),
        (29_000, 31_000, np.uint16, ".png"),  # a thermal camera
        (-1_000, 3_000, np.int32, ".tif"),  # Hounsfield units
        (0, 256, np.float32, ".tif"),
        (0, 0.01, np.float32, ".tif"),
    ],
)
def test_one_scale_is_taken_from_all_pictures(low, high, kind, ending, tmp_path):
    rng = np.random.default_rng(0)
    middle = (low + high) / 2
    arrays = [
        rng.uniform((low, middle)[i % 2], (middle, high)[i % 2], (32, 32)).astype(kind)
        for i in range(20)
    ]
    data = stored(tmp_path, arrays, ending)
    shown = decoded(data, 32, 1).images
    assert len(np.unique(shown)) > 250
    dark, bright = shown[data.labels == 0], shown[data.labels == 1]
    assert dark.max() <= 130 and bright.min() >= 125
    assert data.scale == pytest.approx((low, high), abs=0.02 * (high - low))
    found = {finding.check for finding in run_checks(data, side=32, channels=1)}
    assert "bit depth" in found
    assert all(
        one.severity == "passed" for one in run_checks(data) if one.check == "blank pictures"
    )


@pytest.mark.parametrize(
    ("ends", "kind"),
    [((254, 256), np.float32), ((0.9, 1.1), np.float32), ((65_000, 66_000), np.int32)],
)
def test_a_value_is_as_bright_in_every_picture_of_a_set(ends, kind, tmp_path):
    """Each alone has a scale of its own: the one is kept, divided or multiplied, the other not."""
    ramp = np.linspace(0, 1, 32 * 32).reshape(32, 32)
    arrays = [(ramp * ends[i % 2]).astype(kind) for i in range(12)]
    data = stored(tmp_path, arrays, ".tif")
    shown = decoded(data, 32, 1).images[..., 0].astype(float)
    for row, label in enumerate(data.labels):
        wanted = ramp * ends[label] / data.scale[1] * 255
        assert abs(shown[row] - np.clip(wanted, 0, 255)).max() <= 2
    assert data.scale == pytest.approx((0, max(ends)), abs=0.01 * max(ends))


def test_a_hot_pixel_and_what_is_no_number_set_no_scale(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(0, 100, (64, 64)).astype(np.float32) for _ in range(12)]
    arrays[0][0, 0], arrays[1][0, 0], arrays[2][0, 0] = 1e9, np.nan, np.inf
    data = stored(tmp_path, arrays, ".tif")
    assert data.scale == pytest.approx((0, 100), abs=1)
    assert decoded(data, 32, 1).images.std() > 20


def test_all_bits_of_colour_are_read(tmp_path):
    values = np.random.default_rng(0).integers(0, 4096, (32, 32, 3))

    def chunk(kind, body):
        whole = kind + body
        return struct.pack(">I", len(body)) + whole + struct.pack(">I", zlib.crc32(whole))

    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", 32, 32, 16, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    shown = read_image(tmp_path / "a.png", 32, 3, (0, 4095))
    assert abs(shown - values * 255 / 4095).max() <= 1


def test_an_exported_model_reads_new_pictures_on_the_same_scale(tmp_path):
    Image.fromarray(np.full((8, 8), 2048, np.uint16)).save(tmp_path / "a.png")
    recipe = {"modality": "image", "side": 8, "channels": 1, "scale": [0, 4095]}
    model = export.OwnModel(tmp_path, recipe, None)
    assert (model._encoded([tmp_path / "a.png"]) == 128).all()


# Shapes and sizes


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (3, 9_000)])
def test_threads_take_little_memory(size, monkeypatch):
    made, resize = [], Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda self, to, *how: made.append(to) or resize(self, to, *how)
    )
    assert square(Image.effect_noise(size, 50), 128).shape == (128, 128, 1)
    assert all(width * height < 1e5 for width, height in made)


@pytest.mark.parametrize("shapes", [[(20_000, 1)], [(1, 2_000), (2_000, 1)], [(30, 900)] * 3])
def test_threads_are_told(shapes, tmp_path):
    arrays = [np.full((64, 64), 8 * i, np.uint8) for i in range(30)]
    arrays[: len(shapes)] = [np.zeros(shape, np.uint8) for shape in shapes]
    data = stored(tmp_path, arrays)
    assert len(data) == 30
    (told,) = (finding for finding in run_checks(data, side=32) if finding.check == "shape")
    assert told.severity != "passed" and len(told.examples) == len(shapes)


@pytest.mark.parametrize("size", [100_000, 1, 3])
def test_a_size_that_nothing_reads_is_refused(size):
    data = OwnData(Path("t.csv"), "text", ["a"], np.zeros(1, int), ("a", "b"), np.array([""]))
    with pytest.raises(UserError, match="tokens"):
        choose_backbone("minilm", size, data)
    with pytest.raises(UserError, match="pixels a side"):
        choose_backbone("pocket", size, replace(data, modality="image"))


@pytest.mark.parametrize("seed", [-1, 10**30, 2**32 - 1])
def test_a_seed_that_numpy_does_not_take_is_refused(seed):
    with pytest.raises(UserError, match="--seed must be from 0"):
        Request(Path("t.csv"), seed=seed)


# Pipes, devices, loops, names


def test_twenty_folders_of_odd_entries_end(tmp_path):
    for seed in range(20):
        place = tmp_path / str(seed)
        place.mkdir()
        assert malformed_data.complaint(odd_entries(place, Random(seed))) == ""


@pytest.mark.parametrize("target", ["pipe", "/dev/zero", "loop.png"])
def test_what_is_no_file_is_not_waited_for(target, tmp_path):
    data = tmp_path / "data"
    arrays = [
        np.random.default_rng(i).integers(0, 256, (32, 32)).astype(np.uint8) for i in range(12)
    ]
    stored(data, arrays)
    if target == "pipe":
        os.mkfifo(data / "a" / "pipe.png")
    else:
        (data / "a" / "loop.png").symlink_to(target)
    with malformed_data.at_most(20):
        found = readable(read_data(data), 32, 1)
    assert len(found) == 12
    assert [one.check for one in found.findings] == ["unreadable files"]
    with pytest.raises(ImageError, match="cannot be opened"):
        read_image(next(p for p in (data / "a").iterdir() if not p.is_file()), 8)


@pytest.mark.parametrize(
    ("classes", "rows", "groups"),
    [("ab", 8, 0), ("abc", 12, 0), ("abcdef", 19, 0), ("ab", 12, 3), ("ab", 16, 4), ("abc", 18, 5)],
)
def test_tiny_tables_have_as_many_folds_as_they_allow(classes, rows, groups, tmp_path):
    head, cells = "text,label" + ",group" * bool(groups), []
    for i in range(rows):
        group = f",g{i // 2 % groups}" if groups else ""
        cells.append(f"some words {['tea', 'moon', 'dog'][i % 3]} {i},{classes[i % len(classes)]}")
        cells[-1] += group
    (tmp_path / "t.csv").write_text("\n".join([head, *cells]), encoding="utf-8")
    assert len(malformed_data.looked_at(tmp_path / "t.csv")) == rows


@pytest.mark.parametrize("groups", [2, 3])
def test_groups_that_leave_one_class_to_train_on_are_refused(groups):
    labels = np.repeat([0, 1], 6)
    with pytest.raises(UserError, match="--group-column none"):
        cut_folds(labels, labels if groups == 2 else np.repeat([0, 1, 1], 4), 5, 0)


def test_an_input_that_is_met_badly_is_told(monkeypatch, tmp_path):
    def broken(path):
        raise RuntimeError("a fault")

    monkeypatch.setattr(malformed_data, "looked_at", broken)
    (told,) = malformed_data.attack(0, 1, tmp_path)
    assert "RuntimeError: a fault" in told and "seed 0" in told


# Texts without words


def text_task(draw):
    """Sixty texts to learn from and forty others to test on; draw(i): a text of class i % 2."""
    train, test = (
        Split([draw(i) for i in rows], np.array([i % 2 for i in rows]))
        for rows in (range(60), range(100, 140))
    )
    return Task("t", "text", ("a", "b"), "MIT", "made", "full", train, test, test)


@pytest.mark.parametrize("alphabets", ["好棒喜欢|坏差讨厌", "😀😍👍|😡👎💩", "ดีมาก|แย่จง", "+*|-/"])
def test_characters_are_counted_where_texts_have_no_words(alphabets):
    parts = alphabets.split("|")
    task = text_task(lambda i: "".join(Random(i).choices(parts[i % 2], k=7)))
    approach = get_approach("classical")
    fitted = approach.fit(None, task, approach.config("text", 60))
    assert fitted.accuracy(task.test) == 1.0
    tensors, facts = export.classical_state(fitted.model)
    recipe = facts | {"approach": "classical", "modality": "text", "lr": 1.0, "classes": ["a", "b"]}
    restored = export.restored_pipeline(recipe, load(tensors))
    assert (restored.predict(task.test.inputs) == task.test.labels).all()


def test_words_are_counted_as_before_where_there_are_some():
    task = tiny_text_task()
    approach = get_approach("classical")
    model = approach.fit(None, task, approach.config("text", 24)).model
    assert model[0].analyzer == "word" and "whiskers" in model[0].vocabulary_


def test_short_texts_are_counted_in_words_of_their_script():
    texts = ["今天天气很好我们去公园散步" + str(i) for i in range(40)]
    splits = np.array(["train"] * 30 + ["test"] * 10)
    data = OwnData(Path("t"), "text", texts, np.arange(40) % 2, ("a", "b"), splits)
    assert "short texts" not in {finding.check for finding in run_checks(data)}


def test_length_is_counted_in_tokens():
    def tokenizer(texts, longest):  # a token for each letter
        rows = [[1] * min(longest, len(text.replace(" ", ""))) for text in texts]
        width = max(map(len, rows))
        return np.array([row + [0] * (width - len(row)) for row in rows])

    backbone = SimpleNamespace(recipe=SimpleNamespace(size=8), tokenizer=tokenizer)
    items = ["a b c", "abcdefgh", "abcdefghi", "字" * 9, "x " * 500, "a " * 4]
    data = OwnData(Path("t"), "text", items, np.zeros(6, int), ("a", "b"), np.array([""] * 6))
    assert cut_off(backbone, data).tolist() == [False, False, True, True, True, False]
    assert cut_off(backbone, replace(data, modality="image")) is None


# What a weak probe lies at, and a baseline that leads


def score(accuracy, n=80):
    return ProbeScore(accuracy, accuracy - 0.1, min(1.0, accuracy + 0.1), n)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"classical": score(1.0), "cut": 1.0}, Cause.CUT_OFF),
        ({"classical": score(1.0), "cut": 0.0, "distance": 0.9}, Cause.FAR),
        ({"classical": score(1.0), "cut": 0.0, "distance": 0.9, "unseen": True}, Cause.UNSEEN),
        ({"classical": score(1.0), "cut": 0.0, "distance": 0.1}, Cause.UNKNOWN),
        ({"classical": score(1.0), "distance": None}, Cause.UNKNOWN),
        ({"classical": score(0.5), "cut": 1.0, "distance": 0.9}, Cause.NOISE),
        ({"probe": score(0.95), "classical": score(0.95), "chance": 0.95}, Cause.IMBALANCED),
    ],
)
def test_distance_is_blamed_only_where_it_was_measured(changes, cause):
    about = {"probe": score(0.5), "chance": 0.5, "p_value": 0.5, "distance": 0.9}
    weak = Probing(**(about | changes), how="made", log_me=0.0)
    assert (weak.verdict, weak.cause) == (AT_CHANCE, cause)
    assert weak.as_dict()["cause"] == cause
    said = _probe_reasons(weak, 64)
    assert any("distant" in one for one in said) == (cause == Cause.FAR)
    good = replace(weak, probe=score(0.99), chance=0.5)
    assert (good.verdict, good.cause) == (TRANSFERS, "")


def lower_letters(texts, longest):
    """The tokens of a network that reads a to z and calls all else one sign."""
    rows = [[2 + ord(c) - 97 if "a" <= c <= "z" else 1 for c in text][:longest] for text in texts]
    return np.array([row + [0] * (longest - len(row)) for row in rows])


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("😀 😍 👍|😡 👎 💩", Cause.UNSEEN),
        ("好 棒 喜 欢|坏 差 讨 厌", Cause.UNSEEN),
        ("\u00e9\u00e9 \u00ea\u00ea|\u00f9\u00f9 \u00fa\u00fa", Cause.UNSEEN),
        ("aa bb|yy zz", Cause.FAR),
    ],
)
def test_what_the_network_cannot_read_is_not_called_distance(words, cause, monkeypatch):
    monkeypatch.setattr(probe_module, "_distance", lambda *_: (9.0, "made"))
    monkeypatch.setattr(probe_module, "seconds_each", lambda *_: 0.0)
    parts = words.split("|")
    texts = [" ".join(Random(i).choices(parts[i % 2].split(), k=6)) for i in range(120)]
    splits = np.array(["train"] * 80 + ["validation"] * 20 + ["test"] * 20)
    data = OwnData(Path("t"), "text", texts, np.arange(120) % 2, ("a", "b"), splits)
    network = SimpleNamespace(name="-", recipe=SimpleNamespace(size=8), tokenizer=lower_letters)
    features = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
    found = probe_own(network, make_own_task(data, *picture_shape(data, 8)), features)
    assert found.classical.accuracy > 0.9
    assert (found.verdict, found.cause) == (AT_CHANCE, cause)


def word_numbers(texts, longest):
    """The tokens of a network that gives each word, or letter of an unspaced script, a number."""
    rows = [[1 + sum(map(ord, word)) for word in spaced(text).split()][:longest] for text in texts]
    return np.array([row + [0] * (longest - len(row)) for row in rows])


def drawn_texts(draw, n=160):
    """Texts of two classes in turns; draw(label, random): one of them."""
    return [draw(i % 2, Random(i)) for i in range(n)], np.arange(n) % 2


PAD = "the report covers general matters of the quarter and other items"
TELLING = (["good", "fine", "warm"], ["bad", "rude", "cold"])
LATE = {
    "words": lambda label, random: f"{PAD} {random.choice(TELLING[label])}",
    "an unspaced script": lambda label, random: "今天天气很好我们去公园" * 2 + "好坏"[label] * 2,
    "every other text": lambda label, random: (
        f"{PAD} {random.choice(TELLING[label])}" if random.random() < 0.5 else "all of it read"
    ),
}
MEANINGLESS = {
    "words": lambda random: " ".join(random.choices(PAD.split(), k=6)),
    "an unspaced script": lambda random: "".join(random.choices("今天气很好我们去公园", k=9)),
    "emoji": lambda random: "".join(random.choices("😀😍👍😡👎💩", k=7)),
}
FEW = {
    "one in twenty": [0] * 19 + [1],
    "three classes": [0] * 18 + [1, 2],
    "one in ten": [0] * 9 + [1],
}


def looked_for(texts, labels, monkeypatch, together=None):
    """What a probe finds whose network knows nothing of texts, and calls them distant."""
    monkeypatch.setattr(probe_module, "_distance", lambda *_: (9.0, "made"))
    monkeypatch.setattr(probe_module, "seconds_each", lambda *_: 0.0)
    n, names = len(texts), tuple("abc"[: labels.max() + 1])
    splits = np.array((["train"] * 6 + ["validation", "test"]) * n)[:n]
    splits = splits[np.random.default_rng(3).permutation(n)]
    data = OwnData(Path("t"), "text", texts, labels, names, splits, together=together)
    network = SimpleNamespace(name="-", recipe=SimpleNamespace(size=8), tokenizer=word_numbers)
    features = np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32)
    own = make_own_task(data, *picture_shape(data, 8))
    return probe_own(network, own, features, cut=cut_off(network, data))


@pytest.mark.parametrize("kind", LATE)
def test_what_lies_after_the_tokens_read_is_not_called_distance(kind, monkeypatch):
    found = looked_for(*drawn_texts(LATE[kind]), monkeypatch)
    assert (found.verdict, found.cause) == (AT_CHANCE, Cause.CUT_OFF)
    assert found.cut == pytest.approx(0.5 if kind == "every other text" else 1, abs=0.1)
    assert found.baseline_leads
    assert not any("distant" in one for one in _probe_reasons(found, 8))
    if kind != "every other text":
        assert found.classical.accuracy == 1.0


@pytest.mark.parametrize("kind", MEANINGLESS)
def test_texts_that_tell_nothing_are_not_called_distant(kind, monkeypatch):
    drawn = drawn_texts(lambda label, random: MEANINGLESS[kind](random))
    found = looked_for(*drawn, monkeypatch)
    assert (found.verdict, found.cause) == (AT_CHANCE, Cause.NOISE)
    assert not any("distant" in one for one in _probe_reasons(found, 8))


def test_few_texts_again_and_again_are_not_called_wrong_labels(monkeypatch):
    """Six emoji, each on one side of every fold: what is learned of five says nothing of one."""
    emoji = ("😀😍👍", "😡👎💩")
    texts, labels = drawn_texts(lambda label, random: random.choice(emoji[label]) * 3)
    monkeypatch.setitem(globals(), "word_numbers", lower_letters)
    found = looked_for(texts, labels, monkeypatch, np.unique(texts, return_inverse=True)[1])
    assert (found.cause, found.different, found.unseen) == (Cause.REPEATED, 6, True)
    assert _probe_reasons(found, 8)


@pytest.mark.parametrize("kind", FEW)
def test_one_large_class_is_not_called_distance(kind, monkeypatch):
    texts, _ = drawn_texts(lambda label, random: MEANINGLESS["words"](random), 400)
    found = looked_for(texts, np.array(FEW[kind] * 400)[:400], monkeypatch)
    assert (found.verdict, found.cause) == (AT_CHANCE, Cause.IMBALANCED)
    assert not any("distant" in one for one in _probe_reasons(found, 8))


def answered(probe, classical, p_value, modality="text", distance=0.1):
    names = ("classical", "feature_extraction", "lora", "full_fine_tuning", "adapter")
    classes = SimpleNamespace(classes=("a", "b"))
    looked = SimpleNamespace(
        situation=Situation(60, distance or 0.1, modality), minutes=None, tells_macro_f1=False,
        backbone="minilm" if modality == "text" else "efficientnet_lite0", image_size=64,
        own=SimpleNamespace(task=classes, data=classes), asked={"exclude": ()},
        costs=dict.fromkeys(names, SimpleNamespace(stored_mb=1.0)), seconds=lambda name: 5.0,
        probing=Probing(score(probe), score(classical), 0.5, p_value, distance, "made", 1.0, 0.0),
    )  # fmt: skip
    return first_answer(looked, records.load_runs())


@pytest.mark.parametrize(("modality", "distance"), [("text", 0.1), ("image", 0.9), ("text", None)])
def test_a_baseline_46_points_above_the_network_leads_without_a_race(modality, distance):
    far_above = answered(0.54, 1.0, 1e-10, modality, distance)
    assert far_above.approach == "classical"
    assert "no network" in far_above.headline[0].lower() or "1.000" in far_above.headline[0]


def test_a_baseline_that_was_measured_to_be_better_leads_without_a_race():
    assert answered(0.54, 0.9, 1e-4).approach == "classical"
    assert answered(0.54, 0.65, 0.3).approach == "classical"  # better and cheaper, though by luck
    for probe, classical, p_value in ((0.9, 0.5, 1e-10),):
        assert answered(probe, classical, p_value).approach != "classical"


# Exported models


class Fixed:
    """A model that names the class whose word a text holds."""

    def __init__(self):
        self.steps = [SimpleNamespace(classes_=np.array([0, 1]))]

    def __getitem__(self, place):
        return self.steps[place]

    def predict_log_proba(self, texts):
        return np.array([[0.0, -9.0] if "cat" in text else [-9.0, 0.0] for text in texts])


def exported(folder):
    recipe = {"approach": "classical", "backbone": "-", "modality": "text"}
    return export.OwnModel(folder, recipe | {"classes": ["cat", "engine"]}, Fixed())


def test_a_file_of_a_text_is_read_and_not_its_name(tmp_path, capsys):
    (tmp_path / "cat.txt").write_text("an engine", encoding="utf-8")
    (tmp_path / "plain").write_text("a cat", encoding="utf-8")
    model = exported(tmp_path)
    given = [str(tmp_path / "cat.txt"), str(tmp_path / "plain"), "a cat in words"]
    assert model.command(given) == 0
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert [line.rpartition(": ")[2] for line in lines] == ["engine", "cat", "cat"]
    assert model.classify([tmp_path / "plain"]) == ["cat"]
    for name in ("missing.txt", str(tmp_path / "no" / "such.md")):
        assert model.command([name]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    assert model.command([str(tmp_path / "bytes.txt")]) == 2


@pytest.mark.parametrize("text", ["word " * 60, "x" * 300, "a/" * 2_500, "x" * 5_000])
def test_a_text_too_long_for_a_name_is_a_text(text, tmp_path, capsys):
    assert exported(tmp_path).command([text]) == 0
    assert capsys.readouterr().err == ""


def test_the_loader_leaves_reading_to_the_model():
    assert "model.command(sys.argv[1:])" in export.LOADER
    compile(export.LOADER, "load_me.py", "exec")


def test_long_texts_and_odd_names_are_tested_again(tmp_path):
    with (tmp_path / model_folder.TEST).open("w", encoding="utf-8", newline="") as file:
        rows = [["text", "label"], ["cat " * 50_000, "cat"], ["x" * 140_000, "engine"]]
        csv.writer(file).writerows(rows)
    before = csv.field_size_limit()
    assert exported(tmp_path).test_accuracy() == 1.0
    assert csv.field_size_limit() == before


# What is printed


def test_fifty_hostile_labels_are_never_printed_raw(tmp_path):
    rows = [{"text": f"some words {i} \x1b[2J", "label": label}
            for i, label in enumerate(hostile_labels() * 3)]  # fmt: skip
    file = tmp_path / "\x1b[31m\u202eodd.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    data = read_data(file)
    assert len(data.classes) == 50
    assert not any(OBEYED.search(name) for name in data.classes)
    told = _fit_to_print({"classes": data.classes, "path": str(file), "names": data.names([0, 1]),
                          "findings": [vars(one) for one in data.findings]})  # fmt: skip
    assert not OBEYED.search(json.dumps(told, ensure_ascii=False))


def test_fifty_hostile_labels_make_no_tag_and_no_mark_of_a_page(tmp_path):
    told = told_of(tmp_path, hostile_labels(), "\x1b[31m\u202e<b>odd.jsonl")
    page = report(told)
    assert len(told["classes"]) == 50
    assert not OBEYED.search(page.replace("\n", ""))
    assert "&lt;img src=x" in page and "<img src=x" not in page and "<b>odd" not in page


def test_an_error_is_printed_without_what_a_terminal_obeys(tmp_path, capsys):
    assert main(["advise", str(tmp_path / "\x1b[2Jno\u202ewhere\udcff")]) == 2
    told = capsys.readouterr().err
    assert not OBEYED.search(told.rstrip("\n")) and r"\x1b[2Jno\u202ewhere\udcff" in told


@pytest.mark.parametrize("text", ["👩‍👩‍👧 family", "کتاب‌ها", "naïve café", "עברית", "a\u00a0b"])
def test_what_people_write_is_printed_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize("code", [0x1B, 0x9B, 0x202E, 0x2028, 0xD800, 0x200B])
def test_what_is_obeyed_becomes_an_escape(code):
    assert chr(code) not in printable(f"a{chr(code)}b")


def test_places_that_nothing_can_be_written_to_are_told_before_any_work(tmp_path, capsys):
    (tmp_path / "data.csv").write_text("text,label\n", encoding="utf-8")
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    for option, place, told in (
        ("--export", tmp_path / "taken", "is a file; name a folder"),
        ("--json", tmp_path, "is a folder; name a file"),
        ("--html", tmp_path / "none" / "page.html", "there is no folder"),
    ):
        assert main(["advise", str(tmp_path / "data.csv"), option, str(place)]) == 2
        assert told in capsys.readouterr().err
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    "options",
    [
        ["--json", "data.csv"],
        ["--html", "link.csv"],
        ["--json", "a.html", "--html", "./a.html"],
        ["--html", "new", "--export", "new"],
    ],
)
def test_no_output_takes_the_place_of_the_data_or_of_another(
    options, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text("text,label\n", encoding="utf-8")
    Path("link.csv").symlink_to("data.csv")
    assert main(["advise", "data.csv", *options]) == 2
    assert "named twice" in capsys.readouterr().err
    assert Path("data.csv").read_text(encoding="utf-8") == "text,label\n"


def test_a_report_goes_into_pipes_and_through_links(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    pipeline._write(tmp_path / "pipe", "told")
    assert os.read(reader, 99) == b"told"
    os.close(reader)
    assert not (tmp_path / "pipe").is_file()
    (tmp_path / "there.json").write_text("old", encoding="utf-8")
    (tmp_path / "link.json").symlink_to("there.json")
    pipeline._write(tmp_path / "link.json", "new")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "there.json").read_text(encoding="utf-8") == "new"
    if Path("/dev/full").exists():
        with pytest.raises(UserError, match="cannot write /dev/full"):
            pipeline._write(Path("/dev/full"), "told")


@pytest.mark.parametrize("variable", ["", "TRANSFER_CACHE", "TRANSFER_DATA"])
def test_the_home_of_nobody_is_one_sentence(variable, monkeypatch):
    if variable:
        monkeypatch.setenv(variable, "~nobody-here/x")
    data_folder = partial(paths.given_folder, "TRANSFER_DATA")
    read = {"TRANSFER_CACHE": paths.cache_dir, "TRANSFER_DATA": data_folder}
    with pytest.raises(UserError, match="write the path in full"):
        read.get(variable, lambda: read_data("~nobody-here/x"))()
