"""What a recorded run is: its columns, what each may hold, and the identity of a run."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from helpers.errors import UserError
from helpers.registry import unknown_name
from helpers.vocabulary import KINDS, wrapped

SCHEMA = 2  # the recipe a run followed, part of its identity: 1 the first round's, 2 the second's
# Whose rows figures, rules and verdicts read, by kind of data; 0: none, until a round speaks.
COMPARED = {"image": 2, "text": 2}


def withheld(compared: Mapping[str, int]) -> str:
    """What is said beside every verdict while a kind of data has no fair round; "" afterwards."""
    early = [KINDS[kind] for kind, recipe in compared.items() if recipe < SCHEMA]
    if not early:
        return ""
    return (
        f"withheld: the records of {' and '.join(early)}, a first round that undersold "
        "fine-tuning; a second one is being measured (python -m helpers audit)"
    )


WITHHELD = withheld(COMPARED)
_ENOUGH = (
    "at least 400 updates for whatever trains by steps, learning rates tried until the best lay "
    "inside, a frozen network's head solved to its optimum"
)
RECIPES = {  # by kind of data and schema
    "image": {
        1: "a first round with BatchNorm's running statistics, three learning rates, 64 pixels",
        2: f"{_ENOUGH}, BatchNorm's statistics as pretrained, product photos mirrored and cropped",
    },
    "text": {
        0: "none is compared, because a first round gave what moves a network 12 updates on 50 "
        "texts, and a probe 240; a second round is being measured",
        1: "a first round with one default learning rate each, 32 tokens, and on 50 texts 12 "
        "updates for what moves the network, 240 for a probe",
        2: f"{_ENOUGH}, 64 tokens",
    },
}


def recipe_in_words(compared: Mapping[str, int] | None = None) -> str:
    """A paragraph for each kind of data on how its recorded runs were trained."""
    compared = COMPARED if compared is None else compared
    return "\n".join(
        wrapped(f"Recorded {KINDS[kind]}: {RECIPES[kind][recipe]}.")
        for kind, recipe in compared.items()
    )


_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")  # a row is one line, so no line breaks


@dataclass(frozen=True)
class Column:
    """One column of `runs.csv`; `low` and `high` are allowed values at the ends of a range."""

    name: str
    kind: str  # text, integer or number
    required: bool = True
    low: float = -math.inf
    high: float = math.inf
    pattern: str = ""  # regular expression that a text must match whole
    identity: bool = False  # part of the question that was asked, so of the run's id

    @property
    def dtype(self) -> str:
        """The dtype that `runs.load_runs` gives the column."""
        return {"text": "str", "integer": "int64", "number": "float64"}[self.kind]

    def clean(self, value: Any) -> str | int | float | None:
        """Return `value` as a plain Python value, None where it is missing.

        Raises UserError, naming the column, for what the column can't hold.
        """
        value = value.item() if hasattr(value, "item") else value
        if value is None or (isinstance(value, float) and math.isnan(value)):
            if self.required:
                raise UserError(f"column {self.name!r} must have a value, and it is missing or NaN")
            return None
        if self.kind == "text":
            return self._text(value)
        return self._number(value)

    def _text(self, value: Any) -> str:
        if not isinstance(value, str) or _CONTROL.search(value):
            raise UserError(f"column {self.name!r} must be one line of text, and it is {value!r}")
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise UserError(
                f"column {self.name!r} must match {self.pattern!r}, and it is {value!r}"
            )
        return value

    def _number(self, value: Any) -> int | float:
        whole = self.kind == "integer"
        right = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not right or not math.isfinite(value) or (whole and value != int(value)):
            kind = "whole number" if whole else "finite number"
            raise UserError(f"column {self.name!r} must be a {kind}, and it is {value!r}")
        if not self.low <= value <= self.high:
            raise UserError(
                f"column {self.name!r} must lie in {self.low:g} to {self.high:g}, and it is {value}"
            )
        return int(value) if whole else float(value)

    def parse(self, cell: str) -> str | int | float | None:
        """Return what a cell of a file holds, None where it may be empty and is.

        Raises UserError, naming the column, for what it can't hold.
        """
        if self.kind == "text":
            return self.clean(cell)
        if not cell and not self.required:
            return None
        try:
            number = int(cell) if self.kind == "integer" else float(cell)
        except ValueError:
            kind = "whole number" if self.kind == "integer" else "number"
            message = f"column {self.name!r} must be a {kind}, and it is {cell!r:.60}"
            raise UserError(message) from None
        return self.clean(number)

    def cell(self, value: Any) -> str:
        """Return `value` as it stands in the file: whole where it is identity, else 6 digits."""
        value = self.clean(value)
        if value is None:
            return ""
        if self.kind != "number":
            return str(value)
        return repr(value) if self.identity else f"{value:.6g}"


def _text(name: str, pattern: str = ".+", *, identity: bool = False) -> Column:
    return Column(name, "text", pattern=pattern, identity=identity)


def _count(name: str, low: int = 0, high: int = 2**63 - 1, *, identity: bool = False) -> Column:
    return Column(name, "integer", low=low, high=high, identity=identity)


def _size(name: str, *, required: bool = True) -> Column:
    return Column(name, "number", required, low=0)


def _share(name: str, *, required: bool = True) -> Column:
    return Column(name, "number", required, low=0, high=1)


# `run_id` comes first, so that duplicates are found without parsing a line; `created` comes last
# and has a fixed shape, so that a line cut short by a kill can't be taken for a whole one.
COLUMNS: tuple[Column, ...] = (
    _text("run_id", "[0-9a-f]{12}"),
    _count("schema", low=1, high=SCHEMA, identity=True),
    _text("sweep"),
    _text("task", identity=True),
    _text("modality", "image|text"),
    _text("backbone", identity=True),
    _text("approach", identity=True),
    _count("n_train", low=1, identity=True),  # examples
    Column("dial", "number", low=0, high=1, identity=True),  # the domain dial, 0: untouched
    _count("seed", identity=True),
    Column("lr", "number", low=1e-12, high=1e6, identity=True),  # classical: C
    _count("epochs", low=1, identity=True),
    _count("batch_size", low=1, identity=True),
    _count("image_size", low=1, identity=True),  # pixels a side; for text the longest input
    _text("settings", ".*", identity=True),  # "key=value;key=value"
    _text("origin", "full|sample"),
    _count("n_validation", low=1),
    _count("n_test", low=1),
    _size("n_labels", required=False),  # training and validation examples together
    _count("best_epoch"),  # 0: the weights before training
    _size("best_update", required=False),  # the update after which the best weights stood
    _size("updates", required=False),  # optimizer steps; empty for solvers without a gradient step
    _share("train_accuracy"),
    _share("val_accuracy"),
    Column("val_loss", "number", required=False, low=0),
    _share("probe_val_accuracy", required=False),  # of the weights that lp_ft starts from
    _share("test_accuracy"),
    _share("macro_f1"),
    _share("source_accuracy_before", required=False),  # empty: no source data to measure it with
    _share("source_accuracy_after", required=False),
    _size("prepare_seconds"),
    _size("train_seconds"),
    _size("train_cpu_seconds"),  # of the process over its threads
    _size("flops_train"),
    _size("peak_memory_mb"),
    _count("trainable_params"),
    _count("total_params"),
    _size("stored_mb"),  # on disk, for each further task
    _size("latency_ms"),  # one example, merged where an approach can be
    _size("latency_unmerged_ms"),
    _text("device"),
    _count("threads", low=1),
    _text("precision", "(float32|bfloat16)?"),  # of training; empty in the first round
    _text("torch"),
    _text("git"),
    _text("created", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"),  # UTC
)
BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}
NAMES: tuple[str, ...] = tuple(BY_NAME)
IDENTITY: tuple[str, ...] = tuple(column.name for column in COLUMNS if column.identity)
COSTS: tuple[str, ...] = NAMES[NAMES.index("prepare_seconds") : NAMES.index("device")]
TIMES: tuple[str, ...] = tuple(name for name in COSTS if name.endswith(("_seconds", "_ms")))


def run_id(config: Mapping[str, Any]) -> str:
    """Return the identity of a run: 12 hex digits of SHA-256 over the columns that ask it.

    config: has at least the columns of IDENTITY (a whole stored row does); `schema` defaults to
    the newest. Equal questions give equal ids, whatever types of number they have.
    Raises UserError naming the column that is missing or can't be.
    """
    given = {"schema": SCHEMA} | {str(name): config[name] for name in config.keys()}  # noqa: SIM118
    asked = {name: BY_NAME[name].clean(given.get(name)) for name in IDENTITY}
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()[:12]


def check_columns(names: Iterable[str]) -> None:
    """Raise UserError for a name that is no column, suggesting the nearest."""
    for name in names:
        if name not in BY_NAME:
            raise unknown_name("column", name, NAMES)


def cells(row: Mapping[str, Any]) -> list[str]:
    """Return a row's cells as text, in the file's order.

    Raises UserError, naming the column, for an unknown column, a missing or impossible value, or
    a `run_id` that is not the hash of the row.
    """
    check_columns(row)
    expected = run_id(row)
    if row.get("run_id", expected) != expected:
        raise UserError(
            f"column 'run_id' is {row['run_id']!r}, and the row hashes to {expected!r}; "
            "leave it out"
        )
    whole = dict(row) | {"run_id": expected}
    return [column.cell(whole.get(column.name)) for column in COLUMNS]
