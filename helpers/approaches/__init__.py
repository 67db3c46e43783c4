"""Registry of approaches: what is frozen, what is inserted, what is trained."""

from helpers.approaches import fine_tuning, lora  # noqa: F401  they register, in this order
from helpers.approaches.adapter import Adapter, add_adapters, remove_adapters
from helpers.approaches.base import (
    APPROACHES,
    Approach,
    Fitted,
    Options,
    get_approach,
    parse_options,
    register_approach,
)
from helpers.approaches.classical import Classical, flatten_pixels
from helpers.approaches.feature_extraction import FeatureExtraction
from helpers.approaches.from_scratch import FromScratch
from helpers.approaches.lora import (
    LoRAConv2d,
    LoRALinear,
    add_lora,
    merge_lora,
    remove_lora,
)
from helpers.approaches.model import TransferModel, freeze, unfreeze
from helpers.registry import import_members

import_members(__name__)  # a new file here registers by being here

__all__ = [
    "APPROACHES",
    "Adapter",
    "Approach",
    "Classical",
    "FeatureExtraction",
    "Fitted",
    "FromScratch",
    "LoRAConv2d",
    "LoRALinear",
    "Options",
    "TransferModel",
    "add_adapters",
    "add_lora",
    "flatten_pixels",
    "freeze",
    "get_approach",
    "merge_lora",
    "parse_options",
    "register_approach",
    "remove_adapters",
    "remove_lora",
    "unfreeze",
]
