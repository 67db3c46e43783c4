"""Registry of pretrained models with uniform access to ordered stages."""

import lazy_loader

from helpers.registry import import_members

import_members(__name__)  # every file here registers what it holds

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "base": [
            "BACKBONES",
            "Backbone",
            "BackboneInfo",
            "GlobalAveragePool",
            "Recipe",
            "State",
            "advised_backbone",
            "clone",
            "load_backbone",
            "prepare_images",
            "reference_of",
            "register_backbone",
            "relative_cost_of",
            "source_task_of",
            "weights_hash",
        ],
        "efficientnet": ["load_lite_weights"],
    },
)
