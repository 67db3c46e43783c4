"""Figures for those who see little colour or none: contrast of marks and words, alt text."""

from pathlib import Path

import matplotlib as mpl
import nbformat
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.lines import Line2D
from matplotlib.text import Text

from helpers.display import plots
from helpers.display.figures import contrast, figure, outline_pale, png_bytes
from helpers.display.theme import DARK, LIGHT
from helpers.vocabulary import APPROACH_STYLE

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TABLE = pd.DataFrame(
    [
        {"approach": name, "n_train": n, "mean": 0.5, "low": 0.4, "high": 0.6, "train_seconds": n}
        for name in APPROACH_STYLE
        for n in (50, 1000)
    ]
)
DRAWN = {
    "curves": lambda: plots.plot_curves(TABLE, "n_train", title="Curves", log_x=True),
    "race": lambda: plots.plot_race(TABLE[TABLE["n_train"] == 50], title="A race"),
    "bars": lambda: plots.plot_bars(TABLE[TABLE["n_train"] == 50], title="Bars"),
}


def test_contrast_is_that_of_wcag():
    assert contrast("#000000") == pytest.approx(21.0)
    assert contrast("#ffffff") == 1.0
    assert contrast("#777777") == pytest.approx(4.48, abs=0.01)
    assert contrast("#1a1d21", "#56b4e9") == contrast("#56b4e9", "#1a1d21")


@pytest.mark.parametrize("name", DRAWN)
def test_marks_and_bars_stand_out_from_white(name):
    """WCAG 2.1, 1.4.11: 3 to 1, by the mark itself or by its edge."""
    drawn = DRAWN[name]()
    png_bytes(drawn)  # as it is shown
    marks = [
        (mark.get_markerfacecolor(), mark.get_markeredgecolor())
        for mark in drawn.findobj(Line2D)
        if mark.get_marker() in Line2D.filled_markers
    ]
    bars = [(bar.get_facecolor(), bar.get_edgecolor()) for ax in drawn.axes for bar in ax.patches]
    assert len(marks) + len(bars) >= len(APPROACH_STYLE)
    for pair in marks + bars:
        assert max(contrast(_on_white(colour)) for colour in pair) >= 3.0, pair


def _on_white(colour):
    *parts, alpha = mpl.colors.to_rgba(colour)
    return to_hex([1 - alpha * (1 - part) for part in parts])


@pytest.mark.parametrize("name", DRAWN)
def test_words_in_a_figure_stand_out_from_white(name):
    for words in DRAWN[name]().findobj(Text):
        if words.get_text().strip() and words.get_visible():
            assert contrast(to_hex(words.get_color())) >= 4.5, words


def test_only_what_is_pale_gets_an_edge():
    made, ax = figure("x")
    (pale,) = ax.plot([1], [1], "s", color=APPROACH_STYLE["partial_fine_tuning"].colour)
    (dark,) = ax.plot([1], [1], "o", color=APPROACH_STYLE["feature_extraction"].colour)
    (line,) = ax.plot([1, 2], [1, 2], color=APPROACH_STYLE["lp_ft"].colour)
    (hollow,) = ax.plot([1], [1], "s", color=pale.get_color(), markerfacecolor="none")
    shade = ax.axvspan(0, 1, color="#eeeeee")
    before = [each.get_markeredgecolor() for each in (dark, line, hollow)]
    edge = shade.get_edgecolor()
    outline_pale(made)
    assert pale.get_markeredgecolor() == "#1a1d21"
    assert pale.get_markerfacecolor() == APPROACH_STYLE["partial_fine_tuning"].colour
    assert [each.get_markeredgecolor() for each in (dark, line, hollow)] == before
    assert shade.get_edgecolor() == edge


def test_the_caps_of_an_interval_keep_their_colour():
    drawn = DRAWN["race"]()
    png_bytes(drawn)
    for each in drawn.axes[0].containers:
        if isinstance(each, ErrorbarContainer):
            for cap in each.lines[1]:
                assert cap.get_markeredgecolor() != "#1a1d21"


@pytest.mark.parametrize(
    ("named", "own"), [(LIGHT, "colour"), (DARK, "on_dark")], ids=["light", "dark"]
)
def test_marks_of_the_explorer_stand_out_from_its_cards(named, own):
    """Every mark there has an edge in the ink's colour."""
    for name, look in APPROACH_STYLE.items():
        colours = (getattr(look, own), named["ink"])
        assert max(contrast(colour, named["card"]) for colour in colours) >= 3.0, name


@pytest.mark.files
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_of_a_notebook_says_what_it_shows(path):
    """Three words at least, and no two figures of a notebook say the same."""
    said = [
        output.metadata.get("image/png", {}).get("alt", "")
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert said
    assert all(len(words.split()) >= 3 for words in said), said
    assert len(set(said)) == len(said), said
