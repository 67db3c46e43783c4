"""Where the explorer's answers turn: found in the page's data, true by what they were read from."""

import json
import re
from dataclasses import asdict

import pytest
from pages import SMALL, small_page

from helpers.decision import decide
from helpers.display.explorer.elsewhere import published_near
from helpers.results.evidence import evidence_near
from tools.site.explorer_turns import ANSWERS, QUESTIONS, point_at, shares, turns
from tools.site.upkeep import upkeep


@pytest.fixture(scope="module")
def found():
    page, held = small_page()
    data = json.loads(re.search(r'type="application/json" id="data">(.*?)</script>', page)[1])
    return page, data, held, turns(data, SMALL, data["start"])


def answers(at, held):
    point = point_at(SMALL, at)
    told = evidence_near(point.situation(), held)
    return {
        "rule": decide(point.situation()).approach,
        "measured": told.take,
        "published": published_near(point.situation()).take,
        "pays": upkeep(point, told.candidates).take,
    }


def test_each_turn_is_one_step_that_changes_the_answer(found):
    _, _, held, made = found
    assert len(made) == len(QUESTIONS) * len(ANSWERS)
    for turn in made:
        assert (turn.before is None) == (turn.turning == 0)
        if turn.before is None:
            continue
        moved = [name for name in asdict(SMALL) if turn.before[name] != turn.after[name]]
        assert len(moved) == 1 and moved[0] in QUESTIONS[turn.question]
        assert turn.after[moved[0]] == turn.before[moved[0]] + 1
        told = tuple(answers(at, held)[turn.who] for at in (turn.before, turn.after))
        assert told == turn.told and told[0] != told[1]


def test_size_distance_cost_and_upkeep_each_turn_an_answer_or_the_page_says_none(found):
    page, _, _, made = found
    for question in QUESTIONS:
        own = [turn for turn in made if turn.question == question]
        row = re.search(rf'<tr><th scope="row">{question}</th>(.*?)</tr>', page)[1]
        assert row.count("<a ") == 2 * sum(turn.before is not None for turn in own)
        assert row.count("that is the finding") == sum(
            turn.before is None and turn.steps > 0 for turn in own
        )


def test_tasks_turn_the_rule_and_no_price_does(found):
    by_name = {(turn.question, turn.who): turn for turn in found[3]}
    assert by_name["upkeep", "rule"].turning > 0
    assert by_name["upkeep", "published"].turning == 0


def test_the_shares_add_up(found):
    _, data, _, _ = found
    made = shares(data, SMALL)
    assert sum(made.values()) == pytest.approx(1) and min(made.values()) > 0
