"""Registry of pretrained models with uniform access to ordered stages."""

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
    weights_hash,
)
from helpers.discovery import import_members

import_members(__name__)  # every file here registers what it holds

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
    "weights_hash",
]
