"""`advise` from end to end on tiny pictures and the pocket network: answer, race, page, model."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import asdict, fields, replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from own import write_pictures
from PIL import Image
from tqdm import tqdm

from helpers.advisor.export import load_model
from helpers.advisor.pipeline import Request, advise, advise_command, export_model
from helpers.advisor.race.rounds import Race, measure_own
from helpers.advisor.race.runs import SkipKind, Skipped
from helpers.advisor.read.any_format import read_data
from helpers.advisor.report.as_html import report
from helpers.advisor.report.as_json import (
    command_of,
    costs_of,
    rule_in_words,
    sure_in_words,
)
from helpers.advisor.report.as_text import in_words
from helpers.advisor.verdicts import LOOK, kept
from helpers.backbones import load_backbone
from helpers.cli.commands import build_parser, main
from helpers.display.advice_charts import LETTER, _overlap, _placed, accuracy_figure, cost_figure
from helpers.errors import UserError
from helpers.experiments import timing

MINUTES = 0.6
DECIDE_KEYS = {"approach", "rule", "reasons", "flips", "verdict", "candidates"}
ADVISE_KEYS = DECIDE_KEYS | {"checks", "n_examples", "n_classes", "distance", "probe", "measured"}
CANDIDATE_KEYS = {"approach", "accuracy", "low", "high", "train_seconds", "stored_mb",
                  "latency_ms", "runs"}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of pictures, and a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(timing, "BUSY", float("inf"))  # costs are kept, whatever else runs here
        yield write_pictures(tmp_path_factory.mktemp("own") / "bars")


def asked(place, **changes):
    return Request(place, backbone="pocket", image_size=28, **changes)


@pytest.fixture(scope="module")
def looked(place):
    return advise(asked(place))


@pytest.fixture(scope="module")
def raced(place):
    return advise(asked(place, measure=True, minutes=MINUTES))


def test_the_answer_has_every_key_and_is_sound(looked):
    told = looked.as_dict()
    json.dumps(told, allow_nan=False)
    assert set(told) >= ADVISE_KEYS
    assert told["n_examples"] == 120 and told["n_classes"] == 3
    assert set(told["probe"]) >= {"accuracy", "low", "high", "chance"}
    assert told["probe"]["low"] <= told["probe"]["accuracy"] <= told["probe"]["high"]
    assert told["measured"] == []
    assert told["approach"] in {row["approach"] for row in told["candidates"]}
    for row in told["candidates"]:
        assert set(row) >= CANDIDATE_KEYS
        assert 0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1
        assert row["train_seconds"] > 0 and row["stored_mb"] > 0 and row["latency_ms"] > 0


def test_a_network_for_grey_pictures_says_that_it_sees_no_colour(place, tmp_path):
    for file in place.rglob("*.png"):
        copy = tmp_path / file.relative_to(place)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as grey:
            Image.merge("RGB", [grey, grey, grey.point(lambda value: value // 2)]).save(copy)
    checks = advise(asked(tmp_path)).as_dict()["checks"]
    (colour,) = [check for check in checks if check["check"] == "colour"]
    assert colour["severity"] == "warning" and "does not see" in colour["found"]


def test_the_second_look_gives_the_same_answer_from_the_cache(looked, place):
    started = time.monotonic()
    again = advise(asked(place)).as_dict()
    seconds = time.monotonic() - started
    first = looked.as_dict()
    for key in ADVISE_KEYS - {"candidates"}:
        assert again[key] == first[key], key
    assert seconds < 10


def test_a_race_measures_and_reads_the_test_once(raced):
    told = raced.as_dict()
    assert told["measured"], told["left_out"]
    assert told["test"]["approach"] == told["approach"]
    assert told["test"]["n"] == 40
    chosen = next(row for row in told["measured"] if row["approach"] == told["approach"])
    assert chosen["expected_below_best"] <= 0.005 or chosen["accuracy"] == max(
        row["accuracy"] for row in told["measured"]
    )


def test_a_race_that_goes_on_does_nothing_twice(raced, place):
    again = advise(asked(place, measure=True, minutes=MINUTES))
    before, after = raced.race.file.load(), again.race.file.load()
    assert not after["run_id"].duplicated().any()
    assert set(before["run_id"]) <= set(after["run_id"])


def test_the_exported_model_gives_the_reported_accuracy_in_a_new_process(raced, tmp_path):
    said = export_model(raced, tmp_path / "model")
    assert "load_me.py" in said
    test = raced.race.test
    loaded = load_model(tmp_path / "model")
    assert loaded.test_accuracy() == pytest.approx(test.accuracy, abs=1e-9)
    snippet = tmp_path / "model" / "load_me.py"
    assert len(snippet.read_text(encoding="utf-8").splitlines()) <= 15
    done = subprocess.run(
        [sys.executable, str(snippet)], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert f"worked out again: {test.accuracy:.4f}" in done.stdout


class Page(HTMLParser):
    """Collects what a page would fetch, and what stands in it."""

    def __init__(self):
        super().__init__()
        self.outside, self.labels, self.tags, self.text = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag != "img":  # the examples of a warning, where they are files
            self.tags.append(tag)
        named = [given[k] for k in ("src", "href") if k in given]
        self.outside += [one for one in named if not one.startswith("data:")]
        if given.get("role") == "img":
            self.labels.append(given.get("aria-label", ""))

    def handle_data(self, data):
        self.text += data


def test_the_page_needs_nothing_and_says_what_the_json_says(raced):
    told = raced.as_dict()
    page = Page()
    page.feed(report(told))
    assert page.outside == []
    assert len(page.labels) == 2 and all(page.labels)
    assert told["next_measurement"] in page.text
    for row in told["candidates"]:
        assert f"{row['low']:.3f} to {row['high']:.3f}" in page.text
    for check in told["checks"]:
        assert check["found"] in page.text
    assert told["settings"]["data"] in page.text


def test_after_a_race_every_row_is_of_one_kind(raced):
    """The chosen row too: its accuracy is of the same held-out examples, not of the test split."""
    told = raced.as_dict()
    measured = {row["approach"]: row for row in told["measured"]}
    assert {row["approach"] for row in told["candidates"]} == set(measured)
    for row in told["candidates"]:
        assert row["measured"] and row["accuracy"] == measured[row["approach"]]["accuracy"]
    assert {row["n_train"] for row in told["measured"]} == {told["n_train"]}


def test_what_is_handed_over_has_seen_every_training_example(raced):
    told = raced.as_dict()
    assert told["test"]["n_train"] == told["n_train"] == raced.race.job.n_train
    assert {"classical", "feature_extraction"} <= {row["approach"] for row in told["measured"]}


def test_what_is_drawn_filled_does_not_hang_on_words(looked):
    shown = [row | {"known": True} for row in looked.as_dict()["candidates"]]
    left = [row["measured"] for row in shown]
    assert any(left) and not all(left)
    reworded = [row | {"origin": "your probe, measured here"} for row in shown]
    for rows in (shown, reworded):
        drawn = accuracy_figure(rows, 0.3, "lora") + cost_figure(rows, "lora")
        assert drawn.count(' open">') == 2 * left.count(False)


def test_who_waits_for_time_is_known_by_the_kind(looked):
    network = load_backbone("pocket", size=28)
    race = Race(looked.looked, looked.answer.expected, network, 0.0)
    race.rows = race.rows.iloc[:0]
    with tqdm(total=1, disable=True) as bar:
        race.run([race.job("lora", 7), race.job("adapter", 7)], bar)
    assert race.left_out["lora"].kind is SkipKind.NO_TIME
    race.left_out["lora"] = Skipped(SkipKind.NO_TIME, "another day")
    race.left_out["adapter"] = Skipped(SkipKind.FAILED, race.left_out["adapter"].text)
    assert race.left_out["adapter"].text.startswith("no time left")
    assert race.waiting() == ["lora"]


def test_who_was_left_out_is_a_sentence_in_the_json(raced, monkeypatch):
    gone = raced.race.left_out
    monkeypatch.setitem(gone, "adapter", Skipped(SkipKind.NO_TIME, "no time left for it"))
    assert all(isinstance(why, Skipped) for why in gone.values())
    assert raced.as_dict()["left_out"] == {name: str(why) for name, why in gone.items()}


def test_a_race_leads_with_itself_then_the_probe(looked, raced):
    assert looked.answer.about_probe == looked.answer.headline[: len(looked.answer.about_probe)]
    assert raced.answer.headline[-len(looked.answer.about_probe) :] == looked.answer.about_probe
    expected = set(looked.answer.headline) - set(looked.answer.about_probe)
    assert expected and not expected & set(raced.answer.reasons)  # the race has overtaken it


def test_the_page_escapes_what_came_from_the_data(raced):
    told = raced.as_dict()
    told["classes"][0]["name"] = "<script>alert(1)</script>"
    assert "<script>" not in report(told)


SET_BY_US = {"approach", "rule_approach", "verdict", "severity", "created"}  # names we look up


def with_markup(told):
    """Return what `advise --json` writes with a tag and quotes in every text that isn't ours."""
    if isinstance(told, dict):
        return {
            key: value if key in SET_BY_US else with_markup(value) for key, value in told.items()
        }
    if isinstance(told, list | tuple):
        return [with_markup(one) for one in told]
    return f"{told} <img src=x onerror='\"'>" if isinstance(told, str) else told


def test_nothing_that_is_set_into_the_page_is_read_as_a_tag(raced):
    told = json.loads(json.dumps(raced.as_dict()))
    page, marked = Page(), Page()
    page.feed(report(told))
    marked.feed(report(with_markup(told)))
    assert marked.outside == []
    assert marked.tags == page.tags
    assert marked.text.count("<img src=x onerror='\"'>") > len(told["checks"])


def test_the_pages_rule_has_its_name_as_in_a_sentence(looked):
    told = looked.as_dict() | {"rule": "R2", "rule_approach": "lora"}
    assert "The article&#39;s rule (R2) says LoRA." in report(told)


def test_a_page_without_race_checks_and_flips_leaves_their_parts_out(looked):
    told = json.loads(json.dumps(looked.as_dict()))
    told |= {"checks": [], "flips": [], "next_measurement": "", "candidates": []}
    page = Page()
    page.feed(report(told))
    for part in ("Measured on", "What would change", "What each approach", "checks passed"):
        assert part not in page.text
    assert "Nothing was found." in page.text


def test_where_no_rule_fits_the_fallback_is_ours(looked):
    told = looked.as_dict() | {"rule": "fallback", "rule_approach": "lora", "approach": "adapter"}
    assert "our fallback says LoRA. The answer follows what was measured" in rule_in_words(told)


def test_page_and_terminal_say_everything_once(looked):
    told = looked.as_dict()
    page = unescape(report(told)).partition("Everything, as JSON")[0]
    said = " ".join(in_words(looked).split())
    for sentence in {*told["headline"], rule_in_words(told), told["next_measurement"]} - {""}:
        assert page.count(sentence) == said.count(sentence) == 1, sentence
    for cost, what in costs_of(told):
        assert cost in said and what in said and f"<b>{cost}</b>" in page
    assert sure_in_words(told) in said and sure_in_words(told) in page
    assert "`" not in page


def test_the_command_asks_the_same_again(place):
    asked = Request(place / "odd name", minutes=2.5, measure=True, exclude=("digits", "tweets"),
                    label_column="a b", group_column="none", hour_price=0.5, seed=7)  # fmt: skip
    words = shlex.split(command_of(asdict(asked)))
    assert words[:4] == ["python", "-m", "helpers", "advise"]
    given = vars(build_parser().parse_args(words[3:]))
    given |= {"exclude": tuple(given["exclude"]), "path": Path(given["path"])}
    again = Request(**{one.name: given[one.name] for one in fields(Request)})
    assert again == asked


def test_names_in_the_figure_of_costs_cover_nothing():
    points = [(440.0, 30.0), (420.0, 32.0), (380.0, 40.0), (435.0, 45.0), (400.0, 50.0)]
    names = ["full fine-tuning", "LoRA", "partial fine-tuning", "probe, then fine-tune", "adapter"]
    half = [LETTER * len(name) / 2 for name in names]
    boxes = [(at - wide, base - 11, at + wide, base + 3)
             for wide, (at, base, _) in zip(half, _placed(names, points), strict=True)]  # fmt: skip
    marks = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    for place, box in enumerate(boxes):
        assert not any(_overlap(box, other) for other in [*boxes[:place], *marks]), names[place]


def test_the_words_lead_with_the_answer(looked):
    lines = in_words(looked).splitlines()
    assert looked.as_dict()["verdict"] in lines[0]
    assert max(map(len, lines)) <= 100


COLUMNS = (
    {"text": "review", "label": "stars", "group": "user", "split": "part", "ignored": ["id"]},
    {"image": "photo", "label": "kind", "group": None, "split": None, "ignored": []},
    {"text": "words", "label": "mood", "group": None, "split": "fold", "ignored": ["a b", "<c>"]},
)


@pytest.mark.parametrize("columns", COLUMNS)
def test_the_columns_stand_in_terminal_page_and_json(looked, columns):
    own = looked.looked.own
    own = replace(own, data=replace(own.data, columns=columns))
    advice = replace(looked, looked=replace(looked.looked, own=own))
    assert advice.as_dict()["columns"] == columns
    said, page = " ".join(in_words(advice).split()), unescape(report(advice.as_dict()))
    for role, name in columns.items():
        for one in name if role == "ignored" else [name]:
            told = f"'{one}'" if role == "ignored" else f"{role} '{one}'" if one else f"no {role}"
            assert told in said and told in page, told


@pytest.mark.parametrize(
    ("kind", "ending"), [("picture", ".heic"), ("picture", ".dng"), ("text", ".docx")]
)
def test_what_was_left_out_stands_in_the_terminal(looked, tmp_path, kind, ending):
    for label in "ab":
        (tmp_path / label).mkdir()
        for i in range(8):
            file = tmp_path / label / f"{i}{'.jpg' if kind == 'picture' else '.txt'}"
            file.write_bytes(f"some words {label} {i}".encode())
        (tmp_path / label / f"kept{ending}").write_bytes(b"kept elsewhere")
    findings = read_data(tmp_path).findings
    advice = replace(looked, looked=replace(looked.looked, findings=findings))
    said = " ".join(in_words(advice).split())
    assert f"{kind}s of another kind: 2 files" in said and ending in said


def test_files_are_written_whole(place, tmp_path, capsys):
    file, page = tmp_path / "a.json", tmp_path / "a.html"
    assert advise_command(asked(place), json_file=file, html_file=page) == 0
    told = json.loads(file.read_text(encoding="utf-8"))
    assert told["n_classes"] == 3 and told["verdict_record"] == kept(told["verdict"], LOOK)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere"],
        ["{place}", "--backbone", "minilm"],
        ["{place}", "--backbone", "no-such-network"],
        ["{place}", "--minutes", "0"],
        ["{place}", "--minutes", "nan"],
        ["{place}", "--exclude", "no_such_task"],
        ["{place}", "--json", "{place}/no/such/folder/a.json"],
        ["{place}", "--label-column", "label"],
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, place, capsys):
    status = main(["advise", *(one.format(place=place) for one in arguments)])
    told = capsys.readouterr()
    if arguments[-2:] == ["--label-column", "label"] and status == 0:
        return  # a column is of no use in a folder, and does no harm
    assert status == 2
    assert len(told.err.strip().splitlines()) == 1
    assert "Traceback" not in told.err


def test_minutes_leave_out_what_takes_longer(place, looked):
    cheap = advise(asked(place, minutes=0.01))
    slow = {row["approach"] for row in cheap.as_dict()["candidates"] if row["train_seconds"] > 0.6}
    assert slow and cheap.answer.approach not in slow


def test_a_killed_race_keeps_its_runs(place, tmp_path):
    """SIGKILL in the middle: the finished runs are there, and the next call goes on with them."""
    cache = tmp_path / "cache"
    command = [sys.executable, "-m", "helpers", "advise", str(place), "--backbone", "pocket",
               "--image-size", "28", "--measure", "--minutes", "2"]  # fmt: skip
    settings = os.environ | {"TRANSFER_CACHE": str(cache)}
    process = subprocess.Popen(command, env=settings, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        for _ in range(600):
            files = list(cache.glob("advisor/own-*/race-*.csv"))
            if files and len(files[0].read_text(encoding="utf-8").splitlines()) > 2:
                break
            if process.poll() is not None:
                break
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = {line.split(",")[0] for line in files[0].read_text(encoding="utf-8").splitlines()[1:]}
    assert len(kept) >= 2
    subprocess.run([*command[:-1], "0.4"], env=settings, check=True, capture_output=True)
    after = [line.split(",")[0] for line in files[0].read_text(encoding="utf-8").splitlines()[1:]]
    assert kept <= set(after) and len(after) == len(set(after))


def test_a_race_without_time_says_so(looked):
    from helpers.backbones import load_backbone

    backbone = load_backbone("pocket", size=28)
    empty = replace(looked.looked, seed=99)  # no race of this seed has finished runs
    with pytest.raises(UserError, match="nothing could be measured"):
        measure_own(empty, looked.answer, backbone, 1e-6)
