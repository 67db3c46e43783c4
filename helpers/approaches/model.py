"""A backbone with a new head, and what freezing it means."""

from __future__ import annotations

from torch import Tensor, nn

from helpers.backbones import Backbone, State


def freeze(module: nn.Module) -> nn.Module:
    """Freeze weights, BatchNorm statistics and dropout, now and whenever the model trains.

    `requires_grad=False` alone leaves BatchNorm's running statistics moving with each batch, so
    the module is marked too: `TransferModel.train` keeps marked modules in evaluation mode.
    """
    for part in module.modules():
        part.is_frozen = True
    module.requires_grad_(False)
    return module.eval()


def freeze_statistics(module: nn.Module) -> nn.Module:
    """Keep BatchNorm's running statistics as pretrained; its scale and shift may still move.

    Batches of a few dozen examples estimate them badly, and the network then meets other
    statistics in training than in use.
    """
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.is_frozen = True
            part.eval()
    return module


def unfreeze(module: nn.Module) -> nn.Module:
    """Undo `freeze`."""
    for part in module.modules():
        part.is_frozen = False
    return module.requires_grad_(True)


class TransferModel(nn.Module):
    """Backbone and linear head; runs from stage `start` on, because what lies below is cached.

    start: number of leading stages whose output the inputs already are. 0: raw batches;
        `backbone.n_stages`: pooled features, so that only the head runs.
    """

    def __init__(self, backbone: Backbone, n_classes: int, start: int = 0) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.feature_size, n_classes)
        self.start = start
        self.top_stages = backbone.n_stages
        self.frozen_statistics = False

    def forward(self, inputs: State) -> Tensor:
        return self.head(self.features(inputs))

    def features(self, inputs: State) -> Tensor:
        """Pooled features (N, feature_size)."""
        if self.start >= self.backbone.n_stages:
            return inputs
        state = self.backbone.prepare(inputs) if self.start == 0 else inputs
        return self.backbone.pool(self.backbone(state, start=self.start))

    def train(self, mode: bool = True) -> TransferModel:
        super().train(mode)
        for module in self.modules():
            if getattr(module, "is_frozen", False):
                module.training = False
        return self

    def depth_of(self, name: str) -> int:
        """−1 for the head, else the number of stages above the parameter's own."""
        parts = name.split(".")
        if parts[:2] != ["backbone", "stages"]:
            return -1
        return self.backbone.n_stages - 1 - int(parts[2])

    def unfreeze_to(self, count: int) -> None:
        """Gradual unfreezing: the top `count` stages move (at most `top_stages`), no others."""
        count = min(count, self.top_stages)
        for i, stage in enumerate(self.backbone.stages):
            (unfreeze if i >= self.backbone.n_stages - count else freeze)(stage)
        if self.frozen_statistics:
            freeze_statistics(self.backbone)
