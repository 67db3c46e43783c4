"""Looking inside a pretrained network: its stages, what they return, what BatchNorm remembers."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.patheffects import withStroke
from sklearn.base import ClassifierMixin
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from helpers.backbones import Backbone, Recipe, State, load_backbone, prepare_images
from helpers.display.figures import Picture, figure
from helpers.experiments.costs import forward_flops
from helpers.results.statistics import interval_table, mean_interval
from helpers.storage.install import asset_path
from helpers.tasks import load_task
from helpers.tasks.images import read_image
from helpers.vocabulary import looks

BATCH_SIZE = 64


def stage_table(backbone: Backbone) -> pd.DataFrame:
    """One row per stage: what it is made of, output shape, parameters, share of the FLOPs.

    Shapes are (channels, height, width) of one picture of the recipe's size, or (tokens, width)
    of one text of the recipe's length.
    """
    side, channels = backbone.recipe.size, backbone.recipe.channels
    shape = (1, side, side, channels) if backbone.modality == "image" else (1, side)
    state: State = backbone.prepare(torch.ones(shape, dtype=torch.uint8))
    rows = []
    for number, stage in enumerate(backbone.stages, start=1):
        flops = forward_flops(lambda stage=stage, state=state: stage(state))
        with torch.inference_mode():
            state = stage(state)
        output = state[0] if isinstance(state, tuple) else state
        parameters = sum(p.numel() for p in stage.parameters())
        rows.append((number, made_of(stage), tuple(output.shape[1:]), parameters, flops))
    columns = ["stage", "made of", "output shape", "parameters", "FLOPs"]
    table = pd.DataFrame(rows, columns=columns)
    table["FLOPs (%)"] = 100 * table["FLOPs"] / table["FLOPs"].sum()
    return table.drop(columns="FLOPs")


def made_of(stage: nn.Module) -> str:
    """Class names of a stage's parts with their number, such as "2 InvertedResidual"."""
    parts = stage.children() if isinstance(stage, nn.Sequential) else [stage]
    counts = Counter(type(part).__name__ for part in parts)
    return ", ".join(f"{count} {name}" if count > 1 else name for name, count in counts.items())


@torch.inference_mode()
def pooled_stages(backbone: Backbone, inputs: np.ndarray | list[str]) -> list[np.ndarray]:
    """What each stage knows of each input: its output, averaged over places (or words).

    Returns one float32 array (N, width of the stage) per stage.
    """
    collected: list[list[np.ndarray]] = [[] for _ in backbone.stages]
    for state in _prepared(backbone, inputs):
        for place, stage in enumerate(backbone.stages):
            state = stage(state)
            collected[place].append(backbone.pool(state).numpy())
    return [np.concatenate(parts) for parts in collected]


@torch.inference_mode()
def batchnorm_shift(backbone: Backbone, inputs: np.ndarray) -> list[float]:
    """How far inputs lie from what each BatchNorm layer remembers of the pretraining pictures.

    For each layer, in the order they run: the mean over channels of |mean of these inputs − stored
    mean|, in stored standard deviations. 0 is "as in pretraining". A channel that never varied in
    pretraining has no such unit and is left out.
    """
    layers = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    sums = {layer: torch.zeros(layer.num_features) for layer in layers}

    def add(layer: nn.Module, arguments: tuple[Tensor]) -> None:
        sums[layer] += arguments[0].mean((2, 3)).sum(0)

    hooks = [layer.register_forward_pre_hook(add) for layer in layers]
    try:
        for state in _prepared(backbone, inputs):
            backbone(state)
    finally:
        for hook in hooks:
            hook.remove()
    shifts = []
    for layer in layers:
        alive = layer.running_var > 0
        apart = (sums[layer] / len(inputs) - layer.running_mean)[alive].abs()
        shifts.append(float((apart / layer.running_var[alive].sqrt()).mean()))
    return shifts


def imagenet_samples() -> tuple[np.ndarray, np.ndarray]:
    """Twenty pictures of ImageNet, uint8 (20, 224, 224, 3), and their classes, int64 (20,).

    Shorter side 256, centre 224, as EfficientNet-Lite0 was evaluated.
    """
    files = sorted(asset_path("imagenet_samples").rglob("imagenet_*.jpg"))
    edge = (256 - 224) // 2
    images = [read_image(file, 256)[edge:-edge, edge:-edge] for file in files]
    labels = [int(file.stem.rpartition("_")[2]) for file in files]
    return np.stack(images), np.array(labels, dtype=np.int64)


def imagenet_names(classes: list[int] | np.ndarray) -> list[str]:
    """Short English names of ImageNet classes, 0 to 999."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    return [info.index_to_description(int(label)).partition(",")[0] for label in classes]


def _prepared(backbone: Backbone, inputs: np.ndarray | list[str]) -> Iterator[State]:
    """Batches of inputs as the first stage reads them."""
    backbone.eval()
    encoded = backbone.encode(inputs)
    for begin in range(0, len(encoded), BATCH_SIZE):
        batch = torch.from_numpy(np.array(encoded[begin : begin + BATCH_SIZE]))
        yield backbone.prepare(batch)


@torch.inference_mode()
def loudest(backbone: Backbone, inputs: np.ndarray, stage: int, count: int) -> np.ndarray:
    """Of each input the maps of a stage that vary most, scaled to 0–1: (N, count, H, W).

    stage: counted from 1.
    """
    state = backbone(backbone.prepare(torch.tensor(inputs)), stop=stage).numpy()
    order = state.std((2, 3)).argsort(1)[:, ::-1][:, :count]
    maps = np.take_along_axis(state, order[:, :, None, None], 1)
    low, high = maps.min((2, 3), keepdims=True), maps.max((2, 3), keepdims=True)
    return (maps - low) / (high - low + 1e-9)


def plot_map(places: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Picture:
    """Points in the plane, (N, 2), one colour and marker for each class."""
    made, ax = figure("Photos with like features lie near each other", width=8.0, height=4.6)
    taken = set()  # ten classes share eight colours: the second with a colour is hollow
    for number, look in enumerate(looks(classes).values()):
        own = labels == number
        style = {"edgecolors": look.colour, "marker": look.marker, "label": classes[number]}
        inside = "none" if look.colour in taken else look.colour
        taken.add(look.colour)
        ax.scatter(*places[own].T, s=28, facecolors=inside, **style)
        if own.any():
            name = ax.text(*_densest(places[own]), classes[number], ha="center", weight="bold")
            name.set(size="small", path_effects=[withStroke(linewidth=3, foreground="white")])
    ax.set(xticks=[], yticks=[], xlabel="positions have no unit; only neighbours matter")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return made


def _densest(points: np.ndarray, neighbours: int = 5) -> np.ndarray:
    """The point, (2,), that has its nearest `neighbours` closest to it."""
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    near = np.sort(apart, axis=1)[:, : neighbours + 1]  # with itself, at 0
    return points[near.mean(1).argmin()]


def recipe_costs(
    backbone: Backbone,
    probe: ClassifierMixin,
    known: np.ndarray,
    labels: np.ndarray,
    wrong: Mapping[str, tuple[np.ndarray, Recipe]],
) -> pd.DataFrame:
    """What inputs under wrong recipes cost a probe, photo by photo: recipe, mean, low, high.

    known: features (N, width) of the same inputs under the right recipe.
    """
    right, rows = probe.predict(known) == labels, []
    for name, (inputs, recipe) in wrong.items():
        with torch.inference_mode():
            parts = torch.tensor(inputs).split(BATCH_SIZE)
            states = (backbone(prepare_images(part, recipe)) for part in parts)
            features = np.concatenate([backbone.pool(state).numpy() for state in states])
        change = (probe.predict(features) == labels).astype(float) - right
        rows.append((name, *mean_interval(change)))
    return pd.DataFrame(rows, columns=["recipe", "mean", "low", "high"])


def probe_stages(
    name: str, tasks: Iterable[str], *, n_train: int, n_test: int, size: int, draws: int = 3
) -> pd.DataFrame:
    """A ridge classifier after each stage, of pretrained and of random weights.

    Each draw trains on other examples of a pool half as large again. Columns: task, stage, seed,
    weights, accuracy; weights "gain" is the difference of the two.
    """
    rows, keys = [], ["task", "stage", "seed"]
    for task in tasks:
        pool = load_task(task, n_train=n_train * 3 // 2, image_size=size, n_test=n_test)
        for weights, pretrained in (("pretrained", True), ("random", False)):
            backbone = load_backbone(name, pretrained=pretrained, size=size)
            pairs = zip(
                *(pooled_stages(backbone, p.inputs) for p in (pool.train, pool.test)), strict=True
            )
            for stage, (X, unseen) in enumerate(pairs, start=1):
                for seed in range(draws):
                    drawn = np.random.default_rng(seed).permutation(len(X))[:n_train]
                    model = make_pipeline(StandardScaler(), RidgeClassifier(alpha=100.0))
                    model.fit(X[drawn], pool.train.labels[drawn])
                    rows.append((task, stage, seed, weights, model.score(unseen, pool.test.labels)))
    table = pd.DataFrame(rows, columns=[*keys, "weights", "accuracy"])
    wide = table.pivot(index=keys, columns="weights", values="accuracy")
    gain = (wide["pretrained"] - wide["random"]).rename("accuracy").reset_index()
    return pd.concat([table, gain.assign(weights="gain")], ignore_index=True)


def stage_bands(rows: pd.DataFrame) -> pd.DataFrame:
    """Means of `probe_stages` over draws with their 95 % interval."""
    return interval_table(rows, ["task", "stage", "weights"], "accuracy")


def best_stages(bands: pd.DataFrame) -> pd.DataFrame:
    """Of each task the stage with the best pretrained probe, and what pretraining gained there."""
    ranked = bands[bands["weights"] == "pretrained"].sort_values("mean")
    best = ranked.groupby("task", sort=False).tail(1)
    gains = bands[bands["weights"] == "gain"]
    return best.merge(gains, on=["task", "stage"], suffixes=("", "_gain")).sort_values("task")


def best_in_words(best: pd.DataFrame) -> str:
    """`best_stages` as a list in Markdown."""
    lines = []
    for _, row in best.iterrows():
        clear = "clear" if row["low_gain"] > 0 else "not clear of zero"
        lines.append(
            f"- **{row['task']}**: best after stage {row['stage']} of 9 with {row['mean']:.3f}; "
            f"pretraining added {100 * row['mean_gain']:+.1f} points ({clear})."
        )
    return "\n".join(lines)


def meaning_or_word(backbone: Backbone, groups: Sequence[str]) -> pd.DataFrame:
    """After each stage the cosine of each group's first sentence with its second and its third.

    groups: "first | the same in other words | another that shares a word". Columns: stage, pair,
    cosine.
    """
    sentences, rows = [one for group in groups for one in group.split(" | ")], []
    for stage, pooled in enumerate(pooled_stages(backbone, sentences), start=1):
        unit = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        first, same, other = unit.reshape(len(groups), 3, -1).transpose(1, 0, 2)
        rows += [(stage, "same meaning", cosine) for cosine in (first * same).sum(1)]
        rows += [(stage, "same word", cosine) for cosine in (first * other).sum(1)]
    return pd.DataFrame(rows, columns=["stage", "pair", "cosine"])
