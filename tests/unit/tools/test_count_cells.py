"""What is counted of a notebook: a line on a model, a helper's name."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from tools.notebooks import count_cells
from tools.notebooks.build_notebooks import MADE

CODE = """
import torch
from helpers.display import explore
from helpers.lessons import photos, pick

rows = photos.live_race(n_train=pick(200, 40))
table = photos.standings(rows)  # the network is frozen
loss.backward()
"""


def test_a_notebook_is_counted_without_what_the_build_made():
    cells = [
        new_markdown_cell("# Is it *so*?"),
        new_markdown_cell("a minute", metadata={"tags": [MADE]}),
        new_code_cell(CODE),
    ]
    assert count_cells.count(cells) == count_cells.Counted(3, 6, 1, 4)


@pytest.mark.parametrize(
    "line",
    ["net.classifier = nn.Linear(3, 2)", "for p in model.parameters():\n    pass", "tune(x)",
     "head.weight", "fitted = entry.fit(data)"],
)  # fmt: skip
def test_a_line_on_a_model(line):
    assert count_cells.lines_on_a_model(line) == 1


@pytest.mark.parametrize(
    "line",
    ["import torch", "title = 'a model'", "x = 1  # the loss", "table.head(5)", "task.train.inputs",
     "from torch import (\n    nn,\n)"],
)  # fmt: skip
def test_another_line(line):
    assert count_cells.lines_on_a_model(line) == 0


def test_names_of_a_module_are_those_reached_through_it():
    names = count_cells.helper_names([CODE])
    assert names == {"explore", "pick", "photos.live_race", "photos.standings"}
