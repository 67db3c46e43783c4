"""Many tasks on one base: a folder of small files, each whole, described, and bound to its base.

library = Library(folder, load_backbone("pocket"))
library.add(fitted, task, scores={"test_accuracy": 0.93})
library.list()                                  # a table of what is there
library.use("digits")                           # a live model: answers digits until the next use
library.merge("digits")                         # a model of its own, the update in its weights
"""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from helpers.approaches import Fitted, TransferModel, freeze, merge_lora
from helpers.approaches.lora import lora_layers
from helpers.backbones import Backbone, clone, weights_hash
from helpers.errors import UserError
from helpers.lessons.adapter_library.server import Server
from helpers.lessons.adapter_library.task_file import LOCK, Entry, read, read_entry, write
from helpers.lessons.adapter_library.task_parts import BASE, Plug, frame
from helpers.registry import unknown_name
from helpers.storage.files import locked
from helpers.tasks import Task
from helpers.training.checkpoints import halved, task_state, widened

SUFFIX = ".safetensors"
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class Library:
    """The tasks in a folder, all on one base. Only `add` and `remove` write to the folder.

    base: stays as it is, and is not copied: the served model shares its tensors. It must not be
    trained while the library is in use.
    """

    def __init__(self, folder: Path | str, base: Backbone) -> None:
        self.folder = Path(folder)
        self.base = base
        self.base_hash = weights_hash(base.state_dict())
        self.server = Server(base)
        self._seen: dict[str, tuple[int, ...]] = {}  # what the files of plugs in memory looked like

    # The shelf -----------------------------------------------------------------------------

    def add(
        self,
        fitted: Fitted,
        task: Task | str,
        *,
        scores: Mapping[str, float] | None = None,
        replace: bool = False,
        bits: int = 32,
    ) -> Entry:
        """Save what a task adds to the base; its file appears whole or not at all.

        task: a Task, whose name and classes are kept, or just a name. replace: save a new version
        of a task that is there, which is refused otherwise. bits: 32 keeps every tensor to the
        bit; 16 halves the file and rounds to three digits (measure what that costs: `scores`).

        Raises UserError for a model that was not trained on this base, one that has none
        (`classical`), a name that makes no file name, values that 16 bits can't hold, or a folder
        that can't be written to.
        """
        name, classes = (task.name, task.classes) if isinstance(task, Task) else (task, ())
        path, model = self._path(name), fitted.model
        if not isinstance(model, TransferModel):
            raise UserError(f"{fitted.approach.name} has no base to share; keep its own file")
        if bits not in (16, 32):
            raise UserError(f"a task's file has floats of 16 or 32 bits, not {bits!r}")
        state = task_state(model)
        state = halved(state, name) if bits == 16 else state
        own = {key.removeprefix(BASE) for key in state}
        # LoRA's alpha over its rank is the same in every layer; 1 where there is no LoRA.
        scale = next((float(layer.scale) for *_, layer in lora_layers(model)), 1.0)
        plug = Plug(widened(state), scale)
        entry = Entry(
            task=name,
            approach=fitted.approach.name,
            settings=plug.settings(self.base.n_stages),
            backbone=self.base.name,
            base=self.base_hash,
            scale=scale,
            classes=tuple(classes),
            scores={key: float(value) for key, value in (scores or {}).items()},
            input_size=model.backbone.recipe.size,
            whole=self.base.state_dict().keys() <= own,
            bits=bits,
        )
        self._check_fit(plug, entry, name)
        self._check_frozen(model, own, name)
        return write(path, entry, state, overwrite=replace)

    def names(self) -> list[str]:
        """Names of the tasks in the folder, sorted."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"*{SUFFIX}"))

    def entry(self, name: str) -> Entry:
        """What a task's file says of itself. Raises UserError where it is missing or damaged."""
        return read_entry(self._there(name))

    def list(self) -> pd.DataFrame:
        """One row per task: its description, its scores, and `problem`, empty where none is seen.

        Descriptions are read, not tensors; every byte is verified when a task is loaded.
        """
        rows = []
        for name in self.names():
            row: dict[str, Any] = {"task": name}
            try:
                entry = self.entry(name)
                told = dataclasses.asdict(entry) | {"classes": len(entry.classes)}
                told = {
                    key: told[key] for key in told if key not in ("scale", "input_size", "scores")
                }
                row |= told | entry.scores | {"kB": self._path(name).stat().st_size / 1e3}
                self._check_base(entry, name)
                row["problem"] = ""
            except (UserError, OSError) as error:  # removed meanwhile
                row["problem"] = str(error)
            rows.append(row)
        return pd.DataFrame(rows)

    def load(self, name: str) -> Plug:
        """Read a task's tensors, after every check.

        Raises UserError for a missing name, a file cut off or altered in any byte, another schema,
        task, base or input size than the file's, and tensors that do not fit the base.
        """
        path = self._there(name)
        entry, state = read(path)
        if entry.task != name:
            raise UserError(f"{path} holds the task {entry.task!r}; give it back that file name")
        plug = Plug(widened(state), entry.scale)
        # Whether it needs no base is for its tensors to say, not for its description.
        self._check_base(
            dataclasses.replace(entry, whole=self.base.state_dict().keys() <= plug.own), name
        )
        self._check_fit(plug, entry, name)
        return plug

    def remove(self, name: str) -> None:
        """Delete a task's file, and forget the task."""
        path = self._there(name)
        with locked(self.folder / LOCK):
            path.unlink(missing_ok=True)
        self.server.unplug(name)
        self._seen.pop(name, None)

    # Answers -------------------------------------------------------------------------------

    def use(self, name: str) -> Server:
        """Return the live model, which answers this task from now on: raw batch in, logits out.

        There is one live model: the next `use` swaps the task under everyone who holds it.
        Raises UserError as `load` does.
        """
        stat = self._there(name).stat()
        seen = stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
        if self._seen.get(name) != seen:  # in memory as its file is now
            self.server.plug_in(name, self.load(name))
            self._seen[name] = seen
        return self.server.use(name)

    def merge(self, name: str) -> TransferModel:
        """Return a model of its own for one task, with low-rank updates added to its weights.

        Raises UserError for adapters, which have a ReLU inside, and as `load` does.
        """
        plug = self.load(name)
        if plug.bottlenecks:
            raise UserError("adapters can't be merged into the base; serve the task with `use`")
        model = frame(clone(self.base), plug)
        model.load_state_dict(plug.state, strict=False)
        return freeze(merge_lora(model))

    # Checks --------------------------------------------------------------------------------

    def _path(self, name: str) -> Path:
        if not isinstance(name, str) or not FILE_NAME.fullmatch(name):
            raise UserError(f"{name!r} can't name a task's file; use letters, digits and . _ -")
        return self.folder / f"{name}{SUFFIX}"

    def _there(self, name: str) -> Path:
        path = self._path(name)
        if not path.is_file():
            if not self.names():
                raise UserError(
                    f"there is no task {name!r} in {self.folder}, which is empty; add it"
                )
            raise unknown_name(f"task in {self.folder} named", name, self.names())
        return path

    def _check_base(self, entry: Entry, name: str) -> None:
        """Raise UserError where a file belongs to another base, or to other inputs."""
        base = self.base
        if entry.backbone != base.name or not (entry.whole or entry.base == self.base_hash):
            raise UserError(
                f"{self._path(name)} was trained on another base ({entry.backbone} {entry.base}; "
                f"this is {base.name} {self.base_hash}); load that one, or train the task again"
            )
        if entry.input_size != base.recipe.size:
            raise UserError(
                f"{self._path(name)} was trained on inputs of size {entry.input_size}, and this "
                f"base reads {base.recipe.size}; load it with size={entry.input_size}"
            )

    def _check_frozen(self, model: TransferModel, moved: set[str], name: str) -> None:
        """Raise UserError where what the model left frozen is not this library's base."""
        state = self.base.state_dict()
        for key, value in model.backbone.state_dict().items():
            plain = key.replace(".base.", ".")  # what a layer was called before it was wrapped
            ours = state.get(key, state.get(plain))
            if key not in moved and (ours is None or not torch.equal(value.to(ours.device), ours)):
                raise UserError(
                    f"the model of {name!r} was trained on another base than {self.base.name} "
                    f"{self.base_hash}; open a library on the base that it was trained on"
                )

    def _check_fit(self, plug: Plug, entry: Entry, name: str) -> None:
        """Raise UserError where a task's tensors do not fit the base or its classes."""
        fault = plug.misfit(self.server.frame(plug))
        if not fault and entry.classes and len(entry.classes) != len(plug.head[1]):
            fault = f"it names {len(entry.classes)} classes and has outputs for {len(plug.head[1])}"
        if fault:
            raise UserError(f"the task {name!r} does not fit {self.base.name}: {fault}")
