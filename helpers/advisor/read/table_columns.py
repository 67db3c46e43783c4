"""Which column of a table is the picture, the text, the label, the split and the group."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import NoReturn

from helpers.advisor.read.build import Table
from helpers.advisor.read.folder_layout import PICTURE_SUFFIXES
from helpers.errors import UserError
from helpers.registry import unknown_name

NAMES = {
    "image": "image image_path img img_path image_file image_name file file_name filename filepath "
    "file_path path picture photo",
    "text": "text texts sentence review content body message comment description title tweet "
    "document question utterance headline",
    "label": "label labels class class_name classes category target y species sentiment "
    "label_name topic intent",
    "split": "split subset partition set data_split dataset_split usage",
    "group": "group groups group_id patient patient_id subject subject_id person person_id "
    "product_id user_id author session session_id video video_id scene scene_id source_id",
}
_LOOK_AT = 500  # rows: enough to tell paths from texts
NO_COLUMN = "none"  # named where no column is to be taken, though one looks like it


def choose_columns(
    table: Table, named: Mapping[str, str | None]
) -> tuple[str, dict[str, str | None]]:
    """Find the columns that are not named, by their names first and then by what they hold.

    named: columns by role, one of NAMES; for group and split NO_COLUMN means none at all.
    Returns the modality, and the columns by role: that, label, group and split, the last two None
    where there is none.
    Raises UserError for a name that the table lacks, and where two columns could be meant.
    """
    without = {
        role
        for role in ("group", "split")
        if named.get(role) == NO_COLUMN and NO_COLUMN not in table.columns
    }
    chosen = {role: name for role, name in named.items() if name and role not in without}
    for name in chosen.values():
        if name not in table.columns:
            raise UserError(f"{table.file}: {unknown_name('column', name, table.columns)}")
    _check_named_columns(table)
    if {"text", "image"} <= chosen.keys():
        raise UserError(
            f"{table.file}: the text column {chosen['text']!r} and the image column "
            f"{chosen['image']!r} are both named; an example is one or the other"
        )
    free = [name for name in table.columns if name not in chosen.values()]
    pictures = [] if chosen.keys() & {"text", "image"} else _pictures(table, free)
    modality = "image" if pictures or "image" in chosen else "text"
    if modality not in chosen:
        chosen[modality] = _only(table, pictures, "image") or _text(table, free)
    free = [name for name in free if name != chosen[modality]]
    for role in {"split", "group"} - without - chosen.keys():
        chosen[role] = _by_name(free, role)
    free = [name for name in free if name not in chosen.values()]
    chosen["label"] = chosen.get("label") or _label(table, free, chosen[modality])
    return modality, {role: chosen.get(role) for role in (modality, "label", "group", "split")}


def _check_named_columns(table: Table) -> None:
    """Refuse a table whose first row is data. A header is short words that no row repeats."""
    if table.class_names or table.picture_columns:  # from a file that tells its types
        return
    known = set(" ".join(NAMES.values()).split())
    if any(_plain(name) in known for name in table.columns):
        return
    for name, values in table.columns.items():
        is_data = (
            Path(name).suffix.lower() in PICTURE_SUFFIXES
            or re.fullmatch(r"[-+]?\d+(\.\d+)?", name)
            or len(name.split()) > 6
            or (name and name in values[:_LOOK_AT])
        )
        if is_data:
            short = name if len(name) <= 40 else name[:39] + "…"
            raise UserError(
                f"{table.file} has no header: its first line holds {short!r}; add a line "
                "with the names of the columns, such as text,label or image,label"
            )


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def _by_name(names: Sequence[str], role: str) -> str | None:
    """The column whose name comes first in the list of its role."""
    plain = {_plain(name): name for name in reversed(names)}
    return next((plain[wanted] for wanted in NAMES[role].split() if wanted in plain), None)


def _sample(table: Table, name: str) -> list:
    values = table.columns[name]
    step = max(1, len(values) // _LOOK_AT)
    return [value for value in values[::step] if value not in (None, "")]


def _pictures(table: Table, names: Sequence[str]) -> list[str]:
    """Columns, of these names, whose values are mostly names of pictures."""
    found = [name for name in table.picture_columns if name in names]
    for name in [name for name in names if name not in found]:
        values = _sample(table, name)
        named = [v for v in values if isinstance(v, str) and len(v) < 1000]
        suffixes = [Path(v.strip()).suffix.lower() in PICTURE_SUFFIXES for v in named]
        if values and sum(suffixes) > 0.5 * len(values):
            found.append(name)
    return found


def _text(table: Table, names: Sequence[str]) -> str:
    """A column by its name, else the one with the longest texts of several words."""
    if named := _by_name(names, "text"):
        return named
    texts = {name: [v for v in _sample(table, name) if isinstance(v, str)] for name in names}
    words = {name: mean(len(v.split()) for v in held) for name, held in texts.items() if held}
    best = max(words, key=words.__getitem__, default="")
    return best if words.get(best, 0) >= 2 else _refuse(table, "text", table.columns)


def _label(table: Table, names: Sequence[str], item: str) -> str:
    """A column by its name, else the only one that repeats few values."""
    if named := _by_name(names, "label"):
        return named
    plain = {name: table.columns[name] for name in names if name not in table.picture_columns}
    found = [
        name
        for name, values in plain.items()
        if not any(isinstance(value, list | dict) for value in values)
        and 2 <= len(set(values)) <= len(values) / 2
    ]
    rest = [name for name in table.columns if name != item]
    return _only(table, found, "label") or _refuse(table, "label", rest)


def _only(table: Table, found: Sequence[str], role: str) -> str | None:
    """The one column that was found; of several, the one with a usual name."""
    if len(found) <= 1:
        return found[0] if found else None
    if named := _by_name(found, role):
        return named
    raise UserError(
        f"{table.file}: {' and '.join(map(repr, found))} could each be the {role}; name one "
        f"with --{role}-column"
    )


def _refuse(table: Table, role: str, names: Iterable[str]) -> NoReturn:
    told = [f"{name!r}{'' if _sample(table, name) else ' (empty)'}" for name in names]
    raise UserError(
        f"{table.file} has no column that looks like {role}s among "
        f"{', '.join(told) or 'no other columns'}; name it with --{role}-column, or fill it"
    )
