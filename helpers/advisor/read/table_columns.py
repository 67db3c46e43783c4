"""Which column of a table is the picture, the text, the label, the split and the group."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Columns:
    """The chosen names: `item` is the picture or the text; split and group may be None."""

    modality: str
    item: str
    label: str
    split: str | None
    group: str | None

    def told(self, table: Table) -> dict[str, object]:
        """What was taken as what, and what was left alone, as `OwnData.columns` has it."""
        taken = {
            self.modality: self.item,
            "label": self.label,
            "group": self.group,
            "split": self.split,
        }
        left = [name for name in table.columns if name not in taken.values()]
        return taken | {"ignored": left}


def choose_columns(
    table: Table,
    *,
    modality: str | None = None,
    text: str | None = None,
    label: str | None = None,
    image: str | None = None,
    group: str | None = None,
    split: str | None = None,
) -> Columns:
    """Find the columns that are not named, by their names first and then by what they hold.

    group, split: NO_COLUMN for none at all.

    Raises UserError for a name that the table lacks, and where two columns could be meant.
    """
    without = {
        role
        for role, name in (("group", group), ("split", split))
        if name == NO_COLUMN and NO_COLUMN not in table.columns
    }
    group, split = (None if r in without else n for r, n in (("group", group), ("split", split)))
    for name in (text, label, image, group, split):
        if name is not None and name not in table.columns:
            raise _missing(table, name)
    _check_named_columns(table)
    taken = {name for name in (text, label, image, group, split) if name is not None}
    if text is not None and image is not None:
        raise UserError(
            f"{table.file}: the text column {text!r} and the image column {image!r} are both "
            "named; an example is one or the other"
        )
    if modality is None:
        modality = "text" if text else "image" if image or _pictures(table, taken) else "text"
    item = image or _image(table, taken) if modality == "image" else text or _text(table, taken)
    taken.add(item)
    if "split" not in without:
        split = split or _by_name(table, "split", taken)
    if "group" not in without:
        group = group or _by_name(table, "group", taken)
    taken |= {name for name in (split, group) if name}
    return Columns(modality, item, label or _label(table, taken, item), split, group)


def _missing(table: Table, name: str) -> UserError:
    return UserError(f"{table.file}: {unknown_name('column', name, table.columns)}")


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
            raise UserError(
                f"{table.file} has no header: its first line holds {_short(name)!r}; add a line "
                "with the names of the columns, such as text,label or image,label"
            )


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def _by_name(table: Table, role: str, taken: set[str]) -> str | None:
    """The column whose name comes first in the list of its role."""
    plain = {_plain(name): name for name in reversed(table.columns) if name not in taken}
    for wanted in NAMES[role].split():
        if wanted in plain:
            return plain[wanted]
    return None


def _sample(table: Table, name: str) -> list:
    values = table.columns[name]
    step = max(1, len(values) // _LOOK_AT)
    return [value for value in values[::step] if value not in (None, "")]


def _pictures(table: Table, taken: set[str]) -> list[str]:
    """Columns whose values are mostly names of pictures."""
    found = [name for name in table.picture_columns if name not in taken]
    for name in table.columns:
        values = _sample(table, name) if name not in taken | set(found) else []
        named = [v for v in values if isinstance(v, str) and len(v) < 1000]
        suffixes = [Path(v.strip()).suffix.lower() in PICTURE_SUFFIXES for v in named]
        if values and sum(suffixes) > 0.5 * len(values):
            found.append(name)
    return found


def _image(table: Table, taken: set[str]) -> str:
    found = _pictures(table, taken)
    return _only(table, found, "image", "--image-column") or _named(table, "image", taken)


def _text(table: Table, taken: set[str]) -> str:
    """A column by its name, else the one with the longest texts of several words."""
    named = _by_name(table, "text", taken)
    if named:
        return named
    words = {}
    for name in table.columns:
        values = (
            [v for v in _sample(table, name) if isinstance(v, str)] if name not in taken else []
        )
        if values:
            words[name] = sum(len(value.split()) for value in values) / len(values)
    best = max(words, key=words.__getitem__, default=None)
    if best is None or words[best] < 2:
        return _named(table, "text", taken)
    return best


def _named(table: Table, role: str, taken: set[str]) -> str:
    found = _by_name(table, role, taken)
    if found is None:
        what = "paths of pictures" if role == "image" else "texts"
        raise UserError(
            f"{table.file} has no column that looks like {what} among "
            f"{', '.join(map(repr, table.columns))}; name it with --{role}-column"
        )
    return found


def _only(table: Table, found: Sequence[str], role: str, option: str) -> str | None:
    """The one column that was found; of several, the one with a usual name."""
    if len(found) <= 1:
        return found[0] if found else None
    plain = {_plain(name): name for name in found}
    for wanted in NAMES[role].split():
        if wanted in plain:
            return plain[wanted]
    raise UserError(
        f"{table.file}: {' and '.join(map(repr, found))} could each be the {role}; name one with "
        f"{option}"
    )


def _label(table: Table, taken: set[str], item: str) -> str:
    """A column by its name, else the only one that repeats few values."""
    named = _by_name(table, "label", taken)
    if named:
        return named
    found = []
    for name in table.columns:
        values = table.columns[name]
        if name in {*taken, *table.picture_columns} or any(
            isinstance(v, list | dict) for v in values
        ):
            continue
        distinct = len(set(values))
        if 2 <= distinct <= len(values) / 2:
            found.append(name)
    chosen = _only(table, found, "label", "--label-column")
    if chosen is None:
        rest = [name for name in table.columns if name != item]
        raise UserError(
            f"{table.file} has no column that looks like labels among "
            f"{', '.join(map(repr, rest)) or 'no other columns'}; name it with --label-column"
        )
    return chosen
