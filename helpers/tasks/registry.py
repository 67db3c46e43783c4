"""What a task is, and the registry of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from helpers.errors import UserError
from helpers.tasks.splits import SPLIT_SEED, stratified_order
from helpers.vocabulary import DISTANCES, MODALITIES, describe


@dataclass(frozen=True)
class Split:
    """Inputs and labels of one split.

    inputs: uint8 (N, H, W, C), often a read-only memory map, or a list of N texts.
    labels: int64 (N,), indices into the task's classes.
    """

    inputs: np.ndarray | list[str] = field(repr=False)
    labels: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.labels):
            raise UserError(
                f"a split has {len(self.inputs)} inputs and {len(self.labels)} labels; it needs "
                "one label for each input"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray | slice) -> "Split":
        """Return some of the examples; a slice of a memory map stays one, an index array copies."""
        if isinstance(self.inputs, np.ndarray):
            inputs = self.inputs if isinstance(rows, slice) else np.asarray(self.inputs)
            return Split(inputs[rows], self.labels[rows])
        chosen = np.arange(len(self))[rows]
        return Split([self.inputs[i] for i in chosen], self.labels[rows])


@dataclass(frozen=True)
class Source:
    """What a task's loader returns: all of its examples, split, in their fixed order."""

    train: Split
    validation: Split
    test: Split
    origin: str = "full"  # "sample" when the shipped sample stands in

    @classmethod
    def drawn(
        cls, inputs: np.ndarray | list[str], labels: np.ndarray, *, n_test: int, n_validation: int
    ) -> "Source":
        """Cut test, validation and train off one fixed shuffle, stratified by class.

        For examples that are independent of each other: where some belong together (photos of
        one thing, pages of one book), cut with `splits.grouped_parts` instead.
        """
        labels = np.asarray(labels, dtype=np.int64)
        order = stratified_order(labels, SPLIT_SEED)
        whole, cuts = Split(inputs, labels), [n_test, n_test + n_validation]
        test, validation, train = (whole.take(rows) for rows in np.split(order, cuts))
        return cls(train, validation, test)


@dataclass(frozen=True)
class TaskInfo:
    """One registry entry; `data/README.md` says how it was split, and whose work it is.

    loader: called with the side in pixels (None for text), returns a Source. It may raise
        DataNotFound.
    image_size: side in pixels when the caller names none; None for text.
    keeps_size: pictures stay at `image_size` whatever a backbone reads, which scales them itself:
        for sets that come in one small size. Else they are loaded at the side that it reads.
    train_examples: in the training split, so that grids need not load it; 0: counted when asked.
    family: tasks of one family are made of the same data, so that what one of them shows is no news
        about the others; the task's own name where empty.
    judged: backbone → how far the task lies from its pretraining ("close", "medium" or "far"),
        judged by what both show, until `data/results/distances.csv` has a measured number.
    label, colour, marker: of figures; what is empty is chosen there (`helpers.vocabulary`).
    """

    name: str
    modality: str
    classes: tuple[str, ...]
    licence: str
    provenance: str
    loader: Callable[[int | None], Source] = field(repr=False)
    image_size: int | None = None
    keeps_size: bool = False
    train_examples: int = 0
    family: str = ""
    judged: Mapping[str, str] = field(default_factory=dict, hash=False)
    label: str = ""
    colour: str = ""
    marker: str = ""

    def __post_init__(self) -> None:
        if self.modality not in MODALITIES:
            raise UserError(f"task {self.name!r}: modality is {self.modality!r}, use {MODALITIES}")
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise UserError(f"task {self.name!r} needs at least two classes, each named once")
        if (self.modality == "image") != (self.image_size is not None):
            raise UserError(f"task {self.name!r}: image_size goes with images, and only with them")
        for backbone, word in self.judged.items():
            if word not in DISTANCES:
                raise UserError(
                    f"task {self.name!r} is judged {word!r} from {backbone}; use one of "
                    f"{', '.join(DISTANCES)}"
                )


ORIGINS = {"full": "the full data", "sample": "the shipped sample"}  # in words


@dataclass(frozen=True)
class Task:
    """A task ready for training: what `load_task` returns."""

    name: str
    modality: str
    classes: tuple[str, ...]
    licence: str
    provenance: str
    origin: str
    train: Split
    validation: Split
    test: Split

    def __str__(self) -> str:
        sizes = f"{len(self.train)} train, {len(self.validation)} validation, {len(self.test)} test"
        return f"{self.name}: {len(self.classes)} classes, {sizes} ({ORIGINS[self.origin]})"


TASKS: dict[str, TaskInfo] = {}


def register_task(info: TaskInfo) -> TaskInfo:
    """Add a task to the registry. Raises UserError when the name is taken by another one."""
    if info.name in TASKS and TASKS[info.name] is not info:
        raise UserError(f"there is a task {info.name!r} already; choose another name")
    TASKS[info.name] = info
    describe(info.name, label=info.label, colour=info.colour, marker=info.marker)
    return info


def family(task: str) -> str:
    """Return the family of a task: all that is made of the same data, such as the dial's steps."""
    return (TASKS[task].family if task in TASKS else "") or task


def labels_of(names: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Turn class names into int64 indices. Raises UserError for a name that is no class."""
    index = {name: i for i, name in enumerate(classes)}
    unknown = sorted({str(name) for name in names} - set(index))
    if unknown:
        raise UserError(f"label {unknown[0]!r} is none of the classes {', '.join(classes)}")
    return np.array([index[name] for name in names], dtype=np.int64)
