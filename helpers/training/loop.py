"""The one training loop. It returns a history; it never prints, plots or saves."""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from helpers.errors import UserError
from helpers.runtime import Stopwatch, keep_freed_memory, pick_device
from helpers.training.examples import Examples, batches


class TrainingDiverged(UserError):
    """The loss became NaN or infinite."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one training run, checked when built."""

    lr: float = 1e-3  # peak learning rate of the top stage
    head_lr_scale: float = 1.0  # the new head's rate over `lr`: it starts from nothing
    layer_decay: float = 1.0  # each stage further down gets this much of the rate above it
    epochs: int = 20
    batch_size: int = 32
    weight_decay: float = 0.01
    warmup: float = 0.1  # share of the steps with a rising rate; a cosine falls after it
    patience: int = 5  # epochs without a better validation accuracy before stopping
    looks: int = 0  # at validation, evenly over the updates; 0: one after each epoch
    offer_start: bool = False  # the weights before training may be the best ones (epoch 0)
    clip_norm: float = 1.0
    unfreeze_every: int = 0  # epochs between unfreezing one more stage; 0: all from the start
    seed: int = 0
    device: str = "auto"  # auto: CUDA, else MPS, else CPU
    amp: bool | None = None  # bfloat16 autocast; None: on CUDA only, where it pays

    def __post_init__(self) -> None:
        positive = ("lr", "head_lr_scale", "layer_decay", "epochs", "batch_size", "patience")
        for name in positive:
            if not getattr(self, name) > 0:
                raise UserError(f"{name} must be positive; got {getattr(self, name)!r}")
        if not 0 <= self.warmup < 1:
            raise UserError(f"warmup is a share of the steps, 0 <= warmup < 1; got {self.warmup}")
        for name in ("unfreeze_every", "weight_decay", "looks"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} can't be negative; got {getattr(self, name)!r}")


@dataclass
class History:
    """What one run of `train` did: an entry per epoch of training, per look at validation.

    example_losses, example_right: of each validation example, (N,) float32 and bool.
    start: validation accuracy and loss before training, where they were asked for; start_losses and
    start_right: the like of each validation example.
    """

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    example_losses: list[np.ndarray] = field(default_factory=list, repr=False)
    example_right: list[np.ndarray] = field(default_factory=list, repr=False)
    start: tuple[float, float] | None = None
    start_losses: np.ndarray | None = field(default=None, repr=False)
    start_right: np.ndarray | None = field(default=None, repr=False)
    best_epoch: int = 0  # counted from 1; 0: the untrained weights
    examples_seen: int = 0
    best_update: int = 0  # the update after which the best weights stood
    updates: int = 0  # steps of the optimizer
    steps: int = 0  # of a solver without epochs
    seconds: float = 0.0
    cpu_seconds: float = 0.0  # of this process, over its threads: unmoved by other processes

    @property
    def best(self) -> tuple[float, float]:
        """Validation accuracy and loss of the best weights: accuracy first, then loss."""
        tried = list(zip(self.val_accuracy, self.val_loss, strict=True))
        tried += [] if self.start is None else [self.start]
        return max(tried, key=lambda pair: (pair[0], -pair[1]))

    @property
    def looks(self) -> tuple[np.ndarray, np.ndarray]:
        """Right, bool, and losses, float32, of each example at each look, (looks, N) each.

        The weights before training come first, where they may be the best ones.
        """
        start = [] if self.start_right is None else [(self.start_right, self.start_losses)]
        looks = [*start, *zip(self.example_right, self.example_losses, strict=True)]
        right, losses = zip(*looks, strict=True)
        return np.stack(right), np.stack(losses)

    def record_training(self, loss: float, n: int, schedule: LRScheduler) -> None:
        """Add an epoch's mean loss over n examples, its updates and the rate it ended with."""
        self.train_loss.append(loss)
        self.lr.append(schedule.get_last_lr()[0])
        self.examples_seen += n
        self.updates = schedule.last_epoch

    def record_start(self, losses: Tensor, right: Tensor) -> tuple[float, float]:
        """Keep `score_examples` of the weights before training; returns what is compared."""
        self.start = float(right.float().mean()), float(losses.mean())
        self.start_losses, self.start_right = losses.numpy(), right.numpy()
        return self.start[0], -self.start[1]

    def record_validation(self, losses: Tensor, right: Tensor) -> tuple[float, float]:
        """Add a look's `score_examples`; returns what is compared: accuracy, then -loss."""
        self.val_loss.append(float(losses.mean()))
        self.val_accuracy.append(float(right.float().mean()))
        self.example_losses.append(losses.numpy())
        self.example_right.append(right.numpy())
        return self.val_accuracy[-1], -self.val_loss[-1]


def train(
    model: nn.Module,
    train_examples: Examples,
    validation: Examples,
    config: TrainConfig,
    *,
    augment: Callable[[Tensor, np.random.Generator], Tensor] | None = None,
    on_epoch: Callable[[int, History], None] | None = None,
) -> History:
    """Train what is trainable in `model`; stop early on validation; restore the best weights.

    augment: changes a raw batch (uint8 images) before the model sees it.
    on_epoch: called with (epoch, history) after each epoch, for progress bars.

    Raises TrainingDiverged when the loss is no longer finite.
    """
    keep_freed_memory()
    device = pick_device(config.device)
    model.to(device)
    rng = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    optimizer, schedule = _optimizer(model, config, device, len(train_examples))
    history, best = History(), BestWeights(model)
    looks = look_steps(config, len(train_examples))

    def look() -> None:
        if (step := schedule.last_epoch) in looks:
            if best.offer(history.record_validation(*score_examples(model, validation, config))):
                history.best_update, history.best_epoch = step, epoch + 1
            model.train()

    watch = Stopwatch()
    if config.offer_start:
        best.offer(history.record_start(*score_examples(model, validation, config)))
    for epoch in range(config.epochs):
        if config.unfreeze_every:
            model.unfreeze_to(epoch // config.unfreeze_every)
        loss = _epoch(model, train_examples, config, optimizer, schedule, rng, epoch, augment, look)
        history.record_training(loss, len(train_examples), schedule)
        if on_epoch is not None:
            on_epoch(epoch, history)
        if epoch + 1 - history.best_epoch >= config.patience:
            break
    best.restore()
    history.seconds, history.cpu_seconds = watch.seconds, watch.cpu_seconds
    return history


def look_steps(config: TrainConfig, n: int) -> frozenset[int]:
    """The updates after which validation is looked at, with n training examples.

    An even spacing in updates gives as many looks to a large data set, of few epochs, as to a small
    one; the last update always has one.
    """
    per_epoch = math.ceil(n / config.batch_size)
    total = config.epochs * per_epoch
    count = min(config.looks or config.epochs, total)
    return frozenset(round(total * (place + 1) / count) for place in range(count))


def _optimizer(
    model: nn.Module, config: TrainConfig, device: torch.device, n_examples: int
) -> tuple[torch.optim.AdamW, LRScheduler]:
    """AdamW over all that will ever move in a run, and the schedule of its rates."""
    if config.unfreeze_every:
        model.unfreeze_to(model.top_stages)
    optimizer = torch.optim.AdamW(parameter_groups(model, config), fused=device.type != "mps")
    steps = config.epochs * max(1, math.ceil(n_examples / config.batch_size))
    return optimizer, rise_and_fall(optimizer, steps, config.warmup)


def _epoch(
    model: nn.Module,
    examples: Examples,
    config: TrainConfig,
    optimizer: torch.optim.Optimizer,
    schedule: LRScheduler,
    rng: np.random.Generator,
    epoch: int,
    augment: Callable[[Tensor, np.random.Generator], Tensor] | None,
    after_update: Callable[[], None],
) -> float:
    """One pass over the examples; returns the mean loss."""
    device = pick_device(config.device)
    model.train()
    moving = trainable(model)
    total = torch.zeros((), device=device)
    for rows in batches(examples, config.batch_size, rng):
        inputs, labels = examples.batch(rows, device, view=epoch)
        if augment is not None:
            inputs = augment(inputs, rng)
        with autocast(device, config.amp):
            loss = F.cross_entropy(model(inputs), labels)
        update(loss, moving, optimizer, schedule, config.clip_norm)
        total += loss.detach() * len(rows)
        after_update()
    mean = float(total) / len(examples)
    if not math.isfinite(mean):
        raise TrainingDiverged(
            f"the loss became {mean} in epoch {epoch + 1} at learning rate {config.lr:g}; "
            "try a rate ten times lower"
        )
    return mean


def update(
    loss: Tensor,
    moving: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    schedule: LRScheduler,
    clip_norm: float = 1.0,
) -> None:
    """One step of descent: gradients, clipped to a norm of `clip_norm` together, move the weights.

    Every loop of this project takes its steps here, whatever the loss is of.
    """
    loss.backward()
    nn.utils.clip_grad_norm_(moving, clip_norm, foreach=True)
    optimizer.step()
    optimizer.zero_grad()
    schedule.step()


class BestWeights:
    """Copies of what moves, taken whenever the validation score is the best so far."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.names = model, moving_names(model)
        self.score = (-1.0, -math.inf)
        self.state = snapshot(model, self.names)

    def offer(self, score: tuple[float, float]) -> bool:
        """Keep the present weights if their score is better; returns whether it was."""
        if score <= self.score:
            return False
        self.score, self.state = score, snapshot(self.model, self.names)
        return True

    def restore(self) -> None:
        """Put the best weights back."""
        self.model.load_state_dict(self.state, strict=False)


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that will move."""
    return [p for p in model.parameters() if p.requires_grad]


def moving_names(model: nn.Module) -> list[str]:
    """What training changes: trainable parameters, and statistics of BatchNorm not frozen."""
    moving = {name for name, p in model.named_parameters() if p.requires_grad}
    for name, module in model.named_modules():
        if not getattr(module, "is_frozen", False):
            moving |= {
                f"{name}.{key}".lstrip(".") for key, _ in module.named_buffers(recurse=False)
            }
    return sorted(moving & model.state_dict().keys())


def snapshot(model: nn.Module, names: list[str]) -> dict[str, Tensor]:
    """Copies of the named entries of the model's state."""
    state = model.state_dict()
    return {name: state[name].detach().clone() for name in names}


def bfloat16_pays(modality: str) -> bool:
    """Whether this machine's processor trains this modality faster in bfloat16.

    Measured on one thread: texts 1.6 times as fast with AMX, and a layer of theirs 3.3 times slower
    with AVX-512 alone, which torch calls supported and which emulates it. Photos stay in float32:
    full fine-tuning lost 3 points in it (eight pairs, `data/results/precisions.csv`).
    """
    return modality == "text" and torch.cpu._is_amx_tile_supported()


def autocast(device: torch.device, amp: bool | None) -> contextlib.AbstractContextManager:
    """bfloat16 where it pays: on CUDA unless told otherwise (`bfloat16_pays` knows of CPUs)."""
    enabled = device.type == "cuda" if amp is None else amp
    return torch.autocast(device.type, torch.bfloat16) if enabled else contextlib.nullcontext()


def parameter_groups(model: nn.Module, config: TrainConfig) -> list[dict]:
    """One group per depth and decay: the head at `lr·head_lr_scale`, stages at `lr·decay^depth`.

    `model.depth_of(name)` says how many stages lie above a parameter; a model without it has
    one depth. Biases and normalisation weights (one-dimensional) are not decayed.
    """
    depth_of = getattr(model, "depth_of", lambda name: 0)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        depth = depth_of(name)
        scale = config.head_lr_scale if depth < 0 else config.layer_decay**depth
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((config.lr * scale, decay), []).append(parameter)
    if not groups:
        raise UserError("nothing in the model is trainable; unfreeze a stage or the head")
    return [{"params": p, "lr": lr, "weight_decay": wd} for (lr, wd), p in groups.items()]


def rise_and_fall(
    optimizer: torch.optim.Optimizer, steps: int, warmup: float = 0.1
) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear rise over the first `warmup` share of the steps, then a cosine to zero."""
    rise = max(1, int(warmup * steps))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


@torch.inference_mode()
def predict(
    model: nn.Module, examples: Examples, config: TrainConfig | None = None, batch_size: int = 128
) -> Tensor:
    """Logits (N, classes) on the CPU, with the model in evaluation mode."""
    keep_freed_memory()
    config = config or TrainConfig()
    device = pick_device(config.device)
    model.to(device).eval()
    logits = []
    for rows in batches(examples, batch_size):
        inputs, _ = examples.batch(rows, device)
        with autocast(device, config.amp):
            logits.append(model(inputs).float().cpu())
    return torch.cat(logits)


def score_examples(
    model: nn.Module, examples: Examples, config: TrainConfig | None = None
) -> tuple[Tensor, Tensor]:
    """Of each example its cross-entropy, float32 (N,), and whether it is got right, bool (N,)."""
    logits, labels = predict(model, examples, config), torch.from_numpy(examples.labels)
    return F.cross_entropy(logits, labels, reduction="none"), logits.argmax(1) == labels


def evaluate(
    model: nn.Module, examples: Examples, config: TrainConfig | None = None
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy."""
    losses, right = score_examples(model, examples, config)
    return float(losses.mean()), float(right.float().mean())
