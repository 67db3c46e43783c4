"""Answers to notebook 04: adapters and LoRA."""

from collections.abc import Callable
from typing import Any

import torch

from helpers.approaches import Adapter, LoRAConv2d, TransferModel, get_approach
from helpers.backbones import load_backbone
from helpers.experiments.steps import memory_parts
from helpers.lessons.exercises.grading import Exercise, function, number
from helpers.vocabulary import ADAPTER


def lora_size(wide: int, out: int, rank: int) -> int:
    """Parameters of B A: A has rank × (inputs of one output), B out × rank."""
    return rank * (wide + out)


def break_even(wide: int, out: int) -> int:
    """Smallest rank whose two thin matrices hold as many numbers as the thick one."""
    return next(rank for rank in range(1, wide * out) if lora_size(wide, out, rank) >= wide * out)


def merges(reader: Callable) -> bool | str:
    """Try the reader's merge on a strided convolution with random updates."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        conv = torch.nn.Conv2d(6, 10, 3, stride=2, padding=1)
        layer = LoRAConv2d(conv, rank=3, alpha=6)
        torch.nn.init.normal_(layer.B)
        x = torch.randn(2, 6, 9, 9)
    before = conv.weight.detach().clone()
    with torch.no_grad():
        weight = reader(conv, layer.A.detach(), layer.B.detach(), layer.scale)
        if not torch.equal(conv.weight, before):
            return "It changed the convolution's own weight; return a new tensor instead."
        if tuple(weight.shape) != tuple(before.shape):
            return f"The merged weight has shape {tuple(weight.shape)}, not {tuple(before.shape)}."
        merged = torch.nn.functional.conv2d(x, weight, conv.bias, conv.stride, conv.padding)
        gap = float((merged - layer(x)).abs().max())
    return gap < 1e-4 or f"Merged and unmerged outputs differ by {gap:.3g}."


def adapters_on_top(model: Any) -> bool | str:
    """Look at what moves in the reader's model, and at the memory of its step."""
    if not isinstance(model, TransferModel):
        return "A TransferModel is wanted."
    if model.start or model.head.out_features != 5:
        return "It should read raw images (start=0) and tell 5 classes apart."
    everywhere = get_approach(ADAPTER)
    other = everywhere.build(load_backbone("pocket"), 5, everywhere.options())
    moving = {name for name, p in model.named_parameters() if p.requires_grad}
    stages = {name.split(".")[2] for name in moving if name.startswith("backbone.stages.")}
    inside = {name for name in moving if name.startswith("backbone") and ".adapter." not in name}
    if inside:
        return f"{len(inside)} weights of the base would move, such as {min(inside)}."
    if stages != {"3", "4"}:
        return (
            f"Adapters learn in stages {sorted(stages) or 'none'} (counted from 0), not in 3 and 4."
        )
    if sum(isinstance(part, Adapter) for part in model.modules()) != 2:
        return "There are adapters elsewhere too; they would slow every pass down."
    if not {"head.weight", "head.bias"} <= moving:
        return "The head must learn too."
    x = torch.randint(0, 256, (16, 28, 28, 1), dtype=torch.uint8)
    y = torch.arange(16) % 5
    mine, all_of_them = (memory_parts(m, x, y)["passing_mb"] for m in (model, other))
    print(f"Gradients and activations: {mine:.2f} MB; with adapters everywhere {all_of_them:.2f}.")
    return mine < all_of_them


ANSWERS = {
    "04.1": Exercise(
        number(lora_size(80 * 9, 80, 8)),
        hints=(
            "A is a 3×3 convolution from 80 channels to 8, B a 1×1 one from 8 to 80.",
            "8 · 80 · 3 · 3 for A and 80 · 8 for B.",
        ),
        praise="The layer itself has 57,600 weights, so this is one for every nine.",
    ),
    "04.2": Exercise(
        number(break_even(384, 1536)),
        hints=(
            "The weight has 384 · 1,536 numbers, an update of rank r has r · (384 + 1,536).",
            "Divide the two and round up.",
        ),
        praise="Nobody trains such a rank; it shows how far 8 is from the whole matrix.",
    ),
    "04.3": Exercise(
        function("merge", merges),
        hints=(
            "For one position of the kernel the update is the matrix product of B and A.",
            "Flatten A to (rank, in·3·3), multiply with B as (out, rank), and reshape.",
            "conv.weight + scale * (B.flatten(1) @ A.flatten(1)).view_as(conv.weight)",
        ),
        praise="A convolution is a matrix once its kernel is flattened.",
    ),
    "04.4": Exercise(
        adapters_on_top,
        hints=(
            "Insert adapters everywhere, then take the ones of the lower stages out again.",
            "freeze(backbone), then add_adapters(backbone): an adapted stage is a wrapper, and the "
            "stage itself is its `.base`.",
            "backbone.stages[1] = backbone.stages[1].base, the same for 2, then TransferModel.",
        ),
        praise="The gradient never enters the lower stages, whose output could now be cached.",
    ),
}
