"""What labels, splits and columns of own data are taken for, and that it is said."""

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from helpers.advisor import pipeline
from helpers.advisor.checks.catalogue import run_checks
from helpers.advisor.checks.copies import find_copies
from helpers.advisor.checks.pictures import readable
from helpers.advisor.read.any_format import read_data
from helpers.advisor.report.as_json import columns_in_words
from helpers.advisor.splits import draw_splits
from helpers.advisor.task import make_own_task
from helpers.cli.commands import main
from helpers.errors import UserError, printable


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))


def labelled(folder, labels, n=40, head="text,label\n", mark=","):
    """Write a table whose labels come in turns, and return it."""
    rows = (f"some words here {i}{mark}{labels[i % len(labels)]}\n" for i in range(n))
    file = folder / "t.csv"
    file.write_text(head + "".join(rows), encoding="utf-8")
    return file


def checks(data):
    return {finding.check for finding in data.findings}


def split_table(folder, rows, head="text,label,split"):
    lines = [f"some words here {i},{label},{split}" for i, (label, split) in enumerate(rows)]
    file = folder / "t.csv"
    file.write_text("\n".join([head, *lines]), encoding="utf-8")
    return file


# Labels


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["0", "0.0", "1", "1.0"], ("0", "1")),
        (["+1", "1", "-1", "\u22121"], ("-1", "1")),
        (["1e3", "1000", "7"], ("7", "1000")),
        (["café", "cafe\u0301", "bar"], ("bar", "café")),
        (["한국", "\u1112\u1161\u11ab\u1100\u116e\u11a8", "x"], ("x", "한국")),
        (["yes\u200b", "yes", "\u200fno", "no"], ("no", "yes")),
        (["\u2764", "\u2764\ufe0f", "x"], ("x", "\u2764")),  # a heart, drawn as an emoji or not
        (["1", "TRUE", "0", "False"], ("0", "1")),
    ],
)
def test_labels_that_are_one_number_or_print_alike_are_one_class(labels, classes, tmp_path):
    data = read_data(labelled(tmp_path, labels))
    assert data.classes == classes
    assert "labels that were joined" in checks(data)


@pytest.mark.parametrize("labels", [[True, 1, False, 0], [True, "1", "false", 0.0], ["true", 0]])
def test_truths_and_their_numbers_are_one_class_whatever_their_type(labels, tmp_path):
    rows = [{"text": f"some words {i}", "label": labels[i % len(labels)]} for i in range(40)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    data = read_data(tmp_path / "t.jsonl")
    two = ("0", "1") if len(labels) > 2 else ("0", "true")
    assert data.classes == two
    assert ("labels that were joined" in checks(data)) == (len(labels) > 2)


@pytest.mark.parametrize(
    "labels", [["01", "1"], ["1.5", "1.50x"], ["v1.0", "v1"], ["true", "1", "2"]]
)
def test_codes_stay_apart(labels, tmp_path):
    data = read_data(labelled(tmp_path, labels))
    assert set(data.classes) == set(labels)
    assert data.findings == ()


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["C", "C++", "C#"], ("C", "C#", "C++")),
        (["1", "-1", "0"], ("-1", "0", "1")),
        (["10", "-10", "-9", "9.5"], ("-10", "-9", "9.5", "10")),
        (["0.5", "\u22121.5", "-0.25"], ("\u22121.5", "-0.25", "0.5")),
        (["A+", "A", "A-"], ("A", "A+", "A-")),
        (["1.5", "15"], ("1.5", "15")),
        (["a", "A"], ("A", "a")),
    ],
)
def test_signs_are_no_spellings(labels, classes, tmp_path):
    data = read_data(labelled(tmp_path, labels))
    assert data.classes == classes
    assert data.findings == ()


def test_a_label_that_is_blank_is_none(tmp_path):
    data = read_data(labelled(tmp_path, ["a", "b", "\u3164", "\u2800"]))
    assert data.classes == ("a", "b")
    assert "examples without a label" in checks(data)


@pytest.mark.parametrize(
    "labels",
    [["Cat", "cat_"], ["non-fiction", "Non Fiction"], ["US", "U.S"], ["ＣＡＴ", "cat"], ["ｶ", "カ"],
     ["a\u200d", "a"]],
)  # fmt: skip
def test_spellings_are_told(labels, tmp_path):
    assert "class names" in checks(read_data(labelled(tmp_path, [*labels, "other"])))


@pytest.mark.parametrize(("count", "each"), [(1_001, 3), (2_500, 2), (30, 2)])
def test_many_classes_are_classes_where_each_has_examples(count, each, tmp_path):
    names = [f"species {i}" for i in range(count)]
    assert len(read_data(labelled(tmp_path, names, n=each * count)).classes) == count
    with pytest.raises(UserError, match="an identifier"):
        read_data(labelled(tmp_path, names, n=count))


@pytest.mark.parametrize("digits", ["9" * 30, "9" * 5_000])
def test_long_numbers_are_labels(digits, tmp_path):
    data = read_data(labelled(tmp_path, [digits, "1", f"x{digits}"]))
    assert data.classes == ("1", digits, f"x{digits}")


# Splits


@pytest.mark.parametrize(
    ("test", "says"),
    [
        (["CAT", "DOG"], "the test split spells 'CAT' what train calls 'cat'"),
        (["cat", "do_g"], "spells 'do_g' what train calls 'dog'"),
        (["cat", "ｄｏｇ"], "spells 'ｄｏｇ' what train calls 'dog'"),
        (["kat", "hund"], "the test split holds 'hund', 'kat' alone"),
    ],
)
def test_a_test_that_names_classes_otherwise_is_refused(test, says, tmp_path):
    rows = [(label, "train") for label in ["cat", "dog"] * 15] + [
        (name, "test") for name in test * 5
    ]
    with pytest.raises(UserError, match=says):
        read_data(split_table(tmp_path, rows))


@pytest.mark.parametrize("cut_off", [["test"], ["test", "validation"]])
def test_splits_that_cannot_be_read_are_refused(cut_off, tmp_path):
    for split in ("train", "test", "validation"):
        for label in "ab":
            folder = tmp_path / split / label
            folder.mkdir(parents=True)
            for i in range(40 if split == "train" else 6):
                Image.effect_noise((16, 16), 50).save(folder / f"{i}.png")
                if split in cut_off:
                    (folder / f"{i}.png").write_bytes(b"cut off")
    told = f"no picture of the {' and '.join(cut_off)} split can be read"
    with pytest.raises(UserError, match=told):
        readable(read_data(tmp_path), 32, 1)


def test_every_class_without_a_training_example_is_named(tmp_path):
    rows = [(label, split) for label in "abc" for split in ("train", "validation", "test")] * 9
    data = read_data(split_table(tmp_path, rows))
    held_back = data.labels != data.classes.index("a")
    splits = np.where((data.splits == "train") & held_back, "test", data.splits)
    with pytest.raises(UserError, match=r"example of 2 classes can be read \('b', 'c'\); add"):
        make_own_task(replace(data, splits=splits), None)


def test_every_picture_that_went_away_is_named(tmp_path):
    for split, label, i in product(("train", "validation", "test"), "ab", range(6)):
        folder = tmp_path / split / label
        folder.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((16, 16), 50).save(folder / f"{i}.png")
    data = readable(read_data(tmp_path), 32, 1)
    for i in range(2):
        (tmp_path / "train" / "a" / f"{i}.png").write_bytes(b"cut off")
    with pytest.raises(UserError, match=r"2 pictures can no longer be read \(.*0.png, .*1.png\)"):
        make_own_task(data, 32, 1)


# Columns


@pytest.mark.parametrize("mark", [";", "|", "\t"])
@pytest.mark.parametrize("blank", ["\n", "\r\n \r\n", "\n\n\n", "\ufeff\n"])
def test_blank_lines_before_the_header_hide_no_separator(blank, mark, tmp_path):
    file = labelled(tmp_path, ["a", "b"], head=f"{blank}text{mark}label\n", mark=mark)
    data = read_data(file)
    assert (data.classes, len(data)) == (("a", "b"), 40)
    assert data.where[0] == f"line {blank.count(chr(10)) + 2}"


@pytest.mark.parametrize(
    ("line", "mark"),
    [
        ("sep=;\n", ";"),
        ('"sep=;"\r\n', ";"),
        ("SEP=|\n", "|"),
        ("sep=\t\n", "\t"),
        ("\ufeffsep=,\n", ","),
    ],
)
def test_the_line_for_excel_is_no_example(line, mark, tmp_path):
    file = labelled(tmp_path, ["a", "b"], head=f"{line}text{mark}label\n", mark=mark)
    data = read_data(file)
    assert (data.classes, len(data)) == (("a", "b"), 40)
    assert data.where[0] == "line 3"


def test_the_columns_taken_and_left_are_told(tmp_path):
    rows = [("ab"[i % 2], ("train", "test")[i % 5 == 0], i % 7, i) for i in range(40)]
    lines = [f"some words {i},{a},{b},{c},{d}" for i, (a, b, c, d) in enumerate(rows)]
    file = tmp_path / "t.csv"
    file.write_text("\n".join(["review,label,split,user_id,id", *lines]), encoding="utf-8")
    taken = {"text": "review", "label": "label", "group": "user_id", "split": "split"}
    data = read_data(file)
    assert data.columns == taken | {"ignored": ["id"]}
    said = columns_in_words(data.columns)
    assert all(f"'{name}'" in said for name in [*taken.values(), "id"])
    without = read_data(file, columns={"split": "none", "group": "none"})
    assert without.columns["ignored"] == ["split", "user_id", "id"]
    assert not without.has_splits and without.groups is None
    other = read_data(file, columns={"group": "id", "split": "none"})
    assert other.columns["group"] == "id"


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        (["--split-column", "fold"], {"split": "fold"}),
        (["--group-column", "shop"], {"group": "shop"}),
        (["--split-column", "none", "--group-column", "none"],
         {"split": "none", "group": "none"}),
    ],
)  # fmt: skip
def test_columns_are_named_on_the_command_line(options, taken, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(pipeline, "advise_command", lambda request, **_: asked.append(request) or 0)
    assert main(["advise", str(tmp_path), *options]) == 0
    nothing = dict.fromkeys(("text", "label", "image", "group", "split"))
    assert asked[0].columns == nothing | taken


@pytest.mark.parametrize(
    ("options", "roles"),
    [
        ({"split": "fold"}, {"group": "user_id", "split": "fold"}),
        ({"group": "shop"}, {"group": "shop", "split": "split"}),
        ({"group": "none"}, {"group": None, "split": "split"}),
        ({"split": "none"}, {"group": "user_id", "split": None}),
        ({"label": "mood"}, {"label": "mood"}),
    ],
)
def test_columns_that_are_named_are_taken(options, roles, tmp_path):
    head = "review,label,split,user_id,fold,shop,mood"
    rows = [f"some words {i},{'ab'[i % 2]},train,u{i // 3},{'train' if i % 3 else 'test'},s{i % 5},"
            f"{'xyz'[i % 3]}" for i in range(60)]  # fmt: skip
    (tmp_path / "t.csv").write_text("\n".join([head, *rows]), encoding="utf-8")
    data = read_data(tmp_path / "t.csv", columns=options)
    assert data.columns.items() >= roles.items()
    held = [name for role, name in data.columns.items() if role != "ignored" and name]
    assert sorted([*held, *data.columns["ignored"]]) == sorted(head.split(","))
    assert set(data.splits) == {"fold": {"train", "test"}, None: {""}}.get(
        roles.get("split", "split"), {"train"}
    )
    groups = {"shop": 5, None: 0}.get(roles.get("group", "user_id"), 20)
    assert len(set(() if data.groups is None else data.groups)) == groups
    assert data.classes == (("x", "y", "z") if "label" in roles else ("a", "b"))


@pytest.mark.parametrize("role", ["text", "label", "image"])
def test_none_is_for_group_and_split_alone(role, tmp_path):
    with pytest.raises(UserError, match="no column 'none'"):
        read_data(labelled(tmp_path, ["a", "b"]), columns={role: "none"})


def test_a_column_that_stands_twice_is_refused(tmp_path):
    texts = [f"some words {i}" for i in range(40)]
    table = pa.table([texts, texts, ["a", "b"] * 20], names=["text", "text", "label"])
    parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(UserError, match="names a column twice .'text'"):
        read_data(tmp_path / "t.parquet")


def test_tables_of_which_other_columns_would_be_taken_are_refused(tmp_path):
    for name, column in (("train", "label"), ("test", "class")):
        file = labelled(tmp_path, ["a", "b"], head=f"text,{column}\n")
        file.rename(tmp_path / f"{name}.csv")
    with pytest.raises(UserError, match="the label is the column 'class' in one table and 'label'"):
        read_data(tmp_path)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["data/train-0-of-1.parquet", "data/test-0-of-1.parquet"], {"train", "test"}),
        (["plain_text/train-0-of-2.parquet", "plain_text/train-1-of-2.parquet"], {"train"}),
        (["default/train/0000.parquet", "default/test/0000.parquet"], {"train", "test"}),
        (["data/0000.parquet", "data/0001.parquet"], {""}),
    ],
)
def test_a_snapshot_of_the_hub_is_read(names, splits, tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    (tmp_path / "dataset_infos.json").write_text("{}", encoding="utf-8")
    rows = {"text": [f"some words {i}" for i in range(20)], "label": ["a", "b"] * 10}
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.table(rows), tmp_path / name)
    data = read_data(tmp_path)
    assert (len(data), data.classes) == (40, ("a", "b"))
    assert set(data.splits) == splits


# What cannot be read


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        '{"text": ' + '{"a":' * 50_000,
        '{"text": "a b", "label": ' + "9" * 5_000 + "}",
    ],
)
def test_json_without_end_is_a_row_that_cannot_be_read(line, tmp_path):
    rows = [json.dumps({"text": f"words {i}", "label": "ab"[i % 2]}) for i in range(40)]
    (tmp_path / "t.jsonl").write_text("\n".join([*rows, line]), encoding="utf-8")
    data = read_data(tmp_path / "t.jsonl")
    assert len(data) == 40
    assert "rows that cannot be read" in checks(data)


@pytest.mark.parametrize("text", ["nice \ud83d", "\udc00", "a\udfff\ud800b"])
@pytest.mark.parametrize("label", ["b\ud83d", "\udc00", "c\udfff\ud800", "b"])
def test_halves_of_characters_are_replaced_and_told(text, label, tmp_path):
    rows = [{"text": f"words {i}", "label": ("a", label)[i % 2]} for i in range(40)]
    rows[5]["text"] = text
    lines = "\n".join(map(json.dumps, rows))
    (tmp_path / "t.jsonl").write_text(lines, encoding="utf-8")
    data = read_data(tmp_path / "t.jsonl")
    "".join([*data.items, *data.classes]).encode("utf-8")
    assert set(data.classes) == {"a", printable(label)}
    assert "\ufffd" in data.items[5]
    assert "halves of characters" in checks(data)


@pytest.mark.parametrize("values", [pa.array([2**50] * 40, pa.timestamp("s")), None])
def test_columns_that_python_cannot_hold_are_named(values, tmp_path):
    if values is None:
        places = pa.array(range(41), pa.int32()).buffers()[1]
        values = pa.Array.from_buffers(pa.string(), 40, [None, places, pa.py_buffer(b"\xff" * 40)])
    texts = [f"some words {i}" for i in range(40)]
    parquet.write_table(pa.table({"text": texts, "label": values}), tmp_path / "t.parquet")
    with pytest.raises(UserError, match="column 'label' holds what cannot be read"):
        read_data(tmp_path / "t.parquet")


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(12)])
def test_texts_and_labels_that_are_stored_as_bytes_are_read(kind, tmp_path):
    texts = [f"words {i:06d}".encode() for i in range(40)]
    labels = pa.array([b"k\xc3\xb6ln", b"bonn"] * 20)
    table = pa.table({"text": pa.array(texts, kind), "label": labels})
    parquet.write_table(table, tmp_path / "t.parquet")
    with pa.ipc.new_stream(str(tmp_path / "t.arrow"), table.schema) as stream:
        stream.write_table(table)
    for name in ("t.parquet", "t.arrow"):
        data = read_data(tmp_path / name)
        assert (data.modality, data.classes) == ("text", ("bonn", "köln"))
        assert data.items[1] == "words 000001"


def test_pictures_that_are_stored_as_bytes_stay_pictures(tmp_path):
    cells = [None, b"cut off"]
    for i in range(38):
        Image.effect_noise((16, 16), 20 + i).save(tmp_path / "x.png")
        cells.append((tmp_path / "x.png").read_bytes())
    table = pa.table({"picture": pa.array(cells, pa.binary()), "label": ["a", "b"] * 20})
    parquet.write_table(table, tmp_path / "t.parquet")
    assert read_data(tmp_path / "t.parquet").modality == "image"


def test_a_label_that_is_a_list_far_below_is_told(tmp_path):
    rows = [{"words": f"some words {i}", "kind": "ab"[i % 2], "x": 1} for i in range(600)]
    rows.append({"words": "some words", "kind": ["a"], "x": 1})
    lines = "\n".join(map(json.dumps, rows))
    (tmp_path / "t.jsonl").write_text(lines, encoding="utf-8")
    with pytest.raises(UserError, match="--label-column"):
        read_data(tmp_path / "t.jsonl")


@pytest.mark.parametrize("name", ["x" * 5_000 + ".png", "a\0b.png", "d/" * 3_000 + "x.png"])
def test_a_path_that_cannot_be_is_a_file_that_does_not_exist(name, tmp_path):
    rows = []
    for i in range(12):
        Image.effect_noise((16, 16), 50).save(tmp_path / f"{i}.png")
        rows.append({"image": f"{i}.png", "label": "ab"[i % 2]})
    rows.append({"image": name, "label": "a"})
    lines = "\n".join(map(json.dumps, rows))
    (tmp_path / "t.jsonl").write_text(lines, encoding="utf-8")
    data = read_data(tmp_path / "t.jsonl")
    assert len(data) == 12
    assert "files that do not exist" in checks(data)


@pytest.mark.parametrize(
    ("ending", "other", "check"),
    [
        (".jpg", ".heic", "pictures of another kind"),
        (".png", ".dng", "pictures of another kind"),
        (".txt", ".docx", "texts of another kind"),
    ],
)
def test_examples_of_a_kind_that_is_not_read_are_a_warning(ending, other, check, tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for i in range(8):
            file = tmp_path / label / f"{i}{ending}"
            if ending == ".txt":
                file.write_text(f"some words {label} {i}", encoding="utf-8")
            else:
                Image.effect_noise((16, 16), 50).convert("RGB").save(file)
        (tmp_path / label / f"more{other}").write_bytes(b"kept elsewhere")
    (found,) = [one for one in read_data(tmp_path).findings if one.check == check]
    assert found.severity == "warning" and "2 files" in found.found
    for i in range(16):
        (tmp_path / "a" / f"more {i}{other}").write_bytes(b"kept elsewhere")
    with pytest.raises(UserError, match=f"of a kind that is not read here .*{other}"):
        read_data(tmp_path)


def test_names_that_are_not_utf8_are_told(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for i in range(4):
            Image.effect_noise((16, 16), 50).save(tmp_path / label / f"{i}.png")
    (tmp_path / "a" / "0.png").rename(tmp_path / "a" / "\udcff\udcfe.png")
    data = read_data(tmp_path)
    (found,) = [one for one in data.findings if one.check == "names that are not UTF-8"]
    assert found.examples == (r"a/\udcff\udcfe.png",)
    assert len(readable(data, 16, 3)) == 8


@pytest.mark.parametrize("name", ["caf\udce9.csv", "\udcff\udcfe/t.csv", "t\udcc3.jsonl"])
def test_a_table_whose_name_is_not_utf8_is_read(name, tmp_path, capsys):
    rows = [{"text": f"some words {i}", "label": "ab"[i % 2]} for i in range(40)]
    lines = "\n".join(map(json.dumps, rows))
    if name.endswith(".csv"):
        lines = "\n".join(["text,label", *(",".join(row.values()) for row in rows)])
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(lines, encoding="utf-8")
    assert read_data(tmp_path / name).classes == ("a", "b")
    (tmp_path / name).write_bytes(b"\xff\xfe\xfd")
    assert main(["advise", str(tmp_path / name)]) == 2
    capsys.readouterr().err.encode("utf-8")


# Splits that are drawn


def test_texts_that_are_all_alike_are_told_and_not_refused(tmp_path):
    data = read_data(labelled(tmp_path, ["a", "b"]))
    drawn = draw_splits(data, find_copies(data, 32, 1))
    assert "examples that are all alike" in checks(drawn)
    assert all(one.severity != "refused" for one in run_checks(drawn))


def test_copies_in_a_test_that_was_brought_are_refused_however_many(tmp_path):
    rows = [("ab"[i % 2], "test" if i % 4 > 1 else "train") for i in range(40)]
    data = read_data(split_table(tmp_path, rows))
    drawn = draw_splits(data, find_copies(data, 32, 1))
    assert any(one.severity == "refused" for one in run_checks(drawn))


def test_a_column_without_a_label_is_said_to_be_empty(tmp_path):
    rows = "".join(f"some words of text {i},\n" for i in range(30))
    (tmp_path / "a.csv").write_text(f"review,feeling\n{rows}", encoding="utf-8")
    with pytest.raises(UserError, match=r"'feeling' \(empty\); name it with --label-column"):
        read_data(tmp_path / "a.csv")
