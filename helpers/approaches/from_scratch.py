"""From scratch: the same architecture with random weights, the baseline to price out."""

from helpers.approaches.base import Approach, Options, register_approach
from helpers.approaches.model import TransferModel, unfreeze
from helpers.backbones import Backbone
from helpers.vocabulary import FROM_SCRATCH, FULL_FINE_TUNING


class FromScratch(Approach):
    """No transfer at all: what the pretrained weights are worth is measured against this."""

    name = FROM_SCRATCH
    summary = "Keep the architecture, throw the pretrained weights away."
    learning_rates = {"image": (1e-3, 3e-3, 1e-2), "text": (1e-4, 3e-4, 1e-3)}
    uses_pretrained = False
    steps_like = FULL_FINE_TUNING
    stored = "all weights of the network"
    epochs = 20

    def build(self, backbone: Backbone, n_classes: int, options: Options) -> TransferModel:
        """`backbone` must have been loaded with `pretrained=False`."""
        return TransferModel(unfreeze(backbone), n_classes)


register_approach(FromScratch())
