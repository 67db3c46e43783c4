"""Train, validation and test where the data brings none, with what belongs together on one side.

That is groups, series of file names, and copies: a model that saw one picture of a recording, or a
copy, is right on the others for that reason alone.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.advisor.data import MOST_EXAMPLES, SPLITS, Copies, Finding, OwnData, counted, listing
from helpers.advisor.read.tables import read_table
from helpers.errors import UserError
from helpers.tasks.splits import held_out, joined

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.15
GROUPS_FILE, TOGETHER = "groups.csv", "kept together"
NAME_GROUPS = (
    "Where {}, name the groups in a table's column or in groups.csv beside the class folders, with "
    "the columns file and group."
)
_LARGEST = 0.2  # of the data: a larger set of copies or series is how this data looks
_COVERED = 0.8  # of the pictures stand in a series of two or more
_PER_CLASS = 5  # series that each class needs, so that whole series can be held out
_DENSE = 20  # how many times as far as its length a series may count


def draw_splits(data: OwnData, copies: Copies, seed: int = 0) -> OwnData:
    """Return the data with a split for every example, its copies, and what stays `together`.

    Splits that the data brings are used. A test split that is missing is cut off the training
    examples (a fifth), and then a validation split (15 % of what is left). Cuts are stratified,
    and what `keep_together` finds to belong together stays on one side.

    data: without pictures that cannot be read.
    A set of near copies that is a large part of the data can't stay on one side: where all splits
    are drawn its examples no longer count as near copies, which a finding tells.
    Raises UserError where examples are too few.
    """
    splits = data.splits.copy()
    if not data.has_splits:
        splits[:] = "train"
    if (n := len(np.unique(data.labels[splits == "train"]))) < 2:
        raise UserError(f"{data.root}: examples of {n} class can be read; two or more are needed")
    if not data.has_splits:
        copies, data = _tell_large_sets(data, copies)
    data = keep_together(data, copies)
    drawn = []
    for split, share in (("test", TEST_SHARE), ("validation", VALIDATION_SHARE)):
        if not (splits == split).any():
            rows = np.flatnonzero(splits == "train")
            chosen = held_out(data.labels[rows], data.together[rows], share, seed)
            splits[rows[chosen]] = split
            drawn.append(split)
    if not drawn:
        return data
    if not all((splits == split).any() for split in ("train", *drawn)):
        raise UserError(
            f"{data.root}: {len(data)} examples can't be split into train, validation and test: "
            "they are too few, or too many are of one group or class; add examples or finer groups"
        )
    counts = ", ".join(f"{(splits == split).sum():,} {split}" for split in dict.fromkeys(splits))
    finding = Finding(
        "splits",
        "note",
        f"{' and '.join(drawn).capitalize()} {'were' if len(drawn) > 1 else 'was'} drawn from the "
        f"training examples, stratified, what belongs together on one side (seed {seed}): "
        f"{counts}.",
    )
    return replace(data, splits=splits, drawn=tuple(drawn)).found(finding)


def _tell_large_sets(data: OwnData, copies: Copies) -> tuple[Copies, OwnData]:
    """Count near copies of which there are too many as different examples, and tell it."""
    near = _small_enough(copies)
    alike = np.flatnonzero(near >= len(near))
    if not len(alike):
        return copies, data
    finding = Finding(
        "examples that are all alike",
        "warning",
        f"{len(alike):,} of {len(data):,} examples are nearly the same, too many to stand on one "
        "side of a split; they were taken for different ones.",
        data.names(alike),
        "If they are copies keep one of each: the accuracy measured with them is too high.",
    )
    return Copies(copies.exact, near), data.found(finding)


def keep_together(data: OwnData, copies: Copies) -> OwnData:
    """Return the data with its copies, and numbers of what stays on one side (`together`).

    Groups are those of a table's column, or of `groups.csv` beside class folders; where neither is
    there, file names are asked for series. Copies are joined to both.
    Raises UserError for a `groups.csv` that can't be used.
    """
    data = replace(_with_groups(data), copies=copies)
    links, said, examples = [_small_enough(copies)], [], []
    if data.groups is not None:
        named, by, words = data.groups, "groups", ("group", "groups")
        source = f"column {data.columns['group']!r}" if data.columns else GROUPS_FILE
    else:
        named, by, source = find_series(data), "series", "by their numbers"
        words = ("series of file names", "series of file names")
    counts = {"groups": 0, "series": 0, "copies": _several(links[0])}
    if named is not None:
        names, codes, sizes = np.unique(named, return_inverse=True, return_counts=True)
        links.append(codes)
        examples = [f"{name} ({n})" for name, n in zip(names, sizes, strict=True) if n > 1]
        counts[by] = len(examples)
        shown = [str(name) for name in names[sizes > 1]]
        said.append(f"{counted(counts[by], *words)} ({source}: {listing(shown, 3)})")
    if counts["copies"]:
        said.append(counted(counts["copies"], "set of copies", "sets of copies"))
    together = joined(links)
    counts |= {"sets": _several(together), "source": source}
    finding = Finding(
        TOGETHER,
        "passed",
        "No groups, series of names or copies were found, so each example is "
        f"taken to stand alone. {NAME_GROUPS.format('several are of one person, product or day')}",
    )
    if said:
        finding = Finding(
            TOGETHER,
            "note",
            f"{' and '.join(said)}: each stands on one side of every fold and of every split drawn "
            "here, since a model that saw one of a set knows the others.",
            tuple(examples[:MOST_EXAMPLES]),
            NAME_GROUPS.format("that is wrong"),
        )
    return replace(data, together=together, together_by=counts).found(finding)


def _several(numbers: np.ndarray) -> int:
    """How many sets hold two examples or more."""
    return int((np.unique(numbers, return_counts=True)[1] > 1).sum())


def _small_enough(copies: Copies) -> np.ndarray:
    """Number the near copies; a set of a large part of the data falls into its equal ones."""
    _, codes, counts = np.unique(copies.near, return_inverse=True, return_counts=True)
    large = counts[codes] > max(2, _LARGEST * len(codes))
    return np.where(large, len(codes) + copies.exact, codes)


def _with_groups(data: OwnData) -> OwnData:
    """The data with the groups of `groups.csv`; a file that it leaves out stands alone."""
    file = data.root / GROUPS_FILE
    if data.groups is not None or data.columns is not None or not file.is_file():
        return data
    columns = list(read_table(file).columns.items())
    held = {name.strip().lower(): values for name, values in columns}
    if len(columns) < 2 or ("file" in held) != ("group" in held):
        raise UserError(f"{file} needs two columns, file and group; give each file its group")
    files, groups = (held.get(name, columns[at][1]) for at, name in enumerate(("file", "group")))
    by_name = {
        Path(str(name)).as_posix(): str(group) for name, group in zip(files, groups, strict=True)
    }
    places = [data.place(row) for row in range(len(data))]
    taken = [by_name.get(place) or by_name.get(place.rpartition("/")[2]) for place in places]
    lone = [row for row, group in enumerate(taken) if not group]
    if len(lone) == len(data):
        raise UserError(
            f"{file} names none of the files, such as {places[0]}; write them as they lie below "
            "its folder"
        )
    named = [group or f"(alone) {place}" for group, place in zip(taken, places, strict=True)]
    data = replace(data, groups=np.array(named))
    if not lone:
        return data
    found = f"{counted(len(lone), 'file')} of {len(data):,} are not in {GROUPS_FILE}"
    found += "; each stands alone."
    return data.found(Finding("files without a group", "note", found, data.names(lone)))


def find_series(data: OwnData) -> np.ndarray | None:
    """Name the series of each picture by its file name, str (N,).

    A series is what is left of a name without its last number (clip07_003), or else without its
    last part (tile07_left). None where names tell no series: most stand alone, one holds a large
    share, a class has fewer than five, or the numbers do not count up.
    """
    if data.modality != "image" or len(data) < 2:
        return None
    names = [_stem(data, row) for row in range(len(data))]
    counting = [re.fullmatch(r"(.*?)(\d{1,9})(\D*)", name) for name in names]
    keys = np.array([m[1] if m else data.name(row) for row, m in enumerate(counting)])
    numbers = np.array([float(m[2]) if m else 0.0 for m in counting])
    series = pd.Series(numbers).groupby(keys)
    counts_up = series.max() - series.min() <= _DENSE * series.size()  # numbers lie close together
    if _are_series(data, keys) and counts_up.mean() > _COVERED:
        return keys
    parts = [re.fullmatch(r"(.*\d[^/]*)[-_. ]([^-_. /]+)", name) for name in names]
    keys = np.array([m[1] if m else data.name(row) for row, m in enumerate(parts)])
    return keys if _are_series(data, keys) else None


def _stem(data: OwnData, row: int) -> str:
    """The name of a file without its ending; folders of class and split left out."""
    *folders, last = data.name(row).split("/")
    left_out = {data.classes[data.labels[row]].lower(), *SPLITS, str(data.splits[row])}
    above = [folder for folder in folders if folder.lower() not in left_out]
    return "/".join([*above, last.rpartition(".")[0] or last])


def _are_series(data: OwnData, keys: np.ndarray) -> bool:
    _, codes, counts = np.unique(keys, return_inverse=True, return_counts=True)
    if counts.max() > _LARGEST * len(data) or counts[counts > 1].sum() < _COVERED * len(data):
        return False
    pairs = np.unique(np.stack([data.labels, codes], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=len(data.classes)).min() >= _PER_CLASS
