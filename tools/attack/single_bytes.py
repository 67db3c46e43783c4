"""Single bytes changed in what is stored: each change is refused or mended, none is believed."""

from __future__ import annotations

import contextlib
import io
import operator
import os
import random
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.advisor.export import load_model, write_export
from helpers.advisor.model_folder import RECIPE, is_kept
from helpers.advisor.pipeline import Request, advise
from helpers.advisor.race.runs import RaceFile
from helpers.errors import UserError
from helpers.storage.install import asset_path
from tools.attack import subjects

SIZE, SMALL = 100, 6
ASSETS = ("digits", "imagenet_samples", "minilm")
LEFT_OUT = {".lock", ".py"}  # locks hold nothing, and the loader of an export is code to change


@dataclass(frozen=True)
class Target:
    """Files to change, and what reads them: what it returns must be as before, or UserError."""

    name: str
    files: Callable[[], Iterable[Path]]
    read: Callable[[], Any]
    agrees: Callable[[Any, Any], bool] = operator.eq  # the answer, the one before


def attack(seed: int, size: int, place: Path) -> list[str]:
    """Change a byte of a file that is drawn, read, compare, put it back; see the module."""
    rng, faults = random.Random(seed), []
    with contextlib.redirect_stderr(io.StringIO()):  # each damage is said
        targets = stored(place)
        sound = {target.name: target.read() for target in targets}
        for strike in range(size):
            target = targets[strike % len(targets)]
            kept = place / "kept"
            shutil.rmtree(kept, ignore_errors=True)
            files = sorted(f for f in target.files() if f.is_file() and f.suffix not in LEFT_OUT)
            file = rng.choice(files)
            shutil.copytree(file.parent, kept)
            where = change(file, rng)
            try:
                if not target.agrees(target.read(), sound[target.name]):
                    faults.append(f"{target.name}: {file}, byte {where}: another answer")
            except UserError:
                pass
            except Exception as error:
                faults.append(f"{target.name}: {file}, byte {where}: {error!r}")
            shutil.copytree(kept, file.parent, dirs_exist_ok=True)
    return faults


def change(file: Path, rng: random.Random) -> int:
    """Change one byte; size and settable times stay. Returns which one it was."""
    status = file.stat()
    where = rng.randrange(max(1, status.st_size))
    with file.open("r+b") as handle:
        handle.seek(where)
        old = handle.read(1) or b"\0"
        handle.seek(where)
        handle.write(bytes([old[0] ^ rng.randrange(1, 256)]))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    return where


def stored(place: Path) -> list[Target]:
    """What is kept in a cache that is filled below `place`, and an export."""
    cache = place / "cache"
    lent = (cache / "assets").resolve()
    (cache / "assets").unlink()  # what is changed is a copy
    targets = []
    for name in ASSETS:
        shutil.copytree(lent / name, cache / "assets" / name)
        targets.append(Target(name, lambda name=name: _below(cache / "assets" / name),
                              lambda name=name: asset_path(name)))  # fmt: skip
    data = subjects.pictures(place / "pictures", 0)

    def look() -> Any:
        told = advise(Request(data, backbone="pocket", image_size=subjects.SIDE)).as_dict()
        told["probe"].pop("seconds", None)
        return {key: told[key] for key in ("n_examples", "probe", "distance", "checks")}

    kinds = {"pictures": "images", "features": "features", "what was worked out": "advisor"}
    for name, folder in kinds.items():
        targets.append(Target(name, lambda folder=folder: _below(cache / folder), look))
    look()
    targets += _models(place, data)
    return targets


def _models(place: Path, data: Path) -> list[Target]:
    """The runs of a race and the model that it keeps, and an export."""
    own, folder = subjects.own_task(data), place / "export"
    model, race = subjects.trained(own, "lora", 0), RaceFile(own, "pocket", subjects.SIDE)
    subjects.trained(own, "classical", 0)
    write_export(model, own, {"accuracy": 0.5, "n": 1}, folder)
    pictures = sorted(data.rglob("*.png"))

    def rows() -> frozenset[tuple]:
        return frozenset(race.load().itertuples(index=False, name=None))

    def kept() -> list:
        return load_model(model).probabilities(pictures).tolist() if is_kept(model) else []

    def use() -> Any:
        loaded = load_model(folder)
        return (
            loaded.recipe,
            loaded.test_accuracy(),
            loaded.probabilities(sorted(data.rglob("*.png"))).tolist(),
        )

    return [
        Target("race", lambda: [race.table.path], rows, frozenset.issubset),
        Target("model", lambda: _below(model), kept, lambda now, before: now in ([], before)),
        Target("export", lambda: _below(folder), use),
        Target("recipe", lambda: [folder / RECIPE], use),
    ]


def _below(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))
