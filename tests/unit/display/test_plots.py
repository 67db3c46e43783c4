"""Figures: one look per approach, intervals where they are given, alt text, equal bytes."""

import io
import types

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import vocabulary
from helpers.display import plots


@pytest.fixture
def table():
    rows = [
        {"approach": name, "n_train": n, "mean": m, "low": m - 0.02, "high": m + 0.03, "cost": n}
        for name, m in (("lora", 0.8), ("feature_extraction", 0.7))
        for n in (1000, 50)
    ]
    return pd.DataFrame(rows)


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_each_approach_has_its_own_colour_marker_and_names():
    looks = vocabulary.APPROACH_STYLE.values()
    for field in ("colour", "marker", "label", "short"):
        assert len({getattr(look, field) for look in looks}) == len(looks), field


def test_approaches_come_in_one_order_and_others_get_a_look():
    found = vocabulary.looks(["new_one", "lora", "classical", "lora"])
    assert list(found) == ["classical", "lora", "new_one"]
    assert found["lora"] is vocabulary.APPROACH_STYLE["lora"]
    assert found["new_one"].label == "new one"
    assert len({look.colour for look in vocabulary.looks(range(6)).values()}) == 6


def test_curves_are_sorted_banded_and_named(table):
    drawn = plots.plot_curves(table, "n_train", title="More data", chance=0.1, log_x=True)
    ax = drawn.axes[0]
    assert texts(ax) == ["feature extraction", "LoRA", "guessing"]
    assert ax.get_legend().get_title().get_text() == "band: 95 % interval"
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[50, 0.7], [1000, 0.7]])
    low, high = ax.collections[0].get_datalim(ax.transData).intervaly
    np.testing.assert_allclose([low, high], [0.68, 0.73])
    assert drawn.alt == "More data: test accuracy against n train"


@pytest.mark.parametrize("single", [True, False])
def test_curves_without_intervals_claim_none(table, single):
    ends = ["low", "high"]
    without = table.assign(low=np.nan, high=np.nan) if single else table.drop(columns=ends)
    drawn = plots.plot_curves(without, "n_train")
    assert drawn.axes[0].get_legend().get_title().get_text() == ""
    assert not drawn.axes[0].collections


def test_race_has_one_marker_an_approach_with_its_interval(table):
    drawn = plots.plot_race(table[table.n_train == 50], x="cost", title="Race")
    ax = drawn.axes[0]
    assert texts(ax) == ["feature extraction", "LoRA"]
    bars = [collection.get_segments()[0] for collection in ax.collections]
    np.testing.assert_allclose(bars[1][:, 1], [0.78, 0.83])
    assert ax.get_xscale() == "log"


def test_bars_keep_the_tables_order(table):
    ax = plots.plot_bars(table[table.n_train == 50], title="Bars").axes[0]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    names = dict(zip(ax.get_yticks(), labels, strict=True))
    assert names == {1: "LoRA", 0: "feature extraction"}
    assert [bar.get_width() for bar in ax.patches] == [0.8, 0.7]
    assert "95 % interval" in ax.get_xlabel()


def test_history_marks_the_epoch_that_was_kept():
    history = types.SimpleNamespace(
        train_loss=[2.0, 1.0], val_loss=[2.1, 1.5], val_accuracy=[0.3, 0.6], best_epoch=2
    )
    left, right = plots.plot_history(history, title="Two epochs").axes
    assert [line.get_label() for line in left.lines] == ["training", "validation"]
    assert list(right.lines[1].get_xdata()) == [2, 2]
    right = plots.plot_history(history, train_accuracy=[0.5, 1.0]).axes[1]
    assert list(right.lines[0].get_ydata()) == [0.5, 1.0]


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (28, 28, 3)])
def test_image_grid_takes_grey_and_colour(shape):
    images = np.zeros((3, *shape), np.uint8)
    drawn = plots.image_grid(images, ["a", "b", "c"], title="Three", columns=2)
    assert [ax.get_visible() for ax in drawn.axes] == [True, True, True, False]
    assert drawn.alt == "Three. a, b, c"


def test_a_curve_can_go_into_a_panel(table):
    made, (left, right) = plots.figure("Both", columns=2)
    assert plots.plot_curves(table, "n_train", ax=right, title="Right") is made
    assert right.get_title(loc="left") == "Right"
    assert not left.lines


def test_a_picture_shows_itself_with_words_and_repeats_exactly(table):
    first, second = (plots.plot_race(table, x="cost")._repr_mimebundle_() for _ in range(2))
    assert first == second
    bundle, metadata = first
    picture = Image.open(io.BytesIO(bundle["image/png"]))
    assert picture.size == (800, 400)
    assert metadata["image/png"]["alt"] == bundle["text/plain"] != ""


def test_figures_stay_small_and_leave_the_settings_alone():
    def settings():  # asking for the backend would choose one
        return {name: mpl.rcParams[name] for name in mpl.rcParams if name != "backend"}

    before = settings()
    plots.figure("Any")
    assert settings() == before
    with pytest.raises(ValueError, match="at most 8 by 5"):
        plots.figure(width=9)


def test_rows_of_a_single_run_keep_their_marker(table):
    table.loc[0, ["low", "high"]] = np.nan
    for drawn in (plots.plot_race(table, x="cost"), plots.plot_bars(table)):
        drawn.draw_without_rendering()
        assert len(drawn.axes[0].containers) >= 1


def test_names_of_marks_cover_neither_each_other_nor_a_mark():
    rng = np.random.default_rng(0)
    x, y = 1 + rng.random(6), 5 + 5 * rng.random(6)  # crowded, beside one far away
    x, y = np.append(x, 0.1), np.append(y, 20.0)
    _, ax = plots.figure("Crowded")
    ax.plot(x, y, "o")
    plots.log_axis(ax)
    names = [f"task {step}" for step in range(7)]
    plots.name_marks(ax, names, x, y)
    assert [text.get_text() for text in ax.texts] == names
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(box.count_overlaps(boxes[:step]) for step, box in enumerate(boxes))
    marks = ax.transData.transform(np.column_stack([x, y]))
    assert not any(box.contains(*mark) for box in boxes for mark in marks)
    frame = ax.get_window_extent()
    assert all(frame.x0 < box.x0 and box.x1 < frame.x1 for box in boxes)
