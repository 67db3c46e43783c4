"""What an approach is: what it freezes, what it inserts, and how it is trained."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from helpers.approaches.folding import folded
from helpers.approaches.model import TransferModel
from helpers.backbones import Backbone
from helpers.errors import UserError
from helpers.registry import find
from helpers.runtime import pick_device
from helpers.training import subset_features
from helpers.training.augmentations import get_augment
from helpers.training.examples import Examples
from helpers.training.loop import History, TrainConfig, bfloat16_pays, predict, train
from helpers.vocabulary import register

if TYPE_CHECKING:
    from collections.abc import Callable

    from helpers.tasks import Split, Task


@dataclass(frozen=True)
class Options:
    """What an approach lets one choose; each approach has a subclass with its own."""

    augment: str = ""  # names from helpers.training.augmentations joined by +
    views: int = 4  # augmented versions to cache where a frozen prefix is cached


@dataclass
class Fitted:
    """A trained model and what training it took.

    prepare_seconds: computing the cached activations, apart from training (`history.seconds`).
    """

    approach: Approach
    model: Any
    history: History
    prepare_seconds: float = 0.0
    prepare_cpu_seconds: float = 0.0
    extra: dict[str, float] = field(default_factory=dict)
    config: TrainConfig | None = None  # predictions are made at the precision of the training

    def predict(self, split: Split) -> Tensor:
        """Logits (N, classes) for a split's raw inputs."""
        return self.approach.predict(self, split)

    def accuracy(self, split: Split) -> float:
        """Share of the split that is classified right."""
        labels = torch.from_numpy(split.labels)
        return float((self.predict(split).argmax(1) == labels).float().mean())


class Approach:
    """Base of all approaches. A subclass says how to `build` the model, and its defaults.

    Whatever else the collection has to know of an approach is a field here, so that none of its
    other modules asks for a name.
    """

    name = ""
    summary = ""
    # How it is named and drawn (`helpers.vocabulary.Style`). What is left empty is made from the
    # name, and colour and marker are ones that no other approach has.
    title = label = short = phrase = colour = marker = on_dark = ""
    options: type[Options] = Options
    learning_rates: dict[str, tuple[float, ...]] = {}  # modality → trials, default in the middle
    trials: dict[str, tuple[float, ...]] = {}  # the second round's first three; empty: the same
    trials_per_decade = 2  # further trials lie on this ladder; strengths C on one of whole decades
    protocol_settings: dict[str, str] = {}  # modality → options of the second round
    augmentable = True  # whether augmented examples change anything
    uses_pretrained = True
    uses_network = True  # False: no backbone at all, and no training steps
    reads_features = False  # whether it trains on what the whole frozen backbone returns
    inserts_layers = False  # whether predictions run through layers that the backbone lacks
    merges_into_base = False  # whether what it inserts can be added to the backbone's own weights
    steps_like = ""  # an approach whose training steps cost the same, so that one is timed for both
    relative_cost = 1.0  # rough seconds per example beside full fine-tuning; orders runs
    stored = "the weights that were trained"  # what is kept for a task, in words
    epochs = 20
    head_lr_scale = 1.0

    def serves_plain_network(self, merged: bool = True) -> bool:
        """Whether a prediction runs through the backbone and a head alone.

        merged: with what can be merged into the base's weights merged.
        """
        inserted = self.inserts_layers and not (merged and self.merges_into_base)
        return self.uses_network and not inserted

    def build(self, backbone: Backbone, n_classes: int, options: Options) -> TransferModel:
        """The model to train, made from a backbone that may be changed in place."""
        raise TypeError(f"{type(self).__name__} must define build")

    def config(self, modality: str, n_train: int, **changes: Any) -> TrainConfig:
        """Default settings for `n_train` examples; `changes` override, None leaves a default."""
        rates = self.learning_rates[modality]
        defaults = {
            "lr": rates[len(rates) // 2],
            "epochs": self.default_epochs(n_train),
            "head_lr_scale": self.head_lr_scale,
            "patience": max(4, self.default_epochs(n_train) // 3),
        }
        given = {key: value for key, value in changes.items() if value is not None}
        return TrainConfig(**(defaults | given))

    def protocol(self, modality: str, n_train: int, **changes: Any) -> TrainConfig:
        """Settings of the second round of records; `changes` override, None leaves one as it is.

        Every approach makes the same number of updates (`protocol_updates`), looks at validation
        as often, and never stops early: a fixed budget is the same for all.
        """
        rates = self.trials[modality]
        size = changes.get("batch_size") or TrainConfig.batch_size
        epochs = changes.get("epochs") or self.protocol_epochs(modality, n_train, size)
        defaults = {
            "lr": rates[len(rates) // 2],
            "head_lr_scale": self.head_lr_scale,
            "looks": LOOKS,
            "amp": True if bfloat16_pays(modality) else None,
        }
        given = {key: value for key, value in changes.items() if value is not None}
        return TrainConfig(**(defaults | given | {"epochs": epochs, "patience": epochs}))

    def protocol_epochs(self, modality: str, n_train: int, batch_size: int) -> int:
        """Epochs that make up the updates of the second round."""
        steps = math.ceil(n_train / batch_size)
        return math.ceil(protocol_updates(modality, n_train, batch_size) / steps)

    def default_epochs(self, n_train: int) -> int:
        """More epochs on less data, so that small tasks get enough steps: between ½ and 2×."""
        factor = min(2.0, max(0.5, (1000 / max(1, n_train)) ** 0.5))
        return max(2, round(self.epochs * factor))

    def fit(
        self,
        backbone: Backbone,
        task: Task,
        config: TrainConfig,
        options: Options | None = None,
        *,
        cache: bool = True,
        on_epoch: Callable[[int, History], None] | None = None,
        head: nn.Module | None = None,
    ) -> Fitted:
        """Build, cache what the frozen prefix returns, train.

        cache: False trains on raw batches from the first stage on, augmented afresh each time.
        on_epoch: as of `helpers.training.loop.train`. head: one whose weights the new one starts
            from.
        """
        options = options or self.options()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = self.build(backbone, len(task.classes), options)
        if head is not None:
            model.head.load_state_dict(head.state_dict())
        config = self.adjusted(config, options)
        if not cache:
            model.start = 0
        examples, seconds, cpu_seconds = entering_examples(model, task.train, options, config)
        validation, more, more_cpu = entering_examples(model, task.validation, None, config)
        change = None if model.start else get_augment(options.augment)
        self.before_training(model, examples)
        one, _ = examples.batch(np.arange(1), pick_device(config.device))
        with folded(model.to(pick_device(config.device)), one):
            history = train(model, examples, validation, config, augment=change, on_epoch=on_epoch)
        self.after_training(model)
        return Fitted(self, model, history, seconds + more, cpu_seconds + more_cpu, config=config)

    def adjusted(self, config: TrainConfig, options: Options) -> TrainConfig:
        """Hook: the settings of the loop with what the options say of it."""
        return config

    def before_training(self, model: TransferModel, examples: Examples) -> None:
        """Hook: the model and the (cached) examples, just before the loop."""

    def after_training(self, model: TransferModel) -> None:
        """Hook: just after the loop."""

    def predict(self, fitted: Fitted, split: Split) -> Tensor:
        """Logits (N, classes); cached prefix activations are reused where the prefix is frozen."""
        examples, *_ = entering_examples(fitted.model, split, None, None)
        return predict(fitted.model, examples, fitted.config)


def entering_examples(
    model: TransferModel, split: Split, options: Options | None, config: TrainConfig | None
) -> tuple[Examples, float, float]:
    """Examples that enter the model at `model.start`, with the seconds (wall, CPU) it took.

    Raw ones enter at 0. What a frozen prefix returns is cached, and a part of a pool shares what
    was computed for others (`helpers.training.subset_features`).
    """
    if not model.start:
        return Examples.raw(model.backbone.encode(split.inputs), split.labels), 0.0, 0.0
    augment = options.augment if options else ""
    views = options.views if augment and options else 1
    device = config.device if config else "auto"
    made = [
        subset_features.prefix(
            model.backbone, split, model.start, augment=augment, view=view, device=device
        )
        for view in range(views)
    ]
    examples = Examples(tuple(p.arrays for p in made), split.labels)
    return examples, sum(p.seconds for p in made), sum(p.cpu_seconds for p in made)


LOOKS = 20  # at validation
UPDATES = 400  # the fewest, however small the data
PASSES = {"image": 8, "text": 8}  # over the examples, the fewest, however large the data


def protocol_updates(modality: str, n_train: int, batch_size: int = 32) -> int:
    """Optimizer steps of a run of the second round, the same for all approaches."""
    return max(UPDATES, PASSES[modality] * math.ceil(n_train / batch_size))


APPROACHES: dict[str, Approach] = {}


def register_approach(approach: Approach) -> Approach:
    """Add an approach; notebooks, sweeps, figures and the advisor find it by name.

    Raises UserError for a name that is no plain word (it goes into file names and style sheets),
    and for the colour and marker of another approach.
    """
    if not approach.name.isidentifier():
        raise UserError(
            f"an approach can't be named {approach.name!r}; use letters, digits and _ alone"
        )
    fields = ("label", "short", "phrase", "colour", "marker", "on_dark")
    style = register(approach.name, **{field: getattr(approach, field) for field in fields})
    approach.title = approach.title or style.title
    approach.trials = approach.trials or approach.learning_rates
    APPROACHES[approach.name] = approach
    return approach


def get_approach(name: str) -> Approach:
    """An approach by name. Raises UserError that names the nearest one."""
    return find("approach", name, APPROACHES)


def parse_options(kind: type[Options], settings: str) -> Options:
    """`"top_stages=2;augment=mirror"` → options, each value cast to its field's type.

    Raises UserError for an unknown key or a value that does not fit.
    """
    defaults = kind()
    known = {f.name: type(getattr(defaults, f.name)) for f in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for item in filter(None, settings.split(";")):
        key, equals, text = item.partition("=")
        if not equals or key not in known:
            raise UserError(f"setting {item!r} is not one of {', '.join(f'{k}=…' for k in known)}")
        try:
            values[key] = known[key](text)
        except ValueError as error:
            raise UserError(f"setting {key} must be {known[key].__name__}; got {text!r}") from error
    return kind(**values)
