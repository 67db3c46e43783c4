"""A sweep for every registry entry: a new task, backbone or approach is run by its name."""

from collections.abc import Iterable
from dataclasses import replace

from helpers.approaches import APPROACHES
from helpers.backbones import BACKBONES
from helpers.experiments.grids import CLOSED, COMPARING, SWEEPS, TUNING, Sweep, get_sweep
from helpers.tasks import TASKS


def find_sweep(name: str) -> Sweep:
    """Return a declared sweep, or the one of a registered task, backbone or approach.

    Declared sweeps go first where both have the name. Raises UserError for an unknown name, and
    for a closed sweep.
    """
    plain = name.removesuffix(TUNING)
    made = None if plain in (*SWEEPS, *CLOSED) else entry_sweep(plain)
    return get_sweep(name) if made is None else made


def entry_sweep(name: str) -> Sweep | None:
    """Return the sweep of one registry entry, by its name; None where no entry has it.

    The entry takes the place of its kind in the sweeps that compare approaches on equal terms
    (`grids.COMPARING`), so that its runs compare with theirs.
    """
    compared = [block for sweep in COMPARING for block in SWEEPS[sweep].blocks]
    if name in APPROACHES:
        # Settings that a block names are other approaches' own.
        plain = [block for block in compared if block.settings == ("",)]
        blocks = [replace(block, approaches=(name,), always=(name,)) for block in plain]
    elif name in TASKS:
        blocks = [replace(block, tasks=_fair(block.backbone, [name])) for block in compared]
    elif name in BACKBONES:
        blocks = [
            replace(block, backbone=name, image_size=None, tasks=_fair(name, block.tasks))
            for block in compared
        ]
    else:
        return None
    if name not in APPROACHES:
        blocks = [replace(block, dials=(0.0,)) for block in blocks]
    about = f"{name} in the sweeps that compare approaches: {', '.join(COMPARING)}"
    return Sweep(name, about, tuple(block for block in dict.fromkeys(blocks) if block.tasks))


def _fair(backbone: str, tasks: Iterable[str]) -> tuple[str, ...]:
    """The tasks that a backbone can read and whose data its pretraining has not seen."""
    info = BACKBONES[backbone]
    return tuple(
        task
        for task in tasks
        if TASKS[task].modality == info.modality and task not in info.overlaps
    )
