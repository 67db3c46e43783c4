"""The explorer in a real Chromium: the page from its file with the network off, and JupyterLab."""

import jupyterlab_page
import nbformat
import offline as in_chromium
import pytest
from jupyterlab_page import run_all_cells, wait_for
from nbformat.v4 import new_code_cell, new_notebook
from pages import SMALL, as_point, settings, small_page

from helpers.decision import decide
from helpers.display.explorer.cards import REASON_CLASSES, source_last
from helpers.display.explorer.elsewhere import published_near, published_words
from helpers.display.explorer.settings import comparison, headline
from helpers.results.evidence import evidence_near
from helpers.vocabulary import phrase_of
from tools.site.explorer_turns import QUESTIONS
from tools.site.upkeep import upkeep, upkeep_words

pytestmark = pytest.mark.browser
NOTEBOOK = jupyterlab_page.ROOT / "notebooks" / "10_decision_rule.ipynb"
chromium, lab = jupyterlab_page.chromium, jupyterlab_page.lab  # fixtures
browser, offline = in_chromium.browser, in_chromium.offline
SEEN = """settings => settings.map(one => {
  explorer.set(one);
  const text = id => document.getElementById(id).textContent;
  const all = query => [...document.querySelectorAll(query)].map(e => e.textContent);
  return {
    rule: text('says-rule'), measured: text('says-measured'), published: text('says-published'),
    least: document.getElementById('explorer').dataset.published,
    pays: document.getElementById('explorer').dataset.pays, bill: text('bill'),
    approach: document.getElementById('explorer').dataset.rule,
    take: document.getElementById('explorer').dataset.take,
    reasons: all('#rule ol.why li'),
    classes: [...document.querySelectorAll('#rule ol.why li')].map(e => e.className),
    flips: all('#rule ul.flips li'),
    said: all('#measured .said p'), chip: all('#measured .chip')[0],
    rows: all('#rows tr').length, panels: all('#curves figure').length,
    wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
  };
})"""


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    yield page
    page.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write the small page; return its address and the curves that it was read from."""
    made, held = small_page()
    file = tmp_path_factory.mktemp("site") / "explorer.html"
    file.write_text(made, encoding="utf-8")
    return file.as_uri(), held


@pytest.fixture
def opened(offline, written):
    """Return what opens the page, offline, at a hash; nothing may be said on the console."""
    return lambda hash="", **how: offline(written[0] + hash, **how)


def verdict(page):
    return page.locator("[role=status]").inner_text()


def test_a_slider_moved_by_keyboard_changes_the_verdict(opened):
    page = opened()
    for slider, key in (("distance", "ArrowRight"), ("examples", "End"), ("tasks", "End")):
        before, words = verdict(page), page.locator(f"#{slider}-value").inner_text()
        page.locator(f"#{slider}").focus()
        page.keyboard.press(key)
        wait_for(lambda b=before: verdict(page) != b, 10, f"{slider} changed nothing", page)
        told = page.locator(f"#{slider}").get_attribute("aria-valuetext")
        assert told == page.locator(f"#{slider}-value").inner_text() != words


def test_every_control_is_reached_with_the_tab_key(opened):
    page = opened()
    reached = set()
    for _ in range(24):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.name"))
    wanted = {"examples", "distance", "budget_minutes", "latency_ms", "tasks"}
    assert wanted | {"modality", "unlabelled", "local_only", "reset"} <= reached


def test_switches_by_keyboard(opened):
    page = opened()
    assert page.locator("#llm").is_disabled()
    page.locator("input[value=text]").focus()
    page.keyboard.press("Space")
    assert not page.locator("#llm").is_disabled()
    page.locator("#llm").focus()
    page.keyboard.press("Space")
    assert "No evidence: no large language model" in verdict(page)
    page.locator("input[value=image]").focus()
    page.keyboard.press("Space")
    assert not page.locator("#llm").is_checked()


def test_the_address_holds_the_situation(opened):
    page = opened()
    for at in settings(SMALL, 12):
        page.evaluate("at => explorer.set(at)", at)
        told, address = verdict(page), page.evaluate("location.hash")
        other = opened(address)
        assert verdict(other) == told
        assert other.evaluate("location.hash") == address
        for axis in ("examples", "distance", "budget_minutes", "latency_ms", "tasks"):
            assert int(other.locator(f"#{axis}").input_value()) == at[axis], axis
        other.context.close()
    page.evaluate("location.hash = '#n=50&d=0.5&kind=text&u=1'")
    wait_for(lambda: page.locator("#unlabelled").is_checked(), 10, "the hash was not read", page)


@pytest.mark.parametrize("odd", ["#n=abc&d=&m=-3", "#n=1e99&d=7&ms=0&t=none", "#%%%", "#kind=soup"])
def test_an_odd_address_is_read_as_the_nearest_situation(opened, odd):
    page = opened(odd)
    assert verdict(page).startswith("The rule says ")


def test_200_random_points_agree_with_decide(opened, written):
    asked = settings(SMALL, 200, seed=2)
    for at, seen in zip(asked, opened().evaluate(SEEN, asked), strict=True):
        situation = as_point(SMALL, at).situation()
        ruled, found = decide(situation), evidence_near(situation, written[1])
        assert (seen["rule"], seen["measured"]) == headline(ruled, found), at
        assert (seen["approach"], seen["take"]) == (ruled.approach, found.take), at
        assert seen["reasons"] == [reason.text for reason in ruled.reasons], at
        classes = [REASON_CLASSES.get(reason.kind, "") for reason in ruled.reasons]
        assert seen["classes"] == classes, at
        flips = [f"{f.name}: {phrase_of(f.approach) if f.applied else f.why}" for f in ruled.flips]
        assert sorted(seen["flips"]) == sorted(flips), at
        side = comparison(ruled, found)
        assert seen["said"][: bool(side)] == [side] * bool(side), at
        told = [reason.text for reason in source_last(found.reasons)]
        assert seen["said"][bool(side) :] == told, at
        other = published_near(situation)
        assert (seen["published"], seen["least"]) == (published_words(other), other.take), at
        year = upkeep(as_point(SMALL, at), found.candidates)
        words = upkeep_words(as_point(SMALL, at), year)
        assert (seen["pays"], seen["bill"]) == (year.take, words), at
        apart = other.take and not found.take
        assert seen["chip"].endswith("published only" if apart else found.verdict), at
        assert seen["rows"] == len(found.candidates), at
        assert bool(found.candidates) <= seen["panels"] <= 3, at


def named(page, who):
    """Return how the answer is called that the page names, or what no answer ends with."""
    name = page.evaluate("who => document.body.dataset[who]", who)
    return phrase_of(name) if name else "?"


def test_every_turn_leads_to_the_answers_that_it_names(opened):
    page = opened()
    turns = page.evaluate("""() => [...document.querySelectorAll('.turns tbody tr')].map(row =>
        [...row.querySelectorAll('td')].map(cell => ({
            said: cell.textContent,
            ends: [...cell.querySelectorAll('a')].map(a => [a.hash, a.textContent]),
        })))""")
    assert len(turns) == len(QUESTIONS)
    for question in turns:
        assert any(cell["ends"] for cell in question) or all(
            "that is the finding" in cell["said"] or "not asked" in cell["said"]
            for cell in question
        )
        for who, cell in zip(("rule", "take", "published", "pays"), question, strict=True):
            for address, words in cell["ends"]:
                page.evaluate("address => { location.hash = address }", address)
                wait_for(
                    lambda who=who, words=words: words.endswith(named(page, who)),
                    10,
                    f"{who} is another at {address}",
                    page,
                )


def test_a_move_says_what_it_changed_or_that_it_changed_nothing(opened):
    page = opened()
    page.locator("#release_minutes").focus()
    page.keyboard.press("ArrowRight")
    moved = page.locator("#says-moved")
    wait_for(lambda: moved.inner_text() != "", 10, "nothing was said", page)
    assert "that is the finding" in moved.inner_text()
    before = page.evaluate("document.body.dataset.rule")
    page.evaluate("explorer.set({tasks: 1}, 'tasks')")
    after = page.evaluate("document.body.dataset.rule")
    assert before != after
    told = f"the rule from {phrase_of(before)} to {phrase_of(after)}"
    assert told in moved.inner_text()


def test_the_map_marks_here_and_published_apart_and_follows_the_sliders(opened):
    page = opened()
    places = set()
    for place in range(len(SMALL.examples)):
        page.evaluate("place => explorer.set({examples: place})", place)
        places.add(page.locator("#map .here").first.get_attribute("transform"))
    assert len(places) == len(SMALL.examples)
    looks = page.evaluate("""() => ['own', 'published'].map(kind => {
        const mark = document.querySelector(`#map .${kind}`), style = getComputedStyle(mark);
        return [style.fill, mark.querySelector('title').textContent];
    })""")
    assert looks[0][0] != looks[1][0]
    assert "measured here" in looks[0][1] and "published (" in looks[1][1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(opened, scheme):
    phone = {"width": 360, "height": 740}
    page = opened(viewport=phone, color_scheme=scheme, reduced_motion="reduce")
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    asked = settings(SMALL, 40, seed=3)
    shown = page.evaluate(SEEN, asked)
    assert not any(seen["wide"] for seen in shown)
    measured = next(at for at, seen in zip(asked, shown, strict=True) if seen["panels"])
    page.evaluate(SEEN, [measured])
    assert page.locator("#rows tr").count() == 0 or page.locator(".tried").is_visible()
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "light dark"
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in ground[4:-1].split(",")) < 200) == (scheme == "dark")
    assert page.evaluate("""getComputedStyle(document.querySelector('.you')).transitionDuration
        """) in ("0s", "")  # fmt: skip


def test_a_moved_slider_is_shown_within_a_frame_or_two(opened):
    page = opened()
    spent = page.evaluate(
        """settings => settings.map(one => {
            const start = performance.now();
            explorer.set(one);
            document.body.offsetHeight;
            return performance.now() - start;
        }).sort((a, b) => a - b)""",
        settings(SMALL, 100, seed=4),
    )
    assert spent[0] < 50, "ms"  # the machine may be busy, so the quickest tells
    assert spent[50] < 250, "ms"


def explorer_notebook() -> nbformat.NotebookNode:
    """Return notebook 10 without its outputs, or the line that it would call."""
    if NOTEBOOK.exists():
        found = nbformat.read(NOTEBOOK, as_version=4)
        if any("explorer()" in cell.source for cell in found.cells):
            for cell in found.cells:
                if cell.cell_type == "code":
                    cell.outputs, cell.execution_count = [], None
            return found
    line = "from helpers.display.explorer import explorer\n\nexplorer()"
    made = new_notebook(cells=[new_code_cell(line)])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    return made


def test_in_jupyterlab_a_slider_moved_by_keyboard_changes_the_verdict(lab, page):
    notebook = explorer_notebook()
    page.goto(lab(notebook), timeout=90_000)
    run_all_cells(page, notebook)
    said = page.locator(".jp-OutputArea-output .fta [role=status]").first
    output = page.locator(".jp-OutputArea-output", has=page.locator(".fta .says")).first
    said.scroll_into_view_if_needed()
    for place, key in ((1, "ArrowRight"), (0, "End")):  # the distance, the examples
        before = said.inner_text()
        handle = output.locator(".widget-slider .noUi-handle").nth(place)
        handle.focus()
        for _ in range(3):
            page.keyboard.press(key)
        wait_for(lambda b=before: said.inner_text() != b, 60, "the verdict stayed", page)
    assert output.locator("svg.panel").count() >= 1
    assert output.get_by_role("button", name="Run this point live on pocket").is_enabled()
    edge = "one => one.getBoundingClientRect().right"
    edges = f"all => all.map({edge})"
    for width in (1400, 1000):  # the file browser takes a fifth of it
        page.set_viewport_size({"width": width, "height": 1000})
        cards = output.locator(".card")
        assert cards.count() >= 3
        wait_for(lambda all_=cards: max(all_.evaluate_all(edges)) <= output.evaluate(edge) + 1,
                 10, "a card is cut off", page)  # fmt: skip
