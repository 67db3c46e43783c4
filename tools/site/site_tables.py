"""Words and tables as the site shows them."""

from __future__ import annotations

import re
from html import escape

import pandas as pd
from bs4 import BeautifulSoup, Tag
from pandas.api.types import is_numeric_dtype

WORDS = re.compile(r"<td>(?!-?[\d,.]*</td>)")  # the cells of a table that hold no number
NUMBERS = re.compile(r"[^A-Za-z]*( to [^A-Za-z]*)?")  # what a cell of a column of numbers holds
LONG = 34  # letters of a cell that may go on to a second line


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


def arranged(html: str) -> str:
    """Return tables with words on the left, long cells marked, and no column that only counts rows.

    A row of the head that names the rows alone goes into the row above it.
    """
    soup = BeautifulSoup(html, "html.parser")
    for table in soup.find_all("table"):
        _name_rows(table)
        head, body = _rows(table, "thead"), _rows(table, "tbody")
        if not (head and body):
            continue
        counts = [row[0].get_text() for row in body if row and row[0].name == "th"]
        if not head[0][0].get_text() and counts == [str(place) for place in range(len(body))]:
            for row in [*head, *body]:
                row.pop(0).extract()
        for cell in [cell for row in [*head, *body] for cell in row]:
            if len(cell.get_text()) > LONG:
                cell["class"] = [*cell.get("class", []), "long"]
        for place in range(1, 1 + min(sum(cell.name == "td" for cell in row) for row in body)):
            told = [row[-place].get_text().strip() for row in body]
            if 2 * sum(not NUMBERS.fullmatch(words) for words in told) > sum(map(bool, told)):
                for row in [*head, *body]:
                    if place <= len(row):
                        row[-place]["class"] = [*row[-place].get("class", []), "words"]
    return str(soup)


def _rows(table: Tag, part: str) -> list[list[Tag]]:
    """The cells of a table's head or body, row by row."""
    return [row.find_all(["th", "td"]) for row in table.select(f"{part} tr")]


def _name_rows(table: Tag) -> None:
    """Move what names a table's rows from a row of its own into empty cells above."""
    head = _rows(table, "thead")
    if len(head) != 2:
        return
    above, names = ([cell.get_text().strip() for cell in row] for row in head)
    if len(above) == len(names) and not any(a and n for a, n in zip(above, names, strict=True)):
        for cell, name in zip(*head, strict=True):
            if name.get_text().strip():
                cell.replace_with(name.extract())
        table.select("thead tr")[1].extract()


def plain(words: str) -> str:
    """Return words so that Markdown takes them as they are, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>$&#|~])", r"\\\1", " ".join(words.split()))


def unbroken(text: str) -> str:
    """Return a text whose numbers stay on the line of their per cent sign."""
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)


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
