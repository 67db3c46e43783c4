"""The glossary: its page, links from each page's first use of a term, and links back.

Sphinx loads this module as an extension (`setup`), after `site_stage` has written the page.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from helpers.errors import UserError

FILE = Path(__file__).resolve().parent / "glossary.toml"
PAGE = "glossary"
OPENING = """# Glossary

What the words mean here, in one to three sentences each. Below every entry stand the pages that
use it; the link leads to the word's first use there. On those pages the first use of a word leads
back to its entry.
"""
# Where a word stands for itself, or is part of a link already.
LEFT_ALONE = (
    nodes.literal,
    nodes.literal_block,
    nodes.reference,
    nodes.title,
    nodes.raw,
    nodes.math,
    nodes.math_block,
    nodes.term,
    nodes.comment,
    nodes.target,
    addnodes.pending_xref,
    addnodes.download_reference,
    addnodes.toctree,
)


@dataclass(frozen=True)
class Term:
    """An entry: its heading, the words that lead to it, and its text in Markdown."""

    name: str
    match: tuple[str, ...]
    text: str

    @property
    def slug(self) -> str:
        """The name as a part of an address."""
        return nodes.make_id(self.name)


def read_terms(file: Path = FILE) -> list[Term]:
    """Return the terms, by name. Raises UserError for a word that leads to two entries."""
    rows = tomllib.loads(file.read_text(encoding="utf-8"))["term"]
    terms = [Term(row["name"], tuple(row.get("match", [row["name"]])), row["text"]) for row in rows]
    owners: dict[str, str] = {}
    for term in terms:
        for word in (term.name, *term.match):
            if owners.setdefault(word.lower(), term.name) != term.name:
                raise UserError(
                    f"{word!r} leads to {owners[word.lower()]} and to {term.name} in {file}: "
                    "leave it to one of them."
                )
    return sorted(terms, key=lambda term: term.name.lower())


def glossary_page(terms: list[Term]) -> str:
    """Return the glossary in MyST Markdown."""
    entries = "\n\n".join(f"{term.name}\n  {term.text}" for term in terms)
    return f"{OPENING}\n```{{glossary}}\n{entries}\n```\n"


def pattern(terms: list[Term]) -> tuple[re.Pattern[str], dict[str, Term]]:
    """Return what finds any word of the glossary, and the term of each word."""
    owner = {word.lower(): term for term in terms for word in term.match}
    longest_first = sorted(owner, key=len, reverse=True)
    either = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in longest_first)
    return re.compile(rf"(?<![\w-])({either})s?(?![\w-])", re.IGNORECASE), owner


def link_first_uses(app: Sphinx, doctree: nodes.document) -> None:
    """Make the first use of each term in a page lead to its entry, and note that it did.

    In the glossary itself each entry counts as a page, and nothing is noted.
    """
    page = app.env.current_document.docname
    if page != PAGE:
        app.site_uses[page] = link_within(doctree, app.site_terms, page, [])
        return
    slugs = {term.name: term.slug for term in app.site_terms}
    for item in doctree.findall(nodes.definition_list_item):
        own = slugs[next(item.findall(nodes.term)).astext()]
        link_within(next(item.findall(nodes.definition)), app.site_terms, page, [own])


def link_within(part: nodes.Element, terms: list[Term], page: str, found: list[str]) -> list[str]:
    """Link the first use of each term in a part of a page; return the slugs, `found` and more."""
    finder, owner = pattern(terms)
    for parent in list(part.findall(_holds_text)):
        join_texts(parent)
        for text in [child for child in parent.children if isinstance(child, nodes.Text)]:
            made = list(_linked(text.astext(), finder, owner, found, page))
            if len(made) > 1 or not isinstance(made[0], nodes.Text):
                parent.replace(text, made)
    return found


def _holds_text(node: nodes.Node) -> bool:
    """Tell whether an element has words that may become links."""
    if not any(isinstance(child, nodes.Text) for child in node.children):
        return False
    while node is not None:
        if isinstance(node, LEFT_ALONE):
            return False
        node = node.parent
    return True


def join_texts(parent: nodes.Element) -> None:
    """Make neighbouring texts one: a line's end would cut a term of two words."""
    kept: list[nodes.Node] = []
    for child in parent.children:
        if kept and isinstance(child, nodes.Text) and isinstance(kept[-1], nodes.Text):
            kept[-1] = nodes.Text(kept[-1].astext() + child.astext())
        else:
            kept.append(child)
    parent.children = []
    parent.extend(kept)


def _linked(
    text: str, finder: re.Pattern[str], owner: dict[str, Term], found: list[str], page: str
) -> Iterator[nodes.Node]:
    """Yield a text in pieces, its terms as references where they are the first of the page."""
    at = 0
    for match in finder.finditer(text):
        term = owner[re.sub(r"\s+", " ", match[1]).lower()]
        if term.slug in found:
            continue
        found.append(term.slug)
        if match.start() > at:
            yield nodes.Text(text[at : match.start()])
        yield _reference(term, match[0], page)
        at = match.end()
    if at < len(text) or at == 0:
        yield nodes.Text(text[at:])


def _reference(term: Term, words: str, page: str) -> nodes.Element:
    """Return words that lead to their entry, and to which the entry can lead back."""
    asked = addnodes.pending_xref(
        "",
        nodes.inline(words, words, classes=["xref", "std", "std-term"]),
        reftype="term",
        refdomain="std",
        reftarget=term.name,
        refexplicit=True,
        refdoc=page,
        refwarn=True,
    )
    names = [] if page == PAGE else [f"use-{term.slug}"]
    return nodes.inline("", "", asked, classes=["term-use"], ids=names)


def link_back(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Give each entry of the glossary the pages that use it."""
    if page != PAGE:
        return
    slugs = {term.name: term.slug for term in app.site_terms}
    for item in doctree.findall(nodes.definition_list_item):
        slug = slugs[next(item.findall(nodes.term)).astext()]
        users = [user for user in reading_order(app) if slug in app.site_uses[user]]
        said = nodes.paragraph("", "", nodes.Text("Used in: "), classes=["term-pages"])
        for place, user in enumerate(users):
            where = f"{app.builder.get_relative_uri(PAGE, user)}#use-{slug}"
            said += [nodes.Text(", ")] * (place > 0)
            said += nodes.reference("", short_name(app, user), internal=True, refuri=where)
        if users:
            next(item.findall(nodes.definition)).append(said)


def reading_order(app: Sphinx) -> list[str]:
    """Return the pages that were searched for terms: the notebooks first."""
    return sorted(app.site_uses, key=lambda page: (not page.startswith("notebooks/"), page.lower()))


def short_name(app: Sphinx, page: str) -> str:
    """Return what a page is called in a list: number and subject for a notebook."""
    folder, _, name = page.rpartition("/")
    if folder == "notebooks":
        return name.replace("_", " ")
    return "first page" if page == app.config.root_doc else app.env.titles[page].astext()


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.site_terms = read_terms()
    app.site_uses = {}
    app.connect("doctree-read", link_first_uses)
    app.connect("doctree-resolved", link_back)
    return {"parallel_read_safe": False, "parallel_write_safe": False}
