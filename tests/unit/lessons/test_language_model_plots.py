"""Figures of the text tasks: every approach has its mark, word counts their line."""

import pandas as pd

from helpers.lessons.language_models import plots
from helpers.lessons.language_models.counting import MIXED, at_scale
from helpers.vocabulary import APPROACH_STYLE


def test_every_approach_has_a_mark_in_every_panel_that_knows_it():
    rows = [{"task": task, "approach": name, "mean": 0.5, "low": 0.4, "high": 0.6}
            for task in ("a", "b") for name in ("classical", "lora", "adapter")
            if (task, name) != ("b", "adapter")]  # fmt: skip
    made = plots.plot_texts(pd.DataFrame(rows), ["a", "b"], "two tasks")
    assert [len(ax.containers) for ax in made.axes] == [3, 2]
    labels = [label.get_text() for label in made.axes[0].get_yticklabels()]
    assert labels[-1] == APPROACH_STYLE["classical"].label and len(labels) == 3
    assert all(ax.get_xlim()[0] < 0.5 < ax.get_xlim()[1] for ax in made.axes)


def test_both_readers_and_the_whole_text_are_drawn():
    table = pd.DataFrame({
        "approach": ["feature_extraction", "classical"] * 2 + ["classical"],
        "tokens": [8, 8, 32, 32, 0],
        "accuracy": [0.5, 0.4, 0.6, 0.7, 0.8],
    })  # fmt: skip
    table = table.assign(low=table["accuracy"] - 0.1, high=table["accuracy"] + 0.1)
    (ax,) = plots.plot_lengths(table, "two readers").axes
    assert len(ax.lines) == 3 and len(ax.get_legend().get_texts()) == 3
    assert [label.get_text() for label in ax.get_xticklabels()] == ["8", "32"]


def test_a_shelf_says_how_many_times_smaller_it_is():
    table = at_scale(rank=8, precision=MIXED, tasks=100)
    (ax,) = plots.plot_shelf(table, "a shelf").axes
    said = [text.get_text() for text in ax.texts]
    assert len(said) == 3 and all("times smaller" in text for text in said)
    assert all(1 < float(text.split()[0]) < 100 for text in said)
    assert ax.get_xlim()[1] >= table["tasks_gb"].max()
