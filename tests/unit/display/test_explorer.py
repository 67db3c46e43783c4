"""The notebook's explorer: each control at both ends, live runs with a stand-in, no records."""

import base64
import io
import itertools
import random
import re
from dataclasses import replace

import pandas as pd
import pytest
from PIL import Image
from rows import make_row

from helpers.decision import Reason, ReasonKind, decide, unlabelled_is_many
from helpers.display import sliders
from helpers.display.explorer import live_run, notebook
from helpers.display.explorer.cards import measured_card, rule_card, source_last
from helpers.display.explorer.notebook import NO_LIMIT, Explorer
from helpers.display.explorer.settings import (
    AXES,
    Point,
    comparison,
    enough_unlabelled,
    headline,
    shown_curves,
)
from helpers.display.sliders import VIEW
from helpers.errors import UserError
from helpers.experiments import single_run
from helpers.results.evidence import CLEAR, CLOSE, NONE, both_answers, evidence_near
from helpers.results.learning_curves import Curve, measured_curves, nearest
from helpers.results.schema import COMPARED

MEANS = {"feature_extraction": 0.6, "lora": 0.8, "full_fine_tuning": 0.7}
SECONDS = {"feature_extraction": 1.0, "lora": 10.0, "full_fine_tuning": 100.0}
CURVES = (("products_near", 0.0, 0.1), ("products_near", 0.5, 0.0), ("digits", 0.0, -0.1))


@pytest.fixture(scope="module")
def runs():
    """Recorded runs of three curves, three approaches, two sizes and three seeds, made up."""
    rows = [
        make_row(
            task=task,
            dial=dial,
            approach=approach,
            n_train=n,
            seed=seed,
            lr=0.02,
            test_accuracy=mean + shift + 0.01 * ((seed + i) % 3 - 1) + 0.02 * (n > 50),
            train_seconds=SECONDS[approach],
            train_cpu_seconds=SECONDS[approach],
            prepare_seconds=0.0,
            latency_ms=1.0 + (approach == "lora"),
        )
        for (task, dial, shift), n, seed in itertools.product(CURVES, (50, 200), range(3))
        for i, (approach, mean) in enumerate(MEANS.items())
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def made(runs):
    return Explorer(runs)


def options(control):
    """Return the values that a control can take, first and last among them."""
    if not hasattr(control, "options"):
        return [False, True]
    return [one[1] for one in control.options]


def test_every_control_answers_at_both_ends(made):
    for name, control in made.controls.items():
        if name == "llm":
            made.controls["modality"].value = "text"
        before = control.value
        for end in (options(control)[0], options(control)[-1]):
            control.value = end
            point = made.point
            ruled = decide(point.situation())
            found = evidence_near(point.situation(), made.held)
            told = headline(ruled, found)
            assert all(sentence in made.verdict.value for sentence in told), (name, end)
            assert 'aria-live="polite"' in made.verdict.value
            assert all(reason_shown(reason.text, made) for reason in ruled.reasons), (name, end)
            assert found.verdict in made.answer.value
        control.value = before
        made.controls["modality"].value = "image"


def reason_shown(reason, made):
    return reason.replace("'", "&#x27;").replace("<", "&lt;") in made.answer.value


def test_sliders_stop_where_the_page_does(made):
    for name in notebook.SLIDERS:
        values = [None if v == NO_LIMIT else v for v in options(made.controls[name])]
        assert values == list(getattr(AXES, name))


def test_what_is_shown_is_what_decide_prints(made):
    chance = random.Random(0)
    for _ in range(40):
        for control in made.controls.values():
            if not control.disabled:
                control.value = chance.choice(options(control))
        point, ruled, found = made.look()
        told = both_answers(point.situation(), made.held)
        assert (ruled.approach, ruled.rule) == (told["approach"], told["rule"])
        assert found.verdict == told["verdict"]
        for row in told["candidates"]:
            assert f"{row['low']:.3f} to {row['high']:.3f}" in made.answer.value
        assert made.answer.value.count("<tr class=") == len(told["candidates"])


def test_the_curves_are_those_the_answer_was_read_from(runs):
    held = measured_curves(runs)
    for examples, distance in itertools.product((20, 50, 100, 500), AXES.distance):
        point = Point(examples, distance).situation()
        places, near = shown_curves(point, evidence_near(point, held), held)
        read = [reading.name for reading in nearest(point, held)]
        assert near == bool(read)
        assert len(places) <= 3
        if read:
            assert [held.curves[place].name for place in places] == read


def test_limits_that_nothing_fits_leave_the_near_curves(made):
    made.controls["budget_minutes"].value = 0.05
    made.controls["latency_ms"].value = 0.5
    assert made.look()[2].verdict == NONE
    assert "The curves that the measured answer was read from" in made.answer.value


def test_an_answer_is_worked_out_once(made, monkeypatch):
    asked = []
    monkeypatch.setattr(
        notebook, "evidence_near", lambda s, held: asked.append(s) or evidence_near(s, held)
    )
    made.controls["distance"].value = 0.3
    made.controls["tasks"].value = 30
    made.controls["unlabelled"].value = True
    made.controls["distance"].value = 0.25
    made.controls["distance"].value = 0.3
    assert len(asked) == 1


def test_language_models_are_asked_for_with_texts_alone(made):
    assert made.controls["llm"].disabled
    made.controls["modality"].value = "text"
    assert not made.controls["llm"].disabled
    assert made.button.disabled and live_run.PICTURES_ONLY in made.note.value
    made.controls["llm"].value = True
    assert made.look()[1].rule in ("R1", "R2") and made.look()[2].verdict == NONE
    made.controls["modality"].value = "image"
    assert made.look()[0].situation().llm is False
    assert not made.button.disabled and made.note.value == ""


def test_a_live_run_drops_its_point_on_the_curve(runs):
    seen = {}

    def stand_in(point, approach, held, given):
        seen.update(point=point, approach=approach, disabled=made.button.disabled)
        seen["announced"] = made.note.value
        return live_run.Live(200, 0.75, "Live: it reached 0.750.")

    made = Explorer(runs, stand_in)
    assert 'class="live"' not in made.answer.value
    made.button.click()
    assert seen["disabled"] and not made.button.disabled
    assert "Training feature extraction on 200 product photos" in seen["announced"]
    assert seen["approach"] == made.look()[1].approach
    assert "Live: it reached 0.750." in made.note.value
    assert made.answer.value.count('class="live"') == 1
    made.controls["distance"].value = 1.0  # another panel's place: the point stays on its own
    assert made.answer.value.count('class="live"') == 1


@pytest.mark.parametrize("error", [UserError("the loss became NaN"), ValueError("odd\ntraceback")])
def test_a_failed_live_run_is_one_sentence(runs, error):
    def stand_in(*_):
        raise error

    made = Explorer(runs, stand_in)
    made.button.click()
    assert f"The live run failed: {str(error).splitlines()[0]}." in made.note.value
    assert "traceback" not in made.note.value
    assert not made.button.disabled


def test_a_live_run_asks_with_recorded_settings(runs, monkeypatch):
    asked = []

    def run(config, n_test):
        asked.append((config, n_test))
        return {"test_accuracy": 0.9, "train_seconds": 1.0, "prepare_seconds": 0.5}

    monkeypatch.setattr(single_run, "run", run)
    held = measured_curves(runs)
    told = live_run.run_live(Point(100_000, 0.6), "lora", held, runs)
    ((config, n_test),) = asked
    assert (config.task, config.backbone, config.approach) == ("products_near", "pocket", "lora")
    assert (config.n_train, config.dial, config.lr, n_test) == (200, 0.5, 0.02, live_run.TESTED)
    assert config.seed not in set(runs["seed"])
    assert told.accuracy == 0.9 and told.examples == 200
    assert "above the recorded interval" in told.words and "1.5 s" in told.words
    live_run.run_live(Point(50, 0.0), "adapter", held, runs)
    assert asked[1][0].lr is None and asked[1][0].dial == 0.0
    assert (runs["schema"] == COMPARED["image"]).all()
    live_run.run_live(Point(100_000, 0.6), "lora", held, runs.assign(schema=1))
    assert (config.schema, asked[2][0].schema) == (COMPARED["image"], 1)  # each by its own recipe


def test_a_live_run_of_texts_is_refused(runs):
    with pytest.raises(UserError, match="needs pictures"):
        live_run.run_live(Point(50, 0.0, modality="text"), "lora", measured_curves(runs), runs)


def test_without_records_it_says_so(runs):
    made = Explorer(runs.iloc[:0], lambda *_: live_run.Live(50, 0.5, "Live."))
    for name in notebook.SLIDERS:
        made.controls[name].value = options(made.controls[name])[0]
    assert "No evidence: no image task" in made.verdict.value
    assert "What the rule says" in made.answer.value
    made.button.click()
    assert "Live." in made.note.value


@pytest.mark.parametrize("empty", [False, True])
def test_one_display_with_view_still_and_text(runs, monkeypatch, empty):
    shown = []
    monkeypatch.setattr(sliders, "display", lambda *data, **how: shown.append((*data, how)))
    notebook.explorer(runs.iloc[:0] if empty else runs)
    ((bundle, how),) = shown
    assert set(bundle) == {VIEW, "image/png", "text/plain"}
    assert how == {"raw": True, "metadata": {"image/png": {"alt": bundle["text/plain"]}}}
    assert bundle["text/plain"].startswith("The rule says feature extraction (R1).")
    assert ("No evidence" in bundle["text/plain"]) == empty
    still = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert still.size == (800, 390)


def test_the_switch_for_unlabelled_data_is_just_many():
    for examples in AXES.examples:
        many = enough_unlabelled(examples)
        made = [Point(examples, unlabelled=True).situation()]
        assert made[0].unlabelled == many and unlabelled_is_many(made[0])


def test_the_rule_beside_the_records_in_a_sentence(runs):
    held = measured_curves(runs)
    point = Point(200, 0.25).situation()
    found = evidence_near(point, held)
    assert found.verdict in (CLEAR, CLOSE)
    told = comparison(decide(point), found)
    assert told.startswith("The rule's feature extraction came out 20.0 points below LoRA, at 1/10")
    flipped = decide(Point(200, 0.25, tasks=100).situation())
    assert "was not measured here" in comparison(flipped, found)
    assert comparison(flipped, evidence_near(point, measured_curves(runs.iloc[:0]))) == ""


@pytest.mark.parametrize("point", [Point(), Point(5_000, 0.5), Point(10**6, 0.9, tasks=100)])
def test_reasons_that_matched_stand_out(point):
    classes = re.findall(r'<li class="(\w*)">', rule_card(decide(point.situation())))
    assert "match" in classes


REWORDINGS = ("", "R1 matches, and R2 does not match: Flip, it is", "No evidence: Measured near")


def reworded(made, text):
    """Return an answer that gives the same reasons in other words."""
    return replace(made, reasons=tuple(Reason(reason.kind, text) for reason in made.reasons))


@pytest.mark.parametrize("text", REWORDINGS)
@pytest.mark.parametrize("point", [Point(), Point(5_000, 0.5), Point(10**6, 0.9, tasks=100)])
def test_how_a_reason_is_set_does_not_hang_on_its_words(point, text):
    ruled = decide(point.situation())
    plain = re.findall(r'<li class="(\w*)">', rule_card(ruled))
    assert re.findall(r'<li class="(\w*)">', rule_card(reworded(ruled, text))) == plain
    classes = {"NO_MATCH": "no", "MATCH": "match", "FLIP": "match"}
    expected = [classes.get(reason.kind.name, "") for reason in ruled.reasons]
    assert plain[: len(expected)] == expected


@pytest.mark.parametrize("text", REWORDINGS)
def test_the_curves_that_are_shown_do_not_hang_on_words(runs, text, monkeypatch):
    held = measured_curves(runs)
    situations = [Point(n, distance).situation() for n in (50, 200) for distance in (0.1, 0.8)]
    found = [evidence_near(situation, held) for situation in situations]
    before = [shown_curves(*pair, held) for pair in zip(situations, found, strict=True)]
    assert any(read for _, read in before)
    monkeypatch.setattr(Curve, "name", text)
    again = [shown_curves(s, reworded(f, text), held) for s, f in zip(situations, found)]  # noqa: B905
    assert again == before


def test_the_source_is_told_last_and_an_absence_first_whatever_the_words(runs):
    found = evidence_near(Point(200, 0.25).situation(), measured_curves(runs))
    assert [reason.kind for reason in found.reasons][0] is ReasonKind.SOURCE
    assert source_last(reworded(found, "same").reasons)[-1].kind is ReasonKind.SOURCE
    marked = replace(found, reasons=tuple(Reason(r.kind, r.kind.name) for r in found.reasons))
    said = re.findall(r"<p>(\w+)</p>", measured_card(decide(Point().situation()), marked))
    assert len(said) == len(found.reasons) and said[-1] == "SOURCE"
    nothing = evidence_near(Point(200, 0.25, modality="text").situation(), measured_curves(runs))
    reasons = (Reason(ReasonKind.LEAN, "it leans"), Reason(ReasonKind.ABSENCE, "nothing here"))
    told = headline(decide(Point().situation()), replace(nothing, reasons=reasons))
    assert told[1] == "nothing here"
