"""Classical: pixels, standardised, or TF-IDF with logistic regression; a network must beat it."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import Tensor

from helpers.approaches.base import Approach, Fitted, Options, register_approach
from helpers.backbones import Backbone
from helpers.runtime import Stopwatch
from helpers.tasks.words import lack_words
from helpers.training.linear import one_blas_thread
from helpers.training.loop import History, TrainConfig
from helpers.vocabulary import CLASSICAL

PIXEL_SIDE = 28
_CHUNK = 64  # pictures made small at a time


def flatten_pixels(images: np.ndarray) -> np.ndarray:
    """uint8 (N,H,W,C) → float32 (N, 28·28·C) on 0..1; larger images are averaged down."""
    _, height, width, channels = images.shape
    sides = (PIXEL_SIDE, PIXEL_SIDE) if width > PIXEL_SIDE else (height, width)
    flat = np.empty((len(images), channels * math.prod(sides)), dtype=np.float32)
    for start in range(0, len(images), _CHUNK):
        # np.array copies: a read-only memory map is no home for a tensor.
        some = torch.from_numpy(np.array(images[start : start + _CHUNK]))
        pixels = some.permute(0, 3, 1, 2).float() / 255
        if width > PIXEL_SIDE:
            pixels = F.interpolate(pixels, sides, mode="bilinear", antialias=True)
        flat[start : start + _CHUNK] = pixels.flatten(1).numpy()
    return flat


@dataclass(frozen=True)
class ClassicalOptions(Options):
    """How much of a text is counted."""

    longest: int = 0  # words from its beginning; 0: all


def first_words(texts: list[str], longest: int) -> list[str]:
    """Each text's first words."""
    return [" ".join(text.split()[:longest]) for text in texts]


class Classical(Approach):
    """Logistic regression; its strength C is tried over the learning rates' places in the grid."""

    name = CLASSICAL
    summary = "No network: logistic regression on raw pixels or TF-IDF."
    learning_rates = {"image": (0.001, 0.01, 0.1), "text": (1.0, 10.0, 100.0)}  # these are C
    options = ClassicalOptions
    trials_per_decade = 1
    augmentable = False
    uses_pretrained = uses_network = False
    relative_cost = 0.05
    stored = "a linear model, no network"
    epochs = 200

    def protocol_epochs(self, modality: str, n_train: int, batch_size: int) -> int:
        """The solver's iterations; it stops by itself."""
        return 1_000

    def default_epochs(self, n_train: int) -> int:
        """The solver's iterations; it stops by itself."""
        return self.epochs

    def pipeline(
        self,
        modality: str,
        strength: float,
        seed: int,
        iterations: int,
        longest: int = 0,
        *,
        characters: bool = False,
    ) -> Pipeline:
        """Preparation and classifier as one scikit-learn pipeline.

        characters: count these and not words, for texts that have none (`words.lack_words`).
        """
        regression = LogisticRegression(C=strength, max_iter=iterations, random_state=seed)
        if modality == "text":
            unit = "char" if characters else "word"
            words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=1, analyzer=unit)
            if longest:
                cut = FunctionTransformer(first_words, kw_args={"longest": longest})
                return make_pipeline(cut, words, regression)
            return make_pipeline(words, regression)
        return make_pipeline(FunctionTransformer(flatten_pixels), StandardScaler(), regression)

    @one_blas_thread
    def fit(
        self,
        backbone: Backbone | None,
        task,
        config: TrainConfig,
        options: Options | None = None,
        **_: Any,
    ) -> Fitted:
        """Fit the pipeline; `config.lr` is C, `config.epochs` the solver's iterations."""
        watch = Stopwatch()
        longest = getattr(options, "longest", 0)  # plain Options do as well
        characters = task.modality == "text" and lack_words(task.train.inputs)
        model = self.pipeline(
            task.modality, config.lr, config.seed, config.epochs, longest, characters=characters
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the anchor need not be polished
            model.fit(task.train.inputs, task.train.labels)
        history = History(seconds=watch.seconds, cpu_seconds=watch.cpu_seconds)
        history.steps = int(np.max(model[-1].n_iter_))
        history.best_epoch = history.steps
        history.examples_seen = history.steps * len(task.train)
        fitted = Fitted(self, model, history, extra={"classes": len(task.classes)})
        logits = self.predict(fitted, task.validation)
        labels = torch.from_numpy(task.validation.labels)
        history.val_accuracy = [float((logits.argmax(1) == labels).double().mean())]
        history.val_loss = [float(F.cross_entropy(logits, labels))]
        return fitted

    def predict(self, fitted: Fitted, split) -> Tensor:
        """Log-probabilities (N, classes), of every class of the task that it was fitted to.

        A class the training set lacks gets −1e9, a probability of 0: it can't be predicted.
        """
        with np.errstate(divide="ignore"):  # the log of a probability that rounds to zero
            scores = fitted.model.predict_log_proba(split.inputs)
        logits = np.full((len(scores), fitted.extra["classes"]), -1e9, dtype=np.float32)
        logits[:, fitted.model[-1].classes_] = np.maximum(scores, -1e9)
        return torch.from_numpy(logits)


register_approach(Classical())
