"""Registry of pretrained models with uniform access to ordered stages."""

from helpers.backbones import efficientnet, external, pocket, text_encoder  # noqa: F401  registers
from helpers.backbones.base import (
    BACKBONES,
    Backbone,
    BackboneInfo,
    GlobalAveragePool,
    Recipe,
    State,
    clone,
    load_backbone,
    prepare_images,
    register_backbone,
)

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneInfo",
    "GlobalAveragePool",
    "Recipe",
    "State",
    "clone",
    "load_backbone",
    "prepare_images",
    "register_backbone",
]
