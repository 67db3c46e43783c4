"""Labels that a terminal or a page would obey, and what `advise` tells of data that bears them."""

import json
import re
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from helpers.advisor.pipeline import Request, advise
from tools.attack.malformed_inputs import HOSTILE

# What a terminal obeys, by Unicode's own categories: controls, formats, surrogates, separators.
OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MARKUP = (
    "<img src=x onerror=window.owned=1>", "</script><script>window.owned=1</script>", "{{ 7 * 7 }}",
    "'\"><b onmouseover=window.owned=1>", "<!--", "]]>", "&lt;i&gt;", "</style>",
    "<svg/onload=window.owned=1>", "javascript:window.owned=1",
)  # fmt: skip
_SIDE, _EACH = 28, 4


def hostile_labels() -> list[str]:
    """Fifty labels, each with two marks; every other one has markup as well."""
    random = Random(0)
    marks = [*HOSTILE, *(chr(code) for code in (*range(1, 9), 0x1B, 0x85, 0x9B, 0x202E, 0x2067))]
    odd = [f"{i}{random.choice(marks)}{random.choice(marks)}word" for i in range(50)]
    return [name + (_MARKUP[i // 2 % len(_MARKUP)] if i % 2 else "") for i, name in enumerate(odd)]


def told_of(folder: Path, labels: list[str], name: str = "t.jsonl") -> dict:
    """What `advise --json` writes of small pictures, four of each label, that a table names."""
    rng, rows = np.random.default_rng(0), []
    for number, label in enumerate(label for label in labels for _ in range(_EACH)):
        pixels = rng.integers(0, 100, (_SIDE, _SIDE)) + 3 * (number // _EACH)
        Image.fromarray(pixels.astype("uint8")).save(folder / f"{number}.png")
        rows.append({"image": f"{number}.png", "label": label, "\x1b[2J<b>": number})
    (folder / name).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    told = advise(Request(folder / name, backbone="pocket", image_size=_SIDE)).as_dict()
    return json.loads(json.dumps(told))
