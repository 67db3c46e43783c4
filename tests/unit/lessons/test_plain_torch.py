"""The ten lines that notebooks 02 to 05 give to carry home, beside the registry's entries."""

import re

import pytest
import torch
from plain_torch import plain_torch

from helpers.approaches import get_approach
from helpers.backbones import load_backbone
from helpers.training.loop import parameter_groups

SIDE, CLASSES, LR = 64, 10, 1e-3
OVERWRITE = ("partial_fine_tuning", "full_fine_tuning", "lp_ft")
PLACES = {"conv_stem": "0.0", "bn1": "0.1", "conv_head": "8.0", "bn2": "8.1"}


@pytest.fixture(scope="module")
def shown(root):
    """Return the functions and classes that the notebooks define, by name."""
    return plain_torch(root)


def ours(name):
    """The registry's name of a tensor of timm's network."""
    for small, theirs in (("A.weight", "A"), ("B.weight", "B")):
        name = name.removesuffix(small) + theirs if name.endswith("." + small) else name
    # An adapter stands behind its block, which is the first of the two.
    name = re.sub(r"^(blocks\.\d+\.\d+)\.1\.(down|up)", r"\1.adapter.\2", name)
    first, _, rest = name.partition(".")
    if first == "classifier":
        return f"head.{rest}"
    if first == "blocks":
        number, _, rest = rest.partition(".")
        return f"backbone.stages.{int(number) + 1}.{rest}"
    return f"backbone.stages.{PLACES[first]}.{rest}"


def plain(shown, approach):
    """A network as the notebooks make it, and its optimizer."""
    if approach == "feature_extraction":
        net = shown["frozen_network"](CLASSES)
        return net, torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=LR)
    if approach in ("lora", "adapter"):
        put = shown["with_lora" if approach == "lora" else "with_adapters"]
        net = put(shown["pretrained_network"](CLASSES))
        return net, torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=LR)
    if approach == "from_scratch":
        net = shown["network"](CLASSES, pretrained=False)
        return net.train(), torch.optim.AdamW(net.parameters(), lr=LR)
    net = shown["pretrained_network"](CLASSES)
    if approach == "lp_ft":
        probe = torch.nn.Linear(net.num_features, CLASSES)
        optimizer = shown["probe_then_full"](net, probe, LR)
        assert torch.equal(net.classifier.weight, probe.weight)
        return net, optimizer
    return net, shown["partial" if approach == "partial_fine_tuning" else "full"](net, LR)


def registered(name, net):
    """The registry's model with the same new numbers, and its optimizer."""
    approach = get_approach(name)
    norm = {"norm": "frozen"} if name in OVERWRITE else {}
    options = approach.options(**norm)
    known = approach.uses_pretrained
    backbone = load_backbone("efficientnet_lite0", size=SIDE, pretrained=known)
    model = approach.build(backbone, CLASSES, options)
    model.start = 0  # raw pictures
    moving = {n for n, p in net.named_parameters() if p.requires_grad}
    new = {ours(n): v for n, v in net.state_dict().items() if n in moving or not known}
    model.load_state_dict(new, strict=False)
    config = approach.adjusted(approach.config("image", 200, lr=LR), options)
    return model.train(), torch.optim.AdamW(parameter_groups(model, config))


def rates(named, optimizer):
    found = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    return {name: found[id(p)] for name, p in named if p.requires_grad}


@pytest.mark.parametrize(
    "name", ["feature_extraction", *OVERWRITE, "lora", "adapter", "from_scratch"]
)
def test_the_ten_lines_equal_the_registry(shown, name):
    torch.manual_seed(0)
    net, optimizer = plain(shown, name)
    model, theirs = registered(name, net)
    wanted = rates(model.named_parameters(), theirs)
    got = {ours(key): rate for key, rate in rates(net.named_parameters(), optimizer).items()}
    assert got == pytest.approx(wanted)  # what moves, and how fast

    pictures = torch.randint(0, 256, (4, SIDE, SIDE, 3), dtype=torch.uint8)
    labels, batch = torch.tensor([0, 3, 3, 7]), model.backbone.prepare(pictures)
    first, second = net(batch), model(pictures)
    assert torch.allclose(first, second, atol=1e-5)
    before = first.detach()
    for logits, one in ((first, optimizer), (second, theirs)):
        torch.nn.functional.cross_entropy(logits, labels).backward()
        one.step()
    with torch.no_grad():
        first, second = net(batch), model(pictures)
    moved = (first - before).abs().max()
    assert moved > 1e-3
    assert (first - second).abs().max() < 0.02 * moved
