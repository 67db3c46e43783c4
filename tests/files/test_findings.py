"""Verdicts that committed notebooks begin with are what the records say today."""

import importlib
import re

import nbformat
import pandas as pd
import pytest

from helpers.lessons import (
    advisor_scores,
    crossings,
    distances,
    rule_thresholds,
    rule_trial,
    small_modules,
)
from helpers.lessons.claims import judge_claims, verdict_box
from helpers.lessons.language_models import forgetting, smollm2_records
from helpers.paths import results_dir
from helpers.vocabulary import FULL_FINE_TUNING, LORA

CALL = re.compile(r"verdict_box\(([\d, ]+)\)")


def boxes(root):
    """Yield (notebook, ids of the claims, what was shown) of each verdict box."""
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            found = CALL.search(cell.source) if cell.cell_type == "code" else None
            if found and cell.outputs:
                ids = tuple(int(one) for one in found[1].split(","))
                yield path.stem, ids, cell.outputs[-1]["data"]["text/markdown"]


def test_a_verdict_box_says_what_the_records_say(root):
    found = list(boxes(root))
    boxed = {"00", "02", "03", "04", "05", "06", "08", "09", "11", "12", "13", "15"}
    assert {name[:2] for name, *_ in found} >= boxed
    stale = [name for name, ids, shown in found if shown != verdict_box(*ids)]
    assert stale == [], "build these again"


@pytest.mark.parametrize("number", [f"{number:02d}" for number in range(16)])
def test_the_first_output_is_a_verdict(root, number):
    (path,) = (root / "notebooks").glob(f"{number}_*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    first = next(cell for cell in cells if cell.cell_type == "code" and cell.outputs)
    assert first.outputs[0]["data"]["text/markdown"].startswith(">")


def markdown_outputs(root, number):
    """What a notebook shows as Markdown, in order."""
    (path,) = (root / "notebooks").glob(f"{number}_*.ipynb")
    return [
        out["data"]["text/markdown"]
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
        for out in cell.outputs
        if "text/markdown" in out.get("data", {})
    ]


def test_notebook_13_remembers_what_the_records_say(root):
    assert smollm2_records.findings() in markdown_outputs(root, "13"), "build it again"


def test_notebook_10_says_what_the_trial_of_the_rules_says(root):
    shown = markdown_outputs(root, "10")
    assert shown[0] == rule_trial.verdict_box(), "build it again"
    assert rule_thresholds.threshold_sentence() in shown
    remembered = "".join(shown[1:])
    assert rule_trial.own_sentence() in remembered
    assert rule_trial.published_sentence() in remembered


def test_notebook_14_says_what_the_scores_say(root):
    (path,) = (root / "notebooks").glob("14_*.ipynb")
    text = path.read_text(encoding="utf-8")
    shown = [
        out["data"]["text/markdown"]
        for cell in nbformat.reads(text, as_version=4).cells
        if "verdict_box()" in cell.source
        for out in cell.outputs
    ]
    assert shown == [advisor_scores.verdict_box()], "build it again"


PUBLISHED = re.compile(
    r"On (\d+) published cases \((\d+) data sets\).*?gives up (\d+\.\d) points, a constant learned "
    r"from the other published data sets (\d+\.\d)",
    re.DOTALL,
)


@pytest.mark.parametrize("page", ["README.md", "notebooks/10_decision_rule.ipynb"])
def test_what_is_said_of_published_cases_is_in_the_file(root, page):
    table = pd.read_csv(results_dir() / "regret.csv").set_index(["evidence", "part", "rule"])
    rows = table.sort_index().loc["published", "all"]
    ours, constant = rows.loc["measured"], rows.loc["constant per modality"]
    text = " ".join((root / page).read_text(encoding="utf-8").split())
    said = PUBLISHED.findall(text)
    assert said
    wanted = [f"{ours['situations']:.0f}", f"{ours['data_sets']:.0f}"]
    wanted += [f"{100 * row['mean_regret']:.1f}" for row in (ours, constant)]
    assert {tuple(one) for one in said} == {tuple(wanted)}


def findings_of_04():
    """Small modules against full fine-tuning, and the sizes of files."""
    runs, full = crossings.recorded(), "full_fine_tuning"
    for name in ("lora", "adapter"):
        yield crossings.duels_in_words(crossings.duels(runs, name, full), name, full)
    yield small_modules.files_in_words(["minilm", "efficientnet_lite0", "pocket"])


def findings_of_05():
    """Scratch against full fine-tuning, and the examples that it needs."""
    runs, scratch = crossings.recorded(), "from_scratch"
    duel = crossings.duels(runs, scratch, "full_fine_tuning")
    yield crossings.duels_in_words(duel, scratch, "full_fine_tuning")
    yield crossings.needed_in_words(runs, scratch, "feature_extraction")


def findings_of_06():
    """The rule of thumb, and full fine-tuning against frozen features."""
    runs, full, frozen = crossings.recorded(), "full_fine_tuning", "feature_extraction"
    few = runs[runs["n_train"] < crossings.FEW]
    yield crossings.rule_in_words(crossings.duels(few, crossings.CHEAP, full))
    yield crossings.duels_in_words(crossings.duels(runs, full, frozen), full, frozen)


def findings_of_07():
    """What pretraining was worth at both ends of the dial, and what distance foretells."""
    yield distances.worth_sentence().splitlines()[0]
    yield distances.foretold_sentence()


REMEMBERED = {
    "04": findings_of_04,
    "05": findings_of_05,
    "06": findings_of_06,
    "07": findings_of_07,
}


@pytest.mark.parametrize(("number", "found"), REMEMBERED.items())
def test_what_to_remember_is_what_the_records_say(root, number, found):
    (path,) = (root / "notebooks").glob(f"{number}_*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    start = next(i for i, cell in enumerate(cells) if "## What to remember" in cell.source)
    told = next(cell for cell in cells[start:] if cell.cell_type == "code").outputs[0]
    lacking = [one for one in found() if one not in told["data"]["text/markdown"]]
    assert lacking == [], "build it again"


FOUND = re.compile(r"^Markdown\((\w+)\.findings\(\)\)$", re.MULTILINE)


@pytest.mark.parametrize("number", ["08", "09", "11", "12", "14", "15"])
def test_what_is_to_be_remembered_is_what_the_records_say(root, number):
    (path,) = (root / "notebooks").glob(f"{number}_*.ipynb")
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    (cell,) = [cell for cell in cells if FOUND.search(cell.source)]
    lesson = importlib.import_module(f"helpers.lessons.{FOUND.search(cell.source)[1]}")
    assert cell.outputs[-1]["data"]["text/markdown"] == lesson.findings(), "build it again"


def said(root, number, words):
    """Whether the prose of a notebook holds these words, however its lines are broken."""
    (path,) = (root / "notebooks").glob(f"{number}_*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    prose = " ".join(" ".join(c.source for c in cells if c.cell_type == "markdown").split())
    return words in prose


def counts(ours, theirs):
    """Situations, and those in which one approach is clearly ahead, and clearly behind."""
    table = crossings.duels(crossings.recorded(), ours, theirs)
    return len(table), (table["ahead"] == ours).sum(), (table["ahead"] == theirs).sum()


def test_what_prose_says_of_scratch_holds(root):
    assert said(root, "05", "Photos and texts have too few draws")
    table = crossings.duels(crossings.recorded(), "from_scratch", FULL_FINE_TUNING)
    assert table["curve"].str.startswith("pocket,").all()
    assert said(root, "15", "From scratch? Never clearly ahead of LoRA here")
    assert counts("from_scratch", LORA)[1] == 0


def test_what_prose_says_of_full_fine_tuning_holds(root):
    assert said(root, "15", "Is fine-tuning always better than a frozen network? Mostly, and it is")
    every, ahead, behind = counts(FULL_FINE_TUNING, "feature_extraction")
    assert ahead > every / 2 and behind < every / 10
    assert said(root, "06", 'They did not win "almost always"')
    assert judge_claims(ids=(8,))[0].verdict == "fails"


def test_what_prose_says_of_the_rule_holds(root):
    opening = (
        "LoRA for pictures, full fine-tuning for texts. Size and distance changed nothing that"
    )
    assert said(root, "10", f"{opening} shows, and full fine-tuning everywhere does as well.")
    assert "(LoRA for pictures and full fine-tuning for texts)" in rule_trial.own_sentence()
    for rival in (rule_trial.SLOPES, f"always {FULL_FINE_TUNING}"):
        change = rule_trial.paired("own", rival, rule_trial.MEASURED)
        assert change["low"] < 0 < change["high"], rival


def test_what_prose_says_of_distance_holds(root):
    assert said(root, "07", "it foretells what tuning gains; so few places show none")
    assert "**0 of " in distances.foretold_sentence()


def test_what_prose_says_of_language_models_holds(root):
    assert said(root, "13", "of SmolLM2 nothing dearer is recorded yet")
    for size in smollm2_records.SIZES:
        table = smollm2_records.at_size(size)
        best = table.sort_values("mean").drop_duplicates("task", keep="last")
        assert not set(best["approach"]) & {LORA, FULL_FINE_TUNING}
    assert said(
        root, "13", "LoRA learned not clearly less than all weights moved, with less memory"
    )
    for row in forgetting.lora_less_full(
        smollm2_records.beside_old(smollm2_records.load_adapted(), "newsgroups")
    ).to_dict("records"):
        assert row["learned_low"] < 0 < row["learned_high"]
    peak = smollm2_records.load_adapted().groupby("approach")["peak_mb"].max()
    assert peak[LORA] < peak[FULL_FINE_TUNING]
