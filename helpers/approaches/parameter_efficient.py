"""LoRA and adapters as approaches: a frozen base with small trained parts inside."""

from __future__ import annotations

from dataclasses import dataclass

from helpers.approaches.adapter import add_adapters
from helpers.approaches.base import Approach, Options, register_approach
from helpers.approaches.lora import add_lora
from helpers.approaches.model import TransferModel, freeze
from helpers.backbones import Backbone
from helpers.vocabulary import ADAPTER, LORA


@dataclass(frozen=True)
class LoRAOptions(Options):
    """Size and place of the low-rank matrices."""

    rank: int = 8
    alpha: float = 16.0
    targets: str = ""  # layer-name endings joined by +, such as query+value; empty: all


class LoRA(Approach):
    """Low-rank updates in every layer that can take one (helpers.approaches.lora)."""

    name = LORA
    summary = "Freeze the base, add a trained low-rank matrix to its layers."
    options = LoRAOptions
    inserts_layers = merges_into_base = True
    stored = "low-rank updates and a head on the frozen backbone"
    learning_rates = {"image": (1e-3, 3e-3, 1e-2), "text": (3e-4, 1e-3, 3e-3)}
    trials = {"image": (1e-3, 3e-3, 1e-2), "text": (1e-3, 3e-3, 1e-2)}
    epochs = 12

    def build(self, backbone: Backbone, n_classes: int, options: LoRAOptions) -> TransferModel:
        freeze(backbone)
        targets = tuple(filter(None, options.targets.split("+")))
        add_lora(backbone.stages, options.rank, options.alpha, targets)
        return TransferModel(backbone, n_classes)


@dataclass(frozen=True)
class AdapterOptions(Options):
    """Size of the bottlenecks."""

    reduction: int = 8  # width of the base over width of the bottleneck


class Adapters(Approach):
    """Bottleneck layers between frozen blocks (helpers.approaches.adapter)."""

    name = ADAPTER
    summary = "Freeze the base, train small bottleneck layers between its blocks."
    options = AdapterOptions
    inserts_layers = True
    stored = "adapters and a head on the frozen backbone"
    learning_rates = {"image": (1e-3, 3e-3, 1e-2), "text": (3e-4, 1e-3, 3e-3)}
    trials = {"image": (1e-3, 3e-3, 1e-2), "text": (1e-3, 3e-3, 1e-2)}
    epochs = 12

    def build(self, backbone: Backbone, n_classes: int, options: AdapterOptions) -> TransferModel:
        freeze(backbone)
        add_adapters(backbone, options.reduction)
        return TransferModel(backbone, n_classes)


register_approach(LoRA())
register_approach(Adapters())
