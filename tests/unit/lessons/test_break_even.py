"""The break-even lab: a formula against what is counted, fair turns, crossings, what ships."""

import math

import pandas as pd
import pytest
import torch

from helpers.errors import UserError
from helpers.experiments.costs import count_parameters
from helpers.lessons.language_models import break_even as records
from helpers.lessons.language_models import counting
from helpers.lessons.language_models import forgetting as adaptations
from helpers.lessons.language_models.decoder import Shape, build_decoder
from helpers.vocabulary import FULL_FINE_TUNING
from tools.measure import step_costs
from tools.measure.measure_decoder import chosen_lr
from tools.measure.memory_formula import (
    Method,
    base_params,
    step_memory,
    trainable_params,
)

WHOLE = ["batch", "seq", "turn", "trainable_params", "total_params", *records.BYTES, "threads"]
SMALL = Shape(width=64, layers=3, heads=2, feed_forward=172, vocabulary=512)
SHAPES = (
    SMALL,
    Shape(96, 7, 4, 256, 300),
    Shape(64, 3, 2, 172, 512, tied=False),
    Shape(96, 4, 6, 256, 300, key_value_heads=2),
)
SMOLLM2 = Shape(576, 30, 9, 1536, 49_152, key_value_heads=3)
ODD = (Method("lora", 4, ("gate_proj", "down_proj")), Method("lora", 8, ("o_proj",)))


@pytest.mark.parametrize("method", [*step_costs.METHODS, *ODD], ids=lambda m: str(m.setting or m))
def test_the_memory_formula_is_within_5_percent_of_what_is_counted(method):
    for shape, (batch, seq) in zip(SHAPES, [(1, 32), (2, 96), (1, 64), (2, 64)], strict=True):
        variant = step_costs.variant_of(build_decoder(shape), method)
        counted = step_costs.step_peak(variant, step_costs.token_ids(shape, batch, seq))
        formula = step_memory(shape, method, batch, seq)
        assert formula.peak == pytest.approx(counted, rel=0.05), (shape, batch, seq)
        moving, _ = count_parameters(variant.model)
        assert trainable_params(shape, method) == moving
        assert formula.gradients == 4 * moving
        assert formula.moments == pytest.approx(step_costs.optimizer_bytes(variant), rel=1e-2)
        # What is there at once lies between the larger of both and their sum.
        assert formula.passing >= max(formula.gradients, formula.activations)


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", [Method("full_fine_tuning"), Method("lora")], ids=["full", "lora"]
)
def test_the_memory_formula_holds_at_135_million(method):
    variant = step_costs.variant_of(build_decoder(SMOLLM2), method)
    counted = step_costs.step_peak(variant, step_costs.token_ids(SMOLLM2, 2, 64))
    assert step_memory(SMOLLM2, method, 2, 64).peak == pytest.approx(counted, rel=0.05)


def test_the_models_are_as_large_as_their_names_say():
    for name, shape in step_costs.MODELS.items():
        size = float(name[:-1]) * {"M": 1e6, "B": 1e9}[name[-1]]
        assert base_params(shape) == pytest.approx(size, rel=0.06)
    assert base_params(SMALL) == count_parameters(build_decoder(SMALL, device="meta"))[1]


def test_methods_share_the_weights_and_leave_them_as_they_were():
    base = build_decoder(SMALL)
    before = {key: value.clone() for key, value in base.state_dict().items()}
    rows = list(step_costs.measure(SMALL, step_costs.METHODS, batch=1, seq=16, turns=2, base=base))
    assert all(torch.equal(before[key], value) for key, value in base.state_dict().items())
    own = base.get_input_embeddings().weight
    variant = step_costs.variant_of(base, step_costs.METHODS[-1])
    assert variant.model.get_input_embeddings().weight.data_ptr() == own.data_ptr()
    assert own.requires_grad
    turns = [row["turn"] for row in rows]
    assert turns == sorted(turns)  # one step of each method, then the next turn
    assert len(rows) == 2 * len(step_costs.METHODS)
    table = pd.DataFrame(rows)
    assert (table["step_ms"] > 0).all()
    full = table[table["approach"] == FULL_FINE_TUNING].iloc[0]
    assert full["checkpoint_bytes"] == pytest.approx(full["weight_bytes"], rel=0.05)
    lora = table[table["approach"] == "lora"].iloc[0]
    assert lora["checkpoint_bytes"] < full["checkpoint_bytes"] / 20


def test_merging_takes_lora_out_for_the_time_of_a_pass():
    variant = step_costs.variant_of(build_decoder(SMALL), Method("lora", 4))
    ids = step_costs.token_ids(SMALL, 1, 8)
    before = [name for name, _ in variant.model.named_parameters()]
    merged, unmerged = step_costs.latencies_ms(variant, ids)
    assert merged > 0
    assert unmerged > 0
    assert [name for name, _ in variant.model.named_parameters()] == before


def a_row(**changes):
    """A made-up row."""
    row = {"model": "5M", "approach": "lora", "setting": "rank=8", "batch": 1, "seq": 32, "turn": 0}
    row |= dict.fromkeys(WHOLE[3:], 1000) | dict.fromkeys(records.TIMES, 1.0)
    row |= {"trainable_params": 10, "total_params": 1010, "formula_error": 0.01, "threads": 1}
    return row | {"torch": "2", "created": "2026-01-02T03:04:05+00:00", "git": "0123"} | changes


def race(*points):
    """Rows of four turns; a point is (base parameters, LoRA's milliseconds over 100 of full)."""
    rows = []
    for size, took in points:
        for turn in range(4):
            busy = 1 + turn  # meets both methods of a turn alike
            here = {"model": f"{size}M", "turn": turn}
            rows.append(a_row(**here, total_params=size + 10, step_ms=float(took * busy)))
            rows.append(a_row(**here, approach=FULL_FINE_TUNING, setting="", total_params=size,
                              trainable_params=size, step_ms=100.0 * busy))  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ([(100, 50), (1000, 40)], "at every size measured (0.0001 M to 0.001 M parameters)"),
        ([(100, 150), (1000, 140)], "at no size measured (0.0001 M to 0.001 M parameters)"),
        ([(100, 150), (10_000, 50)], "from about 0.001 M parameters on (measured: 0.0001 M to "
                                     "0.01 M parameters)"),
        ([(100, 50), (1000, 140)], "at some sizes, but not at the largest (measured: 0.0001 M to "
                                   "0.001 M parameters)"),
    ],
)  # fmt: skip
def test_a_crossing_is_found_where_it_is_and_not_made_up(points, told, tmp_path):
    path = tmp_path / "break_even.csv"
    for row in race(*points).to_dict("records"):
        records.FILE.append(row, path)
    rows = records.FILE.load(path)
    # A busy turn slows both, so the ratios do not vary.
    saved = records.saved(rows, "step_ms")["saved"]
    assert saved.tolist() == pytest.approx([1 - took / 100 for _, took in points])
    said = records.lora_in_words(rows).splitlines()[0]
    assert said == f"- LoRA rank 8, every linear layer, 1 × 32 tokens: a step is faster {told}."


def test_rows_are_known_again_and_bad_ones_refused(tmp_path):
    path = tmp_path / "break_even.csv"
    assert records.FILE.load(path).empty
    records.FILE.append(a_row(merged_ms=math.nan), path)
    records.FILE.append(a_row(approach="full_fine_tuning", setting=""), path)
    assert records.FILE.question(a_row()) in records.FILE.recorded(path)
    full = a_row(setting="", approach="full_fine_tuning")
    assert records.FILE.missing([full, a_row(turn=1), a_row()], path) == [a_row(turn=1)]
    assert records.FILE.question(a_row(turn=1)) not in records.FILE.recorded(path)
    with pytest.raises(UserError, match="differ: seq"):
        records.FILE.append({k: v for k, v in a_row().items() if k != "seq"}, path)


def test_counting_at_scale_follows_its_formula():
    table = counting.at_scale().set_index(["model", "approach"])
    full, lora, qlora = (table.loc["7 B", name] for name in ("full_fine_tuning", "lora", "qlora"))
    assert full["trainable"] == 6_738_415_616  # as Llama 2 is published
    assert lora["trainable"] == qlora["trainable"] == 32 * 2 * 8 * (4096 + 4096)
    assert full["training_gb"] == pytest.approx(16 * full["trainable"] / 1e9)
    moving = 16 * lora["trainable"] / 1e9
    assert lora["training_gb"] == pytest.approx(lora["base_gb"] + moving)
    assert qlora["training_gb"] == pytest.approx(qlora["base_gb"] + moving)
    assert full["task_mb"] == pytest.approx(1e3 * lora["base_gb"])
    shown = counting.scale_shown()
    assert list(shown.index) == ["1.1 B", "7 B", "70 B"] and shown.notna().all(axis=None)


@pytest.mark.parametrize("method", step_costs.METHODS)
def test_bytes_at_scale_are_those_of_a_measured_model(method):
    variant = step_costs.variant_of(build_decoder(SMALL), method)
    step_costs.step_peak(variant, step_costs.token_ids(SMALL, 1, 8))
    moving, total = count_parameters(variant.model)
    held = sum(p.nbytes for p in variant.model.parameters()) + 4 * moving
    held += step_costs.optimizer_bytes(variant)
    assert counting.training_bytes(moving, total) == pytest.approx(held, rel=0.05)


def test_what_pays_is_told_in_time_and_memory(tmp_path):
    said = records.lora_in_words(race((100, 150), (10_000, 50)))
    assert "a step is faster from about" in said and "it needs less memory" in said
    assert records.lora_in_words(records.FILE.load(tmp_path / "none.csv")) == "Not recorded yet."


@pytest.fixture(scope="module")
def shipped():
    return records.FILE.load()


def test_the_shipped_steps_keep_their_schema(shipped):
    assert len(shipped)
    assert not shipped.duplicated(records.QUESTION).any()
    assert set(shipped["model"]) <= set(step_costs.MODELS)
    for name in WHOLE:
        assert (shipped[name] == shipped[name].astype(int)).all(), name
    assert (shipped["step_ms"] > 0).all()
    assert (shipped["formula_error"].abs() < 0.05).all()
    assert shipped["created"].str.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00").all()


def test_the_shipped_turns_hold_every_method_and_two_lengths(shipped):
    methods = shipped["approach"] + " " + shipped["setting"]
    for _, own in shipped.assign(method=methods).groupby(["model", *records.STEP]):
        assert (own.groupby("turn")["method"].nunique() == own["method"].nunique()).all()
    assert shipped["seq"].nunique() >= 2
    assert shipped["total_params"].max() > 500 * shipped["total_params"].min()


def test_the_shipped_adaptations_keep_their_schema():
    held = adaptations.load()
    assert len(held)
    assert not held.duplicated([*adaptations.QUESTION, *adaptations.PLACE]).any()
    for name in ("rank", "embeddings", "seed", "steps", "tokens_seen", "trainable_params", "step"):
        assert (held[name] == held[name].astype(int)).all(), name
    kept = adaptations.runs(held)
    assert (kept.groupby(adaptations.ARM)["lr"].nunique() == 1).all()
    for arm, own in kept.groupby(adaptations.ARM):
        assert own["lr"].iloc[0] == chosen_lr(held, *arm)
    tally = adaptations.tally(adaptations.learned_and_forgotten(held))
    assert (tally["runs"] >= 3).all()
