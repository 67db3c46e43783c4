"""From what a folder or a table lists to `OwnData`: labels named, splits named, the rest told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from helpers.advisor.data import MOST_EXAMPLES, SPLITS, Finding, OwnData, counted, listing
from helpers.advisor.read.labels import alike, as_label, joined_labels, natural, spellings
from helpers.errors import UserError

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation"), "test"),
}
Held = TypeVar("Held")
_NO_LABEL = {"", "nan", "null", "<na>"}


@dataclass
class Listed:
    """Examples as they were listed, N of each; nothing is checked yet.

    labels: a name each, or None or "" where there is none.
    splits, groups: a name each, or None where nothing names any.
    where: places in a table, or None.
    columns: which of a table's columns was taken as what, see `OwnData`, or None.
    """

    items: list
    labels: list
    splits: list | None = None
    groups: list | None = None
    where: list[str] | None = None
    findings: list[Finding] = field(default_factory=list)
    columns: Mapping[str, object] | None = None

    def place(self, row: int) -> str:
        """What a reader finds an example by."""
        return self.where[row] if self.where else str(self.items[row])

    def leave_out(
        self, gone: Sequence[int], check: str, found: str, mend: str, shown: Sequence[str] = ()
    ) -> None:
        """Leave some of the examples out, and tell it. shown: what shows it, else their places."""
        if not gone:
            return
        shown = shown or [self.place(row) for row in gone[:MOST_EXAMPLES]]
        self.findings.append(Finding(check, "warning", found, tuple(shown), mend))
        left = sorted(set(range(len(self.items))) - set(gone))
        for name in ("items", "labels", "splits", "groups", "where"):
            values = getattr(self, name)
            if values is not None:
                setattr(self, name, [values[row] for row in left])


def assemble(root: Path, modality: str, listed: Listed) -> OwnData:
    """Return the data. Raises UserError where no classifier can be trained on it."""
    _name_labels(root, listed)
    _name_splits(root, listed)
    classes = sorted(set(listed.labels), key=natural)
    _check_classes(root, classes, listed)
    index = {name: i for i, name in enumerate(classes)}
    named, groups = [as_label(name) for name in listed.groups or ()], None
    if len(set(named)) not in (0, 1, len(named)):  # all in one or each alone: it says nothing
        groups = np.array([name or f"alone {row}" for row, name in enumerate(named)])
    data = OwnData(
        root=root,
        modality=modality,
        items=listed.items,
        labels=np.array([index[name] for name in listed.labels], dtype=np.int64),
        classes=tuple(classes),
        splits=np.array(listed.splits if listed.splits else [""] * len(listed.items), dtype="U10"),
        groups=groups,
        findings=tuple(listed.findings),
        where=listed.where,
        columns=listed.columns,
    )
    return _learnable(data)


def _name_labels(root: Path, listed: Listed) -> None:
    """Make every label a clean string; leave out examples that have none."""
    several = [
        f"{listed.place(row)}: {type(label).__name__}"
        for row, label in enumerate(listed.labels)
        if isinstance(label, list | tuple | dict | set | np.ndarray | bytes)
    ]
    if several:
        raise UserError(
            f"{root}: {len(several):,} of {counted(len(listed.labels), 'label')} are not one name "
            f"({listing(several)}); give each example one label"
        )
    named, findings = joined_labels(listed.labels)
    listed.findings += findings
    gone = [row for row, label in enumerate(named) if label.lower() in _NO_LABEL]
    if named and len(gone) == len(named):
        raise UserError(f"{root}: no example has a label; name the column that holds them")
    listed.labels = named
    found = (
        f"{counted(len(gone), 'example')} of {len(named):,} have an empty label and were left out."
    )
    mend = "Give them a label, or count them as unlabelled examples."
    listed.leave_out(gone, "examples without a label", found, mend)


def _name_splits(root: Path, listed: Listed) -> None:
    """Bring the names of splits to ours. A split that is named for some rows only is refused."""
    if listed.splits is None:
        return
    given = [str(name or "").strip().lower() for name in listed.splits]
    unknown = [
        f"{listed.place(row)}: {name!r}"
        for row, name in enumerate(given)
        if name not in SPLIT_NAMES
    ]
    if unknown:
        raise UserError(
            f"{root}: {len(unknown):,} of {counted(len(given), 'split')} have another name "
            f"({listing(unknown)}); name each train, validation or test, or take no column for it "
            "with --split-column none"
        )
    listed.splits = [SPLIT_NAMES[name] for name in given]
    if "train" not in listed.splits:
        raise UserError(f"{root}: its splits hold nothing to train on; add a split named train")


def _check_classes(root: Path, classes: Sequence[str], listed: Listed) -> None:
    n = len(listed.items)
    if n == 0:
        raise UserError(f"{root} holds no labelled example; name a folder or table that does")
    if len(classes) == 1:
        left_out = "; ".join(one.found.rstrip(".") for one in listed.findings)
        raise UserError(
            f"{root} has a single class, {classes[0]!r}; a classifier needs examples of two or more"
            + (f" ({left_out})" if left_out else "")
        )
    if n > 20 and len(classes) > n / 2:
        raise UserError(
            f"{root}: {n:,} examples have {len(classes):,} different labels, such as "
            f"{listing([repr(name) for name in classes], 3)}; name the column of classes, this "
            "looks like a number or an identifier"
        )
    twins = spellings(classes)
    if twins:
        listed.findings.append(
            Finding(
                "class names",
                "warning",
                f"{counted(len(twins), 'class goes', 'classes go')} by several spellings: "
                f"{listing([' and '.join(map(repr, names)) for names in twins])}.",
                (),
                "Give each class one spelling; as it is they count as different classes.",
            )
        )


def _learnable(data: OwnData) -> OwnData:
    """Leave out classes that a given train split has no example of: nothing can learn them."""
    if not data.has_splits:
        return data
    held = {split: set(data.labels[data.splits == split].tolist()) for split in SPLITS}
    unseen = [
        f"{data.classes[c]} (not in {split})"
        for split in ("validation", "test")
        if held[split]
        for c in sorted(held["train"] - held[split])
    ]
    if unseen:
        found = (
            f"{counted(len(unseen), 'class is', 'classes are')} in train and not in another "
            f"split: {listing(unseen)}."
        )
        mend = "Check the names of the classes, or draw the splits anew."
        data = data.found(Finding("classes differ between splits", "warning", found, (), mend))
    strange = sorted(set(range(len(data.classes))) - held["train"])
    if not strange:
        return data
    names = [data.classes[c] for c in strange]
    if len(held["train"]) < 2:
        raise UserError(
            f"{data.root}: the train split has examples of a single class and the other splits of "
            f"{listing(names)}; give the classes the same names in every split"
        )
    lost = np.isin(data.labels, strange)
    _check_spellings(data, lost)
    gone = np.flatnonzero(lost)
    finding = Finding(
        "classes differ between splits",
        "warning",
        f"{counted(len(names), 'class has', 'classes have')} no example in train "
        f"({listing(names)}); {counted(len(gone), 'example')} of other splits were left out.",
        data.names(gone),
        "Check the names of the classes, or put examples of them into train.",
    )
    left, labels = np.unique(data.labels[~lost], return_inverse=True)
    kept = replace(data.take(np.flatnonzero(~lost)), labels=labels, listed=None, rows=None)
    return replace(kept, classes=tuple(data.classes[c] for c in left)).found(finding)


def _check_spellings(data: OwnData, lost: np.ndarray) -> None:
    """Refuse a split that would be gone, or classes that other splits spell otherwise.

    lost: bool (N,), the examples of classes that train lacks.
    """
    known = {alike(data.classes[c]): data.classes[c] for c in np.unique(data.labels[~lost])}
    for split in ("validation", "test"):
        here = data.splits == split
        names = [data.classes[c] for c in np.unique(data.labels[here & lost])]
        twins = [name for name in names if alike(name) in known]
        if twins:
            told = f"spells {twins[0]!r} what train calls {known[alike(twins[0])]!r}"
        elif names and lost[here].all():
            told = f"holds {listing([repr(name) for name in names])} alone, which train lacks"
        else:
            continue
        raise UserError(
            f"{data.root}: the {split} split {told}; give the classes the same names in every split"
        )


def read_each(read: Callable[[Any], Held], given: Sequence[Any]) -> list[Held]:
    """What `read` makes of each; raises one UserError that names the files it can't read."""
    held, broken = [], []
    for one in given:
        try:
            held.append(read(one))
        except UserError as error:
            broken.append((Path(one).name, error))
    if len(broken) > 1:
        names = listing([name for name, _ in broken])
        raise UserError(
            f"{len(broken):,} of {len(given):,} files cannot be read ({names}); the first: "
            f"{broken[0][1]}"
        ) from broken[0][1]
    if broken:
        raise broken[0][1]
    return held


@dataclass
class Table:
    """A table in memory: N rows of each column.

    columns: name -> N values.
    where: N places, such as "line 17".
    class_names: column -> names of the numbers in it, where the file tells them.
    picture_columns: columns that hold pictures themselves, or records of their files.
    """

    file: Path
    columns: dict[str, list]
    where: list[str]
    findings: list[Finding] = field(default_factory=list)
    class_names: dict[str, list[str]] = field(default_factory=dict)
    picture_columns: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.where)


def check_names(file: Path, names: Sequence[str]) -> None:
    """Raise UserError for a table in which two columns have one name."""
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        names = listing([repr(name) for name in twice])
        raise UserError(f"{file} names a column twice ({names}); give each a name of its own")
