"""Fine-tuning: let the top stages, or all of them, move; also after a probe (LP-FT)."""

from dataclasses import dataclass, replace
from typing import Any

from helpers.approaches.base import Approach, Fitted, Options, register_approach
from helpers.approaches.feature_extraction import STRENGTHS, FeatureExtraction, fit_probe
from helpers.approaches.model import TransferModel, freeze, freeze_statistics, unfreeze
from helpers.backbones import Backbone
from helpers.errors import UserError
from helpers.training.loop import TrainConfig
from helpers.vocabulary import FULL_FINE_TUNING, LP_FT, PARTIAL_FINE_TUNING

FINE_TUNING_RATES = {"image": (1e-4, 3e-4, 1e-3), "text": (3e-5, 1e-4, 3e-4)}
TRIALS = {"image": (3e-4, 1e-3, 3e-3), "text": (3e-5, 1e-4, 3e-4)}
NORMS = ("running", "frozen")


@dataclass(frozen=True)
class MovingOptions(Options):
    """What BatchNorm does where weights move. Raises UserError for a word that is neither."""

    norm: str = "running"  # running: statistics follow the batches; frozen: as pretrained

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise UserError(f"norm is one of {' or '.join(NORMS)}; got {self.norm!r}")


@dataclass(frozen=True)
class PartialOptions(MovingOptions):
    """How far down the network moves."""

    top_stages: int = 0  # stages that move, counted from the head down; 0: the top third


class PartialFineTuning(Approach):
    """Gradual unfreezing (Howard & Ruder 2018, arXiv 1801.06146): `TrainConfig.unfreeze_every`."""

    name = PARTIAL_FINE_TUNING
    summary = "Freeze the lower stages, tune the top ones; the frozen prefix runs once."
    options = PartialOptions
    learning_rates = FINE_TUNING_RATES
    trials = TRIALS
    protocol_settings = {"image": "norm=frozen"}
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
        return _with_norm(model, options)


@dataclass(frozen=True)
class FullOptions(MovingOptions):
    """How much more slowly lower stages move."""

    layer_decay: float = 0.8  # discriminative rates: each stage down learns this much slower


class FullFineTuning(Approach):
    """Discriminative learning rates after Howard & Ruder 2018 (arXiv 1801.06146)."""

    name = FULL_FINE_TUNING
    summary = "Let every weight move, lower stages more slowly."
    options = FullOptions
    learning_rates = FINE_TUNING_RATES
    trials = TRIALS
    protocol_settings = {"image": "norm=frozen"}
    stored = "all weights of the network"
    epochs = 12
    head_lr_scale = 10.0

    def build(self, backbone: Backbone, n_classes: int, options: FullOptions) -> TransferModel:
        return _with_norm(TransferModel(unfreeze(backbone), n_classes), options)

    def adjusted(self, config: TrainConfig, options: FullOptions) -> TrainConfig:
        return replace(config, layer_decay=options.layer_decay)


@dataclass(frozen=True)
class ProbeFirstOptions(FullOptions):
    """How the probe is fitted, beside what full fine-tuning has."""

    solver: str = "loop"  # as of feature extraction; lbfgs tries each of STRENGTHS on validation
    probe_lr: float = 1e-3  # of the loop


class ProbeThenFineTuning(FullFineTuning):
    """A head that fits before the base moves distorts features less (arXiv 2202.10054)."""

    name = LP_FT
    summary = "Train the head on frozen features first, then let everything move."
    options = ProbeFirstOptions
    reads_features = True
    steps_like = FULL_FINE_TUNING
    head_lr_scale = 1.0
    protocol_settings = {"image": "norm=frozen;solver=lbfgs", "text": "solver=lbfgs"}

    def fit(
        self,
        backbone: Backbone,
        task,
        config: TrainConfig,
        options: ProbeFirstOptions | None = None,
        **how: Any,
    ) -> Fitted:
        options = options or self.options()
        probe = self._probe(backbone, task, config, options)
        offered = options.solver == "lbfgs"
        # Weights that fine-tuning does not improve on stay the probe's.
        config = replace(config, offer_start=offered)
        fitted = super().fit(backbone, task, config, options, head=probe.model.head, **how)
        fitted.prepare_seconds += probe.prepare_seconds + probe.history.seconds
        fitted.prepare_cpu_seconds += probe.prepare_cpu_seconds + probe.history.cpu_seconds
        # Its features are computed once, of every view and of validation: `costs` counts that.
        views = options.views if options.augment and offered else 1
        fitted.extra["probe_inputs"] = views * len(task.train) + len(task.validation)
        start = fitted.history.start
        fitted.extra["probe_val_accuracy"] = start[0] if start else max(probe.history.val_accuracy)
        return fitted

    def _probe(
        self, backbone: Backbone, task, config: TrainConfig, options: ProbeFirstOptions
    ) -> Fitted:
        """The probe that fine-tuning starts from."""
        probing = FeatureExtraction()
        if options.solver == "lbfgs":
            plain = Options(augment=options.augment, views=options.views)
            return fit_probe(probing, backbone, task, STRENGTHS, config, plain)
        settings = probing.config(
            backbone.modality, len(task.train), lr=options.probe_lr, seed=config.seed,
            batch_size=config.batch_size, device=config.device,
        )  # fmt: skip
        return probing.fit(backbone, task, settings)


def _with_norm(model: TransferModel, options: MovingOptions) -> TransferModel:
    """Keep the statistics of BatchNorm as pretrained where the options say so."""
    if options.norm == "frozen":
        model.frozen_statistics = True
        freeze_statistics(model.backbone)
    return model


register_approach(PartialFineTuning())
register_approach(FullFineTuning())
register_approach(ProbeThenFineTuning())
