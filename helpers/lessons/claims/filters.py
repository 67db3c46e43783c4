"""Which situations a claim is about: `column operator constant`, several joined by "and".

What does not have this form is refused before anything in a file is evaluated.
"""

import re

import pandas as pd

from helpers.errors import UserError
from helpers.registry import unknown_name

_NUMBER = r"-?\d{1,15}(?:\.\d{1,15})?(?:/[1-9]\d{0,14})?"
_TEXT = r"'[^'\"\\]*'"
_PART = rf"(\w+) (?:(?:[=!]=|[<>]=?) (?:({_NUMBER})|{_TEXT})|in \[{_TEXT}(?:, {_TEXT})*\])"


def select(rows: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the rows that a filter lets through; constants are numbers such as 1/3, or 'texts'.

    `in` takes a list of texts. Raises UserError for anything else, and for unknown columns.
    """
    parts = re.findall(_PART, where) if re.fullmatch(rf"{_PART}(?: and {_PART})*", where) else []
    for column, _ in parts:
        if column not in rows.columns:
            raise unknown_name("column", column, rows.columns)
    kinds = [
        pd.api.types.is_numeric_dtype(rows[column]) == bool(number) for column, number in parts
    ]
    if not parts or not all(kinds):
        raise UserError(
            f"the filter {where!r} is not of the form: column operator constant, joined by and; "
            "constants are numbers of a column of numbers, or 'texts'"
        )
    return rows.query(where, engine="python")
