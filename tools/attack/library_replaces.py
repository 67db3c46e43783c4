"""Loads beside replaces of an adapter: each is one of both versions, and none is called damaged."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import torch

from helpers.approaches import Fitted, get_approach
from helpers.backbones import clone, load_backbone
from helpers.errors import UserError
from helpers.lessons.adapter_library import Library
from helpers.training.loop import History
from tools.attack.subjects import forked

SIZE, SMALL = 10_000, 100
LOADS = 10  # beside each replace, at least


def attack(seed: int, size: int, place: Path) -> list[str]:
    """Load a task so often while another process replaces it a tenth as often, at least."""
    torch.manual_seed(seed)
    base = load_backbone("pocket")
    library = Library(place / "library", base)
    approach = get_approach("lora")
    versions = []
    for value in (1.0, 2.0):
        model = approach.build(clone(base), 2, approach.options())
        with torch.no_grad():
            model.head.weight.fill_(value)
        versions.append(Fitted(approach, model, History()))
    library.add(versions[0], "task")
    counter = place / "replaced"

    def replace() -> None:
        for turn in range(10**6):
            library.add(versions[turn % 2], "task", replace=True)
            counter.write_text(str(turn + 1), encoding="ascii")

    child = forked(replace)
    faults, seen, loads = [], set(), 0
    try:
        while loads < size or _count(counter) < size // LOADS:
            loads += 1
            try:
                seen.add(float(library.load("task").head[0].mean()))
            except UserError as error:
                faults.append(f"load {loads}: {error}")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if seen != {1.0, 2.0}:
        faults.append(f"heads of {sorted(seen)} were loaded, 1.0 and 2.0 were saved")
    return faults


def _count(file: Path) -> int:
    return int(file.read_text(encoding="ascii") or 0) if file.exists() else 0
