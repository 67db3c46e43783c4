"""Words and tables as the site shows them."""

from __future__ import annotations

import re


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
