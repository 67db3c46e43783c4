"""Own data in every layout and table, and broken in every way that was thought of."""

import json
import os

import numpy as np
import pyarrow as pa
import pytest
from own import with_splits
from PIL import Image
from pyarrow import parquet

from helpers.advisor.read import any_format, folder_layout
from helpers.advisor.read import class_folders as folders
from helpers.advisor.read.any_format import read_data
from helpers.errors import UserError

WORDS = ["moon", "tea", "dog", "sun", "cat", "rain", "road", "bread", "wind", "snow", "lamp"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))


def picture(file, seed=0, size=(12, 10), mode="RGB"):
    """Write a picture of noise and return its file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(file)
    return file


def class_folders(root, classes=("cat", "dog"), n=4, prefix=""):
    """Write n pictures for each class and return the root."""
    for number, name in enumerate(classes):
        for i in range(n):
            picture(root / prefix / name / f"{i}.png", seed=1000 * number + i + 7 * len(prefix))
    return root


def sentence(i):
    rng = np.random.default_rng(i)
    return " ".join(rng.choice(WORDS, 9))


def text_rows(n=40, labels=("spam", "ham")):
    return [(sentence(i), labels[i % len(labels)]) for i in range(n)]


def write_csv(file, rows=None, header="text,label", end="\n", encoding="utf-8"):
    rows = text_rows() if rows is None else rows
    lines = [header, *(",".join(row) for row in rows)] if header else [",".join(r) for r in rows]
    file.write_bytes((end.join(lines) + end).encode(encoding))
    return file


def finding(data, check):
    (found,) = [one for one in data.findings if one.check == check]
    return found


# Layouts of folders


def test_class_folders_give_sorted_classes_and_no_splits(tmp_path):
    data = read_data(class_folders(tmp_path, ("10", "9", "dog")))
    assert data.classes == ("9", "10", "dog")
    assert data.modality == "image"
    assert not data.has_splits
    assert data.findings == ()
    assert [data.classes[c] for c in data.labels] == [path.parent.name for path in data.items]
    assert data.name(0) == "10/0.png"


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "valid", "testing")])
def test_split_folders_are_used(tmp_path, names):
    for name in names:
        class_folders(tmp_path, prefix=name)
    data = read_data(tmp_path)
    for name, split in zip(names, ("train", "validation", "test"), strict=True):
        own = data.splits == split
        assert own.sum() == 8
        assert {data.items[row].parent.parent.name for row in np.flatnonzero(own)} == {name}


def test_split_folders_inside_class_folders_are_used(tmp_path):
    for kind in ("cat", "dog"):
        for split in ("train", "test"):
            for i in range(3):
                picture(tmp_path / kind / split / f"{i}.png", seed=i)
    data = read_data(tmp_path)
    assert data.classes == ("cat", "dog")
    assert sorted(set(data.splits)) == ["test", "train"]


def test_a_class_may_be_called_train(tmp_path):
    data = read_data(class_folders(tmp_path, ("bus", "car", "train")))
    assert data.classes == ("bus", "car", "train")
    assert not data.has_splits


def test_a_lone_folder_around_the_classes_is_entered(tmp_path):
    assert read_data(class_folders(tmp_path, prefix="archive/photos")).classes == ("cat", "dog")


def test_files_of_systems_are_not_seen_and_others_are_told(tmp_path):
    class_folders(tmp_path)
    for name in (".DS_Store", "cat/Thumbs.db", "cat/._0.png", "__MACOSX/cat/0.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"junk")
    (tmp_path / "cat" / "notes.txt").write_text("a note", encoding="utf-8")
    data = read_data(tmp_path)
    assert len(data) == 8
    other = finding(data, "other files")
    assert other.severity == "note"
    assert other.examples == ("cat/notes.txt",)


def test_an_empty_class_folder_is_told(tmp_path):
    (class_folders(tmp_path) / "bird").mkdir()
    data = read_data(tmp_path)
    assert data.classes == ("cat", "dog")
    assert finding(data, "empty class folders").examples == ("bird",)


def test_pictures_outside_class_folders_are_left_out_by_name(tmp_path):
    picture(class_folders(tmp_path) / "loose.png")
    data = read_data(tmp_path)
    assert len(data) == 8
    assert finding(data, "pictures outside class folders").examples == ("loose.png",)


def test_mixed_nesting_is_told(tmp_path):
    picture(class_folders(tmp_path) / "cat" / "grey" / "9.png")
    data = read_data(tmp_path)
    assert len(data) == 9
    assert finding(data, "folders inside class folders").severity == "warning"


def test_links_in_a_circle_end(tmp_path):
    class_folders(tmp_path)
    (tmp_path / "cat" / "again").symlink_to(tmp_path)
    data = read_data(tmp_path)
    assert len(data) == 8
    assert finding(data, "links that go in a circle").severity == "warning"


def test_links_to_folders_elsewhere_are_followed(tmp_path):
    class_folders(tmp_path / "elsewhere", ("cat", "dog"))
    (tmp_path / "own").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "own" / name).symlink_to(tmp_path / "elsewhere" / name)
    assert len(read_data(tmp_path / "own")) == 8


def test_a_folder_that_cannot_be_opened_is_told(tmp_path, monkeypatch):
    class_folders(tmp_path, ("bird", "cat", "dog"))
    scandir = os.scandir

    def guarded(folder):
        if str(folder).endswith("bird"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(folder_layout.os, "scandir", guarded)
    data = read_data(tmp_path)
    assert data.classes == ("cat", "dog")
    assert finding(data, "folders that cannot be opened").examples == ("bird",)


def test_class_names_that_differ_between_splits_are_told_and_left_out(tmp_path):
    class_folders(tmp_path, ("cat", "dog", "cow"), prefix="train")
    class_folders(tmp_path, ("cat", "dog", "kow"), prefix="test")
    data = read_data(tmp_path)
    assert data.classes == ("cat", "cow", "dog")
    assert set(data.labels[data.splits == "test"]) == {0, 2}
    told = [one.found for one in data.findings if one.check == "classes differ between splits"]
    assert any("kow" in text for text in told)
    assert any("cow (not in test)" in text for text in told)


def test_spellings_of_one_class_are_told(tmp_path):
    data = read_data(class_folders(tmp_path, ("Cat", "cat_", "dog")))
    assert "'Cat' and 'cat_'" in finding(data, "class names").found


# Tables


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_csv_of_texts(tmp_path, encoding, end):
    file = write_csv(tmp_path / "t.csv", [*text_rows(), ("grüße aus köln", "ham")], end=end,
                     encoding=encoding)  # fmt: skip
    data = read_data(file)
    assert data.modality == "text"
    assert data.classes == ("ham", "spam")
    assert data.items[-1] == "grüße aus köln"
    assert data.name(40) == "line 42: grüße aus köln"


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_other_separators_are_found(tmp_path, mark):
    rows = "\n".join(mark.join(row) for row in text_rows())
    (tmp_path / "t.csv").write_text(f"text{mark}label\n{rows}\n", encoding="utf-8")
    assert len(read_data(tmp_path / "t.csv")) == 40


def test_quoted_texts_may_hold_separators_and_line_breaks(tmp_path):
    rows = [(f'"{a}, he said\nand ""left"""', b) for a, b in text_rows()]
    data = read_data(write_csv(tmp_path / "t.csv", rows))
    assert data.items[0] == sentence(0) + ', he said\nand "left"'
    assert data.where[1] == "line 4"


def test_a_tsv_keeps_its_commas(tmp_path):
    rows = "".join(f"{a}, {a[::-1]}\t{b}\n" for a, b in text_rows())
    (tmp_path / "t.tsv").write_text(f"label_free,a\tlabel\n{rows}", encoding="utf-8")
    assert "," in read_data(tmp_path / "t.tsv").items[0]


@pytest.mark.parametrize("names", ["text,label", "review,sentiment", "kommentar,urteil"])
def test_columns_are_found_by_name_or_content(tmp_path, names):
    item, label = names.split(",")
    rows = [(str(i), a, b, f"u{i % 9}") for i, (a, b) in enumerate(text_rows())]
    file = write_csv(tmp_path / "t.csv", rows, header=f"id,{item},{label},user_id")
    data = read_data(file)
    assert data.classes == ("ham", "spam")
    assert data.items[3] == sentence(3)
    assert len(set(data.groups)) == 9


def test_columns_can_be_named(tmp_path):
    rows = [(a, b, a[::-1], "xy"[i % 3 == 0]) for i, (a, b) in enumerate(text_rows())]
    file = write_csv(tmp_path / "t.csv", rows, header="text,label,other,kind")
    data = read_data(file, columns={"text": "other", "label": "kind"})
    assert data.items[0] == sentence(0)[::-1]
    assert data.classes == ("x", "y")


def test_splits_and_groups_of_a_table(tmp_path):
    splits = ["train", "train", "dev", "TEST"]
    rows = [(a, b, splits[i // 2 % 4], str(i // 4)) for i, (a, b) in enumerate(text_rows())]
    data = read_data(write_csv(tmp_path / "t.csv", rows, header="text,label,split,group_id"))
    assert {s: int((data.splits == s).sum()) for s in set(data.splits)} == {
        "train": 20,
        "validation": 10,
        "test": 10,
    }
    assert len(set(data.groups)) == 10


def test_a_table_of_pictures_relative_to_itself(tmp_path, monkeypatch):
    class_folders(tmp_path / "d" / "img")
    rows = [(f"img/{kind}/{i}.png", kind) for kind in ("cat", "dog") for i in range(4)]
    rows[0] = ("img\\cat\\0.png", "cat")  # as Windows writes it
    rows[1] = (str(tmp_path / "d" / "img" / "cat" / "1.png"), "cat")
    file = write_csv(tmp_path / "d" / "t.csv", rows, header="where,what")
    monkeypatch.chdir(tmp_path)
    data = read_data("d/t.csv")
    assert data.modality == "image"
    assert len(data) == 8
    assert all(path.is_file() for path in data.items)
    assert file.is_file()


def test_jsonl_and_parquet_say_the_same_as_csv(tmp_path):
    rows = text_rows()
    lines = [json.dumps({"text": a, "label": b}) for a, b in rows]
    (tmp_path / "t.jsonl").write_text("\n".join(lines), encoding="utf-8")
    table = pa.table({"text": [a for a, _ in rows], "label": [b for _, b in rows]})
    parquet.write_table(table, tmp_path / "t.parquet")
    want = read_data(write_csv(tmp_path / "t.csv", rows))
    for name in ("t.jsonl", "t.parquet"):
        data = read_data(tmp_path / name)
        assert list(data.items) == list(want.items)
        assert np.array_equal(data.labels, want.labels)


def test_a_folder_of_tables_named_after_splits(tmp_path):
    for name in ("train", "test"):
        write_csv(tmp_path / f"{name}.csv")
    data = read_data(tmp_path)
    assert sorted(set(data.splits)) == ["test", "train"]
    assert data.where[0] == "test.csv line 2"


def test_numbers_are_labels(tmp_path):
    table = pa.table(
        {"text": [a for a, _ in text_rows()], "label": [float(i % 3) for i in range(40)]}
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    assert read_data(tmp_path / "t.parquet").classes == ("0", "1", "2")


def test_long_cells_are_read(tmp_path):
    rows = [(a + " " + "long " * 60_000, b) for a, b in text_rows(6)]
    assert len(read_data(write_csv(tmp_path / "t.csv", rows)).items[0]) > 200_000


# What `datasets` saves


def saved_split(folder, table, features):
    """Write a split as `save_to_disk` does: streams, a list of them, features in the schema."""
    folder.mkdir(parents=True)
    meta = {"huggingface": json.dumps({"info": {"features": features}})}
    table = table.replace_schema_metadata(meta)
    name = "data-00000-of-00001.arrow"
    with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    state = {"_data_files": [{"filename": name}], "_fingerprint": "1", "_split": None}
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    (folder / "dataset_info.json").write_text("{}", encoding="utf-8")


TEXT_FEATURES = {
    "text": {"dtype": "string", "_type": "Value"},
    "label": {"names": ["bad", "good"], "_type": "ClassLabel"},
}


def text_table(n=40, labels=None):
    labels = [i % 2 for i in range(n)] if labels is None else labels
    return pa.table({"text": [sentence(i) for i in range(n)], "label": labels})


def test_a_saved_data_set_of_texts(tmp_path):
    saved_split(tmp_path / "d", text_table(labels=[i % 2 if i else -1 for i in range(40)]),
                TEXT_FEATURES)  # fmt: skip
    data = read_data(tmp_path / "d")
    assert data.classes == ("bad", "good")
    assert finding(data, "examples without a label").examples == ("row 1",)
    assert len(data) == 39


def test_a_saved_dictionary_of_pictures(tmp_path):
    files = [picture(tmp_path / "p" / f"{i}.png", seed=i) for i in range(12)]
    cells = [{"bytes": file.read_bytes(), "path": file.name} for file in files[:11]]
    cells.append({"bytes": None, "path": str(files[11])})
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    features = {"image": {"_type": "Image"}, "label": TEXT_FEATURES["label"]}
    for split in ("train", "test"):
        table = pa.table({"image": pa.array(cells, kind), "label": [i % 2 for i in range(12)]})
        saved_split(tmp_path / "d" / split, table, features)
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}', "utf-8")
    data = read_data(tmp_path / "d")
    assert (len(data), data.modality) == (24, "image")
    assert data.items[0].read_bytes() == files[0].read_bytes()
    assert data.items[11] == files[11]
    assert data.name(12) == f"test row 1: {data.items[12]}"
    assert sorted(set(data.splits)) == ["test", "train"]
    assert read_data(tmp_path / "d").items == data.items


# Broken: one sentence, and nothing else


def _lines(*lines):
    return lambda path: (path / "t.csv").write_text("\n".join(lines), encoding="utf-8")


def _rows(*rows, header="text,label"):
    return lambda path: write_csv(path / "t.csv", [*text_rows(), *rows], header=header)


def _with_split(split):
    rows = [(*row, split) for row in text_rows()]
    return lambda path: write_csv(path / "t.csv", rows, header="text,label,split")


def _bytes(name, content):
    return lambda path: (path / name).write_bytes(content)


def _damaged_parquet(path):
    parquet.write_table(text_table(), path / "t.parquet")
    whole = (path / "t.parquet").read_bytes()
    (path / "t.parquet").write_bytes(whole[: len(whole) // 2])


def _lost_shard(path):
    saved_split(path / "d", text_table(), TEXT_FEATURES)
    (path / "d" / "data-00000-of-00001.arrow").unlink()


def _cut_shard(path):
    saved_split(path / "d", text_table(), TEXT_FEATURES)
    file = path / "d" / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:40])


def _strange_split(path):
    saved_split(path / "d" / "train", text_table(), TEXT_FEATURES)
    saved_split(path / "d" / "extra", text_table(), TEXT_FEATURES)
    (path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "extra"]}', "utf-8")


def _numbers(path):
    table = pa.table({"text": [sentence(i) for i in range(40)], "y": np.linspace(0, 1, 40)})
    parquet.write_table(table, path / "t.parquet")


def _several_labels(path):
    rows = [json.dumps({"text": sentence(i), "label": ["a", "b"]}) for i in range(9)]
    (path / "t.jsonl").write_text("\n".join(rows), encoding="utf-8")


def _no_texts(path):
    texts = {4: 4, 6: ["a"]}
    rows = [{"text": texts.get(i, sentence(i)), "label": "ab"[i % 2]} for i in range(1, 10)]
    (path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def _broken_tables(path):
    write_csv(path / "validation.csv")
    for name in ("train", "test"):
        (path / f"{name}.csv").write_bytes("text,label\nköln,b\n".encode("latin-1"))


def _paths_gone(path):
    write_csv(path / "t.csv", [(f"{i}.jpg", "ab"[i % 2]) for i in range(9)], header="image,label")


def _only_test(path):
    class_folders(path, prefix="train", classes=("cat",))
    class_folders(path, prefix="test")


BROKEN = {
    "missing path": (None, "nowhere", "does not exist"),
    "empty folder": (lambda p: (p / "f").mkdir(), "f", "it is empty"),
    "folder of other files": (_bytes("a.pdf", b"x"), ".", "files: 1 .pdf"),
    "no class folder": (lambda p: picture(p / "a.png"), ".", "lie in no class folder|lies in no"),
    "one class": (lambda p: class_folders(p, ("cat",)), ".", "single class, 'cat'"),
    "one class in train": (_only_test, ".", "examples of a single class"),
    "unknown kind": (_bytes("a.docx", b"x"), "a.docx", r"kind \.docx"),
    "no suffix": (_bytes("data", b"x"), "data", "kind unknown"),
    "a picture": (lambda p: picture(p / "a.png"), "a.png", "one folder of pictures for each"),
    "an archive": (_bytes("a.zip", b"PK"), "a.zip", "unpack it"),
    "a sheet": (_bytes("a.xlsx", b"PK"), "a.xlsx", "export the sheet as CSV"),
    "empty csv": (_bytes("t.csv", b""), "t.csv", "is empty"),
    "blank csv": (_bytes("t.csv", b"\n \n\n"), "t.csv", "only blank lines"),
    "only a header": (_lines("text,label"), "t.csv", "a header and no rows"),
    "latin-1": (
        _bytes("t.csv", "text,label\na,b\nköln,b\n".encode("latin-1")),
        "t.csv",
        "not UTF-8: line 3 has the byte 0xF6",
    ),  # fmt: skip
    "utf-16": (_bytes("t.csv", "text,label\na,b\n".encode("utf-16")), "t.csv", "is UTF-16"),
    "binary": (_bytes("t.csv", b"\x89PNG\0\0\0"), "t.csv", "no text file"),
    "no header, paths": (
        lambda p: write_csv(p / "t.csv", [("a.jpg", "x"), ("b.jpg", "y")], header=""),
        "t.csv",
        "no header: its first line holds 'a.jpg'",
    ),  # fmt: skip
    "no header, texts": (lambda p: write_csv(p / "t.csv", header=""), "t.csv", "no header"),
    "column twice": (_rows(header="text,text"), "t.csv", r"names a column twice \('text'\)"),
    "open quote": (_lines("text,label", "a b,c", '"never closed,c', "d,e"), "t.csv", "line 3"),
    "mostly ragged": (
        _lines("text,label", *["a b,c,d"] * 5, "a b,c"),
        "t.csv",
        r"5 of 6 rows have not the 2 columns of the header \(lines 2, 3, 4, 5, 6\)",
    ),  # fmt: skip
    "paths do not exist": (
        _paths_gone,
        "t.csv",
        r"9 of 9 pictures named in 'image' do not exist \(line 2: '0.jpg', .* and 4 more\)",
    ),  # fmt: skip
    "no label anywhere": (_lines("text,label", "a b,", "c d,"), "t.csv", "no example has a label"),
    "labels of many": (
        _several_labels,
        "t.jsonl",
        r"9 of 9 labels are not one name \(line 1: list, .* and 4 more\); give each",
    ),  # fmt: skip
    "no texts": (_no_texts, "t.jsonl", r"2 of 9 rows hold no text .*\(line 4: int, line 6: list\)"),
    "a number to predict": (_numbers, "t.parquet", "40 different labels"),
    "unknown split": (_with_split("holdout"), "t.csv", "line 2: 'holdout', line 3: 'holdout'"),
    "nothing to train on": (_with_split("test"), "t.csv", "nothing to train on"),
    "addresses": (
        lambda p: write_csv(
            p / "t.csv",
            [(f"https://a.b/{i}.jpg", "ab"[i % 2]) for i in range(9)],
            header="image,label",
        ),
        "t.csv",
        r"9 of 9 names in 'image' are addresses \(line 2: .* and 4 more\); download the pictures",
    ),  # fmt: skip
    "damaged parquet": (_damaged_parquet, "t.parquet", "no readable Parquet file"),
    "no parquet": (_bytes("t.parquet", b"text,label\n"), "t.parquet", "no readable Parquet"),
    "json list": (_bytes("t.json", b'[{"text": "a"}]'), "t.json", "one object on each line"),
    "no json": (_bytes("t.jsonl", b"a\nb\n"), "t.jsonl", "2 of 2 rows are not one JSON object"),
    "lost shard": (_lost_shard, "d", "lacks 1 of 1 file that its state.json names"),
    "cut shard": (_cut_shard, "d", "no readable Arrow file"),
    "strange split": (_strange_split, "d", r"has other splits \('extra'\)"),
    "broken tables": (
        _broken_tables,
        ".",
        r"2 of 3 files cannot be read \(test.csv, train.csv\); the first: .*test.csv is not UTF-8",
    ),  # fmt: skip
    "several tables": (
        lambda p: [write_csv(p / "a.csv"), write_csv(p / "b.csv")],
        ".",
        "holds several tables",
    ),  # fmt: skip
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_input_gets_one_sentence(kind, tmp_path):
    make, name, says = BROKEN[kind]
    if make:
        make(tmp_path)
    with pytest.raises(UserError, match=says) as caught:
        read_data(tmp_path / name)
    text = str(caught.value)
    assert "\n" not in text
    assert not text.endswith(".")
    assert name in text or name == "."


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"label": "labl"}, "no column 'labl'; did you mean 'label'"),
        ({"text": "text", "image": "label"}, "one or the other"),
    ],
)
def test_wrong_options_get_one_sentence(options, says, tmp_path):
    write_csv(tmp_path / "t.csv")
    with pytest.raises(UserError, match=says):
        read_data(tmp_path / "t.csv", columns=options)


def test_a_column_cannot_be_named_for_a_folder(tmp_path):
    with pytest.raises(UserError, match="--label-column means nothing"):
        read_data(class_folders(tmp_path), columns={"label": "x"})


def test_two_columns_that_could_be_the_label_are_named(tmp_path):
    rows = [(a, b, "xy"[i % 3 == 0]) for i, (a, b) in enumerate(text_rows())]
    file = write_csv(tmp_path / "t.csv", rows, header="kommentar,eins,zwei")
    with pytest.raises(UserError, match="'eins' and 'zwei' could each be the label"):
        read_data(file)


# Odd, and told


def test_ragged_rows_are_left_out_by_line(tmp_path):
    data = read_data(write_csv(tmp_path / "t.csv", [*text_rows(), ("a b", "c", "d"), ("e",)]))
    assert len(data) == 40
    assert finding(data, "rows that cannot be read").examples == ("line 42", "line 43")


def test_a_bad_json_line_is_named(tmp_path):
    lines = [json.dumps({"text": a, "label": b}) for a, b in text_rows()]
    lines[2] = lines[2][:-4]
    (tmp_path / "t.jsonl").write_text("\n".join(lines), encoding="utf-8")
    data = read_data(tmp_path / "t.jsonl")
    assert len(data) == 39
    assert finding(data, "rows that cannot be read").examples == ("line 3",)


def test_empty_labels_and_texts_are_left_out_by_line(tmp_path):
    rows = [*text_rows(), ("some words", ""), ("", "ham"), ("other words", "NaN")]
    data = read_data(write_csv(tmp_path / "t.csv", rows))
    assert len(data) == 40
    assert finding(data, "examples without a label").examples == ("line 42", "line 44")
    assert finding(data, "empty texts").examples == ("line 43",)


def test_paths_that_do_not_exist_are_left_out_by_line(tmp_path):
    class_folders(tmp_path)
    rows = [(f"{kind}/{i}.png", kind) for kind in ("cat", "dog") for i in range(5)]
    data = read_data(write_csv(tmp_path / "t.csv", rows, header="image,label"))
    assert len(data) == 8
    assert finding(data, "files that do not exist").examples == (
        "line 6: cat/4.png",
        "line 11: dog/4.png",
    )


# Splits


def test_splits_are_made_stratified_and_the_same_again(tmp_path):
    data = with_splits(read_data(write_csv(tmp_path / "t.csv", text_rows(200))))
    again = with_splits(read_data(tmp_path / "t.csv"))
    assert np.array_equal(data.splits, again.splits)
    assert not np.array_equal(data.splits, with_splits(read_data(tmp_path / "t.csv"), 1).splits)
    counts = {s: np.bincount(data.labels[data.splits == s]).tolist() for s in set(data.splits)}
    assert counts == {"train": [68, 68], "validation": [12, 12], "test": [20, 20]}
    assert "seed 0" in finding(data, "splits").found


def test_given_splits_are_kept_and_validation_comes_from_train(tmp_path):
    rows = [(*row, "test" if i >= 150 else "train") for i, row in enumerate(text_rows(200))]
    data = read_data(write_csv(tmp_path / "t.csv", rows, header="text,label,split"))
    made = with_splits(data)
    assert np.array_equal(made.splits == "test", data.splits == "test")
    assert (made.splits == "validation").sum() == 22


def test_groups_and_copies_stay_on_one_side(tmp_path):
    rows = [(a, b, f"g{i // 5}") for i, (a, b) in enumerate(text_rows(200))]
    rows += [(f"{a.upper()}!", b, f"h{i}") for i, (a, b) in enumerate(text_rows(60))]
    data = with_splits(read_data(write_csv(tmp_path / "t.csv", rows, header="text,label,group")))
    assert sorted(set(data.splits)) == ["test", "train", "validation"]
    for group in set(data.groups):
        assert len(set(data.splits[data.groups == group])) == 1
    assert np.array_equal(data.splits[:60], data.splits[200:])


def test_a_class_with_one_example_is_for_training(tmp_path):
    rows = [*text_rows(100), ("one of a kind here", "rare")]
    data = with_splits(read_data(write_csv(tmp_path / "t.csv", rows)))
    assert data.splits[100] == "train"


def test_too_few_groups_are_refused(tmp_path):
    rows = [(a, b, f"g{i // 20}") for i, (a, b) in enumerate(text_rows())]
    data = read_data(write_csv(tmp_path / "t.csv", rows, header="text,label,group"))
    with pytest.raises(UserError, match="too many are of one group"):
        with_splits(data)


def test_series_of_file_names_stay_on_one_side(tmp_path):
    for clip in range(24):
        for frame in range(4):
            picture(
                tmp_path / "ab"[clip % 2] / f"clip{clip:02}_{frame:04}.png", seed=99 * clip + frame
            )
    data = with_splits(read_data(tmp_path))
    clips = np.array([path.name[:6] for path in data.items])
    assert all(len(set(data.splits[clips == clip])) == 1 for clip in set(clips))
    assert "24 series" in finding(data, "kept together").found


def test_unreadable_pictures_are_named_counted_and_left_out(tmp_path):
    class_folders(tmp_path, n=20)
    (tmp_path / "cat" / "0.png").write_bytes(b"no picture at all")
    whole = (tmp_path / "dog" / "1.png").read_bytes()
    (tmp_path / "dog" / "1.png").write_bytes(whole[: len(whole) // 2])
    data = with_splits(read_data(tmp_path))
    assert len(data) == 38
    assert finding(data, "unreadable files").examples == ("cat/0.png", "dog/1.png")
    assert len(data.listed) == 40


def test_a_finding_says_what_is_wrong_in_whatever_words(tmp_path, monkeypatch):
    from helpers.tasks import images

    class_folders(tmp_path, n=6)
    broken = tmp_path / "cat" / "0.png"

    def read(file, *size):
        if file == broken:
            raise images.ImageError(file, "was drawn by a child")
        return whole(file, *size)

    whole = images.read_image
    monkeypatch.setattr(images, "read_image", read)
    data = with_splits(read_data(tmp_path))
    told = finding(data, "unreadable files").found
    assert told.endswith("left out: it was drawn by a child for one.")


def test_how_serious_a_finding_is_does_not_hang_on_its_title(tmp_path, monkeypatch):
    class_folders(tmp_path, n=6)
    (tmp_path / "notes.xyz").write_text("a note", encoding="utf-8")
    picture(tmp_path / "stray.png")
    before = {one.found: one.severity for one in read_data(tmp_path).findings}
    assert set(before.values()) == {"note", "warning"}
    retitled = {why: ("odd things", *told[1:]) for why, told in folders._WORDINGS.items()}
    monkeypatch.setattr(folders, "_WORDINGS", retitled)
    found = read_data(tmp_path).findings
    assert {one.found: one.severity for one in found} == before
    assert {one.check for one in found} == {"odd things"}


def test_mostly_unreadable_pictures_are_refused(tmp_path):
    class_folders(tmp_path, n=6)
    for i in range(4):
        for kind in ("cat", "dog"):
            (tmp_path / kind / f"{i}.png").write_bytes(b"no picture at all")
    with pytest.raises(UserError, match="8 of 12 pictures cannot be read"):
        with_splits(read_data(tmp_path))


def test_a_class_that_cannot_be_read_is_refused(tmp_path):
    class_folders(tmp_path, n=6)
    for file in (tmp_path / "cat").iterdir():
        file.write_bytes(b"no picture at all")
    with pytest.raises(UserError, match="examples of 1 class can be read"):
        with_splits(read_data(tmp_path))


def test_a_bomb_is_left_out(tmp_path, monkeypatch):
    from helpers.tasks import images

    class_folders(tmp_path, n=6)
    picture(tmp_path / "cat" / "huge.png", size=(90, 90))
    monkeypatch.setattr(images, "MAX_PIXELS", 5000)
    data = with_splits(read_data(tmp_path))
    assert finding(data, "unreadable files").examples == ("cat/huge.png",)
    assert "at most 5,000 pixels" in finding(data, "unreadable files").found


def test_pictures_of_every_kind_are_read(tmp_path):
    class_folders(tmp_path, n=6)
    for mode, name in (("L", "g.png"), ("CMYK", "c.jpg"), ("P", "p.gif"), ("RGBA", "a.webp")):
        picture(tmp_path / "cat" / name, mode=mode)
    assert len(with_splits(read_data(tmp_path))) == 16


def test_what_can_be_read_is_decoded_once(tmp_path):
    from helpers.advisor.task import decoded

    class_folders(tmp_path, n=8)
    (tmp_path / "cat" / "2.png").write_bytes(b"no picture at all")
    data = with_splits(read_data(tmp_path), side=16, channels=3)
    found = decoded(data, 16, 3)
    assert isinstance(found.images, np.memmap) and len(found.images) == len(data) == 15
    assert np.array_equal(found.kept, data.rows)


def test_a_folder_without_the_right_to_read_it_is_refused(tmp_path, monkeypatch):
    class_folders(tmp_path)
    monkeypatch.setattr(any_format.os, "access", lambda *_: False)  # the tests' user may be root
    with pytest.raises(UserError, match="cannot be opened; ask for the right to read it"):
        read_data(tmp_path)


def test_a_single_class_is_told_with_the_folders_that_cannot_be_opened(tmp_path, monkeypatch):
    class_folders(tmp_path, ("cat", "dog"))
    real = os.scandir

    def closed(place):
        if str(place).endswith("dog"):
            raise PermissionError(13, "Permission denied", str(place))
        return real(place)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(UserError, match="single class, 'cat'.*1 folder cannot be opened"):
        read_data(tmp_path)
