"""Whatever the article says has its place in a notebook: CONTRIBUTING's table is true and whole."""

import re

import pytest

from helpers.lessons.claims import load_claims

ROW = re.compile(r'^\| (.+?) \| (\d\d), "(.+)" \| ([\d, ]*)\|$', re.MULTILINE)


@pytest.fixture(scope="module")
def places(root):
    """Rows of the table: what, number of the notebook, section, claims."""
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, _, rest = text.partition("\n### Where the article is\n")
    table = rest.partition("\n### ")[0]
    found = ROW.findall(table)
    assert len(found) == table.count("\n|") - 2  # the head and the line below it
    return found


def missing(root, places):
    """Return the sections that a notebook does not have."""
    lacking = []
    for _, number, section, _ in places:
        (source,) = (root / "notebooks" / "sources").glob(f"{number}_*.py")
        headings = re.findall(r"^# #{2,3} (.+)$", source.read_text(encoding="utf-8"), re.MULTILINE)
        if section not in headings:
            lacking.append((number, section))
    return lacking


def test_every_section_is_there(root, places):
    assert missing(root, places) == []
    assert missing(root, [("x", "15", "Mistake 8: none", "")]) == [("15", "Mistake 8: none")]


def test_every_claim_has_one_place(places):
    told = [int(one) for *_, claims in places for one in re.findall(r"\d+", claims)]
    assert sorted(told) == [claim["id"] for claim in load_claims()]


def test_questions_mistakes_and_notebooks_are_whole(places):
    assert sum(what.startswith("Question") for what, *_ in places) == 5
    assert sum(what.startswith("Mistake") for what, *_ in places) == 7
    assert any("checklist" in what for what, *_ in places)
    # 01 is what the others need to know of a network, and no part of the article.
    assert {f"{n:02d}" for n in range(16)} - {number for _, number, *_ in places} == {"01"}
