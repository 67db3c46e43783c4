"""`squeezenet`: SqueezeNet 1.1, an ImageNet network without normalisation layers."""

import pickletools
from pathlib import Path

import numpy as np
import torch
from torch import nn

from helpers.backbones.base import (
    Backbone,
    BackboneInfo,
    GlobalAveragePool,
    Recipe,
    register_backbone,
)
from helpers.backbones.efficientnet import PRETRAINED_ON
from helpers.errors import UserError
from helpers.storage.install import asset_path

DEFAULT_SIZE = 227
# The network reads pixels of 0..255 less ImageNet's mean, with no division by a spread. Recipes are
# written for 0..1, so both are divided by 255.
MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)  # red, green, blue
STD = (1 / 255, 1 / 255, 1 / 255)
# The file's layer -> torchvision's, in the order in which they run.
LAYERS = {
    "conv1": "features.0",
    "fire2": "features.3",
    "fire3": "features.4",
    "fire4": "features.6",
    "fire5": "features.7",
    "fire6": "features.9",
    "fire7": "features.10",
    "fire8": "features.11",
    "fire9": "features.12",
    "conv10": "classifier.1",
}
_PARTS = {"squeeze1x1": "squeeze", "expand1x1": "expand1x1", "expand3x3": "expand3x3"}
_NUMBER_TYPE = {"<", "f4"}  # little-endian float32


def read_arrays(file: Path) -> dict[str, list[np.ndarray]]:
    """Return layer → its arrays in the order of the file, flat float32: a kernel and a bias.

    The file is a list of instructions that would call functions to build the arrays. It is taken
    apart and nothing in it is followed: names of layers and the bytes after them are all that is
    read. Raises ValueError or LookupError where it is cut short or holds something else.
    """
    arrays: dict[str, list[np.ndarray]] = {}
    number_type: set[str] = set()
    layer = ""
    for instruction, value, _ in pickletools.genops(file.read_bytes()):
        if instruction.name == "BINUNICODE" and value in _NUMBER_TYPE:
            number_type.add(value)
        elif instruction.name == "BINUNICODE":
            layer = value
            arrays[layer] = []
        elif isinstance(value, bytes) and len(value) > 1:  # a single byte is NumPy's type code
            arrays[layer].append(np.frombuffer(value, "<f4"))
    if number_type != _NUMBER_TYPE:
        raise ValueError("its numbers are not float32")
    return arrays


def load_squeezenet_weights(model: nn.Module) -> None:
    """Copy the asset's tensors into torchvision's SqueezeNet 1.1, for pictures in RGB.

    Kernels lie there as (height, width, in, out) and become (out, in, height, width). The first
    convolution reads blue, green, red there; its input channels are turned round, which gives the
    same outputs for red, green, blue. Raises UserError when the file is damaged, or a layer is
    missing, unknown or of another size.
    """
    (file,) = asset_path("squeezenet").rglob("*.pkl")
    wanted = model.state_dict()
    tensors = {}
    try:
        for layer, (kernel, bias) in read_arrays(file).items():
            whole, _, part = layer.partition("/")
            name = f"{LAYERS[whole]}.{_PARTS[part]}" if part else LAYERS[whole]
            out, channels, height, width = wanted[f"{name}.weight"].shape
            weight = torch.tensor(kernel.reshape(height, width, channels, out))
            weight = weight.permute(3, 2, 0, 1)
            tensors[f"{name}.weight"] = weight.flip(1) if layer == "conv1" else weight
            tensors[f"{name}.bias"] = torch.tensor(bias.reshape(out))
        missing = sorted(wanted.keys() - tensors.keys())
        if missing:
            raise ValueError(f"{missing[0]} is missing")
    except (OSError, LookupError, ValueError) as error:
        raise UserError(
            f"{file} does not hold SqueezeNet's layers ({error}); run `python -m helpers fetch "
            "squeezenet` again"
        ) from error
    model.load_state_dict(tensors)


def build_squeezenet(pretrained: bool, size: int | None = None) -> Backbone:
    """SqueezeNet 1.1 (Iandola et al. 2016, arXiv 1602.07360) in nine stages, 0.7 M parameters.

    A stage is the stem or one fire module. A maximum pooling closes the stage before it, so that
    what is cached of a frozen prefix is small.
    """
    from torchvision.models import squeezenet1_1

    model = squeezenet1_1(weights=None)
    if pretrained:
        load_squeezenet_weights(model)
    stages: list[list[nn.Module]] = []
    for layer in model.features:
        if not stages or any(layer.children()):  # only fire modules are made of layers
            stages.append([])
        if any(layer.children()):  # a fire joins the outputs of two convolutions
            layer.out_channels = layer.expand1x1.out_channels + layer.expand3x3.out_channels
        stages[-1].append(layer)
    return Backbone(
        "squeezenet",
        "image",
        [nn.Sequential(*layers) for layers in stages],
        GlobalAveragePool(),
        model.classifier[1].in_channels,
        Recipe(size=size or DEFAULT_SIZE, channels=3, mean=MEAN, std=STD),
        source_head=_linear(model.classifier[1]) if pretrained else None,
    )


def _linear(convolution: nn.Conv2d) -> nn.Linear:
    """The 1×1 convolution that classifies each place, as a layer over the mean of all places.

    The mean of what it returns is what it returns for the mean. SqueezeNet sets negative scores of
    a place to zero before that mean, which is left out here; it hardly ever changes the first
    class.
    """
    head = nn.Linear(convolution.in_channels, convolution.out_channels)
    head.weight.data = convolution.weight.data[:, :, 0, 0].clone()
    head.bias.data = convolution.bias.data.clone()
    return head


register_backbone(
    BackboneInfo(
        name="squeezenet",
        label="SqueezeNet 1.1",
        modality="image",
        build=build_squeezenet,
        pretrained_on=PRETRAINED_ON,
        licence="not stated for the weights; the package around them is MIT",
        default_size=DEFAULT_SIZE,
        stand_in="clothing",  # for ImageNet, as of the other networks that saw it
    )
)
