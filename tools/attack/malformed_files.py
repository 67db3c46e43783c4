"""Files of ours that are cut, mixed up, or hold values of other types: refused, or made again.

Records, TOML, exports and caches, each read as the commands read them. What comes back of a cache
or an export is what was written; of records and TOML, which carry no hash, it may be anything that
a sentence tells or a table holds.
"""

from __future__ import annotations

import contextlib
import io
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from helpers.errors import UserError
from helpers.lessons.claims.ledger import judge_claims
from helpers.paths import data_dir
from helpers.results.runs import load_runs
from helpers.storage.assets import all_assets
from tools.attack import single_bytes
from tools.attack.malformed_inputs import damaged

SIZE, SMALL = 200, 14
ROWS = 200  # of our records, for the claims to be judged on
OTHER = (
    "",
    "null",
    "[]",
    "{}",
    "[[1]]",
    "1e999",
    '"x"',
    "9" * 5_000,
    "[" * 100_000,
    "\ud83d",
    "\0",
)
TOML = ("x = 1", "claim = 1", "claim = [1]", "[claim]", "[[claim]]", "[[claim]]\ntest = []",
        '[[claim]]\nid = 1\ntest = "gain"', '[[claim]]\ntest = "gain"\nparts = 1', "tiny = 1",
        "[tiny]\nkind = 1", '[tiny]\nkind = "wheel"')  # fmt: skip


def attack(seed: int, size: int, place: Path) -> list[str]:
    """Spoil a file that is drawn, read it, put it back; see the module."""
    rng, faults = random.Random(seed), []
    with contextlib.redirect_stderr(io.StringIO()):
        targets = [*single_bytes.stored(place), *_plain(place / "plain")]
        sound = {target.name: target.read() for target in targets}
        for strike in range(size):
            target = targets[-1 - strike % len(targets)]  # the plain ones first
            files = sorted(f for f in target.files() if f.is_file())
            file = rng.choice([f for f in files if f.suffix not in single_bytes.LEFT_OUT])
            shutil.copytree(file.parent, place / "kept", dirs_exist_ok=True)
            file.write_bytes(_spoiled(file.read_bytes(), file.suffix, rng))
            try:
                if not target.agrees(target.read(), sound[target.name]):
                    faults.append(f"{target.name}: {file}: another answer")
            except UserError as error:
                if ";" not in str(error):
                    faults.append(f"{target.name}: {file}: no mend is said: {error}")
            except Exception as error:
                faults.append(f"{target.name}: {file}: {error!r:.300}")
            shutil.copytree(place / "kept", file.parent, dirs_exist_ok=True)
            shutil.rmtree(place / "kept")
    return faults


def _spoiled(content: bytes, suffix: str, rng: random.Random) -> bytes:
    if rng.random() < 0.5 and len(content) > 1:
        return damaged(content, rng)
    text = rng.choice((*OTHER, *TOML) if suffix == ".toml" else OTHER)
    return text.encode("utf-8", "surrogatepass")


def _plain(folder: Path) -> list[single_bytes.Target]:
    """Files that are read as they lie in a clone."""
    folder.mkdir()
    (folder / "runs.csv").write_bytes(b"".join(_head(data_dir() / "results" / "runs.csv")))
    runs = load_runs(folder / "runs.csv")
    readers: dict[str, Callable[[Path], Any]] = {
        "runs.csv": load_runs,
        "claims.toml": partial(judge_claims, runs),
        "assets.toml": all_assets,
    }
    for name in ("claims.toml", "assets.toml"):
        shutil.copy(data_dir() / name, folder)
    return [
        single_bytes.Target(
            name, lambda n=name: [folder / n], lambda n=name, r=read: r(folder / n), _anything
        )
        for name, read in readers.items()
    ]


def _head(file: Path) -> list[bytes]:
    with file.open("rb") as handle:
        return [line for line, _ in zip(handle, range(ROWS), strict=False)]


def _anything(*_: object) -> bool:
    return True
