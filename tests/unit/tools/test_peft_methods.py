"""`peft` on MiniLM: its LoRA is ours in outputs and gradients; its methods train and merge."""

import copy
import math

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_text_task

from helpers.approaches import get_approach, merge_lora
from helpers.approaches.lora import lora_layers
from helpers.backbones import clone, load_backbone
from helpers.errors import UserError
from helpers.storage.install import asset_path
from helpers.tasks import TASKS
from helpers.training.loop import trainable
from tools.measure import peft_methods
from tools.measure.peft_methods import METHODS, PeftApproach, merge_peft


@pytest.fixture(scope="module")
def minilm():
    try:
        asset_path("minilm")
    except UserError as error:
        pytest.skip(str(error))
    return load_backbone("minilm", size=16)


def built(base, approach, n_classes=2, seed=0):
    """A model of an approach whose every trained tensor was pushed, as training would have."""
    torch.manual_seed(seed)
    model = approach.build(clone(base), n_classes, approach.options())
    with torch.no_grad():
        for parameter in trainable(model):
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture
def pair(minilm):
    """(ours, peft's): LoRA with the same update in every layer, and the same head."""
    ours, theirs = built(minilm, get_approach("lora")), built(minilm, PeftApproach("lora"))
    assert peft_methods.copy_lora(ours.backbone, theirs.backbone) == 36
    theirs.head.load_state_dict(ours.head.state_dict())
    return ours, theirs


def batch(base):
    task = tiny_text_task()
    return torch.from_numpy(base.encode(task.train.inputs)), torch.from_numpy(task.train.labels)


def test_lora_on_minilm_equals_peft_in_outputs_and_gradients(pair, minilm):
    """Every layer, the head, and the loss that training runs on."""
    ours, theirs = pair
    ids, labels = batch(minilm)
    assert sum(p.numel() for p in trainable(ours)) == sum(p.numel() for p in trainable(theirs))
    outputs = []
    for model in pair:
        logits = model(ids)
        F.cross_entropy(logits, labels).backward()
        outputs.append(logits.detach())
    assert torch.allclose(*outputs, atol=1e-5, rtol=1e-5)
    mine, wanted = (peft_methods.lora_gradients(model) for model in pair)
    assert len(mine) == len(wanted) == 2 * len(list(lora_layers(ours))) == 2 * 36
    for ours_grad, theirs_grad in zip(mine, wanted, strict=True):
        assert float(theirs_grad.abs().max()) > 0
        assert torch.allclose(ours_grad, theirs_grad, atol=1e-5, rtol=1e-5)
    assert torch.allclose(ours.head.weight.grad, theirs.head.weight.grad, atol=1e-5, rtol=1e-5)


def test_the_gaps_shown_to_readers_are_rounding(minilm):
    task = tiny_text_task()
    found = peft_methods.gaps(minilm, task.train.inputs, task.train.labels)
    assert set(found) == {"outputs", "gradients", "merged, ours", "merged, peft's"}
    assert max(found.values()) <= 1e-5


def test_merged_equals_unmerged_and_both_libraries_merge_alike(pair, minilm):
    ids, _ = batch(minilm)
    with torch.inference_mode():
        unmerged = [model(ids) for model in pair]
        merged = [merge_lora(copy.deepcopy(pair[0]))(ids), merge_peft(copy.deepcopy(pair[1]))(ids)]
    scale = float(unmerged[0].abs().max())
    for before, after in zip(unmerged, merged, strict=True):
        assert torch.allclose(before, after, atol=1e-5 * max(1.0, scale))
    assert torch.allclose(*merged, atol=1e-5 * max(1.0, scale))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_each_method_changes_a_frozen_base_and_merges(method, minilm):
    before = {key: value.clone() for key, value in minilm.state_dict().items()}
    approach = PeftApproach(method)
    ids, _ = batch(minilm)
    model = approach.build(clone(minilm), 2, approach.options())
    with torch.inference_mode():  # each starts as the base
        plain = minilm.pool(minilm(minilm.prepare(ids)))
        assert torch.allclose(model.features(ids), plain, atol=1e-5)
    moving = sum(p.numel() for p in trainable(model)) - sum(
        p.numel() for p in trainable(model.head)
    )
    width, inner, layers = 384, 1536, 6
    wanted = {
        "lora": layers * 8 * (4 * 2 * width + 2 * (width + inner)),
        "ia3": layers * (2 * width + inner),
        "ln_tuning": (1 + 2 * layers) * 2 * width,
    }
    assert moving == wanted[method]
    pushed = built(minilm, approach)
    with torch.inference_mode():
        unmerged = pushed(ids)
        assert not torch.allclose(pushed.features(ids), plain, atol=1e-3)
        if method != "ln_tuning":  # it replaces the layer: there is nothing to add
            assert torch.allclose(merge_peft(pushed)(ids), unmerged, atol=1e-4)
    assert all(torch.equal(before[key], value) for key, value in minilm.state_dict().items())


@pytest.mark.parametrize("method", sorted(METHODS))
def test_each_method_trains_in_our_loop(method, minilm):
    task, approach = tiny_text_task(), PeftApproach(method)
    rate = METHODS[method].rates[-1]
    config = approach.config("text", 24, epochs=6, batch_size=8, lr=rate)
    fitted = approach.fit(clone(minilm), task, config)
    assert fitted.accuracy(task.test) >= 0.9
    frozen = [n for n, p in fitted.model.named_parameters() if not p.requires_grad]
    state, base = fitted.model.state_dict(), minilm.state_dict()
    for name in frozen:
        plain = name.removeprefix("backbone.").replace(".base_layer", "")
        assert torch.equal(state[name], base[plain]), name


def test_pictures_and_unknown_methods_are_refused():
    with pytest.raises(UserError, match="text encoders"):
        approach = PeftApproach("ia3")
        approach.build(load_backbone("pocket", pretrained=False), 2, approach.options())
    with pytest.raises(UserError, match="did you mean 'ia3'"):
        PeftApproach("ia2")


# Records -------------------------------------------------------------------------------------


def a_row(**changes):
    """A made-up row."""
    row = {"method": "ia3", "task": "reuters8", "n_train": 200, "seed": 0, "lr": 1e-2}
    row |= dict.fromkeys(peft_methods.NUMBERS, 1) | {"val_accuracy": 0.5, "test_accuracy": 0.5}
    return row | {"created": "2026-01-02T03:04:05+00:00", "git": "0123456789"} | changes


def test_rows_are_appended_whole_and_known_again(tmp_path):
    path = tmp_path / "peft.csv"
    assert peft_methods.load(path).empty
    peft_methods.FILE.append(a_row(half_accuracy=math.nan), path)
    path.write_text(path.read_text(encoding="utf-8") + "ia3,half", encoding="utf-8")
    peft_methods.FILE.append(a_row(seed=1, test_accuracy=0.123456789), path)
    held = peft_methods.load(path)
    assert list(held.columns) == peft_methods.COLUMNS
    assert held["test_accuracy"].tolist() == [0.5, 0.123457]
    assert math.isnan(held["half_accuracy"][0])
    known = {peft_methods.FILE.question(row) for row in held.to_dict("records")}
    assert peft_methods.FILE.question(a_row(lr=0.01)) in known
    with pytest.raises(UserError, match="differ: seed"):
        peft_methods.FILE.append({k: v for k, v in a_row().items() if k != "seed"}, path)


def test_a_rate_is_chosen_on_validation_once_all_trials_are_there():
    rates = METHODS["ia3"].rates
    rows = pd.DataFrame([a_row(lr=rate, val_accuracy=score, test_accuracy=1 - score)
                         for rate, score in zip(rates, (0.5, 0.7, 0.7), strict=True)])  # fmt: skip
    assert peft_methods.chosen_rate("ia3", rows) == rates[1]
    assert peft_methods.chosen_rate("ia3", rows[:2]) is None
    assert {len(method.rates) for method in METHODS.values()} == {3}  # equal trials for each


def test_what_ships_is_whole():
    rows = peft_methods.load()
    assert not rows.duplicated(peft_methods.QUESTION).any()
    assert set(rows["method"]) <= set(METHODS) and set(rows["task"]) <= set(TASKS)
    assert rows["test_accuracy"].between(0, 1).all() and rows["val_accuracy"].between(0, 1).all()
    assert (rows["stored_bytes"] > 4 * rows["trainable_params"]).all()
    for method, own in rows.groupby("method"):
        assert set(own["lr"]) <= set(METHODS[method].rates)
