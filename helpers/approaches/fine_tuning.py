"""Fine-tuning: let the top stages, or all of them, move; also after a probe (LP-FT)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from helpers.approaches.base import Approach, Fitted, Options, register_approach
from helpers.approaches.frozen import FeatureExtraction
from helpers.approaches.model import TransferModel, freeze, unfreeze
from helpers.backbones import Backbone
from helpers.errors import UserError
from helpers.training import History, TrainConfig
from helpers.vocabulary import FULL_FINE_TUNING, LP_FT, PARTIAL_FINE_TUNING

FINE_TUNING_RATES = {"image": (1e-4, 3e-4, 1e-3), "text": (3e-5, 1e-4, 3e-4)}


@dataclass(frozen=True)
class PartialOptions(Options):
    """How far down the network moves."""

    top_stages: int = 0  # stages that move, counted from the head down; 0: the top third


class PartialFineTuning(Approach):
    """Gradual unfreezing (Howard & Ruder 2018, arXiv 1801.06146): `TrainConfig.unfreeze_every`."""

    name = PARTIAL_FINE_TUNING
    summary = "Freeze the lower stages, tune the top ones; the frozen prefix runs once."
    options = PartialOptions
    learning_rates = FINE_TUNING_RATES
    moves_base = True
    relative_cost = 0.6
    stored = "the upper stages and a head"
    epochs = 15
    head_lr_scale = 10.0

    def build(self, backbone: Backbone, n_classes: int, options: PartialOptions) -> TransferModel:
        top_stages = options.top_stages or max(1, round(backbone.n_stages / 3))
        if not 1 <= top_stages <= backbone.n_stages:
            raise UserError(
                f"{backbone.name} has {backbone.n_stages} stages; top_stages={top_stages} was asked"
            )
        start = backbone.n_stages - top_stages
        freeze(backbone)
        for stage in backbone.stages[start:]:
            unfreeze(stage)
        model = TransferModel(backbone, n_classes, start=start)
        model.top_stages = top_stages
        return model


@dataclass(frozen=True)
class FullOptions(Options):
    """How much more slowly lower stages move."""

    layer_decay: float = 0.8  # discriminative rates: each stage down learns this much slower


class FullFineTuning(Approach):
    """Discriminative learning rates after Howard & Ruder 2018 (arXiv 1801.06146)."""

    name = FULL_FINE_TUNING
    summary = "Let every weight move, lower stages more slowly."
    options = FullOptions
    learning_rates = FINE_TUNING_RATES
    moves_base = True
    stored = "all weights of the network"
    epochs = 12
    head_lr_scale = 10.0

    def build(self, backbone: Backbone, n_classes: int, options: FullOptions) -> TransferModel:
        return TransferModel(unfreeze(backbone), n_classes)

    def fit(
        self,
        backbone: Backbone,
        task,
        config: TrainConfig,
        options: FullOptions | None = None,
        *,
        cache: bool = True,
        on_epoch: Callable[[int, History], None] | None = None,
    ) -> Fitted:
        options = options or self.options()
        config = replace(config, layer_decay=options.layer_decay)
        return super().fit(backbone, task, config, options, cache=cache, on_epoch=on_epoch)


@dataclass(frozen=True)
class ProbeFirstOptions(FullOptions):
    """The probe's learning rate, beside what full fine-tuning has."""

    probe_lr: float = 1e-3


class ProbeThenFineTuning(FullFineTuning):
    """A head that fits before the base moves distorts features less (arXiv 2202.10054)."""

    name = LP_FT
    summary = "Train the head on frozen features first, then let everything move."
    options = ProbeFirstOptions
    reads_features = True
    steps_like = FULL_FINE_TUNING
    head_lr_scale = 1.0

    def fit(
        self,
        backbone: Backbone,
        task,
        config: TrainConfig,
        options: ProbeFirstOptions | None = None,
        *,
        cache: bool = True,
        on_epoch: Callable[[int, History], None] | None = None,
    ) -> Fitted:
        options = options or self.options()
        probing = FeatureExtraction()
        settings = probing.config(
            backbone.modality, len(task.train), lr=options.probe_lr, seed=config.seed,
            batch_size=config.batch_size, device=config.device,
        )  # fmt: skip
        probe = probing.fit(backbone, task, settings, Options())
        model = self.build(backbone, len(task.classes), options)
        model.head.load_state_dict(probe.model.head.state_dict())
        config = replace(config, layer_decay=options.layer_decay)
        fitted = self._train(model, task, config, options, cache, on_epoch)
        fitted.prepare_seconds += probe.prepare_seconds + probe.history.seconds
        fitted.prepare_cpu_seconds += probe.prepare_cpu_seconds + probe.history.cpu_seconds
        fitted.extra["probe_val_accuracy"] = max(probe.history.val_accuracy)
        return fitted


register_approach(PartialFineTuning())
register_approach(FullFineTuning())
register_approach(ProbeThenFineTuning())
