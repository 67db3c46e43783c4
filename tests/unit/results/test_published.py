"""Published figures: what the loader refuses, what a case is, and the sums over cases."""

import csv
import json

import pandas as pd
import pytest

from helpers.decision import Thresholds
from helpers.errors import UserError
from helpers.results.published import cases as published_cases
from helpers.results.published import command, sums
from helpers.results.published.schema import DATA_SET_COLUMNS, FIGURE_COLUMNS, SOURCE_COLUMNS
from helpers.results.published.tables import load_published
from helpers.results.rule_cases import published_table
from tools.site import site_published

SOURCE = {
    "key": "one2020", "title": "One", "citation": "One et al. 2020", "link": "https://example.org",
    "licence": "MIT", "grade": "B", "read_from": "Table 1", "how_read": "typed", "caveat": "None.",
}  # fmt: skip
DATA_SETS = [
    {"data_set": "birds", "modality": "image", "domain": "fine-grained", "distance": "close"},
    {"data_set": "scans", "modality": "image", "domain": "medical", "distance": "very distant"},
    {"data_set": "sums", "modality": "text", "domain": "mathematics", "distance": ""},
]
FIGURE = {
    "source": "one2020", "table": "Table 1", "comparison": "Table 1", "data_set": "birds",
    "network": "net", "pretraining": "ImageNet", "llm": "no", "n_train": 1000,
    "metric": "accuracy", "approach": "feature_extraction", "printed": "Linear", "value": 70.0,
    "use": "compare",
}  # fmt: skip
FREEZE, FULL, LORA, SCRATCH = "feature_extraction", "full_fine_tuning", "lora", "from_scratch"


def figure(approach=FREEZE, value=70.0, printed="", **changes):
    return FIGURE | {"approach": approach, "value": value, "printed": printed or approach} | changes


def write(path, columns, rows):
    names = [column.name for column in columns]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def folder(tmp_path):
    """Return what writes a folder of one source and gives its path."""

    def made(*figures, source=None, data_sets=DATA_SETS, name="one2020"):
        write(tmp_path / "sources.csv", SOURCE_COLUMNS, [SOURCE | (source or {})])
        write(tmp_path / "data_sets.csv", DATA_SET_COLUMNS, data_sets)
        write(tmp_path / f"{name}.csv", FIGURE_COLUMNS, figures or [FIGURE])
        return tmp_path

    return made


def test_a_folder_loads_with_what_its_data_sets_and_sources_say(folder):
    held = load_published(folder(figure(), figure(FULL, 80.0, n_train="")))
    assert list(held.figures["value"]) == [70.0, 80.0]
    assert held.figures["n_train"].isna().tolist() == [False, True]
    facts = held.figures.loc[0, ["modality", "domain", "distance", "grade"]]
    assert facts.tolist() == ["image", "fine-grained", "close", "B"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"source": ""}, "'source'"),
        ({"source": "one2021"}, "'one2020'"),
        ({"data_set": "bird"}, "'birds'"),
        ({"approach": "lora_"}, "'lora'"),
        ({"metric": "acuracy"}, "'accuracy'"),
        ({"value": 101}, "101"),
        ({"value": -0.1}, "-0.1"),
        ({"value": ""}, "'value'"),
        ({"value": "70 %"}, "'70 %'"),
        ({"n_train": 0}, "'n_train'"),
        ({"n_train": 10.5}, "'n_train'"),
        ({"seeds": 0}, "'seeds'"),
        ({"llm": "maybe"}, "'llm'"),
        ({"use": "context"}, "'reason'"),
        ({"reason": "weak full"}, "'reason'"),
        ({"use": "context", "reason": "dislike"}, "'reason'"),
    ],
)
def test_a_figure_that_breaks_the_schema_is_refused_by_line(folder, changes, named):
    with pytest.raises(UserError) as refused:
        load_published(folder(figure(FULL), figure() | changes))
    message = str(refused.value)
    assert "one2020.csv, line 3" in message and named in message and "\n" not in message


@pytest.mark.parametrize("column", ["key", "citation", "grade", "link", "licence", "caveat"])
def test_a_source_that_lacks_a_part_is_refused(folder, column):
    with pytest.raises(UserError, match=rf"sources\.csv, line 2: column '{column}'"):
        load_published(folder(source={column: ""}))


@pytest.mark.parametrize("grade", ["D", "A*", "AB"])
def test_an_unknown_grade_is_refused(folder, grade):
    with pytest.raises(UserError, match="'grade'"):
        load_published(folder(source={"grade": grade}))


def test_figures_are_refused_twice_and_in_another_source_s_file(folder):
    with pytest.raises(UserError, match="line 3.*line 2"):
        load_published(folder(figure(), figure(FULL, 60.0, printed=FREEZE)))


def test_a_file_of_another_name_or_other_columns_is_refused(folder):
    place = folder()
    (place / "one2020.csv").rename(place / "two.csv")
    with pytest.raises(UserError, match=r"two\.csv, line 2.*one2020\.csv"):
        load_published(place)
    (place / "two.csv").write_text("source,value\n", encoding="utf-8")
    with pytest.raises(UserError, match="must have the columns"):
        load_published(place)


def test_a_source_without_figures_is_refused(folder):
    place = folder()
    (place / "one2020.csv").unlink()
    with pytest.raises(UserError, match="'one2020' has no figures"):
        load_published(place)


def cases_of(place):
    return published_cases.comparable_cases(load_published(place))


def test_a_case_needs_two_of_our_approaches_on_equal_terms(folder):
    place = folder(
        figure(FREEZE, 70.0),
        figure(FULL, 80.0),
        figure(FULL, 81.0, n_train=2000),  # alone at its size
        figure(LORA, 82.0, network="other"),
        figure(LORA, 83.0, comparison="Table 2"),
        figure("", 99.0, printed="prompts"),  # none of ours
        figure(FULL, 90.0, metric="mask_ap"),  # a second score of the same runs
        figure(LORA, 95.0, use="context", reason="other start"),
    )
    (case,) = cases_of(place).to_dict("records")
    assert (case[FREEZE], case[FULL]) == (70.0, 80.0) and pd.isna(case[LORA])
    assert (case["domain"], case["grade"], bool(case["points"])) == ("fine-grained", "B", True)


def test_forms_of_an_approach_count_by_their_median(folder):
    ranks = [figure(LORA, value, printed=f"r={value}") for value in (60.0, 75.0, 78.0)]
    (case,) = cases_of(folder(figure(), *ranks)).to_dict("records")
    assert case[LORA] == 75.0


def test_a_random_start_stands_beside_every_pretraining_of_its_network(folder):
    place = folder(
        figure(FULL, 80.0),
        figure(FULL, 85.0, pretraining="labels"),
        figure(SCRATCH, 60.0, pretraining="none"),
        figure(SCRATCH, 61.0, pretraining="none", network="other"),
    )
    cases = cases_of(place).set_index("pretraining")
    assert cases[[FULL, SCRATCH]].to_numpy().tolist() == [[80.0, 60.0], [85.0, 60.0]]
    assert published_cases.regret_points(cases)[SCRATCH].tolist() == [20.0, 25.0]


def test_rules_are_tried_on_scores_that_have_points(folder):
    bleu = {"metric": "bleu", "data_set": "sums", "llm": "yes", "n_train": ""}
    place = folder(figure(), figure(FULL, 80.0), figure(LORA, 45.0, **bleu), figure(FULL, **bleu))
    made = published_table(load_published(place)).set_index("approach")
    assert made["regret"].round(6).to_dict() == {FREEZE: 0.1, FULL: 0.0}
    assert made["llm"].eq(False).all() and (made["n_train"] == 1000).all()


def test_a_configuration_has_its_score_and_its_costs_in_one_row(folder):
    place = folder(
        figure(LORA, 75.0, trainable_m=0.5),
        figure(LORA, 30.0, trainable_m=0.5, metric="train_seconds"),
        figure(LORA, 8.5, trainable_m=0.5, metric="peak_memory_gb"),
        figure(FULL, 80.0),
        figure(FULL, 300.0, metric="train_seconds", use="context", reason="weak full"),
    )
    made = site_published.configurations(load_published(place)).set_index("approach")
    costs = made[["accuracy", "train_seconds", "peak_memory_gb"]]
    assert costs.loc[LORA].tolist() == [75.0, 30.0, 8.5]
    assert costs.loc[FULL].isna().tolist() == [False, True, True]


@pytest.fixture
def three(folder):
    """Cases of birds at 1,000 and 30,000 examples and of scans at 200,000, and a language model."""
    many, scans = {"n_train": 30_000}, {"data_set": "scans", "n_train": 200_000}
    llm = {"data_set": "sums", "llm": "yes", "n_train": 1000}
    return folder(
        figure(FREEZE, 70.0), figure(FULL, 66.0), figure(LORA, 72.0),
        figure(FREEZE, 70.0, **many), figure(FULL, 90.0, **many),
        figure(FREEZE, 50.0, **scans), figure(FULL, 60.0, **scans),
        figure(LORA, 40.0, **llm), figure(FULL, 43.0, **llm),
    )  # fmt: skip


def test_full_minus_linear_by_group(three):
    table = sums.full_minus_linear(cases_of(three), "domain")
    assert table.loc["fine-grained", ["cases", "data_sets"]].tolist() == [2, 1]
    assert table.loc["fine-grained", ["mean", "median", "linear_first"]].tolist() == [8.0, 8.0, 0.5]
    assert table.loc["medical", "mean"] == 10.0 and "mathematics" not in table.index
    sizes = sums.full_minus_linear(cases_of(three), sums.size_bands((5_000, 30_000)))
    assert sizes["cases"].tolist() == [1, 2]  # an edge belongs to the band above
    assert sizes["mean"].tolist() == [-4.0, 15.0]


def test_standings_are_over_the_cases_that_have_an_approach(three):
    table = sums.standings(cases_of(three))
    assert list(table.index) == [FREEZE, FULL, LORA]
    assert table["cases"].tolist() == [3, 4, 2] and table["data_sets"].tolist() == [2, 3, 2]
    assert table.loc[LORA].tolist() == [2, 2, 0.5, 1.5]


def test_each_rule_is_asked_alone_on_the_cases_that_meet_its_conditions(three):
    table = site_published.rule_regret(cases_of(three)).set_index("rule")
    assert table["regret"].to_dict() == {"R1": 2.0, "R2": 3.0, "R4": 0.0}
    assert table.loc["R1", f"always_{FULL}"] == 6.0 and table["matched"].all()
    moderate = site_published.rule_regret(cases_of(three), Thresholds(large=250_000)).set_index(
        "rule"
    )
    assert moderate.loc["R3", "approach"] == "partial_fine_tuning"
    assert not moderate.loc["R3", "matched"] and "R4" not in moderate.index


def test_near_is_a_factor_of_examples_and_the_same_facts(three):
    cases = cases_of(three)
    near = published_cases.near
    assert near(cases, examples=334)["n_train"].tolist() == [1000, 1000]
    assert len(near(cases, examples=333)) == 0
    assert near(cases, examples=500, modality="image", domain=None)["data_set"].tolist() == [
        "birds"
    ]
    assert near(cases, llm="yes")["data_set"].tolist() == ["sums"]


def test_the_command_says_what_is_near_and_marks_it_as_published(three, monkeypatch, capsys):
    monkeypatch.setattr(command, "load_published", lambda: load_published(three))
    assert command.published_command(examples=1000, distance="close", as_json=True) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["evidence"] == "published"
    assert made["near"] == {"examples": 1000, "distance": "close", "factor": command.FACTOR}
    (case,) = made["cases"]
    assert case["scores"] == {FREEZE: 70.0, FULL: 66.0, LORA: 72.0}
    assert [row["approach"] for row in made["approaches"]] == [FREEZE, FULL, LORA]
    assert made["sources"]["one2020"]["citation"] == SOURCE["citation"]
    assert command.published_command(examples=1000, distance="close") == 0
    words = capsys.readouterr().out
    assert "freeze 70" in words and "one2020 (grade B)" in words and command.APART in words


def test_the_command_lists_sources_without_a_situation(three, monkeypatch, capsys):
    monkeypatch.setattr(command, "load_published", lambda: load_published(three))
    assert command.published_command(as_json=True) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["figures"], made["cases"]) == (9, 4)
    (source,) = made["sources"]
    assert {name: source[name] for name in SOURCE} == SOURCE
    assert source["n_train"] == [1000, 200_000] and source["context"] == 0
    assert command.published_command(modality="video") == 0
    command.published_command()
    nothing, _, listed = capsys.readouterr().out.partition("Nothing")
    assert "0 cases" in nothing and "one2020" in listed
