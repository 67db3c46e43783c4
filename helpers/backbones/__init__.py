"""Registry of pretrained models with uniform access to ordered stages."""

from helpers.backbones.base import (
    BACKBONES,
    Backbone,
    BackboneInfo,
    GlobalAveragePool,
    Recipe,
    State,
    advised_backbone,
    clone,
    load_backbone,
    prepare_images,
    reference_of,
    register_backbone,
    relative_cost_of,
    source_task_of,
    weights_hash,
)
from helpers.backbones.efficientnet import load_lite_weights
from helpers.registry import import_members

import_members(__name__)  # every file here registers what it holds

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneInfo",
    "GlobalAveragePool",
    "Recipe",
    "State",
    "advised_backbone",
    "clone",
    "load_backbone",
    "load_lite_weights",
    "prepare_images",
    "reference_of",
    "register_backbone",
    "relative_cost_of",
    "source_task_of",
    "weights_hash",
]
