"""Diagrams say what the models do: what stays, what trains, what is inserted."""

import io

import pytest
from matplotlib.text import Text
from PIL import Image

from helpers.approaches import APPROACHES, get_approach
from helpers.backbones import load_backbone
from helpers.display import plot_approaches, plot_bill, plot_low_rank
from helpers.display.diagrams import INSIDE, MOVES, NEW, STILL, anatomy
from helpers.display.figures import EDGE, MAX_SIZE, contrast
from helpers.display.theme import DARK


@pytest.fixture(scope="module")
def pocket():
    return load_backbone("pocket")


def test_anatomy_is_read_off_the_model(pocket):
    def of(name):
        return anatomy(get_approach(name), pocket)

    assert {part.share for part in of("feature_extraction")} == {0.0}
    assert {part.share for part in of("full_fine_tuning")} == {1.0}
    assert [part.share for part in of("partial_fine_tuning")] == [0, 0, 0, 1, 1]
    assert not any(part.inserted for part in of("lp_ft"))
    assert all(part.inserted and 0 < part.share < 1 for part in of("lora"))


def test_every_registered_approach_has_a_row_and_words():
    drawn = plot_approaches()
    titles = [text.get_text() for text in drawn.axes[0].texts]
    assert all(
        entry.title in titles and entry.summary in drawn.alt for entry in APPROACHES.values()
    )
    assert all(side <= most for side, most in zip(drawn.get_size_inches(), MAX_SIZE, strict=True))


@pytest.mark.parametrize("colour", [MOVES, NEW])
def test_what_trains_shows_on_white_and_beside_what_stays(colour):
    assert contrast(colour) >= 3 and contrast(EDGE, STILL) >= 3


def test_a_low_rank_update_is_counted():
    drawn = plot_low_rank(100, 4)
    assert "800 numbers in place of 10,000" in drawn.alt


def test_a_bill_adds_up():
    bills = {"full": {"disks": 40.0, "people": 60.0}, "LoRA": {"people": 50.0}}
    drawn = plot_bill(bills, "euros", "Three years")
    ax = drawn.axes[0]
    assert "full 100, LoRA 50" in drawn.alt
    assert sorted(bar.get_width() for bar in ax.patches) == [0.0, 40.0, 50.0, 60.0]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["disks", "people"]


def test_a_diagram_has_a_drawing_for_dark_pages():
    """No ground of its own, light words on it, and dark words on filled blocks."""
    drawn = plot_low_rank(100, 4)
    before = [text.get_color() for text in drawn.findobj(Text)]
    picture = Image.open(io.BytesIO(drawn.dark_png()))
    assert picture.getpixel((3, 3))[3] == 0  # the corner is clear
    assert [text.get_color() for text in drawn.findobj(Text)] == before
    assert contrast(DARK["ink"], "#111111") >= 7 and contrast(INSIDE, STILL) >= 7
    html = drawn._repr_mimebundle_()[0]["text/html"]
    assert html.count("<img") == 2 and html.count(f'alt="{drawn.alt}"') == 2
    assert 'class="fta-dark" style="display:none"' in html  # where no rule is read, one shows
