"""Text files in class folders: every layout, encodings, what is no text, and `advise` on them."""

import json
import os
import tracemalloc

import numpy as np
import pytest
from own import with_splits
from sklearn.datasets import load_files
from tiny import tiny_text_task

from helpers.advisor.checks.catalogue import run_checks
from helpers.advisor.export import load_model
from helpers.advisor.pipeline import Request
from helpers.advisor.read import class_folders as text_files
from helpers.advisor.read.any_format import read_data
from helpers.cli.commands import main
from helpers.errors import UserError

PIXEL = b"no picture, but nothing decodes it here"
WORDS = ["moon", "tea", "dog", "sun", "cat", "rain", "road", "bread", "wind", "snow", "lamp"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))


def sentence(seed):
    return " ".join(np.random.default_rng(seed).choice(WORDS, 12))


def write(file, content=None):
    """Write a text, or bytes, and return the file; a sentence of its own where nothing is given."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content = sentence(sum(map(ord, str(file)))) if content is None else content
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return file


def class_folders(root, classes=("neg", "pos"), n=4, prefix="", ending=".txt"):
    """Write n texts for each class, no two alike, and return the root."""
    for number, name in enumerate(classes):
        for i in range(n):
            seed = 1000 * number + i + sum(map(ord, prefix)) * 10_000
            write(root / prefix / name / f"{i}{ending}", sentence(seed))
    return root


def finding(data, check):
    (found,) = [one for one in data.findings if one.check == check]
    return found


# Layouts


def test_class_folders_are_read_as_scikit_learn_reads_them(tmp_path):
    class_folders(tmp_path, ("10", "9", "news"))
    data = read_data(tmp_path)
    theirs = load_files(tmp_path, encoding="utf-8", shuffle=False)
    want = {
        (text, theirs.target_names[label])
        for text, label in zip(theirs.data, theirs.target, strict=True)
    }
    assert {
        (text, data.classes[label]) for text, label in zip(data.items, data.labels, strict=True)
    } == want
    assert data.modality == "text"
    assert data.classes == ("9", "10", "news")
    assert not data.has_splits
    assert data.findings == ()
    assert len(data) == 12


def test_an_example_is_named_by_its_file(tmp_path):
    write(class_folders(tmp_path) / "pos" / "0.txt", "A film\nthat I liked.")
    data = read_data(tmp_path)
    row = data.where.index("pos/0.txt")
    assert data.name(row) == "pos/0.txt: A film that I liked."
    assert data.take(np.array([row])).name(0) == data.name(row)


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("Training", "valid", "testing"),
        ("train", "dev", "eval"),
        ("20news-bydate-train", "20news-bydate-dev", "20news-bydate-test"),
        ("train_texts", "val_texts", "test_texts"),
    ],
)
def test_split_folders_are_used(tmp_path, names):
    for name in names:
        class_folders(tmp_path, prefix=name)
    data = read_data(tmp_path)
    assert data.classes == ("neg", "pos")
    for name, split in zip(names, ("train", "validation", "test"), strict=True):
        own = np.flatnonzero(data.splits == split)
        assert {data.where[row].split("/")[0] for row in own} == {name}
        assert len(own) == 8


def test_split_folders_inside_class_folders_are_used(tmp_path):
    for kind in ("neg", "pos"):
        class_folders(tmp_path, ("train", "test"), prefix=kind)
    write(tmp_path / "README.md", "about")
    data = read_data(tmp_path)
    assert data.classes == ("neg", "pos")
    assert sorted(set(data.splits)) == ["test", "train"]


def test_classes_that_only_sound_like_splits_stay_classes(tmp_path):
    data = read_data(class_folders(tmp_path, ("freight-train", "bus-test", "train")))
    assert data.classes == ("bus-test", "freight-train", "train")
    assert not data.has_splits


def test_every_ending_of_texts_is_read(tmp_path):
    for ending in (".txt", ".text", ".md", ".TXT"):
        class_folders(tmp_path, ending=ending, n=2, prefix="")
    assert len(read_data(tmp_path)) == 16


@pytest.mark.parametrize("ending", ["", ".", ".17", ".7c53336b37003a9286aba55d2945844c"])
def test_files_without_an_ending_are_texts(tmp_path, ending):
    class_folders(tmp_path, ("alt.atheism", "sci.space"), ending=ending)
    write(tmp_path / "README", "about the posts")
    data = read_data(tmp_path)
    assert data.classes == ("alt.atheism", "sci.space")
    assert len(data) == 8
    assert finding(data, "other files").examples == ("README",)


def test_a_few_files_without_an_ending_are_no_texts(tmp_path):
    class_folders(tmp_path, n=10)
    write(tmp_path / "pos" / "Makefile", "all: pos")
    data = read_data(tmp_path)
    assert len(data) == 20
    assert finding(data, "other files").examples == ("pos/Makefile",)


def test_film_reviews_as_they_are_published(tmp_path):
    root = tmp_path / "download" / "aclImdb"
    for split in ("train", "test"):
        class_folders(root, n=30, prefix=split)
        write(root / split / "urls_pos.txt", "http://a.b/c")
        write(root / split / "labeledBow.feat", "9 0:9 1:1")
    class_folders(root / "train", ("unsup",), n=5)
    for name in ("README", "imdb.vocab", "imdbEr.txt"):
        write(root / name, "about")
    for point in (root, tmp_path):
        data = read_data(point)
        assert data.classes == ("neg", "pos")
        assert {s: int((data.splits == s).sum()) for s in set(data.splits)} == {
            "train": 60,
            "test": 60,
        }
        assert finding(data, "folders without labels").found.startswith("5 texts lie in a folder")
        outside = finding(data, "texts outside class folders").examples
        assert [name.rpartition("aclImdb/")[2] for name in outside] == [
            "imdbEr.txt",
            "test/urls_pos.txt",
            "train/urls_pos.txt",
        ]
        assert len(finding(data, "other files").examples) == 4


def test_a_lone_folder_around_the_classes_is_entered(tmp_path):
    class_folders(tmp_path, prefix="archive/texts")
    write(tmp_path / "archive" / "README.txt", "about")
    data = read_data(tmp_path)
    assert data.classes == ("neg", "pos")
    assert data.where[0] == "archive/texts/neg/0.txt"
    assert finding(data, "other files").examples == ("archive/README.txt",)


def test_a_lone_train_folder_with_a_file_beside_it_is_a_split(tmp_path):
    class_folders(tmp_path, n=20, prefix="train")
    write(tmp_path / "words.txt", "moon tea dog")
    data = read_data(tmp_path)
    assert data.classes == ("neg", "pos")
    assert set(data.splits) == {"train"}
    assert finding(data, "texts outside class folders").examples == ("words.txt",)


def test_hidden_files_are_not_seen_and_odd_ones_are_told(tmp_path):
    class_folders(tmp_path)
    for name in (".DS_Store", "pos/._0.txt", "pos/.hidden.txt", "__MACOSX/pos/0.txt"):
        write(tmp_path / name, b"junk")
    write(tmp_path / "pos" / "table.docx", b"PK")
    write(tmp_path / "loose.txt", "in no class")
    write(tmp_path / "pos" / "more" / "9.txt")
    (tmp_path / "neutral").mkdir()
    data = read_data(tmp_path)
    assert len(data) == 9
    assert finding(data, "texts of another kind").examples == ("pos/table.docx",)
    assert finding(data, "texts outside class folders").examples == ("loose.txt",)
    assert finding(data, "folders inside class folders").examples == ("pos/more/9.txt",)
    assert "1 class folder holds no text" in finding(data, "empty class folders").found


def test_links_are_followed_but_not_in_a_circle(tmp_path):
    class_folders(tmp_path / "elsewhere")
    own = tmp_path / "own"
    own.mkdir()
    for name in ("neg", "pos"):
        (own / name).symlink_to(tmp_path / "elsewhere" / name)
    (tmp_path / "elsewhere" / "pos" / "again").symlink_to(own)
    (tmp_path / "elsewhere" / "pos" / "same.txt").symlink_to(tmp_path / "elsewhere/pos/0.txt")
    data = read_data(own)
    assert len(data) == 9
    assert finding(data, "links that go in a circle").examples == ("pos/again",)
    told = [one.examples for one in run_checks(with_splits(data)) if one.check == "duplicates"]
    assert "pos/0.txt" in told[0][0] and "pos/same.txt" in told[0][0]


# Contents


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_that_can_be_told_are_read(tmp_path, encoding):
    class_folders(tmp_path)
    write(tmp_path / "pos" / "a.txt", "grüße aus köln\r\nund 東京 🙂".encode(encoding))
    data = read_data(tmp_path)
    assert data.items[data.where.index("pos/a.txt")] == "grüße aus köln\nund 東京 🙂"
    assert data.findings == ()


def test_what_is_no_text_is_named_counted_and_left_out(tmp_path):
    class_folders(tmp_path, n=8)
    write(tmp_path / "neg" / "a.txt", "köln".encode("latin-1"))
    write(tmp_path / "neg" / "b.txt", b"\x7fELF\0\0\1")
    write(tmp_path / "neg" / "c.txt", "ein Wort".encode("utf-16") + b"x")
    write(tmp_path / "neg" / "d.txt", "grüße".encode()[:3])  # cut off in the middle of a letter
    (tmp_path / "pos" / "gone.txt").symlink_to(tmp_path / "nowhere")
    data = read_data(tmp_path)
    assert len(data) == 16
    told = finding(data, "unreadable files")
    assert told.severity == "warning"
    assert told.found.startswith("5 texts of 21 cannot be read")
    assert "not UTF-8: it holds the byte 0xF6" in told.found
    assert told.examples == (*(f"neg/{name}.txt" for name in "abcd"), "pos/gone.txt")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(class_folders(tmp_path) / "pos" / "pipe.txt")
    data = read_data(tmp_path)
    assert finding(data, "unreadable files").examples == ("pos/pipe.txt",)


def test_names_that_are_not_utf8_can_be_written(tmp_path):
    class_folders(tmp_path, n=8)
    kind = tmp_path / "k\udcf6ln"  # the byte 0xF6, as Python holds it in a name
    try:
        kind.mkdir()
    except (OSError, UnicodeError):
        pytest.skip("this file system holds UTF-8 names only")
    for name, content in (("a", "tea and bread"), ("b", "road and rain"), ("\udce9", b"\xff")):
        write(kind / f"{name}.txt", content)
    data = read_data(tmp_path)
    assert data.classes == (r"k\udcf6ln", "neg", "pos")
    assert finding(data, "unreadable files").examples == (r"k\udcf6ln/\udce9.txt",)
    json.dumps([data.classes, data.where], ensure_ascii=False).encode("utf-8")


def test_empty_files_are_named_and_left_out(tmp_path):
    class_folders(tmp_path)
    for name, content in (("a", b""), ("b", b" \n\t\n"), ("c", b"\xef\xbb\xbf")):
        write(tmp_path / "neg" / f"{name}.txt", content)
    data = read_data(tmp_path)
    assert len(data) == 8
    assert finding(data, "empty texts").examples == ("neg/a.txt", "neg/b.txt", "neg/c.txt")


def test_a_class_without_a_text_is_told(tmp_path):
    class_folders(tmp_path, n=6)
    write(tmp_path / "neutral" / "0.txt", b"")
    write(tmp_path / "odd" / "0.txt", b"\xff")
    data = read_data(tmp_path)
    assert data.classes == ("neg", "pos")
    assert finding(data, "classes without a text").found.endswith("class: neutral, odd.")


def test_long_texts_are_cut_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "LONGEST", 60)
    write(class_folders(tmp_path) / "pos" / "a.txt", "ä" * 60)
    write(tmp_path / "pos" / "b.txt", "ä" * 61)
    write(tmp_path / "pos" / "c.txt", "short")
    monkeypatch.setattr(text_files, "SHORTEST", 60)
    data = read_data(tmp_path)
    told = finding(data, "texts cut short")
    assert "the first 60 characters were kept" in told.found
    assert "pos/b.txt" in told.examples and "pos/a.txt" not in told.examples
    assert data.items[data.where.index("pos/b.txt")] == "ä" * 60
    assert max(map(len, data.items)) == 60


def test_many_long_texts_share_what_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "MOST_CHARACTERS", 8 * 10_000)
    class_folders(tmp_path)
    for file in tmp_path.rglob("*.txt"):
        write(file, file.parent.name + " " + sentence(1) * 1000)
    lengths = {len(text) for text in read_data(tmp_path).items}
    assert len(lengths) == 1
    assert text_files.SHORTEST <= lengths.pop() <= 10_000
    monkeypatch.setattr(text_files, "MOST_CHARACTERS", 8)
    assert {len(text) for text in read_data(tmp_path).items} == {text_files.SHORTEST}


def test_a_huge_file_takes_little_memory(tmp_path):
    write(class_folders(tmp_path) / "pos" / "huge.txt", b"many words " * 3_000_000)
    tracemalloc.start()
    try:
        data = read_data(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3e6  # bytes; the file has 33 million
    assert max(map(len, data.items)) == text_files.LONGEST


# Pictures and texts


def test_a_few_of_the_other_kind_are_left_alone(tmp_path):
    class_folders(tmp_path, n=6)
    write(tmp_path / "pos" / "cover.png", PIXEL)
    data = read_data(tmp_path)
    assert data.modality == "text"
    assert finding(data, "other files").examples == ("pos/cover.png",)


def test_captions_belong_to_their_pictures(tmp_path):
    class_folders(tmp_path)
    for kind in ("neg", "pos"):
        for i in range(4):
            write(tmp_path / kind / f"{i}.png", PIXEL)
    data = read_data(tmp_path)
    assert data.modality == "image"
    assert finding(data, "captions").found.startswith("8 texts have the name of a picture")


def test_pictures_and_texts_at_once_are_refused_until_one_is_chosen(tmp_path, capsys):
    class_folders(tmp_path, n=6)
    for kind in ("neg", "pos"):
        for i in range(4):
            write(tmp_path / kind / f"scan {i}.png", PIXEL)
    with pytest.raises(
        UserError, match=r"mixes 8 pictures \(neg/scan 0.png\) and 12 texts"
    ) as told:
        read_data(tmp_path)
    assert "\n" not in str(told.value)
    assert main(["advise", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert len(read_data(tmp_path, prefer=Request(tmp_path, backbone="minilm").reads)) == 12
    assert len(read_data(tmp_path, prefer=Request(tmp_path, backbone="pocket").reads)) == 8


def test_pictures_with_notes_and_programs_stay_pictures(tmp_path):
    for kind in ("cat", "dog"):
        for i in range(5):
            write(tmp_path / kind / f"{i}.png", PIXEL)
            write(tmp_path / kind / f"thumb{i}", b"\0")
        write(tmp_path / kind / "notes.txt")
    write(tmp_path / "README.md", "about")
    assert read_data(tmp_path).modality == "image"


def test_a_table_beside_folders_of_texts(tmp_path):
    rows = "".join(f"{sentence(i)},{'ab'[i % 2]}\n" for i in range(30))
    write(tmp_path / "table" / "data.csv", f"text,label\n{rows}")
    write(tmp_path / "table" / "notes" / "how.txt")
    assert read_data(tmp_path / "table").classes == ("a", "b")
    write(class_folders(tmp_path / "folders") / "index.csv", f"text,label\n{rows}")
    assert read_data(tmp_path / "folders").classes == ("neg", "pos")


# Broken: one sentence, and nothing else


def _unreadable(n, of=6):
    def make(root):
        files = sorted(class_folders(root, n=of // 2).rglob("*.txt"))
        for file in files[:n]:
            file.write_bytes(b"k\xf6ln")

    return make


def _empty(root):
    for file in class_folders(root).rglob("*.txt"):
        file.write_bytes(b"")


BROKEN = {
    "every text unreadable": (
        _unreadable(6),
        r"6 of 6 texts cannot be read \(neg/0.txt, .*, pos/1.txt and 1 more\), the first is not U",
    ),
    "most texts unreadable": (_unreadable(4), "4 of 6 texts cannot be read.*save them as UTF-8"),
    "every text empty": (_empty, "none of its 8 files holds a text"),
    "no class folder": (lambda r: write(r / "a.txt"), "lie in no class folder.*texts and labels"),
    "splits without classes": (
        lambda r: class_folders(r, ("test", "train")),
        "test, train name splits, not classes; make a train folder",
    ),
    "no train folder": (
        lambda r: [class_folders(r, prefix=split) for split in ("test", "val")],
        "test, val name splits, not classes; make a train folder",
    ),
    "one class": (lambda r: class_folders(r, ("pos",)), "single class, 'pos'"),
    "one class can be read": (_unreadable(3), "single class, 'pos'"),
    "web pages": (lambda r: class_folders(r, ending=".html"), r"no pictures or texts .*8 \.html"),
    "pictures without an ending": (
        lambda r: [write(r / c / str(i), b"\x89PNG\r\n\0") for c in "ab" for i in range(3)],
        "6 of 6 texts cannot be read",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_folders_get_one_sentence(kind, tmp_path):
    make, says = BROKEN[kind]
    make(tmp_path)
    with pytest.raises(UserError, match=says) as caught:
        read_data(tmp_path)
    text = str(caught.value)
    assert "\n" not in text
    assert not text.endswith(".")
    assert str(tmp_path) in text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"text": "x"}, "--text-column means nothing"),
        ({"label": "x"}, "--label-column means nothing"),
    ],
)
def test_wrong_options_get_one_sentence(options, says, tmp_path):
    with pytest.raises(UserError, match=says):
        read_data(class_folders(tmp_path), columns=options)


def test_a_lone_text_file_is_no_data(tmp_path):
    with pytest.raises(UserError, match="one folder of texts for each class"):
        read_data(write(tmp_path / "a.txt"))


# Checks and the command


def found_by_checks(root, check):
    (told,) = [one for one in run_checks(with_splits(read_data(root))) if one.check == check]
    return told


def test_copies_across_splits_are_named_by_their_files(tmp_path):
    for split in ("train", "test"):
        class_folders(tmp_path, prefix=split, n=12)
    write(tmp_path / "test" / "pos" / "copy.txt", (tmp_path / "train/pos/3.txt").read_bytes())
    told = found_by_checks(tmp_path, "duplicates across splits")
    assert told.severity == "warning"
    assert "test/pos/copy.txt: " in told.examples[0] and "train/pos/3.txt: " in told.examples[0]


def test_copies_stay_on_one_side_of_drawn_splits(tmp_path):
    class_folders(tmp_path, n=20)
    for i in range(10):
        write(tmp_path / "neg" / f"again {i}.txt", (tmp_path / "neg" / f"{i}.txt").read_bytes())
    data = with_splits(read_data(tmp_path))
    side = dict(zip(data.where, data.splits, strict=True))
    assert all(side[f"neg/again {i}.txt"] == side[f"neg/{i}.txt"] for i in range(10))


def test_a_header_that_names_the_class_is_found(tmp_path):
    for file in class_folders(tmp_path, ("space", "hockey"), n=20).rglob("*.txt"):
        write(file, f"Newsgroups: {file.parent.name}\n{file.read_text('utf-8')}")
    told = found_by_checks(tmp_path, "class named in the text")
    assert told.examples[0].startswith(("hockey/", "space/"))


def test_advise_reads_class_folders_of_texts(tmp_path, capsys):
    task, root = tiny_text_task(40), tmp_path / "texts"
    for split in ("train", "validation", "test"):
        part = getattr(task, split)
        for row, (text, label) in enumerate(zip(part.inputs, part.labels, strict=True)):
            write(root / split / task.classes[label] / f"{row:03}.txt", f"{text} {split} {row}")
    write(root / "train" / "cat" / "torn.txt", b"k\xf6ln")
    answer, page, model = tmp_path / "a.json", tmp_path / "a.html", tmp_path / "model"
    options = ["--image-size", "16", "--minutes", "0.001", "--json", str(answer), "--html",
               str(page), "--export", str(model)]  # fmt: skip
    assert main(["advise", str(root), *options]) == 0
    assert "unreadable files" in capsys.readouterr().out
    told = json.loads(answer.read_text(encoding="utf-8"))
    assert (told["n_examples"], told["settings"]["backbone"]) == (60, "minilm")
    torn = next(one for one in told["checks"] if one["check"] == "unreadable files")
    assert torn["examples"] == ["train/cat/torn.txt"]
    assert "train/cat/torn.txt" in page.read_text(encoding="utf-8")
    loaded = load_model(model)
    assert loaded.classify(["purrs and fur whiskers", "piston torque gear"]) == ["cat", "engine"]
    assert loaded.test_accuracy() == pytest.approx(loaded.recipe["test"]["accuracy"])
