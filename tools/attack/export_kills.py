"""Kills of an export over another one: the folder holds one of the two, whole."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from pathlib import Path

from helpers.advisor.export import load_model, write_export
from helpers.errors import UserError
from tools.attack import subjects

SIZE, SMALL = 200, 8
LONGEST = 0.06  # seconds until a kill: some exports
TESTS = ({"accuracy": 0.25, "n": 1}, {"accuracy": 0.75, "n": 2})


def attack(seed: int, size: int, place: Path) -> list[str]:
    """Export one model over the other, again and again, and kill it; see the module."""
    rng, folder = random.Random(seed), place / "export"
    owns = [subjects.own_task(subjects.pictures(place / name, n)) for n, name in enumerate("ab")]
    kept = [subjects.trained(own, "full_fine_tuning", n) for n, own in enumerate(owns)]
    whole = []
    for n in (0, 1):
        write_export(kept[n], owns[n], TESTS[n], folder)
        whole.append(_answers(folder))

    def forever() -> None:
        for n in itertools.cycle((0, 1)):
            write_export(kept[n], owns[n], TESTS[n], folder)

    faults = []
    for strike in range(size):
        child = subjects.forked(forever)
        time.sleep(rng.uniform(0, LONGEST))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        try:
            if _answers(folder) not in whole:
                faults.append(f"kill {strike}: parts of both models in {folder}")
        except UserError as error:
            faults.append(f"kill {strike}: {error}")
    write_export(kept[0], owns[0], TESTS[0], folder)
    names = sorted(file.name for file in folder.iterdir())
    if len(names) != 4:
        faults.append(f"the kills left files behind: {', '.join(names)}")
    return faults


def _answers(folder: Path) -> tuple[object, ...]:
    """What tells the models apart: reported and recomputed accuracy, and a tensor's sum."""
    model = load_model(folder)
    tensor = sum(float(p.detach().double().sum()) for p in model.model.parameters())
    return model.recipe["test"]["n"], model.recipe["data"], model.test_accuracy(), tensor
