"""One entry is one file: a new task, backbone and approach, found wherever the collection looks."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from own import write_pictures
from rows import make_row

import helpers.approaches
import helpers.backbones
import helpers.tasks
from helpers import vocabulary
from helpers.advisor.answer import first_answer
from helpers.advisor.pipeline import Request, _check_excluded, advise, look
from helpers.advisor.race.rounds import Race, credible
from helpers.advisor.read.any_format import read_data
from helpers.advisor.report.as_html import report
from helpers.advisor.report.as_json import candidate_rows
from helpers.approaches import APPROACHES, Approach, register_approach
from helpers.backbones import BACKBONES, BackboneInfo, load_backbone, register_backbone
from helpers.display import plot_approaches, plots
from helpers.display.explorer.notebook import Explorer
from helpers.display.svg_charts import SHAPES, shape_of
from helpers.errors import UserError
from helpers.experiments import grids, sweeps
from helpers.experiments.entry_sweeps import entry_sweep, find_sweep
from helpers.experiments.single_run import RunConfig, run, task_for
from helpers.experiments.workers import Job, measure, relative_cost, work
from helpers.lessons import photos
from helpers.registry import import_members
from helpers.results import learning_curves
from helpers.results import runs as records
from helpers.storage import results_file
from helpers.tasks import TASKS, TaskInfo, load_task, register_task, train_examples
from helpers.vocabulary import APPROACH_STYLE, label_of, looks, style_of
from tools.measure import measure_distances
from tools.site.explorer_page import build as build_page

TASK = '''"""Houses with a chimney on the left or on the right, and small doors."""
import numpy as np

from helpers.tasks.registry import Source, TaskInfo, register_task


def _load(size):
    labels, rng = np.arange(400) % 2, np.random.default_rng(0)
    pictures = rng.integers(0, 90, (400, size, size, 1), dtype=np.uint8)
    for picture, label in zip(pictures, labels):
        picture[: size // 2, : size // 2] += np.uint8(120 * label)
    return Source.drawn(pictures, labels, n_test=100, n_validation=100)


def _info(name, side, **more):
    return TaskInfo(
        name=name, modality="image", image_size=side, classes=("left", "right"), loader=_load,
        licence="CC0-1.0", provenance="drawn here", **more,
    )


register_task(_info("digits_of_houses", 64, judged={"pocket": "far"}))
register_task(_info("digits_of_doors", 24, keeps_size=True, label="doors", colour="#123456"))
'''
BACKBONE = '''"""The first three stages of pocket."""
from helpers.backbones.base import Backbone, BackboneInfo, GlobalAveragePool, register_backbone
from helpers.backbones.pocket import PRETRAINED_ON, RECIPE, SOURCE_TASK, WIDTHS, build_pocket

SEEN = ("products", SOURCE_TASK)


def _build(pretrained, size=None):
    stages = list(build_pocket(pretrained, size).stages[:3])
    pool, width = GlobalAveragePool(), WIDTHS[1]
    return Backbone("pocket_half", "image", stages, pool, width, RECIPE)


register_backbone(BackboneInfo(
    name="pocket_half", modality="image", build=_build,
    pretrained_on=PRETRAINED_ON, licence="MIT", default_size=28, overlaps=SEEN,
    source_task=SOURCE_TASK,
))
'''
APPROACH = '''"""Tune the biases and nothing else of the backbone."""
from helpers.approaches.base import Approach, register_approach
from helpers.approaches.model import TransferModel, freeze


class BiasOnly(Approach):
    """BitFit (Ben Zaken et al. 2022, arXiv 2106.10199)."""

    name = "bias_only"
    summary = "Train the biases and a new head."
    learning_rates = {"image": (1e-3, 3e-3, 1e-2), "text": (3e-4, 1e-3, 3e-3)}

    def build(self, backbone, n_classes, options):
        model = TransferModel(freeze(backbone), n_classes)
        for name, parameter in backbone.named_parameters():
            parameter.requires_grad = name.endswith("bias")
        return model


register_approach(BiasOnly())
'''
FILES = {
    "tasks": ("houses", TASK),
    "backbones": ("pocket_half", BACKBONE),
    "approaches": ("bias_only", APPROACH),
}
NEW_TASK, NEW_BACKBONE, NEW_APPROACH = "digits_of_houses", "pocket_half", "bias_only"
TABLES = (TASKS, BACKBONES, APPROACHES, APPROACH_STYLE, vocabulary._GIVEN)
NO_RUNS = records.load_runs(Path("none.csv"))


@pytest.fixture
def as_before():
    """Leave every registry as it was."""
    before = [dict(table) for table in TABLES]
    yield
    for table, held in zip(TABLES, before, strict=True):
        table.clear()
        table.update(held)


@pytest.fixture(scope="module", autouse=True)
def entries(tmp_path_factory):
    """Lay one file into each package, as a contributor would, and take it out again."""
    before = [dict(table) for table in TABLES]
    folders = {}
    for package, (name, code) in FILES.items():
        folder = tmp_path_factory.mktemp(package)
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
        folders[package] = str(folder)
        getattr(helpers, package).__path__.append(str(folder))
        import_members(f"helpers.{package}")
    yield
    for package, folder in folders.items():
        getattr(helpers, package).__path__.remove(folder)
        sys.modules.pop(f"helpers.{package}.{FILES[package][0]}", None)
    for table, held in zip(TABLES, before, strict=True):
        table.clear()
        table.update(held)


def recorded(**changes):
    """Made-up rows of four approaches, two sizes and three seeds, the new approach among them."""
    means = {"feature_extraction": 0.6, "lora": 0.7, "full_fine_tuning": 0.65, NEW_APPROACH: 0.8}
    rows = [
        make_row(
            approach=name,
            n_train=n,
            seed=seed,
            test_accuracy=mean + 0.01 * seed,
            val_accuracy=mean,
            train_cpu_seconds=1.0,
        )
        | changes
        for name, mean in means.items()
        for n in (50, 200)
        for seed in range(3)
    ]
    return pd.DataFrame(rows)


# --- picture sizes


@pytest.mark.parametrize(
    ("task", "backbone", "asked", "side"),
    [
        (NEW_TASK, "pocket", None, 28),
        (NEW_TASK, NEW_BACKBONE, None, 28),
        (NEW_TASK, "efficientnet_lite0", None, 128),
        (NEW_TASK, "efficientnet_lite0", 96, 96),
        ("digits_of_doors", "pocket", None, 24),
        ("digits_of_doors", "efficientnet_lite0", 96, 24),
    ],
)
def test_pictures_are_loaded_at_the_size_that_the_entry_says(task, backbone, asked, side):
    """The name of a task says nothing: "digits_of_houses" is none of the small sets."""
    config = RunConfig(task, backbone, "lora", 40, image_size=asked).resolved()
    assert task_for(config).train.inputs.shape == (40, side, side, 1)


def test_a_task_without_a_network_keeps_its_own_size():
    assert load_task(NEW_TASK).train.inputs.shape[1] == 64
    assert load_task("digits_of_doors").train.inputs.shape[1] == 24


@pytest.mark.parametrize("task", ["products", "products_near", "products_source", "digits"])
def test_the_small_sets_stay_at_28_pixels(task):
    config = RunConfig(task, "efficientnet_lite0", "lora", 40, image_size=64).resolved()
    assert task_for(config).train.inputs.shape[1] == 28


# --- runs and sweeps


def test_one_run_with_all_three():
    row = run(RunConfig(NEW_TASK, NEW_BACKBONE, NEW_APPROACH, 40, epochs=2))
    assert row["image_size"] == 28 and row["n_train"] == 40
    assert row["source_accuracy_before"] != row["source_accuracy_before"]  # it has no head to ask
    assert 0 < row["trainable_params"] < row["total_params"]


@pytest.mark.parametrize("name", [NEW_TASK, NEW_BACKBONE, NEW_APPROACH])
def test_each_has_a_sweep_by_its_name(name):
    listed = sweeps.cells(name, NO_RUNS)
    trials = sweeps.cells(name + grids.TUNING, NO_RUNS)
    assert listed and trials
    assert len({sweeps.identity(config) for config in listed}) == len(listed)
    for config in listed + trials:
        assert name in (config.task, config.backbone, config.approach)
        assert config.n_train <= train_examples(config.task)
        assert TASKS[config.task].modality == BACKBONES[config.backbone].modality
        assert config.task not in BACKBONES[config.backbone].overlaps
        assert relative_cost(config) > 0
    if name == NEW_TASK:
        asked = {
            (block.backbone, block.image_size or 28)
            for sweep in grids.COMPARING
            for block in grids.SWEEPS[sweep].blocks
            if block.backbone != "minilm"
        }
        assert {(c.backbone, c.image_size) for c in listed} == asked
        assert {c.n_train for c in listed} == {50, 200}  # it has no more
    if name == NEW_BACKBONE:
        assert {c.image_size for c in listed} == {28}
        assert {c.task for c in listed} >= {"products_near", "clothing"}


def test_a_run_of_a_sweep_is_measured_and_recorded(tmp_path):
    cheap = sweeps.cells(NEW_TASK + grids.TUNING, NO_RUNS)[0]
    job = Job(NEW_TASK, cheap, sweeps.identity(cheap))
    path = tmp_path / "runs.csv"
    records.prepare(path)
    assert work(job, measure, path).error == ""
    assert list(records.load_runs(path, schema=None)["run_id"]) == [job.run_id]
    assert len(sweeps.missing(NEW_TASK + grids.TUNING, records.load_runs(path, schema=None))) == (
        len(sweeps.cells(NEW_TASK + grids.TUNING, NO_RUNS)) - 1
    )


def test_declared_sweeps_go_first_and_unknown_names_are_refused():
    assert find_sweep("texts") is grids.SWEEPS["texts"]
    assert entry_sweep("pocket").name == "pocket"
    with pytest.raises(UserError, match="closed"):
        find_sweep("pocket")  # also of the first round's, whose rows bear the name
    with pytest.raises(UserError, match="no sweep 'digits_of_nothing'"):
        sweeps.cells("digits_of_nothing", NO_RUNS)


# --- the explorer


def test_the_explorer_shows_the_new_task_and_approach():
    made = Explorer(recorded(task=NEW_TASK))
    made.controls["distance"].value = 0.85
    made.controls["examples"].value = 200
    assert [curve.task for curve in made.held.curves] == [NEW_TASK]
    shown = made.answer.value
    assert "digits of houses on pocket" in shown and "bias only" in shown
    assert f'class="series s-{NEW_APPROACH}"' in shown
    assert f"--c-{NEW_APPROACH}:{APPROACH_STYLE[NEW_APPROACH].colour}" in made.box.children[0].value


def test_a_new_backbone_is_measured_and_then_in_the_explorer(monkeypatch, tmp_path):
    places = measure_distances.places([NEW_BACKBONE])
    assert {place.backbone for place in places} == {NEW_BACKBONE}
    assert places[0].task == "products_source" and {place.image_size for place in places} == {28}
    place = measure_distances.Place(NEW_BACKBONE, NEW_TASK, 0.0, 28)
    row = measure_distances.measure_place(place, n=100)
    assert row["reference"] == "products_source"
    learning_curves.DISTANCES_FILE.append(row, tmp_path / "distances.csv")
    monkeypatch.setattr(results_file, "results_dir", lambda: tmp_path)
    runs = recorded(task=NEW_TASK, backbone=NEW_BACKBONE)
    (curve,) = Explorer(runs).held.curves
    assert (curve.backbone, curve.how) == (NEW_BACKBONE, "measured")
    assert curve.distance == pytest.approx(row["distance"])


def test_the_page_has_the_new_approach_and_one_that_nobody_registered(as_before):
    other = recorded(task=NEW_TASK).query("approach == 'lora'").assign(approach="of_a_friend")
    other["test_accuracy"] += 0.2
    runs = pd.concat([recorded(task=NEW_TASK), other], ignore_index=True)
    page = build_page(runs, axes=_few_axes())
    for name in (NEW_APPROACH, "of_a_friend"):
        style = APPROACH_STYLE[name]
        assert f"--c-{name}:{style.colour}" in page and f"--c-{name}:{style.on_dark}" in page
        assert f"<td>{name}" not in page and style.label == name.replace("_", " ")
        assert SHAPES[style.marker] in page


def _few_axes():
    from helpers.display.explorer.settings import Axes

    return Axes((200,), (0.8,), (1.0, None), (None,), (1,))


def test_the_sweep_of_one_approach_joins_the_curves_of_the_others():
    runs = recorded(task=NEW_TASK)
    runs.loc[runs["approach"] == NEW_APPROACH, "sweep"] = NEW_APPROACH
    (curve,) = learning_curves.measured_curves(runs).curves
    assert NEW_APPROACH in curve.accuracy[50].columns
    runs.loc[runs["approach"] == NEW_APPROACH, "sweep"] = "something_else"
    (curve,) = learning_curves.measured_curves(runs).curves
    assert NEW_APPROACH not in curve.accuracy[50].columns


# --- the advisor


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    """What the advisor finds out about tiny pictures with the new backbone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))
        request = Request(write_pictures(tmp_path_factory.mktemp("own")), backbone=NEW_BACKBONE)
        data, backbone = read_data(request.path), load_backbone(NEW_BACKBONE)
        yield look(request, recorded(task=NEW_TASK), data, backbone)


def test_the_advisor_has_the_new_approach_among_its_candidates(looked):
    assert looked.backbone == NEW_BACKBONE and looked.image_size == 28
    assert looked.costs[NEW_APPROACH].step > 0 and looked.costs[NEW_APPROACH].stored_mb > 0
    answer = first_answer(looked, recorded(task=NEW_TASK))
    rows = {row["approach"]: row for row in candidate_rows(looked, answer)}
    assert rows[NEW_APPROACH]["accuracy"] > rows["feature_extraction"]["accuracy"]
    assert rows[NEW_APPROACH]["latency_ms"] == rows["lora"]["latency_ms"]  # the plain network


def test_an_approach_without_records_is_raced(looked):
    runs = recorded(task=NEW_TASK)
    answer = first_answer(looked, runs[runs["approach"] != NEW_APPROACH])
    race = Race(looked, answer.expected, load_backbone(NEW_BACKBONE), 3_600.0)
    lacking = [name not in answer.expected for name in credible(race)]
    assert NEW_APPROACH in credible(race) and lacking == sorted(lacking, reverse=True)


def test_the_advisor_takes_the_backbones_own_size_and_its_page_has_every_label(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(records, "load_runs", lambda *_, **__: recorded(task=NEW_TASK))
    asked = Request(write_pictures(tmp_path / "own"), backbone=NEW_BACKBONE)
    told = advise(asked).as_dict()
    assert told["settings"]["image_size"] == 28
    page = report(told)
    assert "bias only" in page and f".s-{NEW_APPROACH}" in page
    _check_excluded([NEW_TASK], [NEW_TASK])


# --- notebook 00


def test_notebook_00_draws_the_approach_and_races_it():
    drawn = plot_approaches()
    titles = [text.get_text() for text in drawn.axes[0].texts]
    assert {"Bias only", "LoRA", "Feature extraction"} <= set(titles)
    assert "Train the biases and a new head." in drawn.alt
    assert photos.entrants()[-1] == NEW_APPROACH
    names = ("feature_extraction", NEW_APPROACH)
    rows = photos.live_race(
        "digits_of_doors", NEW_BACKBONE, names=names, n_train=40, seeds=(0,), epochs=1
    )
    assert rows["approach"].tolist() == list(names)
    drawn = plots.plot_race(photos.standings(rows), "seconds")
    labels = [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]
    assert {"feature extraction", "bias only"} <= set(labels)


# --- labels, colours and markers


def test_the_new_approach_looks_like_no_other():
    style = APPROACH_STYLE[NEW_APPROACH]
    assert (style.label, style.title) == ("bias only", "Bias only")
    assert APPROACHES[NEW_APPROACH].title == "Bias only"
    others = [one for name, one in APPROACH_STYLE.items() if name != NEW_APPROACH]
    assert style.colour not in {one.colour for one in others}
    assert style.marker not in {one.marker for one in others}
    assert shape_of(NEW_APPROACH) == SHAPES[style.marker]
    table = recorded(task=NEW_TASK).assign(mean=0.5)
    drawn = plots.plot_curves(table, "n_train")
    texts = [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]
    assert texts == ["feature extraction", "full fine-tuning", "LoRA", "bias only"]


def test_tasks_and_backbones_have_what_they_say_and_the_rest_is_chosen():
    found = looks(["digits_of_doors", NEW_TASK, "textile", NEW_BACKBONE, "pocket"])
    assert found["digits_of_doors"].label == "doors" == label_of("digits_of_doors")
    assert found["digits_of_doors"].colour == "#123456"
    assert found[NEW_TASK].label == "digits of houses" == label_of(NEW_TASK)
    assert found[NEW_BACKBONE].label == "pocket half"
    assert len({(style.colour, style.marker) for style in found.values()}) == len(found)


def test_many_new_approaches_all_look_different(as_before):
    for number in range(30):
        register_approach(_approach(f"number_{number}"))
    pairs = {(style.colour, style.marker) for style in APPROACH_STYLE.values()}
    assert len(pairs) == len(APPROACH_STYLE) >= 39
    many = looks([f"task {number}" for number in range(40)])
    assert len({(style.colour, style.marker) for style in many.values()}) == 40


def test_what_a_class_says_of_its_look_is_kept(as_before):
    made = register_approach(
        _approach("mine", label="mine", short="m", phrase="my approach", colour="#abcdef")
    )
    style = APPROACH_STYLE["mine"]
    assert (style.label, style.short, style.phrase) == ("mine", "m", "my approach")
    assert style.colour == style.on_dark == "#abcdef" and made.title == "Mine"
    again = register_approach(_approach("mine", title="Mine, again", marker="H"))
    assert (APPROACH_STYLE["mine"].colour, APPROACH_STYLE["mine"].marker) == ("#abcdef", "H")
    assert again.title == "Mine, again"
    assert shape_of("mine") == SHAPES["o"]  # a marker that the page has no path for


def test_records_of_an_approach_that_nobody_registered_have_a_style(as_before):
    style = style_of("of_another_lab")
    assert style.label == "of another lab" and style_of("of_another_lab") is style
    others = [one for name, one in APPROACH_STYLE.items() if name != "of_another_lab"]
    assert (style.colour, style.marker) not in {(one.colour, one.marker) for one in others}


def _approach(name, **fields):
    return type("Made", (Approach,), {"name": name, **fields})()


def _task(**changes):
    facts = dict.fromkeys(("licence", "provenance"), "")
    facts |= {"name": "a_task", "modality": "text", "classes": ("a", "b"), "loader": None}
    return TaskInfo(**(facts | changes))


def test_entries_that_cannot_be_told_apart_are_refused(as_before):
    taken = APPROACH_STYLE["lora"]
    with pytest.raises(UserError, match="colour .* of 'lora'"):
        register_approach(_approach("green", colour=taken.colour, marker=taken.marker))
    assert "green" not in APPROACHES and "green" not in APPROACH_STYLE
    with pytest.raises(UserError, match="can't be named 'peft:lora'"):
        register_approach(_approach("peft:lora"))
    with pytest.raises(UserError, match="judged 'near' from pocket; use one of close"):
        _task(judged={"pocket": "near"})
    with pytest.raises(UserError, match="takes minilm for texts already"):
        register_backbone(BackboneInfo("other", "text", lambda *_: None, "", "", 64, advised=True))


def test_the_number_of_examples_is_counted_once_where_no_entry_says_it(as_before):
    asked = []

    def load(size):
        asked.append(size)
        return TASKS["digits_of_doors"].loader(8)

    register_task(_task(name="counted", modality="image", image_size=8, loader=load))
    assert train_examples("counted") == train_examples("counted") == 200
    assert asked == [8]
    assert train_examples("digits") == TASKS["digits"].train_examples == 3_500


# --- names are spelled once


def test_few_files_spell_the_name_of_an_approach(root):
    quoted = re.compile(r"""["']lora["']""")
    files = [
        path.relative_to(root)
        for path in sorted((root / "helpers").rglob("*.py"))
        if quoted.search(path.read_text(encoding="utf-8"))
    ]
    assert len(files) <= 6, files


def test_the_vocabulary_is_what_the_registry_ships():
    assert list(APPROACH_STYLE)[: len(vocabulary.SHIPPED)] == list(vocabulary.SHIPPED)
    assert set(vocabulary.SHIPPED) == set(APPROACHES) - {NEW_APPROACH}
    for name in vocabulary.SHIPPED:
        assert getattr(vocabulary, name.upper()) == name
        assert APPROACHES[name].title == APPROACH_STYLE[name].title


def test_what_a_prediction_runs_through_is_asked_of_the_approach():
    plain = {name for name, one in APPROACHES.items() if one.serves_plain_network()}
    assert set(APPROACHES) - plain == {"classical", "adapter"}
    unmerged = {name for name, one in APPROACHES.items() if one.serves_plain_network(merged=False)}
    assert plain - unmerged == {"lora"}
    assert np.isfinite([one.relative_cost for one in APPROACHES.values()]).all()
