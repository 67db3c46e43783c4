"""The measured answer: by hand on made-up records, honest where there are too few, total."""

import json
import math
import random
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from rows import SECONDS, made, three
from situations import random_situation

from helpers.approaches import APPROACHES
from helpers.cli import commands
from helpers.decision import ReasonKind, Situation
from helpers.errors import UserError
from helpers.experiments import grids
from helpers.results import evidence, learning_curves
from helpers.results import runs as records
from helpers.results.evidence import CLEAR, CLOSE, NONE, both_answers, decide_command
from helpers.results.schema import COMPARED
from helpers.storage import results_file
from helpers.tasks import TASKS
from helpers.vocabulary import DISTANCES

FAR = 5 / 6


def evidence_near(situation, runs, distances=None):
    """The measured answer of made-up runs, with distances of their own."""
    if isinstance(runs, pd.DataFrame):
        runs = learning_curves.measured_curves(runs, distances)
    return evidence.evidence_near(situation, runs)


def test_at_a_measured_size_means_and_intervals_are_students_t():
    runs = made(three(0.6, 0.8, 0.7))
    found = evidence_near(Situation(100, FAR), runs, {})
    assert [c.approach for c in found.candidates] == [
        "lora",
        "full_fine_tuning",
        "feature_extraction",
    ]
    for candidate in found.candidates:
        values = runs[runs.approach == candidate.approach].test_accuracy
        low, high = scipy.stats.t.interval(0.95, 2, values.mean(), scipy.stats.sem(values))
        assert (candidate.accuracy, candidate.low, candidate.high) == pytest.approx(
            (values.mean(), low, high)
        )
        assert candidate.runs == 3
        assert candidate.train_seconds == pytest.approx(SECONDS[candidate.approach])
    assert (found.verdict, found.take) == (CLEAR, "lora")
    assert found.reasons[-1].text.startswith("Clear among the 3 that were compared: LoRA")
    plain = {name for name, one in APPROACHES.items() if one.serves_plain_network()}
    assert plain == evidence.PLAIN_NETWORK


def test_between_sizes_the_curve_is_straight_over_the_logarithm():
    runs = pd.concat([made(three(0.6, 0.8, 0.7), 100), made(three(0.7, 0.9, 0.6), 10_000)])
    found = {c.approach: c for c in evidence_near(Situation(1_000, FAR), runs, {}).candidates}
    assert found["lora"].accuracy == pytest.approx(0.85)
    assert found["full_fine_tuning"].accuracy == pytest.approx(0.65)
    assert found["lora"].train_seconds == pytest.approx(100)  # between 10 and 1,000 s
    assert found["lora"].runs == 6
    near_end = evidence_near(Situation(9_999, FAR), runs, {}).candidates[0]
    assert near_end.accuracy == pytest.approx(0.9, abs=1e-4)


def test_beyond_the_ends_they_stand_in_and_farther_there_is_nothing():
    runs = pd.concat([made(three(0.6, 0.8, 0.7), 100), made(three(0.7, 0.9, 0.6), 10_000)])
    for examples, expected in ((32, 0.8), (31_000, 0.9), (31, None), (32_000, None)):
        found = evidence_near(Situation(examples, FAR), runs, {})
        if expected is None:
            assert (found.verdict, found.take, found.candidates) == (NONE, "", ())
            assert "no image task" in found.reasons[0].text
        else:
            assert found.candidates[0].accuracy == pytest.approx(expected)


def test_too_close_to_call_takes_the_cheaper():
    found = evidence_near(Situation(100, FAR), made(three(0.795, 0.8, 0.6)), {})
    assert (found.verdict, found.take) == (CLOSE, "feature_extraction")
    assert "or what is clearly cheaper" in found.reasons[-1].text
    costly = evidence_near(Situation(100, FAR), made(three(0.6, 0.8, 0.805)), {})
    assert (costly.verdict, costly.take) == (CLOSE, "lora")


def test_differences_are_paired_by_seed():
    """Luck that approaches share takes no part in the verdict, wide as their intervals are."""
    luck = np.array([-0.1, 0.0, 0.1])
    values = {
        "feature_extraction": list(0.60 + luck),
        "lora": list(0.64 + luck + [0.001, 0, -0.001]),
        "full_fine_tuning": list(0.62 + luck),
    }
    found = evidence_near(Situation(100, FAR), made(values), {})
    assert found.candidates[0].low < found.candidates[-1].high
    assert (found.verdict, found.take) == (CLEAR, "lora")


def test_curves_are_averaged_and_their_seeds_give_the_interval():
    pair = [made(three(0.6, 0.8, 0.7), task=task) for task in ("digits", "textile")]
    pair[1].test_accuracy -= 0.2
    single = evidence_near(Situation(100, FAR), pair[0], {}).candidates[0]
    both = evidence_near(Situation(100, FAR), pd.concat(pair), {}).candidates[0]
    assert both.accuracy == pytest.approx(0.7) and both.runs == 6
    error = scipy.stats.sem([0.79, 0.8, 0.81]) / math.sqrt(2)
    assert both.high - both.accuracy == pytest.approx(scipy.stats.t.ppf(0.975, 4) * error)
    assert both.high - both.low < single.high - single.low


def test_only_near_tasks_of_the_same_kind_are_read():
    near = made(three(0.9, 0.7, 0.7), task="products_near")
    runs = pd.concat([near, made(three(0.6, 0.8, 0.7))])
    first = lambda word, places: (  # noqa: E731
        evidence_near(Situation(100, word), runs, places).candidates[0].approach
    )
    assert first("close", {}) == "feature_extraction" and first("far", {}) == "lora"
    assert evidence_near(Situation(100, "medium"), runs, {}).verdict == NONE
    assert evidence_near(Situation(100, "far", "text"), runs, {}).verdict == NONE
    moved = {("digits", "pocket", 0.0, 28): 0.5}
    assert first("medium", moved) == "lora"
    assert evidence_near(Situation(100, "far"), runs, moved).verdict == NONE


def test_at_most_three_curves_the_nearest_first():
    runs = pd.concat(
        made(three(0.6, 0.8, 0.7), task="products_near", dial=step) for step in grids.DIALS
    )
    places = {("products_near", "pocket", round(d, 4), 28): d for d in grids.DIALS}
    found = evidence_near(Situation(100, 0.5), runs, places)
    assert found.candidates[0].runs == 9
    assert all(f"dial {dial}" in found.reasons[0].text for dial in ("0.33", "0.50", "0.67"))
    dials = [round(curve.dial, 2) for curve in found.curves]
    assert dials[0] == 0.5 and set(dials[1:]) == {0.33, 0.67}


def test_a_curve_that_lacks_an_approach_is_not_mixed_in():
    part = made(three(0.1, 0.1, 0.9), task="textile")
    runs = pd.concat([made(three(0.6, 0.8, 0.7)), part[part.approach != "lora"]])
    runs.loc[runs.task == "textile", "sweep"] = "trial"
    found = evidence_near(Situation(100, FAR), runs, {})
    assert found.candidates[0].approach == "lora" and found.candidates[0].runs == 3


@pytest.mark.parametrize(
    "runs",
    [
        made(three(0.6, 0.8, 0.7)).iloc[:0],
        made({name: values[:2] for name, values in three(0.6, 0.8, 0.7).items()}, schema=1),
        made(three(0.6, 0.8, 0.7), origin="sample"),
        made(three(0.6, 0.8, 0.7), task="somewhere"),
        made({"lora": [0.1, 0.2, 0.3], "full_fine_tuning": [0.1, 0.2, 0.3]}),
    ],
    ids=["empty", "two seeds", "sample", "unknown distance", "no baseline"],
)
def test_too_little_is_no_evidence(runs):
    found = evidence_near(Situation(100, FAR), runs, {})
    assert (found.verdict, found.take, found.candidates) == (NONE, "", ())
    assert [reason.kind for reason in found.reasons][:1] == [ReasonKind.ABSENCE]
    assert found.curves == ()


def test_a_trial_at_a_size_of_the_grid_is_one_of_its_runs():
    runs = made(three(0.6, 0.8, 0.7))
    runs.loc[runs["seed"] == 0, "sweep"] = runs["sweep"] + "/tuning"
    other = made({name: values[:1] for name, values in three(0.9, 0.1, 0.1).items()}, lr=0.5)
    found = evidence_near(Situation(100, FAR), pd.concat([runs, other]), {})
    assert found.take == "lora" and {c.runs for c in found.candidates} == {3}


def test_prepared_records_give_the_same_answer():
    runs = pd.concat([made(three(0.6, 0.8, 0.7), 100), made(three(0.7, 0.9, 0.6), 10_000)])
    held = learning_curves.measured_curves(runs, {})
    for examples in (100, 1_000, 30_000, 90_000):
        situation = Situation(examples, FAR)
        assert evidence_near(situation, held) == evidence_near(situation, runs, {})


def test_a_clear_answer_needs_the_other_tasks_to_agree():
    """One near task is clear in itself; one just out of reach disagrees."""
    places = {("digits", "pocket", 0.0): FAR, ("products_near", "pocket", 0.0): FAR - 0.21}
    near = made(three(0.6, 0.8, 0.7))
    assert evidence_near(Situation(100, FAR), near, places).verdict == CLEAR
    farther = made(three(0.9, 0.2, 0.85), task="products_near")
    found = evidence_near(Situation(100, FAR), pd.concat([near, farther]), places)
    assert found.verdict == CLOSE and found.candidates[0].approach == "lora"
    assert "other tasks disagree" in found.reasons[-2].text
    assert found.take == found.lean == "full_fine_tuning"  # gives up a little in both


def test_without_evidence_near_by_it_still_says_where_the_rest_leans():
    found = evidence_near(Situation(100, "close"), made(three(0.6, 0.8, 0.7)), {})
    assert (found.verdict, found.take, found.lean) == (NONE, "", "lora")
    assert "leans to LoRA" in found.reasons[-1].text
    limited = evidence_near(Situation(100, "close", latency_ms=1.5), made(three(0.6, 0.8, 0.7)), {})
    assert (limited.verdict, limited.lean) == (NONE, "")
    assert evidence_near(Situation(100, "close", "text"), made(three(0.6, 0.8, 0.7)), {}).lean == ""


def test_a_size_that_lacks_the_dear_approaches_is_not_read_yet():
    cheap = {name: values for name, values in three(0.9, 0.8, 0.7).items() if "full" not in name}
    runs = pd.concat([made(three(0.6, 0.8, 0.7), 100), made(cheap, 1_000)])
    near = evidence_near(Situation(200, FAR), runs, {})
    assert len(near.candidates) == 3 and near.candidates[0].accuracy == pytest.approx(0.8)
    assert evidence_near(Situation(1_000, FAR), runs, {}).verdict == NONE
    assert "not compared: no network, partial fine-tuning" in near.reasons[0].text


def test_four_approaches_are_enough_where_more_were_run_at_other_sizes():
    """The second recipe runs the probe, LoRA, partial and full fine-tuning alone on 50 examples."""
    four = three(0.6, 0.8, 0.7) | {"partial_fine_tuning": [0.65] * 3}
    runs = pd.concat([made(four, 50), made(four | {"adapter": [0.5] * 3}, 1_000)])
    names = lambda n: {  # noqa: E731
        c.approach for c in evidence_near(Situation(n, FAR), runs, {}).candidates
    }
    assert names(50) == names(200) == set(four) and names(1_000) == set(four) | {"adapter"}


def test_curves_of_several_networks_are_read_together():
    other = made(three(0.9, 0.5, 0.7), task="textile", backbone="efficientnet_lite0")
    runs = pd.concat([made(three(0.6, 0.8, 0.7)), other])
    assert evidence_near(Situation(100, FAR), runs, {}).candidates[0].runs == 6


def test_a_language_model_has_no_evidence_in_small_ones():
    runs = made(three(0.6, 0.8, 0.7), task="newsgroups", backbone="minilm", modality="text")
    assert evidence_near(Situation(100, "close", "text"), runs, {}).verdict == CLEAR
    assert evidence_near(Situation(100, "close", "text", llm=True), runs, {}).verdict == NONE


def test_variants_are_picked_by_validation_and_never_by_test():
    runs = made(three(0.6, 0.8, 0.7), val_accuracy=0.5)
    other = made({"lora": [0.7, 0.71, 0.72]}, lr=0.5, val_accuracy=0.9)
    found = evidence_near(Situation(100, FAR), pd.concat([runs, other]), {})
    assert {c.approach: c.accuracy for c in found.candidates}["lora"] == pytest.approx(0.71)


def test_sweeps_of_one_approach_do_not_give_it_more_trials():
    runs = made(three(0.6, 0.8, 0.7), val_accuracy=0.5)
    stages = made(
        {"full_fine_tuning": [0.95] * 3}, settings="x=1", sweep="stages", val_accuracy=0.9
    )
    found = evidence_near(Situation(100, FAR), pd.concat([runs, stages]), {})
    assert found.take == "lora"


def test_budget_and_latency_leave_out_what_is_over_them():
    runs = made(three(0.6, 0.8, 0.9))
    names = lambda **limits: {  # noqa: E731
        c.approach for c in evidence_near(Situation(100, FAR, **limits), runs, {}).candidates
    }
    assert names() == set(SECONDS)
    assert names(budget_minutes=100 / 60 + 1e-6) == set(SECONDS)
    assert names(budget_minutes=99 / 60) == {"feature_extraction", "lora"}
    assert names(latency_ms=1.5) == set(SECONDS)  # one network, so its median latency
    assert names(latency_ms=0.5) == set()
    assert names(budget_minutes=0.01) == set()
    told = evidence_near(Situation(100, FAR, budget_minutes=99 / 60), runs, {}).reasons
    assert "left out: full fine-tuning" in told[1].text


def test_preparing_counts_towards_the_budget():
    runs = made(three(0.6, 0.8, 0.9))
    runs["train_cpu_seconds"] += 60.0  # preparation is in them
    kept = evidence_near(Situation(100, FAR, budget_minutes=70.5 / 60), runs, {}).candidates
    assert {c.approach for c in kept} == {"feature_extraction", "lora"}


def test_distances_come_from_the_file_where_it_has_them(tmp_path, monkeypatch):
    monkeypatch.setattr(results_file, "results_dir", lambda: tmp_path)
    assert learning_curves.recorded_distances() == {}
    file = learning_curves.DISTANCES_FILE
    places = (
        ("digits", 0.0, 64, 0.4),
        ("digits", 0.0, 128, 0.5),
        ("products_near", 1 / 6, 28, 0.3),
    )
    for task, dial, size, distance in places:
        place = {"task": task, "backbone": "pocket", "dial": dial, "image_size": size}
        file.append(dict.fromkeys(file.columns, 0.5) | place | {"distance": distance})
    held = learning_curves.recorded_distances()

    def at(task, dial, size):
        return learning_curves.task_distance(task, "pocket", dial, size, held)

    assert at("digits", 0.0, 64) == (0.4, "measured")
    assert at("digits", 0.0, 128) == (0.5, "measured")
    assert at("digits", 0.0, 224) == (0.5, "measured at 128")
    assert at("products_near", 1 / 6, 28) == (0.3, "measured")
    assert at("textile", 0.0, 28) == (FAR, "judged")
    assert at("elsewhere", 0.0, 28) is None


def test_the_dial_moves_a_judged_distance_to_one():
    steps = [
        learning_curves.task_distance("products_near", "pocket", d, 28, {})[0]
        for d in (0.0, *grids.DIALS)
    ]
    assert steps[0] == pytest.approx(1 / 6) and steps[-1] == 1.0 and steps == sorted(steps)


def test_every_task_of_the_grids_has_a_distance():
    asked = {
        (task, block.backbone)
        for sweep in grids.COMPARING
        for block in grids.SWEEPS[sweep].blocks
        for task in block.tasks
    }
    assert all(TASKS[task].judged[backbone] in DISTANCES for task, backbone in asked)


KEYS = ["approach", "rule", "reasons", "flips", "verdict", "candidates", "sources"]
COSTS = ["train_seconds", "stored_mb", "latency_ms"]
CANDIDATE = ["approach", "accuracy", "low", "high", *COSTS, "runs"]


def test_json_has_the_keys_that_were_promised(monkeypatch, capsys):
    monkeypatch.setattr(learning_curves, "recorded_distances", dict)
    runs = made(three(0.6, 0.8, 0.7))
    monkeypatch.setattr(records, "load_runs", lambda **_: runs)
    assert decide_command(as_json=True, examples=300, distance="far") == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == KEYS
    assert [list(row) for row in told["candidates"]] == [CANDIDATE] * 3
    assert all(set(flip) == {"name", "applied", "approach", "why"} for flip in told["flips"])
    assert "20.0 points below the best" in told["reasons"][-3]
    assert "larger pictures. On clothing" in told["reasons"][-1]
    sources = told["sources"]
    assert sources["recipe"] == COMPARED["image"] and sources["records"] == [
        {"task": "digits", "backbone": "pocket", "dial": 0.0, "image_size": 28}
    ]
    assert len(sources["published"]) > 5  # medical pictures, of 78 to 300 examples
    assert {"source", "data_set", "network", "n_train", "grade"} <= set(sources["published"][0])


def test_reasons_say_recipe_resolution_and_published_cases(monkeypatch):
    monkeypatch.setattr(learning_curves, "recorded_distances", dict)
    told = " ".join(
        both_answers(Situation(300, FAR), made(three(0.6, 0.8, 0.7), schema=1))["reasons"]
    )
    assert "by the first recipe" in told and "at 28 pixels" in told
    assert "Published near here" in told and "never pooled" in told
    second = made(three(0.6, 0.8, 0.7), schema=2)
    told = " ".join(both_answers(Situation(300, FAR), second)["reasons"])
    assert "by the second recipe" in told
    language = both_answers(Situation(5_000, "close", "text", llm=True), second)
    assert language["sources"]["recipe"] is None and language["sources"]["published"]


RACED = {"feature_extraction": [0.6, 0.3], "lora": [0.8, 0.5], "full_fine_tuning": [0.75]}


def test_raced_arms_are_compared_on_common_seeds_and_have_intervals():
    """Full fine-tuning ran on the easy seed alone: it must not look like the best for it."""
    runs = made(RACED, 10_000, schema=2)
    found = evidence_near(Situation(10_000, FAR), runs, {})
    by_name = {c.approach: c for c in found.candidates}
    assert (found.verdict, found.take) == (CLEAR, "lora")
    assert by_name["lora"].accuracy == pytest.approx(0.65)
    assert by_name["full_fine_tuning"].accuracy == pytest.approx(0.60)
    noise = learning_curves.RUN_NOISE["image"] / math.sqrt(10_000)
    half = scipy.stats.norm.ppf(0.975) * noise
    lone = by_name["full_fine_tuning"]
    assert (lone.low, lone.high) == pytest.approx((0.60 - half, 0.60 + half))
    few = made(RACED, 100, schema=2)  # 100 examples scatter ten times as much: 5 points are luck
    assert evidence_near(Situation(100, FAR), few, {}).verdict == CLOSE


def test_one_seed_of_everything_is_enough_for_an_answer_of_the_second_recipe():
    lone = {name: values[:1] for name, values in RACED.items()}
    found = evidence_near(Situation(100, FAR), made(lone, schema=2), {})
    assert found.verdict == CLOSE and [c.runs for c in found.candidates] == [1, 1, 1]
    assert all(c.low < c.accuracy < c.high for c in found.candidates)


def test_of_two_sweeps_the_one_that_compares_most_approaches_counts():
    """Photos with and without augmentation: all approaches must have been run alike."""
    values = three(0.6, 0.8, 0.7) | {"adapter": [0.7] * 3}
    most = made(values, schema=2, settings="augment=mirror", sweep="photos", val_accuracy=0.5)
    part = made(three(0.65, 0.85, 0.9), schema=2, settings="", sweep="native", val_accuracy=0.9)
    kept = learning_curves.comparable(pd.concat([most, part]))
    assert set(kept["settings"]) == {"augment=mirror"}


def test_seconds_are_the_processors_whatever_else_the_machine_did():
    runs = made(three(0.6, 0.8, 0.7)).assign(train_seconds=1e4)
    found = evidence_near(Situation(100, FAR), runs, {})
    assert {c.approach: c.train_seconds for c in found.candidates} == pytest.approx(SECONDS)


def test_pictures_are_told_of_the_other_lever_and_texts_are_not(capsys):
    decide_command(examples=300, distance="close")
    told = capsys.readouterr().out
    assert "Before you move a weight, feed it larger pictures. On clothing" in told
    decide_command(examples=300, distance="close", modality="text")
    assert "larger pictures" not in capsys.readouterr().out


def test_words_name_the_answer_the_table_and_the_changes(monkeypatch, capsys):
    monkeypatch.setattr(learning_curves, "recorded_distances", dict)
    runs = made(three(0.6, 0.8, 0.7))
    monkeypatch.setattr(records, "load_runs", lambda **_: runs)
    assert decide_command(examples=100, distance="far") == 0
    told = capsys.readouterr().out
    assert told.startswith("feature extraction (fallback)")
    assert "0.800" in told and "Measured (clear)" in told and "What would change" in told
    with pytest.raises(UserError, match="examples"):
        decide_command(examples=0, distance="far")


def test_the_command_line_answers_without_torch(monkeypatch, capsys):
    monkeypatch.setattr(learning_curves, "recorded_distances", dict)
    monkeypatch.setattr(records, "load_runs", lambda **_: made(three(0.6, 0.8, 0.7)))
    given = "--examples 100 --distance 0.9 --modality image --tasks 12 --local-only --json"
    assert commands.main(["decide", *given.split()]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["approach"], told["rule"], told["verdict"]) == ("adapter", "fallback", CLEAR)
    assert [flip["name"] for flip in told["flips"] if flip["applied"]] == [
        "local only",
        "many tasks",
    ]
    code = "import sys; from helpers.cli.commands import main; main(sys.argv[1:]); "
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, "decide", *given.split()], check=True)


@pytest.mark.parametrize(
    "wrong",
    [
        "--examples 0", "--examples many", "--distance 2", "--distance near", "--modality sound",
        "--llm", "--budget-minutes -1", "--budget-minutes nan", "--latency-ms soon", "--tasks 0",
        "--unlabelled -5", "--unknown",
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_two(wrong, capsys):
    given = f"--examples 100 --distance far --modality image {wrong}".split()
    try:
        status = commands.main(["decide", *given])
    except SystemExit as left:
        status = left.code
    told = capsys.readouterr()
    assert status == 2 and told.out == ""
    assert told.err.count("\n") == 1 and told.err.endswith("\n")


def test_random_situations_all_get_an_answer_from_the_records_there_are():
    rng, runs = random.Random(1), learning_curves.measured_curves(records.load_runs())
    for _ in range(60):
        asked = random_situation(rng)
        told = both_answers(asked, runs)
        assert list(told) == KEYS
        json.dumps(told, allow_nan=False)
        assert told["verdict"] in (CLEAR, CLOSE, NONE)
        assert bool(told["candidates"]) == (told["verdict"] != NONE)
        for row in told["candidates"]:
            assert row["low"] <= row["accuracy"] <= row["high"]
            assert row["runs"] >= learning_curves.SEEDS[COMPARED[asked.modality]]
        assert told["candidates"] == sorted(told["candidates"], key=lambda row: -row["accuracy"])


def test_the_plain_network_is_served_by_what_the_approaches_say():
    served = {name for name, one in APPROACHES.items() if one.serves_plain_network()}
    assert served == evidence.PLAIN_NETWORK
