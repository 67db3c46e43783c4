"""Which situations a claim is about: `column operator constant`, several joined by "and".

Nothing in a file is evaluated: what does not have this form is refused.
"""

import operator
import re

import pandas as pd

from helpers.errors import UserError
from helpers.registry import unknown_name

_OPERATORS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_TEXT = r"'[^'\"\\]*'"
_PART = re.compile(rf"(\w+) (==|!=|<=|>=|<|>|in) (\S+|{_TEXT}|\[{_TEXT}(?:, {_TEXT})*\])")
_AND = re.compile(r" and (?=\w+ (?:[=!<>]=?|in) )")
_NUMBER = re.compile(r"(-?\d{1,15}(?:\.\d{1,15})?)(?:/([1-9]\d{0,14}))?")


def select(rows: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the rows that a filter lets through; constants are numbers such as 1/3, or 'texts'.

    `in` takes a list of texts. Raises UserError for anything else, and for unknown columns.
    """
    for part in _AND.split(where):
        found = _PART.fullmatch(part)
        if found is None:
            raise _unreadable(where)
        column, sign, constant = found.groups()
        if column not in rows.columns:
            raise unknown_name("column", column, rows.columns)
        rows = rows[_passes(rows[column], sign, constant, where)]
    return rows


def _passes(values: pd.Series, sign: str, constant: str, where: str) -> pd.Series:
    texts = re.findall(_TEXT, constant)
    number = _NUMBER.fullmatch(constant)
    is_list, is_numeric = constant.startswith("["), pd.api.types.is_numeric_dtype(values)
    if is_list != (sign == "in") or is_numeric != (number is not None) or not (texts or number):
        raise _unreadable(where)
    if is_list:
        return values.isin([text[1:-1] for text in texts])
    if number is None:
        return _OPERATORS[sign](values, texts[0][1:-1])
    return _OPERATORS[sign](values, float(number[1]) / float(number[2] or 1))


def _unreadable(where: str) -> UserError:
    return UserError(
        f"the filter {where!r} is not of the form: column operator constant, joined by and; "
        "constants are numbers of a column of numbers, or 'texts'"
    )
