"""The figure of ways to classify: a row for each, and its place kept where a task lacks it."""

import pandas as pd

from helpers.lessons.language_models import plots


def test_every_way_has_a_mark_in_every_panel_that_knows_it():
    rows = [{"task": task, "approach": name, "way": name, "mean": 0.5, "low": 0.4, "high": 0.6}
            for task in ("a", "b") for name in ("classical", "zero_shot", "lora")
            if (task, name) != ("b", "lora")]  # fmt: skip
    made = plots.plot_ways(pd.DataFrame(rows), "two tasks")
    assert [len(ax.containers) for ax in made.axes] == [3, 2]
    labels = [label.get_text() for label in made.axes[0].get_yticklabels()]
    assert labels == ["lora", "zero_shot", "classical"]
