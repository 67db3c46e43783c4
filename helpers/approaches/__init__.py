"""Registry of approaches: what is frozen, what is inserted, what is trained."""

import lazy_loader

from helpers.approaches import fine_tuning, lora  # noqa: F401  they register, in this order
from helpers.registry import import_members

import_members(__name__)  # a new file here registers by being here

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "adapter": ["Adapter", "add_adapters"],
        "base": [
            "APPROACHES",
            "Approach",
            "Fitted",
            "Options",
            "get_approach",
            "parse_options",
            "register_approach",
        ],
        "classical": ["flatten_pixels"],
        "from_scratch": ["FromScratch"],
        "lora": ["LoRAConv2d", "LoRALinear", "add_lora", "merge_lora", "remove_lora"],
        "model": ["TransferModel", "freeze"],
    },
)
