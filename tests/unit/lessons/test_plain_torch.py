"""The ten lines that notebooks 02 and 03 give to carry home, beside the registry's entries."""

import ast

import pytest
import timm
import torch

from helpers.approaches import get_approach
from helpers.backbones import load_backbone, load_lite_weights
from helpers.training import parameter_groups
from tools.notebooks import build_notebooks as build

SIDE, CLASSES, LR = 64, 10, 1e-3
SHOWN = {
    "02": ["frozen_network"],
    "03": ["pretrained_network", "partial", "full", "probe_then_full"],
}
PLACES = {"conv_stem": "0.0", "bn1": "0.1", "conv_head": "8.0", "bn2": "8.1"}


@pytest.fixture(scope="module")
def shown(root):
    """Return the functions that the two notebooks define, by name."""
    collection = build.Collection(root)
    names = {"timm": timm, "torch": torch, "nn": torch.nn, "AdamW": torch.optim.AdamW}
    names["load_lite_weights"] = load_lite_weights
    for number in SHOWN:
        for cell in build.read_source(collection.find(number)):
            if cell.cell_type == "code":
                tree = ast.parse(cell.source)
                tree.body = [one for one in tree.body if isinstance(one, ast.FunctionDef)]
                exec(compile(tree, f"notebook {number}", "exec"), names)
    return names


def ours(name):
    """The registry's name of a tensor of timm's network."""
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
    net = shown["pretrained_network"](CLASSES)
    if approach == "lp_ft":
        probe = torch.nn.Linear(net.num_features, CLASSES)
        optimizer = shown["probe_then_full"](net, probe, LR)
        assert torch.equal(net.classifier.weight, probe.weight)
        return net, optimizer
    return net, shown["partial" if approach == "partial_fine_tuning" else "full"](net, LR)


def registered(name, head):
    """The registry's model with the same head, and its optimizer."""
    approach = get_approach(name)
    norm = {} if name == "feature_extraction" else {"norm": "frozen"}
    options = approach.options(**norm)
    model = approach.build(load_backbone("efficientnet_lite0", size=SIDE), CLASSES, options)
    model.start = 0  # raw pictures
    model.head.load_state_dict(head.state_dict())
    config = approach.adjusted(approach.config("image", 200, lr=LR), options)
    return model.train(), torch.optim.AdamW(parameter_groups(model, config))


def rates(named, optimizer):
    found = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    return {name: found[id(p)] for name, p in named if p.requires_grad}


@pytest.mark.parametrize(
    "name", ["feature_extraction", "partial_fine_tuning", "full_fine_tuning", "lp_ft"]
)
def test_the_ten_lines_equal_the_registry(shown, name):
    torch.manual_seed(0)
    net, optimizer = plain(shown, name)
    model, theirs = registered(name, net.classifier)
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
