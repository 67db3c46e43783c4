"""Each pre-flight check finds what was put there, and nothing where nothing was put."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from own import with_splits
from PIL import Image
from sklearn.datasets import load_digits

from helpers.advisor.checks import catalogue
from helpers.advisor.checks.catalogue import CHECKS, run_checks
from helpers.advisor.checks.copies import equal_files, near_pairs
from helpers.advisor.checks.inputs import ACCURACY, EXAMPLES_TO_SEE
from helpers.advisor.checks.label_errors import chances_out_of_fold, label_suspects, suspects_from
from helpers.advisor.checks.leakage import tells, told_by
from helpers.advisor.data import SEVERITIES, OwnData
from helpers.advisor.read.any_format import read_data
from helpers.errors import UserError
from helpers.results.statistics import smallest_visible_gain
from helpers.tasks.images import square

SIDE = 48


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))


def scene(seed, side=SIDE):
    """A smooth picture unlike any with another seed, uint8 (side, side, 3)."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


def photo(file, seed, *, side=SIDE, camera="", **options):
    """Write a scene, with a camera in its EXIF if one is named."""
    file.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if camera:
        exif[0x0110] = camera
    scene(seed, side).save(file, exif=exif, **options)
    return file


def photos(root, n=20, classes=("cat", "dog"), name="{}.jpg", **options):
    for number, kind in enumerate(classes):
        for i in range(n):
            photo(root / kind / name.format(i), 1000 * number + i, **options)
    return root


def texts(n=120, classes=("spam", "ham"), text="{}"):
    """Data of texts that share no phrases, split by hand: test is every fourth."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijklmnopqrst"), 5)) for _ in range(400)]
    items = [text.format(" ".join(rng.choice(words, 12))) for _ in range(n)]
    splits = np.where(np.arange(n) % 4 == 3, "test", "train").astype("U10")
    labels = np.arange(n) // 4 % len(classes)
    return OwnData(Path("t.csv"), "text", items, labels, classes, splits)


def found(data, check, **options):
    """Return the one finding of that name."""
    (one,) = [finding for finding in run_checks(data, **options) if finding.check == check]
    return one


def names(data, **options):
    return {f.check for f in run_checks(data, **options) if f.severity != "passed"}


# The whole


def test_findings_are_looked_for_anew_where_a_check_would_say_something_else():
    """Moved lines, and a drawn split that the data now brings, leave the task as it is."""
    data = texts()
    lines = [f"line {row + 2}" for row in range(len(data))]
    others = [
        replace(data, where=lines),
        replace(data, where=[f"line {row + 3}" for row in range(len(data))]),
        replace(data, drawn=("test",)),
        replace(data, labels=1 - data.labels),
    ]
    keys = [catalogue.checks_key(one) for one in (data, *others)]
    assert len(set(keys)) == len(keys)
    assert catalogue.checks_key(replace(data, where=list(lines))) == keys[1]


def test_clean_pictures_pass_everything_but_the_size_of_the_test(tmp_path):
    data = with_splits(read_data(photos(tmp_path, n=60)), side=SIDE)
    findings = run_checks(data, side=SIDE)
    assert {f.check for f in findings if f.severity != "passed"} == {"splits", "size of the test"}
    assert len(findings) >= 12


def test_clean_texts_pass_everything_but_the_size_of_the_test():
    assert names(texts()) == {"size of the test"}


def test_findings_come_worst_first_and_read_well(tmp_path):
    photos(tmp_path, n=20)
    photo(tmp_path / "dog" / "again.jpg", 3)
    data = with_splits(read_data(tmp_path))
    findings = run_checks(data, side=SIDE)
    order = [SEVERITIES.index(finding.severity) for finding in findings]
    assert order == sorted(order)
    for finding in findings:
        assert finding.found.endswith(".")
        assert finding.found[0].isupper() or finding.found[0].isdecimal()
        assert finding.mend == "" or finding.mend.endswith(".")
        assert len(finding.examples) <= 20


def test_a_check_is_one_entry(monkeypatch):
    def run(context):
        yield catalogue.Finding("mine", "note", f"{len(context.data)} examples.")

    monkeypatch.setattr(catalogue, "CHECKS", (*CHECKS, catalogue.Check("mine", run, "Fine.")))
    assert found(texts(), "mine").found == "120 examples."


def test_features_of_another_length_are_refused():
    with pytest.raises(UserError, match="3 features for 120 examples"):
        run_checks(texts(), features=np.zeros((3, 2)))


# Counts


def test_imbalance_and_tiny_classes():
    labels = np.array([0] * 200 + [1] * 18 + [2] * 3 + [3])
    items = texts(len(labels)).items
    splits = np.full(len(labels), "train", dtype="U10")
    data = OwnData(Path("t.csv"), "text", items, labels, ("a", "b", "c", "d"), splits)
    balance = found(data, "class balance")
    assert balance.severity == "warning"
    assert "'a', has 200 training examples, 200 times as many as 'd' with 1" in balance.found
    tiny = found(data, "tiny classes")
    assert "2 classes have fewer than 10" in tiny.found
    assert "1 of them has a single one" in tiny.found
    assert tiny.examples == ("d (1)", "c (3)")


def test_visible_difference_is_what_a_simulated_test_finds():
    n, accuracy = 800, 0.85
    gap = smallest_visible_gain(n, accuracy)
    rng = np.random.default_rng(0)
    one = rng.binomial(n, accuracy - gap / 2, 4000) / n
    other = rng.binomial(n, accuracy + gap / 2, 4000) / n
    pooled = (one + other) / 2
    z = (other - one) / np.sqrt(2 * pooled * (1 - pooled) / n)
    assert (z > 1.96).mean() == pytest.approx(0.8, abs=0.03)
    assert smallest_visible_gain(EXAMPLES_TO_SEE, ACCURACY) == pytest.approx(0.02, rel=1e-3)


def test_the_size_of_the_test_is_told_with_what_would_do():
    finding = found(texts(), "size of the test")
    assert finding.severity == "warning"
    assert (
        "On 30 test examples two approaches can be told apart where they differ by "
        f"{100 * smallest_visible_gain(30, ACCURACY):.0f} points" in finding.found
    )
    assert f"{EXAMPLES_TO_SEE:,}" in finding.mend
    many = OwnData(Path("t"), "text", ["a b"] * 9000, np.arange(9000) % 2, ("a", "b"),
                   np.array(["train", *["test"] * 8999]))  # fmt: skip
    context = catalogue.Context(many)
    (size,) = [check for check in CHECKS if check.name == "size of the test"]
    assert list(size.run(context)) == []


# Copies


@pytest.mark.parametrize(
    "change",
    [
        lambda image: _again(image, quality=60),
        lambda image: _again(image.resize((30, 30)), quality=90),
        lambda image: image.point(lambda value: min(255, round(value * 1.1) + 4)),
        lambda image: image.convert("L"),
    ],
    ids=["quality", "size", "brightness", "grey"],
)
def test_a_changed_copy_is_found_and_others_are_not(change):
    def small(image):
        return square(image.convert("L"), 32)[..., 0]

    originals = [scene(i) for i in range(120)]
    thumbs = np.stack([small(i) for i in (*originals, *map(change, originals[:20]))])
    pairs = {tuple(pair) for pair in near_pairs(thumbs).tolist()}
    assert pairs == {(i, 120 + i) for i in range(20)}


def _again(image, **options):
    held = io.BytesIO()
    image.save(held, "JPEG", **options)
    return Image.open(held)


def test_pictures_that_look_alike_by_nature_are_no_copies():
    digits = (load_digits().images * 15.9).astype(np.uint8)[:600]
    thumbs = np.stack([np.asarray(Image.fromarray(d).resize((32, 32))) for d in digits])
    assert np.triu(np.corrcoef(thumbs.reshape(len(thumbs), -1)) > 0.95, 1).sum() > 100
    assert len(near_pairs(thumbs)) <= 3


def test_blank_pictures_are_no_copies_of_each_other():
    thumbs = np.full((10, 32, 32), 255, dtype=np.uint8)
    assert len(near_pairs(thumbs)) == 0


def test_equal_files_are_found(tmp_path):
    files = []
    for i, content in enumerate([b"one", b"two", b"one", b"other", b"longer"]):
        files.append(tmp_path / str(i))
        files[-1].write_bytes(content)
    assert equal_files(files).tolist() == [0, 1, 0, 2, 3]


def test_copies_across_classes_and_splits_are_named(tmp_path):
    for split, start in (("train", 0), ("test", 500)):
        for number, kind in enumerate(("cat", "dog")):
            for i in range(25):
                photo(tmp_path / split / kind / f"{i}.jpg", start + 1000 * number + i)
    photo(tmp_path / "test" / "cat" / "same.jpg", 3)
    photo(tmp_path / "test" / "dog" / "other.jpg", 4, quality=50)
    data = with_splits(read_data(tmp_path))
    across = found(data, "duplicates across splits")
    assert across.severity == "warning"
    assert "2 of 52 test examples (3.8 %)" in across.found
    assert across.examples == (
        "test/cat/same.jpg = train/cat/3.jpg",
        "test/dog/other.jpg ≈ train/cat/4.jpg",
    )
    classes = found(data, "duplicates across classes")
    assert classes.examples == ("test/dog/other.jpg ≈ train/cat/4.jpg (dog or cat)",)
    assert "1 equal file and 1 nearly the same" in found(data, "duplicates").found


def test_a_test_that_stands_in_train_is_refused(tmp_path):
    photos(tmp_path / "train", n=10)
    photos(tmp_path / "test", n=10)
    finding = found(with_splits(read_data(tmp_path)), "duplicates across splits")
    assert finding.severity == "refused"


def test_copied_texts_are_found():
    data = texts()
    data.items[7] = data.items[0].upper() + "!!"
    finding = found(data, "duplicates across splits")
    assert finding.examples[0].startswith("row 8: ")
    assert " ≈ row 1: " in finding.examples[0]


# Leakage


def test_told_by_leaves_the_example_out():
    labels = np.arange(100) % 2
    assert told_by([str(i) for i in range(100)], labels)[0] <= 0.5  # serial numbers
    assert told_by(list("ab" * 50), labels) == (1.0, 0.5)
    rng = np.random.default_rng(0)
    accuracy, chance = told_by(rng.choice(list("abcdef"), 3000), np.arange(3000) % 3)
    assert not tells(accuracy, chance, 3000)


def test_a_camera_that_gives_the_class_away(tmp_path):
    for number, kind in enumerate(("cat", "dog")):
        for i in range(30):
            camera = ("X100", "D50")[number] if i % 10 else "P1"
            photo(tmp_path / kind / f"{i}.jpg", 1000 * number + i, camera=camera)
    finding = found(read_data(tmp_path), "class told by camera")
    assert finding.severity == "warning"
    assert finding.examples == ("cat: X100 (27 of 30)", "dog: D50 (27 of 30)")


def test_a_size_or_a_format_that_gives_the_class_away(tmp_path):
    for i in range(30):
        photo(tmp_path / "cat" / f"{i}.jpg", i)
        photo(tmp_path / "dog" / f"{i}.png", 1000 + i, side=SIDE + 2)
    assert {"class told by size", "class told by format"} <= names(read_data(tmp_path))


def test_groups_and_series_on_both_sides(tmp_path):
    for clip in range(24):
        for frame in range(4):
            split = "test" if frame == 3 else "train"
            kind = "cat" if clip % 2 else "dog"
            photo(tmp_path / split / kind / f"clip{clip:02}_{frame}.jpg", 99 * clip + frame)
    finding = found(read_data(tmp_path), "series across splits")
    assert "24 series (clip00_, clip01_, clip02_ and 21 more)" in finding.found
    data = texts()
    data = OwnData(data.root, "text", data.items, data.labels, data.classes, data.splits,
                   groups=np.array([f"p{i // 4}" for i in range(120)]))  # fmt: skip
    assert "30 groups (p0, p1, p10 and 27 more)" in found(data, "groups across splits").found


def test_texts_that_name_their_class():
    data = texts()
    for row in range(len(data)):
        data.items[row] += f" filed under {data.classes[data.labels[row]]}"
    assert found(data, "class named in the text").severity == "warning"


def test_a_signature_that_one_class_bears():
    data = texts()
    rows = np.flatnonzero(data.labels == 0)
    for row in rows[:40]:  # two thirds: a note; the mark stands at any place
        data.items[row] = f"{data.items[row]} DoD"
    finding = found(data, "class told by one word")
    assert finding.severity == "note"
    assert "'dod' spam (67 % of its texts)" in finding.found
    for row in rows:
        data.items[row] = f"{data.items[row]} dod"
    assert found(data, "class told by one word").severity == "warning"


def test_a_word_that_other_classes_hold_as_well_tells_nothing():
    data = texts()
    for row in range(len(data)):
        if data.labels[row] == 0 or row % 10 == 1:
            data.items[row] += " dod"
    assert "class told by one word" not in names(data)


def test_texts_without_a_word_pass():
    data = texts(text="!!!")
    assert "class told by one word" not in names(data)


# Inputs


def test_blank_pictures_are_named(tmp_path):
    photos(tmp_path)
    for i in range(3):
        Image.new("RGB", (40, 40), (200, 200, 200)).save(tmp_path / "cat" / f"blank{i}.png")
    finding = found(with_splits(read_data(tmp_path)), "blank pictures")
    assert finding.examples == tuple(f"cat/blank{i}.png" for i in range(3))


def test_resolution_and_colour_against_the_backbone(tmp_path):
    photos(tmp_path)
    data = read_data(tmp_path)
    small = found(data, "resolution", side=128)
    assert small.severity == "warning"
    assert "100 % of the pictures are smaller than the 128 pixels" in small.found
    assert "reduced to 8" in found(data, "resolution", side=8).found
    assert found(data, "colour", side=SIDE, channels=1).severity == "warning"
    assert found(data, "colour", side=SIDE).severity == "passed"
    assert "resolution" not in {finding.check for finding in run_checks(data)}


def test_odd_modes_are_told(tmp_path):
    photos(tmp_path)
    scene(2).convert("CMYK").save(tmp_path / "cat" / "print.jpg")
    told = [f for f in run_checks(read_data(tmp_path), side=SIDE) if f.check == "colour"]
    assert [f.examples for f in told] == [("cat/print.jpg",)] and "1 CMYK" in told[0].found


def test_long_pictures_and_texts_are_told(tmp_path):
    photos(tmp_path)
    for i in range(8):
        scene(i).resize((120, 40)).save(tmp_path / "dog" / f"wide{i}.png")
    assert "shape" in names(read_data(tmp_path), side=32)
    assert "long texts" in names(texts(), side=8, cut=np.ones(len(texts()), dtype=bool))
    assert "long texts" not in names(texts(), side=8, cut=np.zeros(len(texts()), dtype=bool))
    data = texts()
    data.items[:20] = ["ok"] * 20
    assert "short texts" in names(data)


# Labels


def blobs(n=400, wrong=20):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, n)
    features = rng.normal(size=(n, 16)) + 5 * np.eye(4, 16)[labels]
    flipped = rng.choice(n, wrong, replace=False)
    noisy = labels.copy()
    noisy[flipped] = (noisy[flipped] + 1) % 4
    return features.astype(np.float32), labels, noisy, flipped


def test_wrong_labels_are_suspect():
    features, labels, noisy, flipped = blobs()
    rows, rather = label_suspects(features, noisy)
    assert np.isin(rows, flipped).mean() > 0.9
    assert np.isin(flipped, rows).mean() > 0.6
    assert (rather == labels[rows]).mean() > 0.9


def test_right_labels_are_not():
    features, labels, _, _ = blobs()
    assert len(label_suspects(features, labels)[0]) < 8


def test_examples_of_one_group_do_not_judge_each_other():
    features, _, noisy, flipped = blobs()
    groups = np.r_[np.arange(len(noisy)), flipped]
    features, noisy = np.r_[features, features[flipped]], np.r_[noisy, noisy[flipped]]
    found = chances_out_of_fold(features, noisy, groups)
    assert np.allclose(found[flipped], found[len(groups) - len(flipped) :])  # judged by one probe


def test_who_is_called_otherwise_with_confidence_is_suspect():
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.05, 0.95], [0.4, 0.6]])
    rows, rather = suspects_from(probabilities, np.array([0, 1, 0, 0]))
    assert (rows.tolist(), rather.tolist()) == ([2], [1])


def test_suspects_are_named_with_the_other_class():
    data = texts(400, ("a", "b", "c", "d"))
    features, labels, noisy, flipped = blobs()
    data = OwnData(data.root, "text", data.items, noisy, data.classes, data.splits)
    finding = found(data, "label suspects", features=features)
    row = int(finding.examples[0].split()[1].rstrip(":")) - 1
    assert row in flipped
    assert f"rather {data.classes[labels[row]]})" in finding.examples[0]


def test_a_class_of_one_and_groups_of_all_do_not_stop_it():
    features, labels, _, _ = blobs(60, 3)
    labels[0] = 4
    label_suspects(features, labels)
    assert len(label_suspects(features, labels, np.zeros(60))[0]) == 0
