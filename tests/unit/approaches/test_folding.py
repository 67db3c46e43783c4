"""Folded BatchNorm: the same outputs, gradients and training, and nothing left behind."""

import copy

import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_task
from torch import nn

from helpers.approaches import get_approach, parse_options
from helpers.approaches.folding import fold, folded
from helpers.backbones import load_backbone
from helpers.training.loop import TrainConfig

MOVING = "norm=frozen"
CASES = [
    ("pocket", 28, "full_fine_tuning", MOVING, 11),
    ("efficientnet_lite0", 64, "full_fine_tuning", MOVING, 49),
    ("efficientnet_lite0", 64, "partial_fine_tuning", MOVING, 49),
    ("efficientnet_lite0", 64, "lora", "", 49),
    ("efficientnet_lite0", 64, "adapter", "", 49),
    ("torchvision:resnet18", 64, "full_fine_tuning", MOVING, 20),
    ("torchvision:mobilenet_v3_small", 64, "lora", "", 34),
]


def built(backbone: str, size: int, approach: str, settings: str) -> nn.Module:
    chosen = get_approach(approach)
    base = load_backbone(backbone, pretrained=False, size=size)
    randomise(base)
    model = chosen.build(base, 3, parse_options(chosen.options, settings))
    model.start = 0
    for name, parameter in model.named_parameters():
        if name.endswith(".B"):
            nn.init.normal_(parameter, std=0.1)
    return model.train()


def randomise(base: nn.Module) -> None:
    """Statistics and factors as after training, so that BatchNorm changes something."""
    for part in base.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.1)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.normal_(part.bias, std=0.1)


def pictures(backbone: str) -> torch.Tensor:
    channels = 1 if backbone == "pocket" else 3
    return torch.randint(0, 256, (6, 32, 32, channels), dtype=torch.uint8)


def gradients(model: nn.Module, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    torch.manual_seed(0)  # of dropout
    F.cross_entropy(model(inputs), torch.arange(len(inputs)) % 3).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("backbone", "size", "approach", "settings", "count"), CASES)
def test_a_folded_step_is_the_same_step(backbone, size, approach, settings, count):
    torch.manual_seed(0)
    model, inputs = built(backbone, size, approach, settings), pictures(backbone)
    model = model.double()
    inputs = model.backbone.prepare(inputs).double()
    model.backbone.prepare = lambda batch: batch
    plain = gradients(model, inputs)
    state = copy.deepcopy(model.state_dict())
    with folded(model, inputs[:1]):
        assert model.state_dict().keys() == state.keys()
        found = gradients(model, inputs)
    assert len(fold(copy.deepcopy(model), inputs[:1])) == count
    assert found.keys() == plain.keys()
    scale = max(float(each.abs().max()) for each in plain.values())
    for name, gradient in plain.items():
        assert torch.allclose(found[name], gradient, rtol=1e-6, atol=1e-9 * scale), name
    again = gradients(model, inputs)
    assert all(torch.equal(again[name], plain[name]) for name in plain)
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())


def test_a_copy_folds_its_own_layers():
    model, inputs = built("pocket", 28, "full_fine_tuning", MOVING), pictures("pocket")
    fold(model, inputs)
    other = copy.deepcopy(model)
    nn.init.zeros_(model.backbone.stages[0][1].weight)
    changed, kept = model.eval()(inputs), other.eval()(inputs)
    assert not torch.allclose(changed, kept)


def test_running_statistics_are_not_folded():
    model = built("pocket", 28, "full_fine_tuning", "norm=running")
    assert fold(model, pictures("pocket")) == {}
    frozen = built("pocket", 28, "full_fine_tuning", MOVING)
    fold(frozen, pictures("pocket"))
    for part in frozen.modules():
        part.is_frozen = False
    before = frozen.backbone.stages[0][1].running_mean.clone()
    frozen.train()(pictures("pocket"))  # moving again, as where `unfreeze` was called
    assert not torch.equal(before, frozen.backbone.stages[0][1].running_mean)


def test_a_convolution_that_something_else_reads_is_left_alone():
    class Forked(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
            self.norm.is_frozen = True
            nn.init.uniform_(self.norm.running_var, 2, 3)

        def forward(self, x):
            made = self.conv(x)
            return self.norm(made) + made

    model, x = Forked(), torch.randn(2, 3, 5, 5)
    before = model.eval()(x)
    assert fold(model, x) == {}
    assert torch.equal(model(x), before)


def test_training_folds_and_leaves_the_network_as_it_was(monkeypatch):
    counts: list[int] = []

    def counted(model, inputs):
        makes = fold(model, inputs)
        counts.append(len(makes))
        return makes

    monkeypatch.setattr("helpers.approaches.folding.fold", counted)
    approach = get_approach("full_fine_tuning")
    config = TrainConfig(epochs=2, batch_size=16, patience=2)
    options = parse_options(approach.options, MOVING)
    fitted = approach.fit(load_backbone("pocket"), tiny_task(), config, options)
    assert counts == [11]
    assert not any("forward" in vars(part) for part in fitted.model.modules())
    monkeypatch.setattr("helpers.approaches.folding.fold", lambda model, inputs: {})
    plain = approach.fit(load_backbone("pocket"), tiny_task(), config, options)
    assert fitted.history.train_loss == pytest.approx(plain.history.train_loss, rel=1e-3)
