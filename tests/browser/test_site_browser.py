"""The site in a real Chromium, from files and with the network off: every page, and axe on each."""

import json
import os
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import jupyterlab_page
import offline as in_chromium
import pytest
from axe_playwright_python.sync_playwright import Axe
from filelock import FileLock
from jupyterlab_page import wait_for
from pages import SMALL

from helpers.display.figures import contrast
from helpers.results import runs
from tools.site.explorer_page import build
from tools.site.site_pages import build_pages

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
BUILD_SECONDS = 60  # of the processor: others may be at work on the machine
BUILT = "built.json"  # the warnings and the seconds
PHONE = {"width": 360, "height": 740}
# `preload` would ask for the style sheets once more, which a browser refuses for files.
ASKED = {"resultTypes": ["violations"], "preload": False}
# Every word of code is an element, thousands on a page: their colours are tested one by one below.
PLAIN_CODE = """() => document.querySelectorAll('.highlight pre').forEach(
  code => { code.textContent = code.textContent; })"""
PICTURES = """() => [...document.images].map(image => {
  image.loading = 'eager';
  return {src: image.src, alt: image.alt, width: image.naturalWidth, done: image.complete};
})"""
chromium = jupyterlab_page.chromium  # a fixture
browser, offline = in_chromium.browser, in_chromium.offline


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Build the site once for all workers; return its folder."""
    shared = tmp_path_factory.getbasetemp()
    folder = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "site"
    with FileLock(f"{folder}.lock"):
        if not (folder / BUILT).exists():
            begun = time.process_time()
            warnings = build_pages(ROOT, folder)
            spent = time.process_time() - begun
            page = build(runs.load_runs(), axes=SMALL, home="index.html")
            (folder / "explorer.html").write_text(page, encoding="utf-8")
            (folder / BUILT).write_text(json.dumps([warnings, spent]), encoding="utf-8")
    return folder


@pytest.fixture
def opened(offline, site):
    """Return what opens a page of the site, offline; nothing may be said on the console."""
    return lambda name="index.html", **how: offline(f"{site.as_uri()}/{name}", **how)


def names(site):
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))


class Addresses(HTMLParser):
    """What a page leads to and loads, and the places in it that others can lead to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.places = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if "id" in found:
            self.places.append(found["id"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") not in ("next", "prev", "search", "index"):
            self.loads.append(found.get("href", ""))
        elif "src" in found:
            self.loads.append(found["src"])


@pytest.fixture(scope="module")
def addresses(site):
    return {name: Addresses((site / name).read_text(encoding="utf-8")) for name in names(site)}


def test_it_builds_in_time_and_without_a_warning(site):
    warnings, spent = json.loads((site / BUILT).read_text(encoding="utf-8"))
    assert warnings == []
    assert spent < BUILD_SECONDS


def test_every_notebook_is_a_page(site):
    found = set(names(site))
    assert {f"notebooks/{stem}.html" for stem in NOTEBOOKS} <= found
    assert {"index.html", "glossary.html", "search.html", "explorer.html"} <= found
    assert "published.html" in found
    assert sum(path.stat().st_size for path in site.rglob("*.html")) < 10_000_000


def test_every_link_leads_somewhere(site, addresses):
    wrong = []
    for name, page in addresses.items():
        for link in page.links:
            target, anchor = urldefrag(link)
            if re.match(r"https?:|mailto:", target):
                continue
            there = ((site / name).parent / unquote(target)).resolve() if target else site / name
            if not there.is_file():
                wrong.append(f"{name}: {link}")
            elif anchor and there.suffix == ".html" and name != "explorer.html":
                inside = addresses[there.relative_to(site).as_posix()].places
                wrong += [f"{name}: {link}"] * (unquote(anchor) not in inside)
    assert wrong == []


def test_no_place_is_named_twice(addresses):
    for name, page in addresses.items():
        assert len(page.places) == len(set(page.places)), name


def test_nothing_is_loaded_from_elsewhere(site, addresses):
    for name, page in addresses.items():
        for source in page.loads:
            assert not re.match(r"(https?:)?//", source), f"{name} loads {source}"
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", text), sheet.name


def faults(page, name):
    """Return what axe finds serious or critical on an open page; its code becomes plain."""
    page.evaluate(PLAIN_CODE)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    found = Axe().run(page, options=ASKED).response["violations"]
    return [
        f"{name}: {one['id']} ({one['impact']}): {node['target']} {node['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]


def test_every_page_is_whole_and_axe_finds_nothing_serious(opened, site):
    wrong = []
    for name in names(site):
        page = opened(name)
        wrong += faults(page, name)
        for picture in page.evaluate(PICTURES):
            if not picture["width"] or not picture["alt"].strip():
                wrong.append(f"{name}: {picture}")
        wrong += [f"{name}: no heading"] * (page.locator("h1, h2").count() == 0)
        wrong += [f"{name}: widget text"] * ("interactive(children" in page.content())
        page.set_viewport_size(PHONE)
        width = page.evaluate("document.documentElement.scrollWidth")
        wrong += [f"{name}: {width} pixels wide on a phone"] * (width > PHONE["width"])
        page.context.close()
    assert wrong == []


def test_axe_sees_a_fault(opened):
    page = opened()
    page.evaluate("document.querySelector('article p').style.color = '#ccc'")
    assert any("color-contrast" in fault for fault in faults(page, "index.html"))


DARK = ["index.html", "glossary.html", "published.html", "explorer.html", "search.html?q=regret"]


@pytest.mark.parametrize("name", [*DARK, *(f"notebooks/{one}.html" for one in NOTEBOOKS[::4])])
def test_dark_pages_have_contrast(opened, name):
    page = opened(name, color_scheme="dark", reduced_motion="reduce")
    if name.startswith("search"):
        page.locator("ul.search li a").first.wait_for()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(int(part) for part in re.findall(r"\d+", ground)[:3]) < 200
    assert faults(page, name) == []


def test_every_colour_of_code_has_contrast(site):
    """WCAG 2.1, 1.4.3 (AA), for each kind of word, on the ground of its theme."""
    text = (site / "_static" / "pygments.css").read_text(encoding="utf-8")
    light, _, dark = text.partition("@media")
    for sheet in (light, dark):
        ground = re.search(r"\.highlight \{[^}]*background: (#\w{6})", sheet)[1]
        words = re.findall(r"\.highlight \.(\w+) \{[^}]*?(?<!-)color: (#\w{6})", sheet)
        words = [(kind, colour) for kind, colour in words if not kind.startswith("lin")]
        assert len(words) > 40
        for kind, colour in words:
            assert contrast(colour, ground) >= 4.5, (kind, colour, ground)


@pytest.mark.parametrize("name", ["index.html", "glossary.html", "published.html"])
def test_a_phone_is_served_as_well(opened, name):
    assert faults(opened(name, viewport=PHONE), name) == []


def test_a_word_is_found_from_files(opened):
    page = opened()
    page.locator("input[type=search], input[name=q]").first.fill("regret")
    page.keyboard.press("Enter")
    hits = page.locator("ul.search li a")
    hits.first.wait_for()
    led = hits.evaluate_all("links => links.map(link => link.href)")
    assert any("10_decision_rule.html" in link for link in led)
    page.locator("ul.search a[href*='10_decision_rule']").first.click()
    page.locator("article h1").wait_for()
    assert "rule" in page.locator("article h1").inner_text()


def test_a_term_leads_to_its_entry_and_the_entry_back(opened):
    page = opened(f"notebooks/{NOTEBOOKS[0]}.html")
    link = page.locator(".term-use a").first
    words, slug = link.inner_text(), link.get_attribute("href").partition("#term-")[2]
    link.click()
    page.locator(f"#term-{slug}:target").wait_for()
    page.locator(f".term-pages a[href='notebooks/{NOTEBOOKS[0]}.html#use-{slug}']").click()
    page.locator(f"#use-{slug}:target").wait_for()
    assert page.locator(f"#use-{slug}").inner_text() == words


def test_pages_lead_on_and_back(opened):
    page = opened(f"notebooks/{NOTEBOOKS[0]}.html")
    for stem in NOTEBOOKS[1:3]:
        page.locator("a.next-page").click()
        page.wait_for_url(f"**/{stem}.html")
        assert stem[:2] in page.locator(".sidebar-tree [aria-current=page]").inner_text()
    page.locator("a.prev-page").click()
    page.wait_for_url(f"**/{NOTEBOOKS[1]}.html")
    page.locator("article").get_by_role("link", name="All notebooks").click()
    page.wait_for_url("**/index.html#the-notebooks")


def test_the_explorer_is_there_and_leads_home(opened):
    page = opened()
    page.locator("article a[href='explorer.html']").first.click()
    verdict = page.locator("[role=status]")
    verdict.wait_for()
    before = verdict.inner_text()
    assert before.startswith("The rule says")
    page.locator("#distance").focus()
    page.keyboard.press("End")
    wait_for(lambda: verdict.inner_text() != before, 10, "the verdict stayed", page)
    page.get_by_role("link", name="All notebooks").click()
    page.wait_for_url("**/index.html")


def test_on_a_phone_the_navigation_opens_by_keyboard(opened):
    page = opened(viewport=PHONE)
    link = page.locator(".sidebar-drawer a", has_text="Glossary")
    assert not link.is_visible()
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "__navigation":
            break
    page.keyboard.press("Space")
    link.wait_for(state="visible")
    page.keyboard.press("Escape")
    link.wait_for(state="hidden")
    assert page.evaluate("document.activeElement.id") == "__navigation"


def test_a_wide_box_is_reached_by_keyboard_and_a_narrow_one_is_not(opened):
    page = opened(f"notebooks/{NOTEBOOKS[2]}.html", viewport=PHONE)
    state = "box => [box.scrollWidth > box.clientWidth, box.tabIndex === 0]"
    boxes = page.locator("article pre, .table-frame").evaluate_all(f"all => all.map({state})")
    assert any(wide for wide, _ in boxes) and not all(wide for wide, _ in boxes)
    assert all(wide == reached for wide, reached in boxes)


def test_whoever_asked_for_less_motion_gets_none(opened):
    moves = "getComputedStyle(document.querySelector('.sidebar-drawer')).transitionDuration"
    assert opened(reduced_motion="reduce").evaluate(moves) == "0s"
    assert opened(reduced_motion="no-preference").evaluate(moves) != "0s"
