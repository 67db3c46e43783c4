"""`efficientnet_lite0` and `efficientnet_lite2`: ImageNet weights from the package index."""

from functools import partial

import torch
from torch import nn

from helpers.backbones.base import (
    Backbone,
    BackboneInfo,
    GlobalAveragePool,
    Recipe,
    register_backbone,
)
from helpers.errors import UserError
from helpers.storage.install import asset_path

PRETRAINED_ON = "ImageNet-1k, 1.28 million photos, 1,000 classes"
# Not ImageNet's usual mean and std: Lite models were trained on inputs scaled to −1..1.
MEAN = STD = (0.5, 0.5, 0.5)
# Side in pixels where the caller names none. Lite0 was trained at 224 and Lite2 at 260; Lite0 is
# run at 128 here, because two processor cores manage that during a lesson.
DEFAULT_SIZES = {"efficientnet_lite0": 128, "efficientnet_lite2": 260}
NATIVE_SIZES = {"efficientnet_lite0": 224, "efficientnet_lite2": 260}


def load_lite_weights(model: nn.Module, name: str) -> None:
    """Copy the tensors of the asset `name` into timm's model of that network, by order.

    The file names its tensors otherwise than timm does, but lists them in the same order
    (rwightman's own port), so order is the mapping and every shape is checked.
    Raises UserError when count or a shape differs.
    """
    (path,) = asset_path(name).rglob("*.pth")
    stored = torch.load(path, map_location="cpu", weights_only=True)
    wanted = model.state_dict()
    if len(stored) != len(wanted):
        raise UserError(
            f"{path.name} holds {len(stored)} tensors, the model {len(wanted)}; run `python -m "
            f"helpers fetch {name}` again"
        )
    renamed = dict(zip(wanted, stored.values(), strict=True))
    for key, value in renamed.items():
        if value.shape != wanted[key].shape:
            raise UserError(
                f"{path.name}: {key} is {tuple(value.shape)}, not {tuple(wanted[key].shape)}; run "
                f"`python -m helpers fetch {name}` again"
            )
    model.load_state_dict(renamed)


def build_lite(name: str, pretrained: bool, size: int | None = None) -> Backbone:
    """An EfficientNet-Lite in nine stages, cut as in Table 1 of the paper (arXiv 1905.11946).

    Stem, seven groups of inverted-residual blocks, last convolution: without the classifier
    3.4 M parameters (Lite0) or 4.8 M (Lite2).
    """
    import timm

    model = timm.create_model(f"tf_{name}", pretrained=False)
    if pretrained:
        load_lite_weights(model, name)
    stages = [
        nn.Sequential(model.conv_stem, model.bn1),
        *model.blocks,
        nn.Sequential(model.conv_head, model.bn2),
    ]
    return Backbone(
        name,
        "image",
        stages,
        GlobalAveragePool(),
        model.num_features,
        Recipe(size=size or DEFAULT_SIZES[name], channels=3, mean=MEAN, std=STD),
        source_head=model.classifier if pretrained else None,
    )


for _name, _size in DEFAULT_SIZES.items():
    register_backbone(
        BackboneInfo(
            name=_name,
            label=f"EfficientNet-Lite{_name[-1]}",
            modality="image",
            build=partial(build_lite, _name),
            pretrained_on=PRETRAINED_ON,
            licence="Apache-2.0",
            default_size=_size,
            native_size=NATIVE_SIZES[_name],
            # ImageNet is out of reach here: photos of everyday things stand for it.
            stand_in="clothing",
            advised=_name == "efficientnet_lite0",
        )
    )
