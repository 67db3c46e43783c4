"""Approaches: frozen is frozen to the bit, LoRA is peft's, merged is unmerged, files are small."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load
from tiny import tiny_task, tiny_text_task, without_adapters
from torch import nn

from helpers.approaches import (
    APPROACHES,
    LoRAConv2d,
    LoRALinear,
    add_adapters,
    add_lora,
    freeze,
    get_approach,
    merge_lora,
    parse_options,
    remove_lora,
)
from helpers.approaches.classical import flatten_pixels
from helpers.approaches.fine_tuning import PartialOptions
from helpers.approaches.lora import lora_layers
from helpers.backbones import load_backbone
from helpers.errors import UserError
from helpers.training import subset_features
from helpers.training.checkpoints import restore_task, task_bytes, task_state
from helpers.training.loop import TrainConfig, parameter_groups

NAMES = {
    "feature_extraction", "partial_fine_tuning", "full_fine_tuning", "lora", "adapter",
    "from_scratch", "lp_ft", "classical",
}  # fmt: skip
NEURAL = sorted(NAMES - {"classical"})


@pytest.fixture(scope="module")
def minilm():
    return load_backbone("minilm", size=16)


def pocket():
    return load_backbone("pocket", pretrained=False, seed=0)


def short(name: str, modality: str = "image", n: int = 64, **changes) -> TrainConfig:
    return get_approach(name).config(modality, n, epochs=2, batch_size=16, **changes)


def state_of(module: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def changed(before: dict, after: dict) -> set[str]:
    return {key for key in before if not torch.equal(before[key], after[key])}


def test_the_registry_holds_the_eight_approaches():
    assert set(APPROACHES) >= NAMES
    for name, approach in APPROACHES.items():
        assert approach.name == name
        assert {len(rates) for rates in approach.learning_rates.values()} == {3}
    with pytest.raises(UserError, match="did you mean 'lora'"):
        get_approach("lorra")


@pytest.mark.parametrize("name", NEURAL)
def test_an_approach_says_whether_it_reads_frozen_features(name, monkeypatch):
    """A race takes such runs for cheap, because the look has made the features."""
    starts, prefix = [], subset_features.prefix

    def watched(backbone, split, start, **choices):
        starts.append(start)
        return prefix(backbone, split, start, **choices)

    monkeypatch.setattr(subset_features, "prefix", watched)
    backbone = pocket()
    get_approach(name).fit(backbone, tiny_task(), short(name))
    assert get_approach(name).reads_features == (backbone.n_stages in starts)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_approach_learns_the_tiny_task(name):
    task = tiny_task(128)
    approach = get_approach(name)
    changes = {} if name == "classical" else {"epochs": 12, "patience": 12}
    config = approach.config("image", len(task.train), batch_size=16, **changes)
    fitted = approach.fit(pocket(), task, config)
    assert fitted.accuracy(task.test) >= 0.9
    assert fitted.predict(task.test).shape == (40, 2)


@pytest.mark.parametrize(
    ("name", "options"),
    [("classical", ""), ("feature_extraction", ""), ("feature_extraction", "solver=lbfgs")],
)
def test_predictions_have_every_class_whatever_the_labels(name, options):
    """Classes 2 and 3 lack examples in training, class 3 in what is predicted as well."""
    task, approach = tiny_task(32, 4), get_approach(name)
    seen, lower = task.train.labels < 2, task.validation.labels < 3
    few = replace(task, train=task.train.take(seen), validation=task.validation.take(lower))
    chosen = parse_options(approach.options, options)
    fitted = approach.fit(pocket(), few, short(name), chosen)
    for split in (task.test, few.validation, few.train, few.train.take(few.train.labels == 0)):
        assert fitted.predict(split).shape == (len(split), 4)
    chances = torch.softmax(fitted.predict(task.test), dim=1)
    assert torch.isfinite(chances).all()
    if name == "classical":
        assert (chances[:, 2:] == 0).all()


@pytest.mark.parametrize("name", ["feature_extraction", "lora", "adapter"])
def test_a_frozen_base_is_bit_equal_after_training(name):
    """Weights and BatchNorm statistics alike."""
    task, backbone = tiny_task(), pocket()
    before = state_of(backbone)
    fitted = get_approach(name).fit(backbone, task, short(name))
    without_adapters(remove_lora(fitted.model))
    after = fitted.model.backbone.state_dict()
    assert set(after) == set(before)
    assert not changed(before, after)
    assert any("running_mean" in key for key in before)


def test_a_partly_frozen_base_moves_above_the_cut_only():
    task, backbone = tiny_task(), pocket()
    before = state_of(backbone)
    fitted = get_approach("partial_fine_tuning").fit(
        backbone, task, short("partial_fine_tuning"), PartialOptions(top_stages=2)
    )
    moved = changed(before, fitted.model.backbone.state_dict())
    cut = backbone.n_stages - 2
    assert moved and all(int(key.split(".")[1]) >= cut for key in moved)
    assert any("running_mean" in key for key in moved)


def test_requires_grad_alone_does_not_freeze_batchnorm():
    """The trap that `freeze` avoids: without it the statistics move with each batch."""
    trap, frozen = pocket(), pocket()
    trap.requires_grad_(False)
    freeze(frozen)
    images = torch.from_numpy(tiny_task().train.inputs)
    for model in (trap, frozen):
        before = state_of(model)
        holder = nn.Module()
        holder.model = model
        (holder if model is trap else get_holder(model)).train()
        model(model.prepare(images))
        moved = changed(before, model.state_dict())
        assert bool(moved) is (model is trap)


def get_holder(backbone):
    from helpers.approaches import TransferModel

    return TransferModel(backbone, 2)


def test_full_fine_tuning_moves_every_weight_and_scratch_starts_elsewhere():
    task, backbone = tiny_task(), pocket()
    before = state_of(backbone)
    fitted = get_approach("full_fine_tuning").fit(backbone, task, short("full_fine_tuning"))
    after = fitted.model.backbone.state_dict()
    assert changed(before, after) == set(before)


def test_discriminative_rates_fall_from_the_head_down():
    model = get_approach("full_fine_tuning").build(pocket(), 2, get_approach("lp_ft").options())
    config = TrainConfig(lr=1e-3, head_lr_scale=10, layer_decay=0.5)
    rates = {group["lr"] for group in parameter_groups(model, config)}
    assert rates == {1e-2, *(1e-3 * 0.5**i for i in range(model.backbone.n_stages))}
    undecayed = [g for g in parameter_groups(model, config) if g["weight_decay"] == 0]
    assert all(p.ndim == 1 for group in undecayed for p in group["params"])


def test_gradual_unfreezing_opens_one_stage_after_another():
    task, opened = tiny_task(), []
    approach = get_approach("partial_fine_tuning")
    backbone = pocket()

    def watch(epoch, history):
        stages = backbone.stages
        opened.append(sum(any(p.requires_grad for p in stage.parameters()) for stage in stages))

    config = approach.config("image", 64, epochs=5, patience=9, unfreeze_every=1)
    options = PartialOptions(top_stages=3)
    approach.fit(backbone, task, config, options, on_epoch=watch)
    assert opened == [0, 1, 2, 3, 3]


# LoRA and adapters ---------------------------------------------------------------------------


def copy_weights(ours, theirs) -> None:
    with torch.no_grad():
        theirs.lora_A["default"].weight.copy_(ours.A)
        theirs.lora_B["default"].weight.copy_(ours.B)


@pytest.mark.parametrize("kind", ["linear", "pointwise", "strided"])
def test_lora_equals_peft(kind):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    layer = {
        "linear": nn.Linear(20, 30),
        "pointwise": nn.Conv2d(12, 24, 1),
        "strided": nn.Conv2d(12, 24, 3, 2, 1, bias=False),
    }[kind]
    base = nn.Sequential(layer)
    wrapped = get_peft_model(
        nn.Sequential(copy.deepcopy(layer)), LoraConfig(r=4, lora_alpha=8, target_modules=["0"])
    )
    add_lora(base, rank=4, alpha=8)
    (_, _, ours), theirs = next(lora_layers(base)), wrapped.base_model.model[0]
    nn.init.normal_(ours.B)
    copy_weights(ours, theirs)
    x = torch.randn(5, 20) if kind == "linear" else torch.randn(5, 12, 9, 9)
    out, expected = base(x), wrapped(x)
    assert torch.allclose(out, expected, atol=1e-5)
    out.square().sum().backward()
    expected.square().sum().backward()
    for mine, other in ((ours.A, theirs.lora_A), (ours.B, theirs.lora_B)):
        grad = other["default"].weight.grad
        assert torch.allclose(mine.grad, grad, rtol=1e-5, atol=1e-5 * float(grad.abs().max()))


def test_lora_equals_peft_on_minilm(minilm):
    from peft import LoraConfig, get_peft_model

    ours, theirs = copy.deepcopy(minilm), copy.deepcopy(minilm)
    assert add_lora(ours.stages, 4, 8, ("query", "value")) == 12
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["query", "value"])
    wrapped = get_peft_model(theirs.stages, config).base_model.model
    other = dict(wrapped.named_modules())
    for name, layer in list(ours.stages.named_modules()):
        if isinstance(layer, LoRALinear):
            nn.init.normal_(layer.B, std=0.1)
            copy_weights(layer, other[name])
    ids = torch.from_numpy(minilm.encode(tiny_text_task().train.inputs))
    with torch.inference_mode():
        mine = ours.pool(ours(ours.prepare(ids)))
        expected = theirs.pool(theirs(theirs.prepare(ids)))
        plain = minilm.pool(minilm(minilm.prepare(ids)))
    assert torch.allclose(mine, expected, atol=1e-5)
    assert not torch.allclose(mine, plain, atol=1e-2)


@pytest.mark.parametrize("name", ["pocket", "efficientnet_lite0", "minilm"])
def test_merged_equals_unmerged_and_unplugged_equals_the_base(name):
    backbone = load_backbone(
        name, pretrained=name != "pocket", size=None if name == "pocket" else 64
    )
    if backbone.modality == "text":
        raw = torch.from_numpy(backbone.encode(tiny_text_task().train.inputs))
    else:
        raw = torch.from_numpy(tiny_task(8).train.inputs)
    with torch.inference_mode():
        plain = backbone.pool(backbone(backbone.prepare(raw)))
    add_lora(backbone.stages, rank=4, alpha=8)
    with torch.inference_mode():
        assert torch.equal(backbone.pool(backbone(backbone.prepare(raw))), plain)
    for _, _, layer in lora_layers(backbone):
        nn.init.normal_(layer.B, std=0.02)
    unplugged = remove_lora(copy.deepcopy(backbone))
    with torch.inference_mode():
        unmerged = backbone.pool(backbone(backbone.prepare(raw)))
        merged = merge_lora(backbone)
        assert not any(isinstance(m, LoRALinear | LoRAConv2d) for m in merged.modules())
        out = merged.pool(merged(merged.prepare(raw)))
        scale = float(unmerged.abs().max())
        assert torch.allclose(out, unmerged, atol=1e-4 * scale)
        assert not torch.allclose(out, plain, atol=1e-3 * scale)
        assert torch.equal(unplugged.pool(unplugged(unplugged.prepare(raw))), plain)


@pytest.mark.parametrize("name", ["pocket", "efficientnet_lite0", "minilm"])
def test_adapters_start_as_the_base_and_come_off(name):
    backbone = load_backbone(
        name, pretrained=name != "pocket", size=None if name == "pocket" else 64
    )
    if backbone.modality == "text":
        raw = torch.from_numpy(backbone.encode(tiny_text_task().train.inputs))
    else:
        raw = torch.from_numpy(tiny_task(8).train.inputs)
    keys = set(backbone.state_dict())
    with torch.inference_mode():
        plain = backbone.pool(backbone(backbone.prepare(raw)))
        count = add_adapters(backbone, reduction=8)
        assert count == {"pocket": 4, "efficientnet_lite0": 16, "minilm": 12}[name]
        assert torch.equal(backbone.pool(backbone(backbone.prepare(raw))), plain)
    assert set(without_adapters(backbone).state_dict()) == keys


def test_wrong_ranks_and_targets_are_refused():
    with pytest.raises(UserError, match="rank must be at least 1"):
        add_lora(pocket().stages, 0, 1)
    with pytest.raises(UserError, match="named query"):
        add_lora(pocket().stages, 2, 1, ("query",))
    with pytest.raises(UserError, match="top_stages=9"):
        get_approach("partial_fine_tuning").build(pocket(), 2, PartialOptions(top_stages=9))


@pytest.mark.parametrize("name", ["lora", "adapter", "full_fine_tuning"])
def test_text_approaches_train(name, minilm):
    task = tiny_text_task()
    approach = get_approach(name)
    config = approach.config("text", 24, epochs=4, batch_size=8)
    fitted = approach.fit(copy.deepcopy(minilm), task, config)
    assert fitted.accuracy(task.test) >= 0.9


# Files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NEURAL)
def test_task_files_hold_what_moved_and_load_again(name):
    task, approach = tiny_task(), get_approach(name)
    fitted = approach.fit(pocket(), task, short(name, lr=1e-2))
    data = task_bytes(fitted.model)
    tensors = load(data)
    expected = sum(4 * v.numel() if v.is_floating_point() else 8 for v in tensors.values())
    assert expected < len(data) < expected + 200 * len(tensors) + 500
    moving = sum(p.numel() for p in fitted.model.parameters() if p.requires_grad)
    statistics = sum(v.numel() for k, v in tensors.items() if "running" in k or "num_b" in k)
    assert sum(v.numel() for v in tensors.values()) == moving + statistics
    rebuilt = approach.build(pocket(), 2, approach.options())
    if name != "from_scratch":
        restore_task(rebuilt, data, "task.safetensors")
        assert not changed(state_of(fitted.model), rebuilt.state_dict())


def test_adapter_and_lora_files_are_small_beside_full_copies(minilm):
    sizes = {}
    for name in ("lora", "adapter", "full_fine_tuning"):
        approach = get_approach(name)
        model = approach.build(copy.deepcopy(minilm), 2, approach.options())
        sizes[name] = sum(4 * v.numel() for v in task_state(model).values())
    assert sizes["full_fine_tuning"] > 80e6
    assert sizes["lora"] < 5e6 and sizes["adapter"] < 5e6


def test_damaged_or_foreign_files_are_refused():
    approach = get_approach("lora")
    model = approach.build(pocket(), 2, approach.options())
    data = task_bytes(model)
    other = approach.build(load_backbone("pocket", pretrained=False, seed=9), 2, approach.options())
    with pytest.raises(UserError, match="another base"):
        restore_task(other, data, "lora.safetensors")
    wider = approach.build(pocket(), 2, parse_options(approach.options, "rank=4"))
    with pytest.raises(UserError, match="does not fit"):
        restore_task(wider, data, "lora.safetensors")
    with pytest.raises(UserError, match="can't be read"):
        restore_task(model, data[:-100], "lora.safetensors")


# Settings ------------------------------------------------------------------------------------


def test_settings_are_parsed_and_bad_ones_named():
    options = parse_options(PartialOptions, "top_stages=3;augment=mirror")
    assert options == PartialOptions(top_stages=3, augment="mirror")
    for text, message in (("rank=2", "not one of"), ("top_stages=two", "must be int")):
        with pytest.raises(UserError, match=message):
            parse_options(PartialOptions, text)


def test_probe_head_is_folded_to_a_plain_layer():
    task = tiny_task()
    fitted = get_approach("feature_extraction").fit(pocket(), task, short("feature_extraction"))
    assert type(fitted.model.head) is nn.Linear
    cached = fitted.predict(task.test)
    fitted.model.start = 0
    whole = fitted.predict(task.test)
    assert np.allclose(cached, whole, atol=1e-4)


def test_pictures_are_made_small_a_part_at_a_time_without_a_difference():
    pictures = np.random.default_rng(0).integers(0, 256, (300, 40, 40, 1), dtype=np.uint8)
    whole = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    whole = F.interpolate(whole, (28, 28), mode="bilinear", antialias=True).flatten(1).numpy()
    assert np.allclose(flatten_pixels(pictures), whole, atol=1e-6)
    assert flatten_pixels(pictures[:0]).shape == (0, 28 * 28)
