"""Looking inside a pretrained network: its stages, what they return, what BatchNorm remembers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from helpers.backbones import Backbone, State
from helpers.experiments.costs import forward_flops
from helpers.storage.install import asset_path
from helpers.tasks.images import read_image

BATCH_SIZE = 64


def stage_table(backbone: Backbone) -> pd.DataFrame:
    """One row per stage: what it is made of, output shape, parameters, share of the FLOPs.

    Shapes are (channels, height, width) of one picture of the recipe's size, or (tokens, width)
    of one text of the recipe's length.
    """
    side, channels = backbone.recipe.size, backbone.recipe.channels
    shape = (1, side, side, channels) if backbone.modality == "image" else (1, side)
    state: State = backbone.prepare(torch.ones(shape, dtype=torch.uint8))
    rows = []
    for number, stage in enumerate(backbone.stages, start=1):
        flops = forward_flops(lambda stage=stage, state=state: stage(state))
        with torch.inference_mode():
            state = stage(state)
        output = state[0] if isinstance(state, tuple) else state
        parameters = sum(p.numel() for p in stage.parameters())
        rows.append((number, made_of(stage), tuple(output.shape[1:]), parameters, flops))
    columns = ["stage", "made of", "output shape", "parameters", "FLOPs"]
    table = pd.DataFrame(rows, columns=columns)
    table["FLOPs (%)"] = 100 * table["FLOPs"] / table["FLOPs"].sum()
    return table.drop(columns="FLOPs")


def made_of(stage: nn.Module) -> str:
    """Class names of a stage's parts with their number, such as "2 InvertedResidual"."""
    parts = stage.children() if isinstance(stage, nn.Sequential) else [stage]
    counts = Counter(type(part).__name__ for part in parts)
    return ", ".join(f"{count} {name}" if count > 1 else name for name, count in counts.items())


@torch.inference_mode()
def pooled_stages(backbone: Backbone, inputs: np.ndarray | list[str]) -> list[np.ndarray]:
    """What each stage knows of each input: its output, averaged over places (or words).

    Returns one float32 array (N, width of the stage) per stage.
    """
    collected: list[list[np.ndarray]] = [[] for _ in backbone.stages]
    for state in _prepared(backbone, inputs):
        for place, stage in enumerate(backbone.stages):
            state = stage(state)
            collected[place].append(backbone.pool(state).numpy())
    return [np.concatenate(parts) for parts in collected]


@torch.inference_mode()
def batchnorm_shift(backbone: Backbone, inputs: np.ndarray) -> list[float]:
    """How far inputs lie from what each BatchNorm layer remembers of the pretraining pictures.

    For each layer, in the order they run: the mean over channels of |mean of these inputs − stored
    mean|, in stored standard deviations. 0 is "as in pretraining".
    """
    layers = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    sums = {layer: torch.zeros(layer.num_features) for layer in layers}

    def add(layer: nn.Module, arguments: tuple[Tensor]) -> None:
        sums[layer] += arguments[0].mean((2, 3)).sum(0)

    hooks = [layer.register_forward_pre_hook(add) for layer in layers]
    try:
        for state in _prepared(backbone, inputs):
            backbone(state)
    finally:
        for hook in hooks:
            hook.remove()
    return [
        float(
            ((sums[layer] / len(inputs) - layer.running_mean) / layer.running_var.sqrt())
            .abs()
            .mean()
        )
        for layer in layers
    ]


def imagenet_samples() -> tuple[np.ndarray, np.ndarray]:
    """Twenty pictures of ImageNet, uint8 (20, 224, 224, 3), and their classes, int64 (20,).

    Shorter side 256, centre 224, as EfficientNet-Lite0 was evaluated.
    """
    files = sorted(asset_path("imagenet_samples").rglob("imagenet_*.jpg"))
    edge = (256 - 224) // 2
    images = [read_image(file, 256)[edge:-edge, edge:-edge] for file in files]
    labels = [int(file.stem.rpartition("_")[2]) for file in files]
    return np.stack(images), np.array(labels, dtype=np.int64)


def imagenet_names(classes: list[int] | np.ndarray) -> list[str]:
    """Short English names of ImageNet classes, 0 to 999."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    return [info.index_to_description(int(label)).partition(",")[0] for label in classes]


def _prepared(backbone: Backbone, inputs: np.ndarray | list[str]) -> Iterator[State]:
    """Batches of inputs as the first stage reads them."""
    backbone.eval()
    encoded = backbone.encode(inputs)
    for begin in range(0, len(encoded), BATCH_SIZE):
        batch = torch.from_numpy(np.array(encoded[begin : begin + BATCH_SIZE]))
        yield backbone.prepare(batch)
