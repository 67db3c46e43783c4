"""Writers of malformed inputs: tables, JSON, Parquet, pictures, texts, names, layouts.

Each takes a folder and a random generator, and returns the path that `advise` is pointed at.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet

Writer = Callable[[Path, Random], Path]
WRITERS: list[Writer] = []
WORDS = ["moon", "tea", "dog", "sun", "cat", "rain", "road", "bread", "wind", "snow", "lamp"]
HOSTILE = (
    "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "a\rb", "b\x08c", "\x9b2J", "x\u202ey",
    "\u2066z\u2069", "\u200fq", "\ufeffw", "u\u2028v",
    "\x7fdel", "\U000e0041tag", "n\0ul", "half\ud83d", "\udcff",
)  # fmt: skip


def writes(writer: Writer) -> Writer:
    """Register a function that writes one malformed input below a folder and returns its path."""
    WRITERS.append(writer)
    return writer


def sentence(random: Random, words: int = 8) -> str:
    """Words at random."""
    return " ".join(random.choices(WORDS, k=words))


def records(random: Random, labels: Sequence[object] = ("a", "b"), n: int = 40) -> list[dict]:
    """Rows of a good table."""
    return [{"text": f"{sentence(random)} {i}", "label": labels[i % len(labels)]} for i in range(n)]


def as_csv(rows: list[dict], mark: str = ",", end: str = "\n") -> str:
    """Rows as CSV, without a thought of quotes."""
    lines = [mark.join(rows[0]), *(mark.join(str(cell) for cell in row.values()) for row in rows)]
    return end.join(lines) + end


def damaged(content: bytes, random: Random) -> bytes:
    """Cut off, with bytes changed, or with some put in."""
    place = random.randrange(1, len(content))
    junk = bytes(random.choices(range(256), k=random.choice((1, 3, 50))))
    rest = {"cut": b"", "change": content[place + len(junk) :], "insert": content[place:]}
    kind = random.choice(list(rest))
    return content[:place] + (b"" if kind == "cut" else junk) + rest[kind]


def saved(file: Path, content: str | bytes) -> Path:
    """Write a file, half characters included, and return it."""
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    file.write_bytes(content)
    return file


@writes
def damaged_csv(place: Path, random: Random) -> Path:
    """A CSV cut off, or with bytes changed."""
    return saved(place / "t.csv", damaged(as_csv(records(random)).encode(), random))


@writes
def encoded(place: Path, random: Random) -> Path:
    """A CSV in another encoding."""
    code = random.choice(("latin-1", "cp1252", "utf-16", "utf-32", "utf-8-sig", "cp500", "utf-7"))
    return saved(place / "t.csv", as_csv(records(random, ("ä", "ö"))).encode(code))


@writes
def cut_otherwise(place: Path, random: Random) -> Path:
    """Other separators, ends of lines and first lines."""
    mark, end = random.choice(",;|\t:\x1f"), random.choice(("\n", "\r", "\r\n", "\n\n", "\x85"))
    head = random.choice(("", "sep=;\n", '"sep=,"\n', "# note\n", "\n\n", "sep=\n"))
    name = random.choice(("t.csv", "t.tsv", "T.CSV"))
    return saved(place / name, head + as_csv(records(random), mark, end))


@writes
def odd_header(place: Path, random: Random) -> Path:
    """Columns named twice, not at all, or in a way that means something else."""
    head = random.choice(
        ("text,text", "", ",", "text", "label", "text,label,", "a,b,c", '"text,label', "Text,LABEL",
         "\x1b[2Jtext,label", "label,label", "1,2", "text label", "none,label", "split,label")
    )  # fmt: skip
    return saved(place / "t.csv", as_csv(records(random)).replace("text,label", head, 1))


@writes
def odd_cells(place: Path, random: Random) -> Path:
    """Cells that are empty, open, huge, or are read as something else."""
    rows = records(random)
    for row in random.sample(rows, random.choice((1, 5, 39, 40))):
        key = random.choice(("text", "label"))
        row[key] = random.choice(
            ("", " ", '"', '"a', 'a"b', "a,b", "\0", "x" * 140_000, "NaN", "None", "\u200b", "😀",
             "9" * 30, "9" * 5_000, "=1+1", "1e999", "<b>", "\x1b[31m", "null", "-0", "0.0")
        )  # fmt: skip
    return saved(place / "t.csv", as_csv(rows))


@writes
def hostile_labels(place: Path, random: Random) -> Path:
    """Labels that a terminal obeys."""
    names = [name for name in HOSTILE if "\r" not in name and "\0" not in name]
    names = [name for name in names if not any("\ud800" <= c <= "\udfff" for c in name)]
    return saved(place / "t.csv", as_csv(records(random, random.sample(names, 3))))


@writes
def odd_labels(place: Path, random: Random) -> Path:
    """Labels that are numbers, spellings of each other, one, or an identifier."""
    labels = random.choice(
        (["0", "0.0", "1", "1.0"], ["café", "cafe\u0301", "x"], ["a"], [str(i) for i in range(40)],
         ["1", "-1", "+1"], ["C", "C++", "C#"], ["a ", " a", "b"], ["9" * 30, "8" * 30], ["٣", "4"],
         ["1e5", "100000", "x"], ["true", "True", "no"], ["\u200b", "a", "b"])
    )  # fmt: skip
    return saved(place / "t.csv", as_csv(records(random, labels)))


@writes
def odd_splits(place: Path, random: Random) -> Path:
    """Splits that lack train, or spell their labels otherwise."""
    words = random.choice((["train", "test"], ["test"], ["train", ""], ["A", "B"], ["dev", "val"]))
    rows = [row | {"split": random.choice(words)} for row in records(random)]
    if random.random() < 0.5:
        for row in rows:
            row["label"] = row["label"].upper() if row["split"] == "test" else row["label"]
    return saved(place / "t.csv", as_csv(rows))


@writes
def odd_paths(place: Path, random: Random) -> Path:
    """Pictures named by paths that cannot be, or that are no files."""
    fifo = place / "pipe.png"
    os.mkfifo(fifo)
    bad = ("x" * 5_000 + ".png", "a\0b.png", "/dev/zero", "../../etc/passwd", ".", "", "no.png",
           str(fifo), "https://a.b/c.png", "C:\\d\\e.png", "\x1b[31m.png")  # fmt: skip
    rows = []
    for i in range(24):
        picture(place / f"{i}.png", random)
        rows.append({"image": f"{i}.png", "label": "ab"[i % 2]})
    for row in random.sample(rows, random.choice((1, 4, 20))):
        row["image"] = random.choice(bad)
    return saved(place / "t.csv", as_csv(rows))


@writes
def several_tables(place: Path, random: Random) -> Path:
    """Several tables, in folders or not, some of them empty."""
    names = random.choice(
        (["train.csv", "test.csv"], ["a.csv", "b.csv"], ["README.md", "data/train.csv"],
         ["x/train.csv", "y/train.csv"], ["train/0.csv", "test/0.csv"], ["test.csv"],
         ["part-0-of-2.csv", "part-1-of-2.csv"], ["dataset_infos.json", "data/train.csv"])
    )  # fmt: skip
    for number, name in enumerate(names):
        (place / name).parent.mkdir(exist_ok=True)
        content = as_csv(records(random))
        saved(place / name, content.replace("label", "class") if random.random() < 0.1 else content)
        if number and random.random() < 0.2:
            saved(place / name, "")
    return place


@writes
def tiny(place: Path, random: Random) -> Path:
    """A table of few rows, many classes or few groups."""
    rows = records(random, "abcdef"[: random.choice((2, 2, 3, 6))], random.randrange(2, 20))
    if random.random() < 0.6:
        groups = random.choice((2, 3, 5))
        rows = [row | {"group": f"g{random.randrange(groups)}"} for row in rows]
    return saved(place / "t.csv", as_csv(rows))


@writes
def damaged_json(place: Path, random: Random) -> Path:
    """JSON lines cut off, or with bytes changed."""
    lines = "\n".join(json.dumps(row) for row in records(random))
    return saved(place / "t.jsonl", damaged(lines.encode(), random))


@writes
def odd_json(place: Path, random: Random) -> Path:
    """Lines that are JSON and no example."""
    deep = "[" * 100_000
    odd = ('{"text": "\\ud83d", "label": "a"}', '{"text": "x y", "label": "\\udc00"}', deep, "[]",
           '{"text": ["a"], "label": "a"}', '{"text": "a b", "label": {"x": [1]}}', "1", "null",
           '{"text": "a b", "label": ' + "9" * 30 + "}", '{"text": "a b", "label": NaN}',
           '{"text": "a b", "label": ' + "9" * 5_000 + "}", '{"text": 1e999, "label": "a"}',
           '{"text": "a\\u0000b", "label": "a\\u001b[2J"}', '{"\\ud83d": 1}', '{"text": null}',
           '{"text": "a b", "label": true}', '{"text": "a b", "label": 1.0}', "{}",
           '{"text": "a b", "text": "c d", "label": "a"}')  # fmt: skip
    lines = [json.dumps(row) for row in records(random)]
    some = random.choices(odd, k=random.choice((1, 3, 30)))
    for line in some:
        lines.insert(random.randrange(len(lines)), line)
    head = random.choice(("", "", "", "[", "\n", "\ufeff"))
    return saved(place / random.choice(("t.json", "t.jsonl", "t.ndjson")), head + "\n".join(lines))


@writes
def odd_values(place: Path, random: Random) -> Path:
    """Labels of every type that JSON has."""
    values = random.choice(
        ([0, 1.0, "1"], [True, False], [None, "a"], ["\ud83d", "a", "b"], [[1], "a"],
         list(HOSTILE), [int("9" * 30), int("8" * 30)], [{"a": 1}, "b"],
         [1e300, 2.5], [float("nan"), 1], ["", "a"])
    )  # fmt: skip
    rows = [row | {"id": i, "user": [i]} for i, row in enumerate(records(random, values, 60))]
    if random.random() < 0.3:
        rows = [{"words": row["text"], "kind": row["label"], "user": row["user"]} for row in rows]
    return saved(place / "t.jsonl", "\n".join(json.dumps(row) for row in rows))


@writes
def damaged_parquet(place: Path, random: Random) -> Path:
    """A Parquet file cut off, or with bytes changed."""
    parquet.write_table(pa.Table.from_pylist(records(random)), place / "t.parquet")
    content = (place / "t.parquet").read_bytes()
    return saved(place / "t.parquet", damaged(content, random))


@writes
def odd_types(place: Path, random: Random) -> Path:
    """Columns of types that hold no text and no label."""
    n = 40
    places = pa.array([0, 1, 2], pa.int32()).buffers()[1]
    not_utf8 = pa.Array.from_buffers(pa.string(), 2, [None, places, pa.py_buffer(b"\xff\xfe")])
    columns = {
        "bytes": pa.array([b"a", b"b"] * (n // 2)),
        "not utf-8": pa.concat_arrays([not_utf8] * (n // 2)),
        "dates": pa.array([0, 1] * (n // 2), pa.date32()),
        "decimals": pa.array([1, 2] * (n // 2)).cast(pa.decimal128(30, 2)),
        "names": pa.array(["a", "b"] * (n // 2)).dictionary_encode(),
        "lists": pa.array([["a"], ["b"]] * (n // 2)),
        "nothing": pa.nulls(n),
        "structs": pa.array([{"bytes": b"no picture", "path": "../x"}, None] * (n // 2)),
        "times": pa.array([2**50, 1] * (n // 2), pa.timestamp("s")),
    }
    chosen = random.sample(list(columns), 2)
    names = dict(zip(random.choice((("text", "label"), ("image", "label"))), chosen, strict=True))
    table = pa.table({name: columns[kind] for name, kind in names.items()})
    if random.random() < 0.6:
        words = pa.array([sentence(random) for _ in range(n)])
        table = pa.table({"text": words, "label": columns[chosen[0]], "group": columns[chosen[1]]})
    parquet.write_table(table, place / "t.parquet")
    return place / "t.parquet"


def picture(file: Path, random: Random, size: tuple[int, int] = (24, 24)) -> None:
    """Write a picture of noise."""
    pixels = np.random.default_rng(random.randrange(2**32)).integers(0, 256, (*size[::-1], 3))
    Image.fromarray(pixels.astype(np.uint8)).save(file)


def odd_picture(file: Path, random: Random) -> None:
    """Write what is hardly a picture, or one that is seldom seen."""
    kind = random.randrange(9)
    noise = np.random.default_rng(random.randrange(2**32))
    if kind == 0:
        picture(file, random)
        saved(file, damaged(file.read_bytes(), random))
    elif kind == 1:
        saved(file, random.choice((b"", b"text", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0")))
    elif kind == 2:
        picture(file, random, random.choice(((1, 9_000), (9_000, 1), (1, 1), (3, 2))))
    elif kind == 3:
        Image.fromarray(noise.integers(0, 4096, (24, 24)).astype(np.uint16)).save(file)
    elif kind == 4:
        values = noise.normal(0, 1000, (24, 24)).astype(np.float32)
        values[0, 0] = random.choice((np.nan, np.inf, 0, 1e30))
        Image.fromarray(values).save(file, format="TIFF")
    elif kind == 5:
        mode = random.choice(("P", "1", "LA", "CMYK", "RGBA", "I", "PA"))
        Image.new("RGB", (24, 24), (9, 200, 9)).convert("L").convert(mode).save(file, format="TIFF")
    elif kind == 6:  # a header that promises more pixels than memory holds
        picture(file, random)
        content = bytearray(file.read_bytes())
        content[16:24] = b"\0\1\x86\xa0" * 2
        saved(file, bytes(content))
    elif kind == 7:
        values = noise.integers(0, 2**16, (24, 24)).astype(np.int32) - 2**15
        Image.fromarray(values).save(file, format="TIFF")
    else:
        frames = [Image.new("P", (24, 24), i) for i in range(3)]
        frames[0].save(file, format="GIF", save_all=True, append_images=frames[1:])


def class_folders(place: Path, random: Random, ending: str, n: int = 12) -> Path:
    """Good class folders of pictures or texts."""
    for label in "ab":
        (place / label).mkdir(exist_ok=True)
        for i in range(n):
            file = place / label / f"{i}{ending}"
            if ending == ".png":
                picture(file, random)
            else:
                saved(file, sentence(random, 12))
    return place


@writes
def odd_pictures(place: Path, random: Random) -> Path:
    """Class folders with damaged and seldom pictures among others."""
    class_folders(place, random, ".png")
    files = sorted(place.rglob("*.png"))
    for file in random.sample(files, random.choice((1, 4, 11, 24))):
        odd_picture(file, random)
    return place


@writes
def odd_texts(place: Path, random: Random) -> Path:
    """Class folders with damaged and seldom texts among others."""
    class_folders(place, random, ".txt")
    odd = (b"", b" \n", b"\xff\xfe", b"\xff\xfea", b"\0" * 9, b"k\xf6ln", b"\xef\xbb\xbf",
           b"x" * 200_000, "\u200b".encode(), "東京".encode(), b"\x1b[2J", b"\xed\xa0")  # fmt: skip
    files = sorted(place.rglob("*.txt"))
    for file in random.sample(files, random.choice((1, 4, 12, 24))):
        saved(file, random.choice(odd))
    return place


@writes
def odd_entries(place: Path, random: Random) -> Path:
    """Pipes, devices, sockets, loops and names beside good files."""
    ending = random.choice((".png", ".txt"))
    folder = class_folders(place, random, ending) / random.choice(("a", "b", "."))
    makers = [
        lambda: os.mkfifo(folder / f"pipe{ending}"),
        lambda: (folder / f"loop{ending}").symlink_to(f"loop{ending}"),
        lambda: (folder / f"zero{ending}").symlink_to("/dev/zero"),
        lambda: (folder / f"random{ending}").symlink_to("/dev/urandom"),
        lambda: (folder / f"tty{ending}").symlink_to("/dev/tty"),
        lambda: (folder / f"gone{ending}").symlink_to("nowhere"),
        lambda: (folder / "up").symlink_to(".."),
        lambda: (folder / f"folder{ending}").mkdir(),
        lambda: (folder / ("x" * 250)).mkdir(),
        lambda: bound(folder / f"s{ending}"),
        lambda: odd_name(folder, ending, random),
        lambda: odd_name(folder, ending, random),
    ]
    for make in random.sample(makers, random.choice((1, 3, 6))):
        make()
    return place


def bound(path: Path) -> None:
    """A socket in the folder; a path that is too long for one is left alone."""
    with socket.socket(socket.AF_UNIX) as one:
        if len(str(path)) < 100:
            one.bind(str(path))


def odd_name(folder: Path, ending: str, random: Random) -> None:
    """A file whose name is bytes, controls or marks; some are folders, and so classes."""
    name = random.choice([b"\xff\xfe", *(os.fsencode(name_of_file(one)) for one in HOSTILE)])
    target = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
    if random.random() < 0.4:
        target.mkdir(exist_ok=True)
        target = target / "x"
    file = target.with_name(target.name + ending)
    (picture if ending == ".png" else lambda f, r: saved(f, sentence(r)))(file, random)


def name_of_file(name: str) -> str:
    """A name without what no file system takes: zeros, and halves that are no byte."""
    return "".join(c for c in name if c not in "\0/" and not "\ud800" <= c < "\udc80")


@writes
def odd_layout(place: Path, random: Random) -> Path:
    """Folders that are no class folders, and files beside them."""
    ending = random.choice((".png", ".txt"))
    for part in random.choice(
        (["train", "test"], ["test"], ["a/b/c/d"], ["train"], ["."], ["x", "y"])
    ):
        (place / part).mkdir(parents=True, exist_ok=True)
        class_folders(place / part, random, ending)
    for name in random.sample(("empty", "b/x.heic", "x.docx", "README.md", "z.png", "q.txt"), 2):
        (place / name).parent.mkdir(exist_ok=True)
        saved(place / name, b"x") if "." in name else (place / name).mkdir(exist_ok=True)
    return place if random.random() < 0.8 else place / "nowhere"
