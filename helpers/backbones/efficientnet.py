"""`efficientnet_lite0`: ImageNet weights that the package index carries."""

from __future__ import annotations

import torch
from torch import nn

from helpers.assets import asset_path
from helpers.backbones.base import (
    Backbone,
    BackboneInfo,
    GlobalAveragePool,
    Recipe,
    register_backbone,
)
from helpers.errors import UserError

PRETRAINED_ON = "ImageNet-1k, 1.28 million photos, 1,000 classes"
# Not ImageNet's usual mean and std: Lite models were trained on inputs scaled to −1..1.
MEAN = STD = (0.5, 0.5, 0.5)
DEFAULT_SIZE = 128


def load_lite0_weights(model: nn.Module) -> None:
    """Copy the wheel's tensors into timm's tf_efficientnet_lite0, by order.

    The file names its 296 tensors otherwise than timm does, but lists them in the same order
    (rwightman's own port), so order is the mapping and every shape is checked.
    Raises UserError when count or a shape differs.
    """
    (path,) = asset_path("efficientnet_lite0").rglob("*.pth")
    stored = torch.load(path, map_location="cpu", weights_only=True)
    wanted = model.state_dict()
    if len(stored) != len(wanted):
        raise UserError(f"{path.name} holds {len(stored)} tensors, the model {len(wanted)}")
    renamed = {}
    for (name, want), value in zip(wanted.items(), stored.values(), strict=True):
        if want.numel() != value.numel():
            raise UserError(f"{path.name}: {name} is {tuple(value.shape)}, not {tuple(want.shape)}")
        renamed[name] = value.reshape(want.shape)
    model.load_state_dict(renamed)


def build_lite0(pretrained: bool, size: int | None = None) -> Backbone:
    """EfficientNet-Lite0 in nine stages, cut as in Table 1 of the paper (arXiv 1905.11946).

    Stem, seven groups of inverted-residual blocks, last convolution: 3.4 M parameters without
    the classifier.
    """
    import timm

    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    if pretrained:
        load_lite0_weights(model)
    stages = [
        nn.Sequential(model.conv_stem, model.bn1),
        *model.blocks,
        nn.Sequential(model.conv_head, model.bn2),
    ]
    return Backbone(
        "efficientnet_lite0",
        "image",
        stages,
        GlobalAveragePool(),
        model.num_features,
        Recipe(size=size or DEFAULT_SIZE, channels=3, mean=MEAN, std=STD),
        pretrained_on=PRETRAINED_ON,
        source_head=model.classifier if pretrained else None,
    )


register_backbone(
    BackboneInfo(
        name="efficientnet_lite0",
        title="EfficientNet-Lite0, ImageNet",
        modality="image",
        build=build_lite0,
        pretrained_on=PRETRAINED_ON,
        licence="Apache-2.0",
        default_size=DEFAULT_SIZE,
        asset="efficientnet_lite0",
        # ImageNet is out of reach here: photos of everyday things stand for it.
        stand_in="clothing",
        advised=True,
    )
)
