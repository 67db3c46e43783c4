"""Every approach once more, written from the protocol alone in torch, timm and scikit-learn.

It shares no code with `helpers.approaches`, `helpers.training`, `helpers.backbones` and
`helpers.experiments`, so that a fault of theirs is not repeated here. It is slow and plain:
nothing is folded or kept on the disk. Images only.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import timm
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from helpers.paths import cache_dir, weights_dir

BATCH, LOOKS, VIEWS = 32, 20, 4
RANK, ALPHA = 8, 16.0
REDUCTION, LEAST_BOTTLENECK = 8, 4
LAYER_DECAY, HEAD_SCALE = 0.8, 10.0
STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # C of the probe that lp_ft starts from
ITERATIONS = 1000  # of L-BFGS
PIXEL_SIDE = 28  # of what the classical model reads


@dataclass(frozen=True)
class Parts:
    """One split: uint8 images (N,H,W,C) and labels int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Question:
    """A recorded run's configuration, and the seed of our own draws."""

    backbone: str
    approach: str
    lr: float
    updates: int
    side: int
    settings: dict[str, str]
    n_classes: int
    seed: int

    @property
    def augmented(self) -> bool:
        return self.settings.get("augment", "") == "mirror+crop"


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut: what pocket is made of (named as in its file)."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if (width_in, stride) != (width, 1):
            thin = nn.Conv2d(width_in, width, 1, stride, bias=False)
            self.shortcut = nn.Sequential(thin, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(inner + self.shortcut(x))


class Network(nn.Module):
    """Stages, the mean over the picture, a linear head. `held`: what stays in evaluation mode."""

    def __init__(self, stages: Sequence[nn.Module], width: int, n_classes: int) -> None:
        super().__init__()
        self.stages, self.head = nn.ModuleList(stages), nn.Linear(width, n_classes)
        self.start, self.held = 0, []

    def features(self, x: Tensor) -> Tensor:
        for stage in self.stages[self.start :]:
            x = stage(x)
        return x.mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def train(self, mode: bool = True) -> Network:
        super().train(mode)
        for module in self.held:
            module.eval()
        return self


def network(question: Question) -> Network:
    """The backbone of a question with a fresh head, pretrained but from scratch."""
    torch.manual_seed(question.seed)
    pretrained = question.approach != "from_scratch"
    if question.backbone == "pocket":
        stem = nn.Sequential(nn.Conv2d(1, 24, 5, 2, 2, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        shapes = ((24, 24, 1), (24, 48, 2), (48, 80, 2), (80, 80, 1))
        made = Network([stem, *(Block(*shape) for shape in shapes)], 80, question.n_classes)
        if pretrained:
            held = load_file(weights_dir() / "pocket.safetensors")
            named = {name: value for name, value in held.items() if name.startswith("stages.")}
            made.stages.load_state_dict({k.removeprefix("stages."): v for k, v in named.items()})
        return made
    whole = timm.create_model("tf_efficientnet_lite0")
    if pretrained:
        folder = cache_dir() / "assets" / "efficientnet_lite0"
        held = torch.load(next(folder.glob("*.pth")), weights_only=True)
        whole.load_state_dict(dict(zip(whole.state_dict(), held.values(), strict=True)))
    first = nn.Sequential(whole.conv_stem, whole.bn1)
    last = nn.Sequential(whole.conv_head, whole.bn2)
    return Network([first, *whole.blocks, last], 1280, question.n_classes)


def pixels(images: np.ndarray, question: Question) -> Tensor:
    """uint8 (N,H,W,C) → float32 (N,channels,side,side) as the backbone was pretrained on."""
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255
    if question.backbone == "pocket":
        if x.shape[1] == 3:
            x = (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
        mean, deviation = 0.286, 0.353
    else:
        x = x.expand(-1, 3, -1, -1)
        mean, deviation = 0.5, 0.5
    if x.shape[-1] != question.side:
        size = (question.side, question.side)
        x = F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)
    return (x - mean) / deviation


def varied(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A mirrored half, and of each image a window of 80 to 100 % of its sides, scaled back."""
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()
    n, _, height, _ = x.shape
    kept = torch.from_numpy(rng.uniform(0.8, 1.0, n)).float()
    shift = (1 - kept)[:, None] * torch.from_numpy(rng.uniform(-1, 1, (n, 2))).float()
    turn = torch.from_numpy(rng.choice([-1.0, 1.0], n)).float()
    grid = torch.zeros(n, 2, 3)
    grid[:, 0, 0], grid[:, 1, 1], grid[:, :, 2] = kept * turn, kept, shift
    window = F.grid_sample(
        x, F.affine_grid(grid, x.shape, align_corners=False), "bilinear", "border", False
    )
    return window.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


class LowRank(nn.Module):
    """A weight W becomes W + (alpha / rank) · B A, with B at zero."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rows, columns = weight.shape[0], weight[0].numel()
        self.A = nn.Parameter(torch.empty(RANK, columns))
        self.B = nn.Parameter(torch.zeros(rows, RANK))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (ALPHA / RANK) * (self.B @ self.A).view_as(weight)


class Bottleneck(nn.Module):
    """A block, then x + up(relu(down(x))), with `up` at zero."""

    def __init__(self, block: nn.Module, width: int) -> None:
        super().__init__()
        narrow = max(LEAST_BOTTLENECK, width // REDUCTION)
        self.block = block
        self.down, self.up = nn.Conv2d(width, narrow, 1), nn.Conv2d(narrow, width, 1)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x)
        return x + self.up(F.relu(self.down(x)))


def freeze(made: Network, count: int) -> None:
    """Freeze the lowest `count` stages: weights, and the statistics of BatchNorm."""
    for stage in made.stages[:count]:
        stage.requires_grad_(False)
    made.held += norms(made.stages[:count])


def norms(root: nn.Module) -> list[nn.Module]:
    """Every BatchNorm below `root`."""
    return [module for module in root.modules() if isinstance(module, nn.BatchNorm2d)]


def prepare(made: Network, question: Question) -> None:
    """Freeze and insert what the approach of the question freezes and inserts."""
    stages = len(made.stages)
    if question.settings.get("norm") == "frozen":
        made.held += norms(made.stages)
    if question.approach == "partial_fine_tuning":
        made.start = stages - math.ceil(stages / 3)
        freeze(made, made.start)
    if question.approach == "lora":
        freeze(made, stages)
        for layer in list(made.stages.modules()):
            # timm pads the first convolution of EfficientNet in a class of its own: left alone
            if type(layer) is nn.Conv2d and layer.groups == 1:
                parametrize.register_parametrization(layer, "weight", LowRank(layer.weight))
    if question.approach == "adapter":
        freeze(made, stages)
        for index, stage in enumerate(made.stages):
            if question.backbone == "pocket" and index:
                made.stages[index] = Bottleneck(stage, stage.conv2.out_channels)
            elif question.backbone != "pocket" and 0 < index < stages - 1:
                made.stages[index] = nn.Sequential(*(_after(block) for block in stage))


def _after(block: nn.Module) -> Bottleneck:
    convolutions = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    return Bottleneck(block, convolutions[-1].out_channels)


def groups(made: Network, question: Question) -> list[dict]:
    """AdamW's parameter groups: rates by stage and head, no decay for one-dimensional ones."""
    slow = question.approach in ("full_fine_tuning", "lp_ft")
    fast = question.approach in ("full_fine_tuning", "partial_fine_tuning")
    found = []
    for index, stage in enumerate([*made.stages, made.head]):
        above = len(made.stages) - 1 - index
        rate = question.lr * (LAYER_DECAY**above if slow and above >= 0 else 1.0)
        rate *= HEAD_SCALE if fast and above < 0 else 1.0
        for flat, decay in ((True, 0.0), (False, 0.01)):
            mine = [p for p in stage.parameters() if p.requires_grad and (p.ndim == 1) == flat]
            if mine:
                found.append({"params": mine, "lr": rate, "weight_decay": decay})
    return found


@torch.no_grad()
def outputs(run: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """What `run` returns for the inputs, a few hundred at a time."""
    return torch.cat([run(part) for part in inputs.split(250)])


def judged(made: Network, inputs: Tensor, labels: Tensor) -> tuple[float, float]:
    """(accuracy, −loss) in evaluation mode."""
    made.eval()
    logits = outputs(made, inputs)
    right = (logits.argmax(1) == labels).float().mean()
    return float(right), -float(F.cross_entropy(logits, labels))


def rate_at(t: int, total: int) -> float:
    """Share of the rate at update t: a rise over the first tenth, then a cosine to zero."""
    warm = round(0.1 * total)
    if t < warm:
        return (t + 1) / warm
    return 0.5 + 0.5 * math.cos(math.pi * (t - warm) / (total - warm))


def descend(
    made: Network,
    question: Question,
    batch: Callable[[np.ndarray, int], Tensor],
    labels: Tensor,
    held_out: tuple[Tensor, Tensor],
) -> None:
    """AdamW for the question's updates; leaves the weights that were best on validation.

    batch(rows, epoch): the inputs of these training examples.
    """
    optimizer = torch.optim.AdamW(groups(made, question), fused=True)
    total = question.updates
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: rate_at(t, total))
    looks = {round(look * total / LOOKS) for look in range(1, LOOKS + 1)}
    moving = [p for group in optimizer.param_groups for p in group["params"]]
    rng = np.random.default_rng(question.seed)
    parts, done, epoch, best, kept = math.ceil(len(labels) / BATCH), 0, 0, (-1.0, 0.0), {}
    if question.approach == "lp_ft":
        best, kept = judged(made, *held_out), copy.deepcopy(made.state_dict())
    while done < total:
        for rows in np.array_split(rng.permutation(len(labels)), parts):
            made.train()
            loss = F.cross_entropy(made(batch(rows, epoch)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(moving, 1.0)
            optimizer.step()
            schedule.step()
            done += 1
            if done in looks and (score := judged(made, *held_out)) > best:
                best, kept = score, copy.deepcopy(made.state_dict())
        epoch += 1
    made.load_state_dict(kept)


def probe(
    made: Network, question: Question, train: Parts, held_out: Parts, strengths: Sequence[float]
) -> None:
    """Give the network the head of a logistic regression on its standardised features."""
    made.eval()
    rng = np.random.default_rng(question.seed)
    views = VIEWS if question.augmented else 1
    seen = [varied(train.images, rng) if views > 1 else train.images for _ in range(views)]
    X = np.concatenate([outputs(made.features, pixels(v, question)).numpy() for v in seen])
    X, y = X.astype(np.float64), np.tile(train.labels, views)
    mean, scale = X.mean(0), np.where(X.std(0) > 1e-12, X.std(0), 1.0)
    checked = pixels(held_out.images, question), torch.from_numpy(held_out.labels)
    best, kept = (-1.0, 0.0), None
    for strength in strengths:
        fitted = LogisticRegression(C=strength, max_iter=ITERATIONS)
        fitted.fit((X - mean) / scale, y, np.full(len(y), 1 / views))
        weight, bias = fitted.coef_ / scale, fitted.intercept_
        bias = bias - weight @ mean
        if len(weight) == 1:  # two classes: half of the difference each
            weight, bias = np.stack([-weight[0], weight[0]]) / 2, np.array([-bias[0], bias[0]]) / 2
        made.head.weight.data.zero_()
        made.head.bias.data.fill_(-1e4)  # of a class without an example
        made.head.weight.data[fitted.classes_] = torch.from_numpy(weight).float()
        made.head.bias.data[fitted.classes_] = torch.from_numpy(bias).float()
        if (score := judged(made, *checked)) > best:
            best, kept = score, copy.deepcopy(made.head.state_dict())
    made.head.load_state_dict(kept)


def classical(question: Question, train: Parts, test: Parts) -> float:
    """Test accuracy of a logistic regression on standardised pixels, averaged down to 28."""

    def flat(images: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255
        return F.adaptive_avg_pool2d(x, min(PIXEL_SIDE, x.shape[-1])).flatten(1).numpy()

    model = LogisticRegression(C=question.lr, max_iter=ITERATIONS)
    fitted = make_pipeline(StandardScaler(), model)
    fitted.fit(flat(train.images), train.labels)
    return float(fitted.score(flat(test.images), test.labels))


def repeat(question: Question, train: Parts, held_out: Parts, test: Parts) -> float:
    """Train as the question asks; the accuracy on the test split, read once."""
    if question.approach == "classical":
        return classical(question, train, test)
    made = network(question)
    tested = pixels(test.images, question), torch.from_numpy(test.labels)
    if question.approach in ("feature_extraction", "lp_ft"):
        alone = question.approach == "feature_extraction"
        probe(made, question, train, held_out, [question.lr] if alone else STRENGTHS)
        if alone:
            return judged(made, *tested)[0]
    prepare(made, question)
    rng = np.random.default_rng(question.seed + 1)
    return _descended(made, question, train, held_out, tested, rng)


def _descended(
    made: Network,
    question: Question,
    train: Parts,
    held_out: Parts,
    tested: tuple[Tensor, Tensor],
    rng: np.random.Generator,
) -> float:
    """Train by gradient. What is frozen at the bottom runs once, over four views if augmented."""
    below = nn.Sequential(*made.stages[: made.start]).eval()
    labels, views = torch.from_numpy(train.labels), []
    if made.start or not question.augmented:
        seen = range(VIEWS) if question.augmented else range(1)
        for _ in seen:
            images = varied(train.images, rng) if question.augmented else train.images
            views.append(outputs(below, pixels(images, question)))

    def batch(rows: np.ndarray, epoch: int) -> Tensor:
        if views:
            return views[epoch % len(views)][rows]
        return pixels(varied(train.images[rows], rng), question)

    checked = outputs(below, pixels(held_out.images, question)), torch.from_numpy(held_out.labels)
    descend(made, question, batch, labels, checked)
    return judged(made, outputs(below, tested[0]), tested[1])[0]
