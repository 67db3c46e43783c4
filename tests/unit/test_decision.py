"""The rule: each rule and boundary, each flip, total, with reasons; light to import."""

import itertools
import math
import random
import subprocess
import sys

import pytest
from situations import BELOW_THIRD, BELOW_TWO_THIRDS, THIRD, TWO_THIRDS, random_situation

from helpers.decision import (
    FALLBACK,
    Reason,
    ReasonKind,
    Situation,
    Thresholds,
    decide,
    distance_word,
    size_word,
)
from helpers.errors import UserError
from helpers.vocabulary import DISTANCES, parse_distance

ANSWERS = {
    "feature_extraction", "lora", "partial_fine_tuning", "full_fine_tuning", "adapter"
}  # fmt: skip


def answer(*given, **more):
    made = decide(Situation(*given, **more))
    return made.rule, made.approach


def applied(decision) -> list[str]:
    return [flip.name for flip in decision.flips if flip.applied]


@pytest.mark.parametrize(
    ("examples", "distance", "rule", "approach"),
    [
        (1, 0.0, "R1", "feature_extraction"),
        (4_999, BELOW_THIRD, "R1", "feature_extraction"),
        (4_999, THIRD, FALLBACK, "feature_extraction"),
        (4_999, 1.0, FALLBACK, "feature_extraction"),
        (5_000, BELOW_THIRD, FALLBACK, "feature_extraction"),
        (5_000, THIRD, "R3", "partial_fine_tuning"),
        (5_000, 1.0, "R3", "partial_fine_tuning"),
        (99_999, THIRD, "R3", "partial_fine_tuning"),
        (99_999, TWO_THIRDS, "R3", "partial_fine_tuning"),
        (99_999, BELOW_THIRD, FALLBACK, "feature_extraction"),
        (100_000, BELOW_THIRD, FALLBACK, "feature_extraction"),
        (100_000, THIRD, FALLBACK, "partial_fine_tuning"),
        (100_000, BELOW_TWO_THIRDS, FALLBACK, "partial_fine_tuning"),
        (100_000, TWO_THIRDS, "R4", "full_fine_tuning"),
        (10**9, 1.0, "R4", "full_fine_tuning"),
    ],
)
def test_rules_at_their_boundaries(examples, distance, rule, approach):
    assert answer(examples, distance) == (rule, approach)


@pytest.mark.parametrize("examples", [1, 4_999, 5_000, 99_999, 100_000])
@pytest.mark.parametrize("distance", [0.0, BELOW_THIRD, THIRD, TWO_THIRDS, 1.0])
def test_language_models_get_lora_unless_r1_comes_first(examples, distance):
    first = examples < 5_000 and distance < THIRD
    expected = ("R1", "feature_extraction") if first else ("R2", "lora")
    made = decide(Situation(examples, distance, "text", llm=True))
    assert (made.rule, made.approach) == expected
    later = [reason.text[:2] for reason in made.reasons if reason.kind is ReasonKind.ORDER]
    assert ("R2" in later) == first


def test_r4_asks_for_accuracy_above_all():
    assert answer(100_000, "far", budget_minutes=60.0) == (FALLBACK, "partial_fine_tuning")
    assert answer(100_000, "far", latency_ms=5.0) == ("R4", "full_fine_tuning")
    changed = decide(Situation(100_000, "far", budget_minutes=60.0)).flips
    assert ("budget", "full_fine_tuning") in [(flip.name, flip.approach) for flip in changed]


def test_words_are_distances():
    for word, distance in DISTANCES.items():
        assert answer(1_000, word) == answer(1_000, distance)
        assert Situation(1_000, word).distance == parse_distance(str(distance)) == distance
    assert DISTANCES["close"] < THIRD <= DISTANCES["medium"] < TWO_THIRDS <= DISTANCES["far"]


def test_thresholds_are_arguments():
    assert decide(Situation(900, 0.1), Thresholds(small=900)).rule == FALLBACK
    assert decide(Situation(899, 0.1), Thresholds(small=900)).rule == "R1"
    assert decide(Situation(2_000, 0.1), Thresholds(small=900, distant=0.1)).rule == "R3"
    assert decide(Situation(3_000, 0.3), Thresholds(900, 3_000, 0.1, 0.3)).rule == "R4"
    many = decide(Situation(10, 0.1, tasks=3), Thresholds(many_tasks=3))
    assert applied(many) == ["many tasks"]


def test_reasons_follow_the_order_of_thought():
    reasons = decide(Situation(20_000, "medium")).reasons
    marks = ["20,000 examples are moderate", "0.50 is distant", "R1 does not", "R2 does not",
             "R3 matches", "Measure"]  # fmt: skip
    assert len(reasons) == len(marks)
    assert all(mark in reason.text for mark, reason in zip(marks, reasons, strict=True))
    kinds = ("SIZE", "DISTANCE", "NO_MATCH", "NO_MATCH", "MATCH", "MEASURE")
    assert [reason.kind.name for reason in reasons] == list(kinds)


def test_a_reason_prints_as_its_sentence():
    assert str(Reason(ReasonKind.MATCH, "R1 matches.")) == "R1 matches."
    assert size_word(1) == "small" and distance_word(1.0) == "very distant"


def test_the_fallback_says_that_nothing_matched_and_what_to_measure():
    for given in ((500, "far"), (50_000, "close"), (200_000, "close"), (200_000, "medium")):
        made = decide(Situation(*given))
        assert made.rule == FALLBACK and made.measure
        text = " ".join(map(str, made.reasons))
        assert "No rule covers" in text and "cheapest credible" in text and "Measure" in text
        assert all(f"R{number} does not match" in text for number in (1, 2, 3, 4))


def test_r4_prices_scratch_and_r3_unfreezes_only_on_a_stall():
    assert "from scratch" in " ".join(map(str, decide(Situation(10**6, "far")).reasons))
    assert "only when it stalls" in " ".join(map(str, decide(Situation(10**4, "far")).reasons))


def test_flip_unlabelled_data():
    """Many: 10,000 or more, and ten times the labelled examples or more."""
    cases = {(100, 9_999): 0, (100, 10_000): 1, (5_000, 49_999): 0, (5_000, 50_000): 1, (100, 0): 0}
    for (examples, unlabelled), holds in cases.items():
        made = decide(Situation(examples, "far", unlabelled=unlabelled))
        assert (made.first == "continued pretraining") == bool(holds) == bool(applied(made))
        assert made.approach == decide(Situation(examples, "far")).approach
    assert not any(reason.kind is ReasonKind.FLIP for reason in made.reasons)
    flipped = decide(Situation(100, "far", unlabelled=10**4)).reasons[-3]
    assert flipped.kind is ReasonKind.FLIP and "continue the base" in flipped.text


def test_flip_local_only():
    for situation in (Situation(100, "close"), Situation(900, "far", "text", llm=True)):
        made = decide(situation)
        flipped = decide(Situation(**{**vars(situation), "local_only": True}))
        assert flipped.approach == "full_fine_tuning" != made.approach
        assert flipped.rule == made.rule and applied(flipped) == ["local only"]
        assert any("runs here" in reason.text for reason in flipped.reasons)


def test_flip_many_tasks():
    assert applied(decide(Situation(100, "close", tasks=9))) == []
    for examples, distance, llm, approach in (
        (100, "close", False, "adapter"),
        (10_000, "far", False, "adapter"),
        (10_000, "far", True, "lora"),
    ):
        made = decide(Situation(examples, distance, "text", llm=llm, tasks=10))
        assert (made.approach, applied(made)) == (approach, ["many tasks"])


def test_flips_together_keep_the_articles_order_and_the_last_names_the_approach():
    made = decide(Situation(1_000, "far", unlabelled=10**6, local_only=True, tasks=50))
    assert applied(made) == ["unlabelled data", "local only", "many tasks"]
    assert (made.first, made.approach) == ("continued pretraining", "adapter")


def test_what_would_change_the_answer_does_change_it():
    made = decide(Situation(20_000, "medium"))
    changes = {(flip.name, flip.approach): flip.why for flip in made.flips}
    assert "5,000" in changes["examples", "feature_extraction"]
    assert "0.33" in changes["distance", "feature_extraction"]
    assert "local" in changes["local only", "full_fine_tuning"]
    assert "10 similar tasks" in changes["many tasks", "adapter"]
    assert "200,000 unlabelled" in changes["unlabelled data", "partial_fine_tuning"]
    assert ("language model", "lora") not in changes  # pictures
    assert ("distance", "partial_fine_tuning") not in changes  # farther changes nothing
    text = decide(Situation(20_000, "medium", "text")).flips
    assert ("language model", "lora") in [(flip.name, flip.approach) for flip in text]


def test_ten_thousand_situations_all_get_an_answer_with_reasons():
    rng, rules = random.Random(0), set()
    for _ in range(10_000):
        situation = random_situation(rng)
        made = decide(situation)
        rules.add(made.rule)
        assert made == decide(situation)
        assert made.approach in ANSWERS
        assert len(made.reasons) >= 4 and all(reason.text.endswith(".") for reason in made.reasons)
        holds = applied(made)
        assert ("local only" in holds) == situation.local_only
        assert ("many tasks" in holds) == (situation.tasks >= 10)
        assert ("unlabelled data" in holds) == bool(made.first)
        for flip in made.flips:
            assert flip.approach in ANSWERS and flip.why
    assert rules == {"R1", "R2", "R3", "R4", FALLBACK}


BAD = [
    {"examples": 0}, {"examples": -1}, {"examples": 1.5}, {"examples": True}, {"examples": "9"},
    {"distance": -0.01}, {"distance": 1.01}, {"distance": math.nan}, {"distance": "near"},
    {"distance": None}, {"distance": True}, {"modality": "sound"}, {"llm": True}, {"tasks": 0},
    {"unlabelled": -1}, {"budget_minutes": 0}, {"budget_minutes": math.inf}, {"latency_ms": -1},
    {"latency_ms": "5"}, {"latency_ms": math.nan},
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_impossible_situations_are_refused(bad):
    name = "language model" if "llm" in bad else next(iter(bad))
    with pytest.raises(UserError, match=name):
        Situation(**{"examples": 100, "distance": 0.1} | bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"small": 0},
        {"small": 10, "large": 10},
        {"distant": 0.0},
        {"distant": 0.7},
        {"very_distant": 1.1},
        {"many_tasks": 1},
        {"unlabelled": 0},
        {"unlabelled_ratio": 0.0},
    ],
    ids=str,
)
def test_impossible_thresholds_are_refused(bad):
    with pytest.raises(UserError, match="thresholds"):
        Thresholds(**bad)


def test_only_the_standard_library_is_imported():
    code = "import sys, helpers.decision; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True,
        cwd=__file__.rsplit("tests", 1)[0],
    )  # fmt: skip
    assert set(done.stdout.split()) <= {"helpers", "__main__", *sys.stdlib_module_names}


def test_import_is_fast():
    """Under 0.1 s of processor time, which other work on the machine does not change much."""
    code = "import time; t = time.process_time(); import helpers.decision; "
    code += "print(time.process_time() - t)"
    command = [sys.executable, "-c", code]
    costs = [
        float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in "12345"
    ]
    assert min(costs) < 0.1


def test_answers_do_not_depend_on_the_order_of_asking():
    situations = [Situation(n, d) for n, d in itertools.product((10, 10**4, 10**6), DISTANCES)]
    assert [decide(s) for s in situations] == [decide(s) for s in reversed(situations)][::-1]
