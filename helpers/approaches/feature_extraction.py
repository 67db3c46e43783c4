"""Feature extraction: the whole backbone frozen, a linear head on its pooled features."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from helpers.approaches.base import (
    Approach,
    Fitted,
    Options,
    entering_examples,
    register_approach,
)
from helpers.approaches.model import TransferModel, freeze
from helpers.backbones import Backbone
from helpers.errors import UserError
from helpers.runtime import Stopwatch
from helpers.tasks import Split
from helpers.training.examples import Examples
from helpers.training.linear import one_blas_thread
from helpers.training.loop import History, TrainConfig
from helpers.vocabulary import FEATURE_EXTRACTION

SOLVERS = ("loop", "lbfgs")
STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # C, where one fit is to choose among several
ITERATIONS = 1_000  # of L-BFGS, at most; it stops when it has converged


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


@dataclass(frozen=True)
class ProbeOptions(Options):
    """How the head is fitted. Raises UserError for a solver that is not there."""

    solver: str = "loop"  # loop: the training loop; lbfgs: to the optimum, `lr` being C

    def __post_init__(self) -> None:
        if self.solver not in SOLVERS:
            raise UserError(f"solver is one of {' or '.join(SOLVERS)}; got {self.solver!r}")


class FeatureExtraction(Approach):
    """A linear probe: nothing of the backbone moves, so its features are computed once.

    The loss is convex, so that L-BFGS finds the one optimum; the loop is there to be read.
    """

    name = FEATURE_EXTRACTION
    summary = "Freeze the whole backbone, train a new linear head on its features."
    options = ProbeOptions
    learning_rates = {"image": (3e-4, 1e-3, 3e-3), "text": (3e-4, 1e-3, 3e-3)}
    trials = {"image": (0.001, 0.01, 0.1), "text": (0.001, 0.01, 0.1)}  # these are C
    trials_per_decade = 1
    protocol_settings = {"image": "solver=lbfgs", "text": "solver=lbfgs"}
    reads_features = True
    relative_cost = 0.2
    stored = "a head on the frozen backbone"
    epochs = 60

    def protocol_epochs(self, modality: str, n_train: int, batch_size: int) -> int:
        """The most iterations that L-BFGS may take."""
        return ITERATIONS

    def fit(
        self,
        backbone: Backbone,
        task,
        config: TrainConfig,
        options: ProbeOptions | None = None,
        **how: Any,
    ) -> Fitted:
        """As of every approach; with L-BFGS `config.lr` is C, and features are always cached."""
        options = options or self.options()
        if getattr(options, "solver", "loop") == "lbfgs":  # plain Options do as well
            return fit_probe(self, backbone, task, (config.lr,), config, options)
        return super().fit(backbone, task, config, options, **how)

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


@one_blas_thread
def fit_probe(
    approach: Approach,
    backbone: Backbone,
    task,
    strengths: Sequence[float],
    config: TrainConfig,
    options: Options,
) -> Fitted:
    """Multinomial logistic regression by L-BFGS on standardised frozen features.

    strengths: values of C to try; the one with the best validation accuracy stays, by loss among
        equals. With several views of an example each counts for its share, so C keeps its meaning.
    """
    model = FeatureExtraction().build(backbone, len(task.classes), options)
    examples, seconds, cpu_seconds = entering_examples(model, task.train, options, config)
    validation, more, more_cpu = entering_examples(model, task.validation, None, config)
    watch = Stopwatch()
    X = np.concatenate([view[0] for view in examples.views]).astype(np.float64)
    mean, std = X.mean(0), X.std(0).clip(min=1e-4)
    X, labels = (X - mean) / std, np.tile(examples.labels, len(examples.views))
    held_out = Split((validation.views[0][0] - mean) / std, validation.labels)
    tried = [
        _fit_strength(X, labels, len(examples.views), held_out, strength, len(task.classes))
        for strength in strengths
    ]
    best = max(tried, key=lambda one: (one.accuracy, -one.loss))
    head = StandardisedHead(model.head, *(torch.from_numpy(one).float() for one in (mean, std)))
    with torch.no_grad():
        head.linear.weight.copy_(best.weight)
        head.linear.bias.copy_(best.bias)
    model.head = head.folded()
    history = History(val_accuracy=[best.accuracy], val_loss=[best.loss])
    history.steps = history.best_epoch = sum(one.iterations for one in tried)
    history.examples_seen = history.steps * len(labels)
    history.seconds, history.cpu_seconds = watch.seconds, watch.cpu_seconds
    return Fitted(
        approach,
        model,
        history,
        seconds + more,
        cpu_seconds + more_cpu,
        config=replace(config, amp=False),  # what is left to compute is one small product
    )


class _Tried(NamedTuple):
    """One strength: accuracy and loss on validation, weights (classes, features), biases."""

    accuracy: float
    loss: float
    weight: Tensor
    bias: Tensor
    iterations: int


def _fit_strength(
    X: np.ndarray, y: np.ndarray, views: int, held_out: Split, strength: float, n_classes: int
) -> _Tried:
    """Fit at one C on standardised features (views · N, features), judge on held-out ones."""
    regression = LogisticRegression(C=strength, max_iter=ITERATIONS)
    regression.fit(X, y, sample_weight=np.full(len(y), 1 / views))
    weight, bias = _softmax_form(regression, n_classes)
    logits = torch.from_numpy(held_out.inputs) @ weight.T + bias
    labels = torch.from_numpy(held_out.labels)
    accuracy = float((logits.argmax(1) == labels).double().mean())
    loss = float(F.cross_entropy(logits, labels))
    return _Tried(accuracy, loss, weight, bias, int(np.max(regression.n_iter_)))


def _softmax_form(regression: LogisticRegression, n_classes: int) -> tuple[Tensor, Tensor]:
    """Weights (classes, features) and biases (classes,) whose softmax gives its probabilities.

    With two classes scikit-learn keeps one row, the difference of the two. A class without an
    example gets a bias so low that it is never predicted.
    """
    rows, intercept = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:
        rows, intercept = np.vstack([-rows, rows]) / 2, np.concatenate([-intercept, intercept]) / 2
    weight = np.zeros((n_classes, rows.shape[1]))
    bias = np.full(n_classes, -1e9)
    weight[regression.classes_], bias[regression.classes_] = rows, intercept
    return torch.from_numpy(weight), torch.from_numpy(bias)


register_approach(FeatureExtraction())
