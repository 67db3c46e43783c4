"""Feature extraction: the whole backbone frozen, a linear head on its pooled features."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from helpers.approaches.base import Approach, Options, register_approach
from helpers.approaches.model import TransferModel, freeze
from helpers.backbones import Backbone
from helpers.examples import Examples
from helpers.vocabulary import FEATURE_EXTRACTION


class StandardisedHead(nn.Module):
    """A linear head on (features − mean) / std, the statistics being the training set's.

    One learning rate then suits every backbone, whatever the scale of its features; `folded`
    turns it into the plain linear layer that does the same, which is what is stored.
    """

    def __init__(self, linear: nn.Linear, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.linear = linear
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear((features - self.mean) / self.std)

    def folded(self) -> nn.Linear:
        """w·(x − m)/s + b = (w/s)·x + (b − w·m/s)."""
        with torch.no_grad():
            weight = self.linear.weight / self.std
            self.linear.bias -= weight @ self.mean
            self.linear.weight.copy_(weight)
        return self.linear


class FeatureExtraction(Approach):
    """A linear probe: nothing of the backbone moves, so its features are computed once."""

    name = FEATURE_EXTRACTION
    summary = "Freeze the whole backbone, train a new linear head on its features."
    learning_rates = {"image": (3e-4, 1e-3, 3e-3), "text": (3e-4, 1e-3, 3e-3)}
    reads_features = True
    relative_cost = 0.2
    stored = "a head on the frozen backbone"
    epochs = 60

    def build(self, backbone: Backbone, n_classes: int, options: Options) -> TransferModel:
        freeze(backbone)
        model = TransferModel(backbone, n_classes, start=backbone.n_stages)
        nn.init.zeros_(model.head.weight)
        nn.init.zeros_(model.head.bias)
        return model

    def before_training(self, model: TransferModel, examples: Examples) -> None:
        if model.start < model.backbone.n_stages:
            return  # uncached: the features are not at hand
        features = np.concatenate([view[0] for view in examples.views])
        mean, std = torch.from_numpy(features.mean(0)), torch.from_numpy(features.std(0))
        model.head = StandardisedHead(model.head, mean, std.clamp(min=1e-4))

    def after_training(self, model: TransferModel) -> None:
        if isinstance(model.head, StandardisedHead):
            model.head = model.head.folded()


register_approach(FeatureExtraction())
