"""The page's answers are those of `decide` and `evidence`; it is small and stands alone."""

import json
import re
from dataclasses import replace

import pytest
from pages import SMALL, as_point, settings, small_page

from helpers.decision import decide
from helpers.display.explorer.cards import REASON_CLASSES, source_last
from helpers.display.explorer.elsewhere import published_near, published_words
from helpers.display.explorer.settings import AXES, headline, shown_curves
from helpers.display.svg_charts import SHAPES, draw_panel
from helpers.display.theme import DARK, LIGHT
from helpers.results import runs as records
from helpers.results.evidence import NONE, both_answers, evidence_near
from helpers.results.learning_curves import measured_curves
from helpers.vocabulary import APPROACH_STYLE
from tools.site import build_site
from tools.site.explorer_page import build


def data_of(page: str) -> dict:
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1]
    )


@pytest.fixture(scope="module")
def small():
    page, held = small_page()
    return page, data_of(page), held


def look(data, at):
    """Look an answer up as the page's script does."""
    axes, texts, rows = data["axes"], data["texts"], data["rows"]
    cell = at["examples"] * len(axes["distance"]) + at["distance"]
    kind = 0 if at["modality"] == "image" else 2 if at["llm"] else 1
    limited = axes["budget_minutes"][at["budget_minutes"]] is not None
    row = rows[data["rules"][(cell * 3 + kind) * 2 + limited]]
    place = row[at["tasks"] * 4 + 2 * at["unlabelled"] + at["local_only"]]
    approach, rule, reasons, flips, told, _ = data["decisions"][place]
    side = cell * 2 + (kind > 0)
    found = rows[data["found"][side]]
    where = at["budget_minutes"] * len(axes["latency_ms"]) + at["latency_ms"]
    one = data["answers"][data["language"] if kind == 2 else found[where]]
    names = ("approach", "accuracy", "low", "high", "train_seconds", "stored_mb", "latency_ms")
    return {
        "approach": data["approaches"][approach],
        "rule": data["rule_names"][rule],
        "reasons": [data["reasons"][i] for i in (*data["heads"][cell], *data["lists"][reasons])],
        "said": [texts[i] for i in one[4]],
        "flips": [data["flips"][i] for i in data["lists"][flips]],
        "verdict": data["verdicts"][one[0]],
        "take": data["approaches"][one[1]] if one[1] >= 0 else "",
        "candidates": [
            dict(zip((*names, "runs"), data["candidates"][i], strict=True)) for i in one[3]
        ],
        "told": (texts[told], texts[one[5]]),
        "curves": rows[data["near"][side]][1:],
    }


def agree(data, held, axes, number):
    """Compare what the page holds with `answer`, at random settings; return the verdicts met."""
    met = set()
    for at in settings(axes, number):
        situation = as_point(axes, at).situation()
        page, asked = look(data, at), both_answers(situation, held)
        assert (page["approach"], page["rule"]) == (asked["approach"], asked["rule"]), at
        ruled, found = decide(situation), evidence_near(situation, held)
        assert page["reasons"] == [[r.kind, data["texts"].index(r.text)] for r in ruled.reasons], at
        assert page["said"] == [r.text for r in source_last(found.reasons)], at
        told = [r.text for r in (*ruled.reasons, *found.reasons)]
        assert asked["reasons"][: len(told)] == told, at
        rest = asked["reasons"][len(told) :]
        if at["modality"] == "image":
            assert rest.pop() == data["larger"][at["distance"]][0], at
        assert len(rest) <= 2  # how the rule's fared; what is published
        named = ("name", "applied", "approach", "why")
        flips = [
            (data["texts"][n], bool(on), data["approaches"][to], data["texts"][why])
            for n, on, to, why in page["flips"]
        ]
        assert flips == [tuple(flip[key] for key in named) for flip in asked["flips"]], at
        assert page["verdict"] == asked["verdict"], at
        own = [c | {"approach": data["approaches"][c["approach"]]} for c in page["candidates"]]
        assert own == asked["candidates"], at
        told = published_near(situation)
        place = (at["examples"] * 3 + data["words_of_distance"][at["distance"]]) * 3
        place += 0 if at["modality"] == "image" else 2 if at["llm"] else 1
        other = data["published"][data["elsewhere"][place]]
        assert data["texts"][other[5]] == published_words(told), at
        assert [data["approaches"][row[0]] for row in other[3]] == [
            one.approach for one in told.standings
        ], at
        assert len(other[4]) == len(told.cases), at
        met.add(page["verdict"])
    return met


def test_200_random_points_agree_with_decide_and_evidence(small):
    _, data, held = small
    assert NONE in agree(data, held, SMALL, 200)


def test_the_script_gets_the_class_of_every_kind_and_reads_no_sentence(small):
    page, data, _ = small
    assert data["reason_classes"] == {kind.value: name for kind, name in REASON_CLASSES.items()}
    assert {kind for kind, _ in data["reasons"]} > set(data["reason_classes"])
    assert data["rule_titles"]["R1"] == "R1" and data["rule_titles"]["fallback"] != "fallback"
    script = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert script and not any("match" in text.lower() for text in script)


def test_headlines_and_what_to_take_are_those_of_the_notebook(small):
    _, data, held = small
    for at in settings(SMALL, 60, seed=1):
        situation = as_point(SMALL, at).situation()
        found = evidence_near(situation, held)
        page = look(data, at)
        assert page["take"] == found.take
        assert page["told"] == headline(decide(situation), found)
        if found.candidates:
            assert page["curves"] == shown_curves(situation, found, held)[0]


@pytest.mark.slow
def test_the_whole_page_is_small_and_agrees():
    runs = records.load_runs()
    page = build(runs, workers=2)
    assert len(page.encode("utf-8")) <= build_site.LARGEST
    agree(data_of(page), measured_curves(runs), AXES, 60)


def test_the_page_stands_alone(small):
    page, _, _ = small
    markup = re.sub(r'<script type="application/json".*?</script>', "", page)
    assert len(page.encode("utf-8")) < 600_000
    assert not re.search(r'(?:src|href)="(?!#|data:)', markup)
    assert not re.search(r"@import|url\(|fetch\(|https?://", markup)
    assert "$" not in re.sub(r"<script>.*</script>", "", markup, flags=re.S)  # nothing unfilled


def test_every_input_has_a_label(small):
    page, _, _ = small
    for name in re.findall(r'<input type="range" id="(\w+)"', page):
        assert f'<label for="{name}">' in page
        assert f'<output id="{name}-value" for="{name}">' in page
    for box in re.findall(r'<label>.*?<input type="(?:radio|checkbox)".*?</label>', page):
        assert re.sub(r"<.*?>", "", box).strip()
    assert page.count('<input type="range"') == 10
    assert 'role="status" aria-live="polite"' in page


def test_it_says_where_its_numbers_come_from(small):
    page, _, _ = small
    assert "made at commit 0123456789" in page
    assert re.search(r"[\d,]+ of [\d,]+ recorded runs", page)
    assert "seeds)" in page and "make results" in page


def test_without_records_there_is_a_page_that_says_no_evidence():
    page = build(records.load_runs().iloc[:0], axes=SMALL)
    data = data_of(page)
    assert data["curves"] == [] and len(data["candidates"]) == 0
    assert {look(data, at)["verdict"] for at in settings(SMALL, 20)} == {NONE}
    assert "nothing is recorded yet" in page


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_words_stand_out_from_what_they_stand_on(colours):
    """The contrast of WCAG 2.1, 1.4.3 (AA): 4.5 to 1."""
    for words in ("ink", "soft", "accent", "clear", "close", "none"):
        for ground in ("paper", "card", "wash"):
            pair = sorted((luminance(colours[words]), luminance(colours[ground])))
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (words, ground)


def test_every_approach_has_a_shape_of_its_own():
    shapes = {name: SHAPES[look.marker] for name, look in APPROACH_STYLE.items()}
    assert len(set(shapes.values())) == len(APPROACH_STYLE)


def test_a_panel_has_its_numbers_as_words_and_as_a_table(small):
    _, _, held = small
    for curve in held.curves:
        panel = draw_panel(curve)
        assert 'role="img" aria-label="Test accuracy' in panel.svg
        assert panel.svg.count("@marks@") == 1
        size = max(curve.accuracy)
        for name in curve.accuracy[size].dropna(axis=1).columns:
            assert f"{curve.accuracy[size][name].mean():.3f} <small>" in panel.table
        assert panel.mark(10**9)[2] == "1,000,000,000 examples →"
        assert panel.mark(1)[2].startswith("← ")
        assert panel.x(10**9) > panel.x(size) > panel.x(1)


def test_a_curve_of_single_runs_is_drawn_without_bands(small):
    _, _, held = small
    curve = max(held.curves, key=lambda c: min(t.count().min() for t in c.accuracy.values()))
    alone = {size: table.head(1) for size, table in curve.accuracy.items()}
    panel = draw_panel(replace(curve, accuracy=alone))
    marked = sum(table.notna().to_numpy().sum() for table in alone.values())
    assert panel.svg.count('class="mark"') == marked == panel.table.count("<small>one run<")
    assert "nan" not in panel.svg.lower() and 'class="band" d=""' in panel.svg
    assert 'class="band" d=""' not in draw_panel(curve).svg


def test_build_site_writes_it_whole_or_says_why_not(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(build_site, "build", lambda runs, **how: "{home} {commit}".format(**how))
    alone = ["--only-explorer", str(tmp_path / "site")]
    assert build_site.main(alone) == 0
    written = tmp_path / "site" / "explorer.html"
    assert re.fullmatch(r" [0-9a-f]{10}| unknown", written.read_text(encoding="utf-8"))
    assert [path.name for path in written.parent.iterdir()] == ["explorer.html"]
    monkeypatch.setattr(build_site, "LARGEST", 3)
    assert build_site.main(alone) == 2
    assert "more than 3; coarsen its axes" in capsys.readouterr().err
    monkeypatch.setattr(build_site, "LARGEST", 3_000_000)
    assert build_site.main(["--only-explorer", str(written / "below-a-file")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_build_site_writes_the_pages_around_the_explorer(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(build_site, "build", lambda runs, **how: how["home"])
    monkeypatch.setattr(build_site, "build_pages", lambda root, folder: ["a warning"])
    assert build_site.main([str(tmp_path)]) == 0
    assert (tmp_path / "explorer.html").read_text(encoding="utf-8") == "index.html"
    assert capsys.readouterr().err == "a warning\n"


def test_the_page_leads_home_where_there_is_one():
    page = build(records.load_runs().iloc[:0], axes=SMALL, home="index.html")
    assert page.count('href="index.html"') == 1


def test_candidates_are_rounded_as_decide_prints_them(small):
    _, data, _ = small
    for row in data["candidates"]:
        assert all(round(value, 4) == value for value in row[1:4])
