"""The page of `advise --html` in a real Chromium, of data whose labels are hostile."""

import jupyterlab_page
import offline as in_chromium
import pytest
from hostile import OBEYED, hostile_labels, told_of

from helpers.advisor.report.as_html import report

pytestmark = pytest.mark.browser
chromium = jupyterlab_page.chromium  # fixtures
browser, offline = in_chromium.browser, in_chromium.offline
SEEN = """() => ({
  owned: typeof window.owned, text: document.body.textContent,
  tags: [...document.querySelectorAll('*')].map(e => e.tagName),
  heard: [...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())
    .filter(name => name.startsWith('on')),
})"""


def tame(told, names):
    """The same with other names of classes."""
    if isinstance(told, dict):
        return {key: tame(value, names) for key, value in told.items()}
    if isinstance(told, list):
        return [tame(one, names) for one in told]
    for hostile, other in names.items():
        told = told.replace(hostile, other) if isinstance(told, str) else told
    return told


def test_labels_are_shown_as_text_and_run_nothing(offline, tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    told = told_of(tmp_path, hostile_labels())
    names = {one["name"]: f"class {i}" for i, one in enumerate(told["classes"])}
    seen = []
    for number, made in enumerate((told, tame(told, names))):
        file = tmp_path / f"{number}.html"
        file.write_text(report(made), encoding="utf-8")
        seen.append(offline(file.as_uri()).evaluate(SEEN))
    hostile, plain = seen
    assert hostile["owned"] == "undefined" and not hostile["heard"]
    assert hostile["tags"] == plain["tags"]
    assert not OBEYED.search(hostile["text"].replace("\n", "").replace("\t", ""))
    assert all(" ".join(name.split()) in " ".join(hostile["text"].split()) for name in names)
