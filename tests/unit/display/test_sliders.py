"""One `explore` for every slider: what it shows, what it leaves, and how it moves."""

import base64
import io

import ipywidgets
import numpy as np
import pytest
from PIL import Image

from helpers.display import sliders
from helpers.display.figures import figure
from helpers.errors import UserError

VBOX = ipywidgets.VBox
CONTROLS = {"n": (1, 9, 2), "share": (0.0, 1.0, 0.25), "size": [50, 1000], "on": False}
CONTROLS |= {"approach": ["lora", "adapter"]}


def draw(n=1, share=0.0, size=50, on=False, approach="lora"):
    made, ax = figure(f"{n} of {size} by {approach}", width=3, height=2)
    ax.bar(["a", "b"], [n * size, share + on])
    return made


@pytest.fixture
def boxes(monkeypatch):
    """Collect the live widgets that `explore` makes."""
    made = []
    monkeypatch.setattr(ipywidgets, "VBox", lambda parts: made.append(VBOX(parts)) or made[-1])
    return made


@pytest.fixture
def shown(monkeypatch, boxes):
    """Collect what `explore` displays."""
    calls = []
    monkeypatch.setattr(sliders, "display", lambda *data, **how: calls.append((*data, how)))
    return calls


def open_png(text):
    return Image.open(io.BytesIO(base64.b64decode(text)))


def test_one_display_with_view_still_and_text(shown, boxes):
    sliders.explore(draw, alt="Two bars", **CONTROLS)
    ((bundle, how),) = shown
    assert set(bundle) == {sliders.VIEW, "image/png", "text/plain"}
    assert how == {"raw": True, "metadata": {"image/png": {"alt": "Two bars"}}}
    assert bundle["text/plain"] == "Two bars"
    assert bundle[sliders.VIEW]["model_id"] == boxes[0].model_id
    still = open_png(bundle["image/png"])
    still.load()
    assert still.format == "PNG"
    assert still.size == (300, 200)
    assert np.asarray(still.convert("L")).std() > 1  # not an empty page


def test_the_still_is_the_first_state_and_repeats_exactly(shown):
    sliders.explore(draw, **CONTROLS)
    sliders.explore(draw, **CONTROLS)
    first, second = (call[0]["image/png"] for call in shown)
    assert first == second == sliders.encode(sliders.png_bytes(draw()))


def test_every_control_redraws_at_both_ends(shown, boxes):
    sliders.explore(draw, **CONTROLS)
    box = boxes[0]
    *controls, image = box.children
    assert len(controls) == len(CONTROLS)
    for (name, spec), control in zip(CONTROLS.items(), controls, strict=True):
        low, high = sliders.ends(spec)
        assert control.value == low
        before = image.value
        control.value = high
        assert image.value != before, name
        control.value = low
        assert image.value == before, name


def test_start_values_and_labels(shown, boxes):
    start = {"n": 5, "approach": "adapter"}
    sliders.explore(draw, labels={"n": "examples"}, start=start, **CONTROLS)
    box = boxes[0]
    assert [box.children[0].value, box.children[4].value] == [5, "adapter"]
    assert box.children[0].description == "examples"
    still = shown[0][0]["image/png"]
    assert still == sliders.encode(sliders.png_bytes(draw(n=5, approach="adapter")))


def test_a_state_is_drawn_once(shown, boxes):
    seen = []

    def counted(n):
        seen.append(n)
        return draw(n)

    sliders.explore(counted, n=(1, 5, 1))
    slider = boxes[0].children[0]
    for value in (2, 1, 2):
        slider.value = value
    assert seen == [1, 2]


def test_text_and_a_users_mistake_become_pictures(shown, boxes):
    def words(n):
        if n == 2:
            raise UserError("There are no runs near here.")
        return f"n is {n}"

    sliders.explore(words, n=(1, 2, 1))
    box = boxes[0]
    assert 'alt="n is 1"' in box.children[1].value
    box.children[0].value = 2
    assert 'alt="There are no runs near here."' in box.children[1].value


def test_alt_text_defaults_to_the_figures_words(shown):
    sliders.explore(draw, **CONTROLS)
    assert shown[0][0]["text/plain"] == "1 of 50 by lora"


def test_alt_text_is_quoted_in_the_live_page():
    assert sliders.image_tag(b"x", 'a "<b>" & c').startswith(
        '<img style="max-width: 100%" alt="a &quot;&lt;b>&quot; &amp; c" '
    )


@pytest.mark.parametrize("spec", [(1, 2), "lora", [], 3, {"a": 1}])
def test_a_control_of_another_shape_is_refused(spec):
    with pytest.raises(UserError, match="The control n is"):
        sliders.explore(draw, n=spec)


@pytest.mark.parametrize(("spec", "start"), [((1, 9, 2), 11), ([50, 1000], 60)])
def test_a_start_off_the_control_is_refused(spec, start):
    with pytest.raises(UserError, match="cannot start at"):
        sliders.explore(draw, n=spec, start={"n": start})
