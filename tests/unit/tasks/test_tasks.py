"""Tasks: fixed splits that do not leak, draws that nest, and errors that name the mend."""

import csv
import gzip
import hashlib
import re
import struct
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from helpers import paths, registry
from helpers.errors import DataNotFound, UserError
from helpers.storage import install
from helpers.storage.assets import all_assets, assets_named
from helpers.storage.install import asset_path, find_asset
from helpers.tasks import (
    DIAL_STEPS,
    TASKS,
    Source,
    Split,
    TaskInfo,
    apply_dial,
    groceries,
    images,
    load_or_fallback,
    load_task,
    photos,
    products,
    register_task,
    sign_digits,
    texts,
)
from helpers.tasks.domain_dial import dial_step
from helpers.tasks.splits import (
    grouped_parts,
    near_duplicate_groups,
    shuffled,
    stratified_order,
)
from tools.assets import make_sample

SIZES = {  # train, validation, test, classes
    "solar_cells": (1673, 295, 656, 2),
    "textile": (1300, 200, 500, 3),
    "digits": (3500, 500, 1000, 10),
    "newsgroups": (10_164, 1129, 1000, 20),
    "reuters8": (4937, 548, 1000, 8),
    "tweets": (4512, 644, 1288, 2),
    "excerpts": (80, 20, 40, 2),
    "film_reviews": (8065, 1007, 1000, 2),
    "product_reviews": (2073, 307, 605, 2),
    "posts": (2403, 343, 686, 2),
}
FULL = {
    "products": (54_000, 6000, 10_000, 10),
    "products_source": (27_000, 3000, 5000, 5),
    "products_near": (27_000, 3000, 5000, 5),
    "clothing": (3068, 341, 372, 10),
    "grocery": (2640, 296, 2485, 43),
    "grocery_fine": (2640, 296, 2485, 81),
    "sign_digits": (1453, 200, 409, 10),
}
SAMPLED = {
    "products": (4500, 500, 1000, 10),
    "products_source": (2250, 250, 500, 5),
    "products_near": (2250, 250, 500, 5),
    "clothing": (1000, 200, 372, 10),
}
COLOUR = {"clothing", "grocery", "grocery_fine", "sign_digits"}  # the other pictures are grey
NOT_VALIDATED = {"grocery": 6, "grocery_fine": 21}  # classes that the published list leaves out


def digest(*arrays):
    """First eight digits of the SHA-256 of integers: a split that moves is noticed."""
    data = b"".join(np.asarray(a).astype("<i8").tobytes() for a in arrays)
    return hashlib.sha256(data).hexdigest()[:8]


def splits_of(task):
    return {"train": task.train, "validation": task.validation, "test": task.test}


# --- shuffles and splits ------------------------------------------------------------------------


def test_shuffles_are_the_same_everywhere():
    assert shuffled(10, 0).tolist() == [3, 2, 1, 8, 6, 0, 7, 4, 5, 9]
    assert digest(shuffled(1000, 1)) == "5d14416b"
    assert sorted(shuffled(1000, 1)) == list(range(1000))
    assert digest(stratified_order(np.arange(1000) % 7, 3)) == "6348ad26"


@pytest.mark.parametrize("counts", [[50, 50], [97, 2, 1], [300, 30, 3], [5] * 20])
def test_every_beginning_is_stratified(counts):
    strata = np.repeat(np.arange(len(counts)), counts)
    order = stratified_order(strata, 0)
    assert sorted(order) == list(range(len(strata)))
    for n in range(len(counts), len(strata) + 1):
        drawn = np.bincount(strata[order[:n]], minlength=len(counts))
        exact = np.array(counts) * n / len(strata)
        assert drawn.min() >= 1, "every class is there"
        assert (abs(drawn - exact) <= len(counts)).all()
        if min(exact) >= 1:
            assert (abs(drawn - exact) <= 1.5).all()


def test_strata_may_be_any_labels_and_seeds_differ():
    names = np.array(["b", "a"] * 20)
    assert sorted(stratified_order(names, 0)) == list(range(40))
    assert not np.array_equal(stratified_order(names, 0), stratified_order(names, 1))


def test_groups_stay_together():
    strata = np.arange(200) % 2
    groups = np.arange(200) // 6
    parts = grouped_parts(strata, groups, [40, 20], 0)
    assert [len(part) for part in parts[:2]] == [42, 24]
    assert sorted(np.concatenate(parts)) == list(range(200))
    held = [set(groups[part]) for part in parts]
    assert not held[0] & held[1] and not held[0] & held[2] and not held[1] & held[2]


def test_near_duplicates_are_grouped():
    said = [
        "Thank you Iowa, head to the polls today and vote! https://t.co/abc",
        "THANK YOU IOWA -- head to the polls today and vote https://t.co/xyz",
        "Ohio: head to the polls today and vote for the whole team in November",
        "Maine: head to the polls today and vote for the whole team in November",
        "A thought about something else entirely, written once and for all",
        "https://t.co/one",
        "https://t.co/two",
    ]
    assert Counter(Counter(near_duplicate_groups(said).tolist()).values()) == {2: 2, 1: 3}


# --- the dial -----------------------------------------------------------------------------------


def test_the_dial_has_seven_steps():
    assert np.allclose(list(DIAL_STEPS), np.arange(7) / 6)
    assert [dial_step(dial) for dial in (0, 0.17, 0.33, 0.5, 0.67, 0.83, 1)] == list(range(7))


def test_dial_zero_changes_nothing_and_one_sixth_inverts():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), dtype=np.uint8)
    assert apply_dial(pictures, 0.0) is pictures
    assert np.array_equal(apply_dial(pictures, 1 / 6), 255 - pictures)


@pytest.mark.parametrize(
    ("step", "patch", "fixed"),
    [
        (2, 14, "583061e9"),
        (3, 7, "647eb85d"),
        (4, 4, "a0b5010e"),
        (5, 2, "bc421294"),
        (6, 1, "4d6f5742"),
    ],
)
def test_the_dial_moves_every_patch_and_loses_nothing(step, patch, fixed):
    where = np.arange(28 * 28).reshape(1, 28, 28, 1)
    low, high = (where % 256).astype(np.uint8), (where // 256).astype(np.uint8)
    # Two pictures that number the pixels show where each of them went.
    moved_low, moved_high = (255 - apply_dial(p, list(DIAL_STEPS)[step]) for p in (low, high))
    moved = moved_low.astype(int) + 256 * moved_high.astype(int)
    assert sorted(moved.ravel()) == list(range(784)), "a permutation of the pixels"
    across = 28 // patch
    origin = moved[0, ::patch, ::patch, 0]
    rows, columns = origin // 28 // patch, origin % 28 // patch
    still = (rows == np.arange(across)[:, None]) & (columns == np.arange(across))
    assert not still.any(), "every patch leaves its place"
    inside = moved[0, :patch, :patch, 0] - moved[0, 0, 0, 0]
    assert np.array_equal(inside, where[0, :patch, :patch, 0]), "and stays whole"
    assert digest(moved) == fixed


def test_the_dial_treats_all_pictures_and_channels_alike():
    pictures = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 3), dtype=np.uint8)
    turned = apply_dial(pictures, 1.0)
    assert np.array_equal(turned[2:3], apply_dial(pictures[2:3], 1.0))
    assert np.array_equal(turned[..., 1:2], apply_dial(pictures[..., 1:2], 1.0))


@pytest.mark.parametrize("dial", [-0.1, 0.25, 1.1, float("nan")])
def test_the_dial_has_no_other_positions(dial):
    with pytest.raises(UserError, match="no position .*use one of 0.00, 0.17"):
        load_task("digits", dial=dial)


def test_the_dial_wants_28_pixels():
    with pytest.raises(UserError, match=r"28 x 28 .* not \(14, 14\).*image_size=28"):
        load_task("digits", dial=0.5, image_size=14)


def test_a_turned_task_keeps_labels_and_rows():
    plain = load_task("digits", n_train=50, n_test=30)
    turned = load_task("digits", n_train=50, n_test=30, dial=0.5)
    for name, split in splits_of(turned).items():
        assert np.array_equal(split.labels, splits_of(plain)[name].labels)
        expected = apply_dial(splits_of(plain)[name].inputs, 0.5)
        assert np.array_equal(split.inputs, expected)
        assert not np.array_equal(split.inputs, splits_of(plain)[name].inputs)


# --- every task ---------------------------------------------------------------------------------


def check_sizes(name, sizes):
    task = load_task(name)
    assert (len(task.train), len(task.validation), len(task.test), len(task.classes)) == sizes
    info = TASKS[name]
    assert task.classes == info.classes and task.licence and task.provenance
    for split_name, split in splits_of(task).items():
        assert split.labels.dtype == np.int64
        absent = np.sum(np.bincount(split.labels, minlength=sizes[3]) == 0)
        assert absent == (NOT_VALIDATED.get(name, 0) if split_name == "validation" else 0)
        assert split.labels.max() < sizes[3]
        if info.modality == "text":
            assert all(isinstance(text, str) and text.strip() for text in split.inputs)
        else:
            side = info.image_size
            assert split.inputs.dtype == np.uint8
            assert split.inputs.shape == (len(split), side, side, 3 if name in COLOUR else 1)
            assert split.inputs[:50].std() > 5, "they show something"
    return task


@pytest.mark.parametrize("name", SIZES)
def test_tasks_from_wheels(name):
    assert check_sizes(name, SIZES[name]).origin == "full"


@pytest.mark.parametrize("name", FULL)
def test_tasks_from_other_hosts(name):
    (asset,) = assets_named(name)
    if find_asset(asset):
        assert check_sizes(name, FULL[name]).origin == "full"
    elif name not in SAMPLED:
        pytest.skip(f"{name} is not on this machine: TRANSFER_DATA lacks it and nobody fetched it")
    else:
        sample = check_sizes(name, SAMPLED[name])
        assert sample.origin == "sample" and "the shipped sample" in str(sample)


def test_class_frequencies_are_those_of_the_sources():
    solar, reuters = load_task("solar_cells"), load_task("reuters8")
    both = np.concatenate([split.labels for split in splits_of(solar).values()])
    assert np.bincount(both).tolist() == [1803, 821]
    known = np.concatenate([reuters.train.labels, reuters.validation.labels])
    counts = dict(zip(reuters.classes, np.bincount(known).tolist(), strict=True))
    assert counts["earn"] == 2840 and counts["grain"] == 41


@pytest.mark.parametrize("name", ["solar_cells", "textile", "digits"])
def test_pictures_are_in_one_split_only(name):
    where = {}
    for split_name, split in splits_of(load_task(name)).items():
        for picture in split.inputs:
            where.setdefault(picture.tobytes(), set()).add(split_name)
    assert len(where) == sum(SIZES[name][:3]) and all(len(s) == 1 for s in where.values())


RATED = {
    "film_reviews": "movieReviewSnippets",
    "product_reviews": "amazonReviewSnippets",
    "posts": "tweets",
}
OURS = ("tweets", "excerpts", *RATED)


@pytest.mark.parametrize("name", ["newsgroups", "reuters8", *OURS])
def test_equal_texts_never_face_each_other(name):
    task = load_task(name)
    train = set(task.train.inputs)
    assert not train & set(task.validation.inputs)
    if name in OURS:  # the published splits share a few; ours must not
        assert not (train | set(task.validation.inputs)) & set(task.test.inputs)


def test_slogans_do_not_leak_between_tweets():
    plain = {
        name: {re.sub(r"[^a-z]+", " ", re.sub(r"https?://\S+", "", t.lower())) for t in s.inputs}
        for name, s in splits_of(load_task("tweets")).items()
    }
    for first, second in (("train", "test"), ("train", "validation"), ("validation", "test")):
        assert not {t for t in plain[first] & plain[second] if t.strip()}


def test_excerpts_are_split_by_book():
    _, excerpts = texts.read_tab(asset_path("texts") / "book-excerpts.tab", "Category", "Text")
    book = {text: row // 10 for row, text in enumerate(excerpts)}
    books = {n: {book[t] for t in s.inputs} for n, s in splits_of(load_task("excerpts")).items()}
    assert [len(books[name]) for name in ("train", "validation", "test")] == [8, 2, 4]
    assert len(set.union(*books.values())) == 14


@pytest.mark.parametrize("name", RATED)
def test_moods_are_the_signs_of_clear_ratings(name):
    table = texts.read_ratings(RATED[name])
    rating = {}
    for text, value in zip(table["text"], table["rating"], strict=True):
        rating.setdefault(text, set()).add(value)
    assert table["rating"].between(-4, 4).all()
    for split in splits_of(load_task(name)).values():
        for text, label in zip(split.inputs, split.labels, strict=True):
            assert any(abs(v) >= 0.5 and (v > 0) == label for v in rating[text])


def test_a_reviews_sentences_stay_in_one_split():
    table = texts.read_ratings("amazonReviewSnippets").drop_duplicates("text", keep=False)
    review = dict(zip(table["text"], table["id"].str.split("_").str[0], strict=True))
    seen = {
        name: {review[t] for t in split.inputs if t in review}
        for name, split in splits_of(load_task("product_reviews")).items()
    }
    assert all(len(reviews) > 20 for reviews in seen.values())
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not seen[one] & seen[other]


def test_ratings_that_cannot_be_read_are_one_sentence():
    with pytest.raises(UserError, match="cannot read 'nothing'"):
        texts.read_ratings("nothing")


@pytest.fixture
def rows_chosen(monkeypatch):
    """Return a function: photo task -> the rows of test, validation and train, nothing decoded."""

    def rows(name):
        noted = []

        def note(files, labels, chosen, size, channels):
            noted.append(chosen)
            return Split(np.zeros((len(chosen), 1, 1, 1), np.uint8), labels[chosen])

        monkeypatch.setattr(photos, "photo_split", note)
        TASKS[name].loader(128)
        return noted

    return rows


def test_solar_cells_are_stratified_by_type_and_label(rows_chosen):
    table = (asset_path("solar_cells") / "labels.csv").read_text(encoding="utf-8").split()
    pairs = zip(table[1::3], table[2::3], strict=True)
    strata = np.array([f"{kind} {float(probability) > 0.5}" for probability, kind in pairs])
    share = {stratum: np.mean(strata == stratum) for stratum in set(strata)}
    rows = rows_chosen("solar_cells")
    assert len(share) == 4 and sorted(np.concatenate(rows)) == list(range(2624))
    for chosen in rows:
        for stratum, expected in share.items():
            assert abs(np.sum(strata[chosen] == stratum) - expected * len(chosen)) <= 2


@pytest.mark.parametrize(("name", "fixed"), [("solar_cells", "b6d5822d"), ("textile", "22bee671")])
def test_photo_splits_do_not_move(rows_chosen, name, fixed):
    assert digest(*rows_chosen(name)) == fixed


@pytest.mark.parametrize(
    ("name", "fixed"),
    [
        ("digits", "4484edf4"),
        ("newsgroups", "564647c6"),
        ("reuters8", "2c091995"),
        ("tweets", "32526408"),
        ("excerpts", "e205ddeb"),
        ("film_reviews", "3bfe01e0"),
        ("product_reviews", "89f969c8"),
        ("posts", "64ebccaf"),
    ],
)
def test_splits_do_not_move(name, fixed):
    sha256 = hashlib.sha256()
    for split in splits_of(load_task(name)).values():
        for x in split.inputs:
            sha256.update(x.encode("utf-8") if isinstance(x, str) else x.tobytes())
        sha256.update(split.labels.astype("<i8").tobytes())
    assert sha256.hexdigest()[:8] == fixed


# --- as much as asked for -----------------------------------------------------------------------


def rows_of(split):
    return {picture.tobytes() for picture in np.asarray(split.inputs)}


def test_draws_nest_and_depend_on_the_seed():
    small, large = (load_task("digits", n_train=n, seed=3).train for n in (40, 400))
    assert len(small) == 40 and rows_of(small) < rows_of(large)
    again = load_task("digits", n_train=40, seed=3).train
    assert np.array_equal(small.inputs, again.inputs)
    assert rows_of(load_task("digits", n_train=40, seed=4).train) != rows_of(small)
    assert np.bincount(large.labels).tolist() == [40] * 10


def test_drawn_labels_belong_to_their_inputs():
    def labelled(split):
        keys = [x if isinstance(x, str) else x.tobytes() for x in split.inputs]
        return dict(zip(keys, split.labels.tolist(), strict=True))

    for name in ("digits", "newsgroups"):
        known = labelled(load_task(name).train)
        drawn = labelled(load_task(name, n_train=300).train)
        assert len(drawn) == 300 and drawn.items() <= known.items()


@pytest.mark.parametrize("name", ["digits", "newsgroups", "reuters8", "textile"])
def test_one_example_of_every_class_comes_first(name):
    classes = len(TASKS[name].classes)
    assert sorted(load_task(name, n_train=classes).train.labels) == list(range(classes))


@pytest.mark.parametrize(
    ("n_train", "expected"), [(10, 100), (400, 100), (1000, 250), (3500, 500), (None, 500)]
)
def test_validation_shrinks_with_train(n_train, expected):
    whole = load_task("digits").validation
    part = load_task("digits", n_train=n_train, seed=5).validation
    assert len(part) == expected
    assert np.array_equal(part.inputs, whole.inputs[:expected])
    assert np.array_equal(part.labels, whole.labels[:expected])


def test_test_is_a_beginning_of_the_whole():
    whole, part = load_task("digits").test, load_task("digits", n_train=10, n_test=100).test
    assert np.array_equal(part.inputs, whole.inputs[:100])
    assert np.bincount(part.labels).tolist() == [10] * 10


def test_whole_splits_are_not_held_in_memory():
    task = load_task("textile", n_test=10)
    for split in splits_of(task).values():
        assert isinstance(split.inputs, np.memmap) and not split.inputs.flags.writeable


def test_the_second_load_decodes_nothing(monkeypatch):
    load_task("textile"), load_task("digits")
    monkeypatch.setattr(images, "read_image", lambda *_: pytest.fail("decoded again"))
    monkeypatch.setattr(photos, "_digit_table", lambda *_: pytest.fail("parsed again"))
    load_task("textile"), load_task("digits")


def test_other_sizes():
    assert load_task("digits", image_size=56).train.inputs.shape == (3500, 56, 56, 1)
    assert load_task("textile", image_size=28).test.inputs.shape == (500, 28, 28, 1)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("digit", {}, "no task 'digit'; did you mean 'digits'"),
        ("xyz", {}, "choose one of: clothing, digits, excerpts"),
        ("digits", {"n_train": 0}, "n_train must be at least 1, not 0"),
        ("digits", {"n_train": -5}, "n_train must be at least 1, not -5"),
        ("digits", {"n_train": 3501}, "n_train=3501 is more than the 3500 examples of 'digits'"),
        ("digits", {"n_train": 2.5}, "n_train must be a whole number, not 2.5"),
        ("digits", {"n_train": "10"}, "n_train must be a whole number, not '10'"),
        ("digits", {"n_train": True}, "n_train must be at least 1, not True"),
        ("digits", {"n_test": 0}, "n_test must be at least 1"),
        ("digits", {"n_test": 1001}, "n_test=1001 is more than the 1000 examples"),
        ("digits", {"seed": -1}, "seed must be at least 0"),
        ("digits", {"seed": None}, "seed must be a whole number"),
        ("digits", {"image_size": 4}, "image_size must be at least 8 and at most 1024, not 4"),
        ("digits", {"image_size": 5000}, "at most 1024"),
        ("tweets", {"image_size": 28}, "text task: it has neither image_size nor dial"),
        ("tweets", {"dial": 0.5}, "text task: it has neither image_size nor dial"),
    ],
)
def test_bad_requests(name, options, said, monkeypatch):
    monkeypatch.setattr(registry, "MOST_LISTED", 10**6)  # other tests add tasks of their own
    with pytest.raises(UserError, match=re.escape(said)):
        load_task(name, **options)


def test_numpy_integers_are_whole_numbers():
    assert len(load_task("digits", n_train=np.int64(20), seed=np.int32(1)).train) == 20


# --- products: the whole, the sample, and a folder of our own -----------------------------------


def write_idx(file, array):
    with gzip.open(file, "wb") as handle:
        handle.write(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape))
        handle.write(array.astype(np.uint8).tobytes())


@pytest.fixture
def fashion(tmp_path, monkeypatch):
    """A small Fashion-MNIST whose first two pixels tell label and row."""
    folder = tmp_path / "given" / "fashion-mnist"
    folder.mkdir(parents=True)
    for stem, count in (("train", 6000), ("t10k", 1000)):
        labels = np.arange(count) % 10
        pictures = np.zeros((count, 28, 28), np.uint8)
        pictures[:, 0, 0] = labels
        pictures[:, 0, 1], pictures[:, 0, 2] = np.divmod(np.arange(count), 250)
        write_idx(folder / f"{stem}-labels-idx1-ubyte.gz", labels)
        write_idx(folder / f"{stem}-images-idx3-ubyte.gz", pictures)
    monkeypatch.setenv("TRANSFER_DATA", str(folder.parent))
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    return folder


def test_products_from_a_given_folder(fashion):
    task = load_task("products")
    assert task.origin == "full"
    assert [len(split) for split in splits_of(task).values()] == [5400, 600, 1000]
    seen = []
    for split in splits_of(task).values():
        assert np.array_equal(split.inputs[:, 0, 0, 0], split.labels), "labels follow pictures"
        assert len(set(np.bincount(split.labels))) == 1
        seen.append({(int(p[0, 1, 0]), int(p[0, 2, 0])) for p in split.inputs})
    assert not seen[0] & seen[1] and len(seen[0] | seen[1]) == 6000


def test_the_halves_of_products_are_cut_from_its_splits(fashion):
    whole = load_task("products")
    for name in ("products_source", "products_near"):
        half = load_task(name)
        for split_name, split in splits_of(half).items():
            old = split.inputs[:, 0, 0, 0]
            assert [half.classes[i] for i in split.labels] == [products.CLASSES[i] for i in old]
            assert rows_of(split) < rows_of(splits_of(whole)[split_name])
    assert set(products.SOURCE_CLASSES) | set(products.NEAR_CLASSES) == set(products.CLASSES)


def test_changed_files_are_read_again(fashion):
    assert load_task("products").train.inputs[0, 20, 20, 0] == 0
    write_idx(fashion / "train-images-idx3-ubyte.gz", np.full((6000, 28, 28), 77))
    assert load_task("products").train.inputs[0, 20, 20, 0] == 77


OF_INTEGERS = gzip.compress(b"\0\0\x0d\3" + b"\0" * 99, mtime=0)


@pytest.mark.parametrize("damage", [b"", b"not gzip", OF_INTEGERS], ids=["empty", "text", "type"])
def test_damaged_idx_files_are_named(fashion, damage):
    (fashion / "train-images-idx3-ubyte.gz").write_bytes(damage)
    with pytest.raises(UserError, match="train-images-idx3-ubyte.gz is not a whole IDX file"):
        load_task("products")


def test_a_missing_idx_file_is_named(fashion):
    (fashion / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataNotFound, match="t10k-labels.*does not exist.*fetch fashion_mnist"):
        load_task("products")


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine that holds nothing but the clone."""
    monkeypatch.delenv("TRANSFER_DATA", raising=False)
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", SAMPLED)
def test_the_sample_stands_in_and_no_host_is_asked(bare, name, monkeypatch):
    monkeypatch.setattr(install, "bring", lambda *_, **__: pytest.fail("a host was asked"))
    task = load_task(name, image_size=28)
    assert task.origin == "sample" and str(task).endswith("(the shipped sample)")
    assert [len(split) for split in splits_of(task).values()] == list(SAMPLED[name][:3])
    if name != "clothing":
        assert all(len(set(np.bincount(s.labels))) == 1 for s in splits_of(task).values())


def test_a_missing_sample_is_named(bare, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "sample_dir", lambda: tmp_path)
    for name in ("products", "clothing"):
        with pytest.raises(DataNotFound, match="git checkout -- data/sample"):
            load_task(name)


def test_larger_photos_than_those_of_the_sample_are_not_here(bare):
    assert load_task("clothing", image_size=224, n_test=1).test.inputs.shape == (1, 224, 224, 3)
    with pytest.raises(DataNotFound, match="224 pixels, not the 225 asked for.*fetch clothing"):
        load_task("clothing", image_size=225)
    assert load_or_fallback("clothing", "products", image_size=256, n_test=1).name == "products"


@pytest.mark.parametrize(
    ("task", "asset", "folder"),
    [
        ("grocery", "grocery", "GroceryStoreDataset"),
        ("grocery_fine", "grocery", "GroceryStoreDataset"),
        ("sign_digits", "sign_digits", "Sign-Language-Digits-Dataset"),
    ],
)
def test_photos_of_other_hosts_have_no_stand_in(bare, task, asset, folder):
    with pytest.raises(DataNotFound, match=f"helpers fetch {asset}.*TRANSFER_DATA.*{folder}/"):
        load_task(task)


def test_a_missing_task_has_a_stand_in_and_other_errors_come_through(bare):
    for name in ("grocery", "sign_digits"):
        stand_in = load_or_fallback(name, "products", n_train=20, n_test=10)
        assert (stand_in.name, len(stand_in.train)) == ("products", 20)
    with pytest.raises(UserError, match="there is no task"):
        load_or_fallback("clothes", "products")


@pytest.mark.files
def test_the_sample_is_small_licensed_and_what_it_was(root):
    files = [f for f in (root / "data" / "sample").iterdir() if f.is_file()]
    assert sum(f.stat().st_size for f in files) <= 4_000_000
    licence = (root / "data" / "sample" / "LICENSE").read_text(encoding="utf-8")
    assert "MIT License" in licence and "Zalando" in licence
    with np.load(root / "data" / "sample" / products.SAMPLE_FILE, allow_pickle=False) as arrays:
        assert digest(*(arrays[name].ravel() for name in sorted(arrays))) == "967f9357"


@pytest.mark.files
def test_the_photo_sample_is_small_and_licensed(root):
    folder = root / "data" / "sample"
    assert sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) <= 20_000_000
    licence = (folder / "LICENSE").read_text(encoding="utf-8")
    assert "CC0 1.0" in licence and "clothing-dataset-small" in licence
    listed = (folder / "clothing" / "order.txt").read_text(encoding="utf-8").split()
    found = (folder / "clothing").rglob("*.jpg")
    assert sorted(listed) == sorted(f.relative_to(folder / "clothing").as_posix() for f in found)
    assert hashlib.sha256("\n".join(listed).encode()).hexdigest()[:8] == "56a72be7"
    for name in listed:
        with Image.open(folder / "clothing" / name) as picture:
            assert (picture.format, picture.size, picture.mode) == ("JPEG", (224, 224), "RGB")


def test_the_photo_sample_is_the_beginning_of_the_whole(root):
    whole = photos.clothing_photos(held("clothing"))
    sample = photos.clothing_sample(root / "data" / "sample" / "clothing")
    for split, count in (("train", 1000), ("validation", 200), ("test", 372)):
        assert len(sample[split]) == count
        chosen = whole[split][:count]
        assert [f.parts[-3:] for f in sample[split]] == [f.parts[-3:] for f in chosen]
        for size in (224, 128, 64):
            for ours, theirs in zip(sample[split][::40], chosen[::40], strict=True):
                two = [images.read_image(f, size).astype(int) for f in (ours, theirs)]
                assert abs(two[0] - two[1]).mean() < 8, "of 255 levels: what JPEG costs"
    assert len(whole["test"]) == 372, "none of the test photos is left out"


def test_the_photo_sample_gives_the_first_examples_of_the_task(monkeypatch, tmp_path):
    held("clothing")
    whole = load_task("clothing", image_size=64)
    monkeypatch.delenv("TRANSFER_DATA", raising=False)
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path))
    sample = load_task("clothing", image_size=64)
    assert (sample.origin, whole.origin) == ("sample", "full")
    for name, split in splits_of(sample).items():
        beginning = splits_of(whole)[name].take(slice(len(split)))
        assert np.array_equal(split.labels, beginning.labels)
        assert abs(split.inputs.astype(int) - beginning.inputs).mean() < 3


def test_the_photo_sample_script_is_deterministic(clothing, tmp_path, monkeypatch):
    monkeypatch.setattr(make_sample, "PHOTOS", {"train": 20, "validation": 11, "test": 20})
    made = [make_sample.make_photo_sample(clothing, tmp_path / name) for name in ("a", "b")]
    (made[1] / "left over.jpg").write_bytes(b"")
    make_sample.make_photo_sample(clothing, made[1])
    contents = [
        {f.relative_to(m).as_posix(): f.read_bytes() for f in m.rglob("*") if f.is_file()}
        for m in made
    ]
    assert contents[0] == contents[1] and len(contents[0]) == 52
    whole = load_task("clothing", image_size=32)
    monkeypatch.delenv("TRANSFER_DATA")
    monkeypatch.setattr(paths, "sample_dir", lambda: tmp_path)
    monkeypatch.setattr(photos, "SAMPLE_FOLDER", "a")
    sample = load_task("clothing", image_size=32)
    for name, split in splits_of(sample).items():
        beginning = splits_of(whole)[name].take(slice(len(split)))
        assert np.array_equal(split.labels, beginning.labels)
        assert abs(split.inputs.astype(int) - beginning.inputs).max() <= 4


def test_the_sample_script_names_what_it_cannot_make(bare, capsys):
    assert make_sample.main(["textile"]) == 2
    assert "no sample 'textile'; use fashion_mnist or clothing" in capsys.readouterr().err
    assert make_sample.main(["clothing"]) == 2
    assert "'clothing' (3,781 product photos" in capsys.readouterr().err


def test_the_sample_script_is_deterministic(fashion, tmp_path, monkeypatch):
    monkeypatch.setattr(make_sample, "SIZES", {"train": 450, "validation": 50, "test": 100})
    made = [make_sample.make_sample(fashion, tmp_path / name) for name in ("a.npz", "b.npz")]
    assert made[0].read_bytes() == made[1].read_bytes()
    task = load_task("products")
    with np.load(made[0]) as arrays:
        for name, split in splits_of(task).items():
            stored = arrays[f"{name}_images"]
            assert np.array_equal(stored, split.inputs[: len(stored), :, :, 0])
            assert np.array_equal(arrays[f"{name}_labels"], split.labels[: len(stored)])


def test_the_sample_is_the_beginning_of_the_whole(root):
    folder = find_asset(all_assets()["fashion_mnist"])
    if folder is None:
        pytest.skip("the whole of Fashion-MNIST is not on this machine")
    with np.load(root / "data" / "sample" / products.SAMPLE_FILE) as arrays:
        for name, split in splits_of(load_task("products")).items():
            stored = arrays[f"{name}_images"]
            assert np.array_equal(stored, split.inputs[: len(stored), :, :, 0])


# --- clothing, in a folder of our own -----------------------------------------------------------


@pytest.fixture
def clothing(tmp_path, monkeypatch):
    folder = tmp_path / "given" / "clothing-dataset-small"
    for split, count in (("train", 4), ("validation", 2), ("test", 2)):
        for label, name in enumerate(photos.CLOTHING):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                picture = Image.new("RGB", (40, 30), (20 * label, 60, 60))
                picture.save(folder / split / name / f"{i}.jpg", quality=95)
    monkeypatch.setenv("TRANSFER_DATA", str(folder.parent))
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    return folder


def assert_labels_follow(split):
    red = split.inputs[:, 15, 15, 0].astype(int)
    assert (abs(red - 20 * split.labels) <= 3).all()


def test_clothing_from_a_given_folder(clothing):
    task = load_task("clothing", image_size=32)
    assert [len(split) for split in splits_of(task).values()] == [40, 20, 20]
    assert task.train.inputs.shape == (40, 32, 32, 3)
    for split in splits_of(task).values():
        assert_labels_follow(split)


def test_labels_follow_when_photos_are_skipped(clothing):
    (clothing / "train" / "hat" / "1.jpg").write_bytes(b"not a photo")
    with pytest.warns(UserWarning, match="1 of 40 pictures .*1.jpg"):
        task = load_task("clothing", image_size=32)
    assert len(task.train) == 39
    assert_labels_follow(task.train)


def test_an_emptied_class_is_named(clothing):
    for file in (clothing / "train" / "hat").iterdir():
        file.unlink()
    with pytest.raises(UserError, match="'clothing' has no training example of 'hat'"):
        load_task("clothing", image_size=32)


def test_an_emptied_split_is_named(clothing):
    for file in (clothing / "test").rglob("*.jpg"):
        file.unlink()
    with pytest.raises(UserError, match="test holds no photos"):
        load_task("clothing", image_size=32)


# --- groceries ----------------------------------------------------------------------------------


def held(name):
    """The folder of an asset that only another host has; the test is skipped without it."""
    folder = find_asset(all_assets()[name])
    if folder is None:
        pytest.skip(f"{name} is not on this machine")
    return folder


def test_grocery_classes_are_numbered_as_published():
    with (held("grocery") / "dataset" / "classes.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["Class Name (str)"] for row in rows] == list(groceries.FINE)
    assert [int(row["Class ID (int)"]) for row in rows] == list(range(81))
    for row in rows:
        coarse = row["Coarse Class Name (str)"]
        assert groceries.COARSE[int(row["Coarse Class ID (int)"])] == coarse
        assert row["Class Name (str)"] in groceries.FINE_CLASSES[coarse]


@pytest.mark.parametrize(("stem", "count"), [("train", 2640), ("val", 296), ("test", 2485)])
def test_grocery_lists_name_photos_by_their_folders(stem, count):
    folder = held("grocery") / "dataset"
    files, fine, coarse = groceries.read_list(folder / f"{stem}.txt")
    assert len(files) == len(set(files)) == count
    assert set(files) == set((folder / stem).rglob("*.jpg"))
    for file, fine_label, coarse_label in zip(files, fine, coarse, strict=True):
        fine_class = groceries.FINE[fine_label]
        assert file.parent.name == fine_class
        assert fine_class in groceries.FINE_CLASSES[groceries.COARSE[coarse_label]]


@pytest.mark.parametrize("name", ["grocery", "sign_digits"])
def test_colour_photos_are_in_one_split_only(name):
    held(name)
    pictures = [p.tobytes() for s in splits_of(load_task(name)).values() for p in s.inputs]
    assert len(set(pictures)) == len(pictures) == sum(FULL[name][:3])


def test_classes_of_grocery_are_unequal_as_published():
    held("grocery")
    coarse, fine = load_task("grocery", image_size=32), load_task("grocery_fine", image_size=32)
    counts = dict(zip(coarse.classes, np.bincount(coarse.train.labels).tolist(), strict=True))
    assert (counts["Apple"], counts["Juice"], counts["Asparagus"]) == (278, 247, 16)
    counts = dict(zip(coarse.classes, np.bincount(coarse.test.labels).tolist(), strict=True))
    assert (counts["Apple"], counts["Juice"], counts["Asparagus"]) == (276, 219, 14)
    apples = np.bincount(fine.train.labels)[:5].sum()
    assert apples == np.bincount(coarse.train.labels)[0]


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A grocery data set of our own: the red of a photo tells its fine class."""
    folder = tmp_path / "given" / "GroceryStoreDataset" / "dataset"
    coarse = {f: c for c, fine in enumerate(groceries.FINE_CLASSES.values()) for f in fine}
    for stem, count in (("train", 2), ("val", 1), ("test", 1)):
        lines = []
        for fine, name in enumerate(groceries.FINE):
            (folder / stem / name).mkdir(parents=True)
            for i in range(count):
                photo = f"{stem}/{name}/{i}.jpg"
                picture = Image.new("RGB", (20, 15), (3 * fine, 60, 60))
                picture.save(folder / photo, quality=95)
                lines.append(f"{photo}, {fine}, {coarse[name]}\n")
        (folder / f"{stem}.txt").write_text("".join(lines), encoding="utf-8")
    monkeypatch.setenv("TRANSFER_DATA", str(tmp_path / "given"))
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    return folder


def test_grocery_from_a_given_folder(shop):
    coarse, fine = (load_task(name, image_size=16) for name in ("grocery", "grocery_fine"))
    for task in (coarse, fine):
        assert [len(split) for split in splits_of(task).values()] == [162, 81, 81]
        assert task.train.inputs.shape == (162, 16, 16, 3)
    for split in splits_of(fine).values():
        red = split.inputs[:, 8, 8, 0].astype(int)
        assert (abs(red - 3 * split.labels) <= 1).all()
    for split in splits_of(coarse).values():
        shown = [groceries.FINE[round(int(p[8, 8, 0]) / 3)] for p in split.inputs]
        named = [groceries.COARSE[label] for label in split.labels]
        assert all(f in groceries.FINE_CLASSES[c] for f, c in zip(shown, named, strict=True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "val.txt is not a list of photos .*fetch grocery"),
        ("val/Kiwi/0.jpg, 7\n", "val.txt is not a list of photos .*fetch grocery"),
        ("val/Kiwi/0.jpg, seven, 3\n", "val.txt is not a list of photos .*fetch grocery"),
        ("val/Kiwi/0.jpg, 81, 3\n", "a class that the data set does not have"),
        ("val/Kiwi/0.jpg, 7, -1\n", "a class that the data set does not have"),
        ("", "holds no photos"),
    ],
)
def test_damaged_grocery_lists_are_named(shop, text, said):
    if text is None:
        (shop / "val.txt").unlink()
    else:
        (shop / "val.txt").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        load_task("grocery", image_size=16)


# --- hands that show digits ---------------------------------------------------------------------


def hands():
    """(picture number, digit) of every photo, by number."""
    files = (held("sign_digits") / "Dataset").rglob("*.JPG")
    return sorted((sign_digits.picture_number(file), int(file.parent.name)) for file in files)


def test_numbers_of_hands_belong_to_one_photo_each():
    numbers = [number for number, _ in hands()]
    assert len(numbers) == len(set(numbers)) == 2062


@pytest.mark.parametrize("border", [sign_digits.FIRST_VALIDATION, sign_digits.FIRST_TEST])
def test_no_student_stands_on_both_sides_of_a_border(border):
    """On either side of a border lies a student with the numbers 0 to 9, none missing or twice."""
    digit = dict(hands())
    for first in (border - 10, border):
        assert [digit.get(number) for number in range(first, first + 10)] == list(range(10))


def test_students_are_split_by_stretches_of_numbers(monkeypatch):
    stretches = {}

    def note(files, labels, rows, size, channels):
        numbers = [sign_digits.picture_number(files[row]) for row in rows]
        assert [int(files[row].parent.name) for row in rows] == labels[rows].tolist()
        stretches[len(rows)] = (min(numbers), max(numbers))
        return Split(np.zeros((len(rows), 1, 1, 1), np.uint8), labels[rows])

    held("sign_digits")
    monkeypatch.setattr(sign_digits, "photo_split", note)
    TASKS["sign_digits"].loader(100)
    assert stretches == {1453: (1118, 5359), 200: (5360, 5581), 409: (5582, 5999)}


def test_every_digit_is_shown_equally_often():
    held("sign_digits")
    task = load_task("sign_digits", image_size=16)
    assert sorted(np.bincount(task.validation.labels)) == [20] * 10
    assert sorted(np.bincount(task.test.labels)) == [40] + [41] * 9
    assert np.ptp(np.bincount(task.train.labels)) <= 3


@pytest.fixture
def class_of_hands(tmp_path, monkeypatch):
    """Two students before each border and two after the last; red tells the digit."""
    folder = tmp_path / "given" / "Sign-Language-Digits-Dataset" / "Dataset"
    borders = (sign_digits.FIRST_VALIDATION, sign_digits.FIRST_TEST)
    for first in (b + 10 * i for b in borders for i in (-2, -1, 0, 1)):
        for digit in range(10):
            file = folder / str(digit) / f"IMG_{first + digit}.JPG"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 20), (20 * digit, 60, 60)).save(file, quality=95)
    monkeypatch.setenv("TRANSFER_DATA", str(tmp_path / "given"))
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    return folder


def test_hands_from_a_given_folder(class_of_hands):
    task = load_task("sign_digits", image_size=16)
    assert [len(split) for split in splits_of(task).values()] == [20, 40, 20]
    for split in splits_of(task).values():
        red = split.inputs[:, 8, 8, 0].astype(int)
        assert (abs(red - 20 * split.labels) <= 3).all()


def test_oddly_named_and_missing_hands_are_named(class_of_hands):
    for file in class_of_hands.rglob("IMG_5[67]*.JPG"):
        file.unlink()
    for file in class_of_hands.rglob("IMG_55[89]*.JPG"):
        if sign_digits.picture_number(file) >= sign_digits.FIRST_TEST:
            file.unlink()
    with pytest.raises(UserError, match="holds no photos for test"):
        load_task("sign_digits", image_size=16)
    (class_of_hands / "3" / "hand.JPG").write_bytes(b"")
    with pytest.raises(UserError, match="hand.JPG should be named IMG_ and four digits"):
        load_task("sign_digits", image_size=16)


# --- the registry -------------------------------------------------------------------------------


@pytest.fixture
def info(monkeypatch):
    """A task of our own, taken out of the registry afterwards."""
    monkeypatch.setattr("helpers.tasks.registry.TASKS", TASKS)
    split = Split(np.zeros((6, 8, 8, 1), np.uint8), np.array([0, 1] * 3))
    yield TaskInfo(
        name="own",
        modality="image",
        classes=("no", "yes"),
        licence="ours",
        provenance="here",
        loader=lambda size: Source(split, split, split),
        image_size=8,
    )
    TASKS.pop("own", None)


def test_a_new_task_is_one_entry(info):
    register_task(info)
    assert str(load_task("own")) == "own: 2 classes, 6 train, 6 validation, 6 test (the full data)"
    assert len(load_task("own", n_train=4).train) == 4
    register_task(info)  # the same entry again, as when a notebook cell is run twice
    with pytest.raises(UserError, match="a task 'own' already"):
        register_task(replace(info, licence="another's"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": ("one",)}, "at least two classes"),
        ({"classes": ("a", "a")}, "each named once"),
        ({"modality": "sound"}, "modality is 'sound'"),
        ({"image_size": None}, "image_size goes with images"),
        ({"modality": "text"}, "image_size goes with images"),
    ],
)
def test_entries_are_checked(info, change, said):
    with pytest.raises(UserError, match=said):
        replace(info, **change)


def test_inputs_and_labels_must_match():
    with pytest.raises(UserError, match="3 inputs and 2 labels"):
        Split(["a", "b", "c"], np.array([0, 1]))


def test_unknown_labels_and_columns_are_named(tmp_path):
    with pytest.raises(UserError, match="label 'blue' is none of the classes red, green"):
        texts.labels_of(["red", "blue"], ["red", "green"])
    file = tmp_path / "a.tab"
    file.write_text('Category\tText\nd\tstring\nclass\t\n\nred\t"say ""hi"""\n', encoding="utf-8")
    assert texts.read_tab(file, "Category", "Text") == (["red"], ['say "hi"'])
    with pytest.raises(UserError, match="cannot read 'Label' and 'Text' from .*a.tab"):
        texts.read_tab(file, "Label", "Text")
    file.write_bytes(b"Category\tText\nd\tstring\nclass\t\nred\tcaf\xe9\n")
    with pytest.raises(UserError, match="a.tab"):
        texts.read_tab(file, "Category", "Text")
    with pytest.raises(UserError, match="missing.tab"):
        texts.read_tab(tmp_path / "missing.tab", "Category", "Text")


def test_tasks_need_no_torch():
    code = "import sys, helpers.tasks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
