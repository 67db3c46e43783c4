"""Words and tables as the site shows them."""

from __future__ import annotations

import re
from html import escape

import pandas as pd
from pandas.api.types import is_numeric_dtype

WORDS = re.compile(r"<td>(?!-?[\d,.]*</td>)")  # the cells of a table that hold no number


def bare_table(html: str) -> str:
    """Return pandas' table without its style, its cells named for screen readers.

    The frame around it scrolls where a table is wider than the page, with the keyboard too.
    """
    html = re.sub(r"<style\b.*?</style>\s*", "", html, flags=re.DOTALL)
    html = re.sub(r'<table border="1" class="dataframe">', '<table class="dataframe">', html)
    html = re.sub(r' style="text-align: (right|left);"', "", html)
    head, end, body = html.partition("</thead>")
    head = head.replace("<th></th>", "<td></td>").replace("<th>", '<th scope="col">')
    body = body.replace("<th></th>", "<td></td>").replace("<th>", '<th scope="row">')
    return f'<div class="table-frame">{head}{end}{body}</div>'


def plain(words: str) -> str:
    """Return words so that Markdown takes them as they are, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>$&#|~])", r"\\\1", " ".join(words.split()))


def table_of(frame: pd.DataFrame, digits: int, whole: list[str] | None = None) -> str:
    """A table as HTML: words on the left, numbers to so many digits, empty where there is none."""
    shown = frame.rename_axis(index=None, columns=None)
    words = [name for name, column in shown.items() if not is_numeric_dtype(column)]
    for name in shown.columns.difference(words):
        places = 0 if name in (whole or []) else digits
        shown = shown.assign(**{name: [_number(value, places) for value in shown[name]]})
    html = bare_table(shown.to_html())
    for name in words:
        html = html.replace(
            f'<th scope="col">{escape(name)}', f'<th scope="col" class="words">{escape(name)}', 1
        )
    return WORDS.sub('<td class="words">', html).replace(
        '<th scope="row"', '<th class="words" scope="row"'
    )


def _number(value: float, places: int) -> str:
    """A number with so many digits after the point; a whole one of thousands has none."""
    if pd.isna(value):
        return ""
    whole = float(value).is_integer() and abs(value) >= 1000
    return f"{value:,.0f}" if whole else f"{value:.{places}f}"
