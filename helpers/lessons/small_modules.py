"""Notebook 04: small matrices beside the registry's and peft's, what they gain, store and cost."""

import functools
from collections.abc import Iterable, Mapping
from functools import partial

import pandas as pd
import torch
from matplotlib.ticker import NullFormatter
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from helpers.approaches import get_approach
from helpers.approaches.lora import lora_layers
from helpers.backbones import clone, load_backbone
from helpers.display.figures import Picture, plain_number
from helpers.display.plots import plot_curves
from helpers.experiments.timing import in_turns, timed_ms
from helpers.lessons.photos import NETWORK, SIDE
from helpers.results.published import average_scores, comparable_cases, load_published
from helpers.training.checkpoints import task_bytes
from helpers.vocabulary import (
    ADAPTER,
    FEATURE_EXTRACTION,
    FULL_FINE_TUNING,
    LORA,
    PARTIAL_FINE_TUNING,
    label_of,
)

STORED = (FEATURE_EXTRACTION, ADAPTER, LORA, FULL_FINE_TUNING)
TASKS = (1, 2, 5, 10, 20, 50, 100)
RANKS = (1, 2, 4, 8, 16, 32)


def difference(one: nn.Module, other: nn.Module, X: Tensor) -> float:
    """Largest difference between the outputs of two networks in evaluation mode."""
    with torch.inference_mode():
        return float((one.eval()(X) - other.eval()(X)).abs().max())


def with_the_same_matrices(net: nn.Module, library: nn.Module) -> str:
    """Copy the LoRA and the head of a timm network into the registry's model and into peft's.

    net: its LoRA layers have `A` and `B`, convolutions. library: what `get_peft_model` returned.
    Says by how much their outputs differ on noise.
    """
    mine = [m for m in net.modules() if hasattr(m, "A") and hasattr(m, "B")]
    approach = get_approach(LORA)
    model = approach.build(load_backbone(NETWORK, size=SIDE), 10, approach.options())
    model.start = 0  # raw pictures, and not what lower stages returned
    ours = [layer for *_, layer in lora_layers(model)]
    theirs = [m for m in library.modules() if isinstance(m, LoraLayer)]
    with torch.no_grad():
        for layer, one, two in zip(mine, ours, theirs, strict=True):
            for weight, places in (
                (layer.A.weight, (one.A, two.lora_A.default.weight)),
                (layer.B.weight, (one.B, two.lora_B.default.weight)),
            ):
                for place in places:
                    place.copy_(weight)
    head = net.classifier.state_dict()
    model.head.load_state_dict(head)
    library.base_model.model.classifier.modules_to_save.default.load_state_dict(head)
    raw = torch.randint(0, 256, (8, SIDE, SIDE, 3), dtype=torch.uint8)
    X = model.backbone.prepare(raw)
    model.backbone.prepare = lambda batch: batch
    gaps = [difference(net, other, X) for other in (model, library)]
    return (
        f"{len(mine)} layers, the same matrices in all three: outputs differ by at most "
        f"**{gaps[0]:.1g}** from the registry's and **{gaps[1]:.1g}** from peft's."
    )


@functools.cache
def file_mb(network: str, approach: str, rank: int = 8) -> float:
    """Megabytes of one task's file, ten classes; shapes alone decide, so nothing is trained."""
    entry = get_approach(approach)
    options = entry.options(rank=rank, alpha=2 * rank) if approach == LORA else entry.options()
    return len(task_bytes(entry.build(clone(load_backbone(network)), 10, options))) / 1e6


def plot_shelf(network: str, tasks: int, rank: int) -> Picture:
    """Megabytes on the disk by the number of tasks, the shared base included."""
    base, rows = file_mb(network, FULL_FINE_TUNING), []
    for name in STORED:
        each = file_mb(network, name, rank) if name == LORA else file_mb(network, name)
        shared = 0 if name == FULL_FINE_TUNING else base
        rows += [(name, n, shared + n * each) for n in TASKS]
    table = pd.DataFrame(rows, columns=["approach", "tasks", "mb"])
    now = table[table["tasks"] == tasks].set_index("approach")["mb"]
    title = (
        f"{label_of(network)}, {tasks} tasks: full copies take "
        f"{now[FULL_FINE_TUNING] / now[LORA]:.1f} × LoRA at rank {rank}"
    )
    made = plot_curves(table, "tasks", "mb", title=title, ylabel="MB with the base", log_x=True)
    made.axes[0].set_yscale("log")
    made.axes[0].yaxis.set_major_formatter(plain_number)
    made.axes[0].yaxis.set_minor_formatter(NullFormatter())
    made.axes[0].axvline(tasks, color="#7f7f7f", ls=":")
    return made


def files_in_words(networks: Iterable[str]) -> str:
    """How many times smaller LoRA's file is than a full copy, and a shelf of a hundred tasks."""
    lines = []
    for network in networks:
        full, thin = file_mb(network, FULL_FINE_TUNING), file_mb(network, LORA)
        lines.append(
            f"- {label_of(network)}: a full copy takes {full:.1f} MB, LoRA's file {thin:.2f} MB, "
            f"**{full / thin:.0f} times** less; a hundred tasks with their base "
            f"**{100 * full / (full + 100 * thin):.0f} times** less."
        )
    return "\n".join(lines)


def published_means() -> pd.DataFrame:
    """Mean accuracy of the small modules and of full fine-tuning on pictures in V-PETL Bench.

    One row a comparison, the smaller first: its approaches, data_sets, n_train (the median).
    """
    cases = comparable_cases()
    cases = cases[cases["source"] == "vpetl_bench"]
    cases = cases.dropna(subset=[LORA, ADAPTER, FULL_FINE_TUNING])
    cases = cases[(cases["metric"] == "accuracy") & (cases["modality"] == "image")]
    groups = cases.groupby("comparison")["n_train"]
    table = average_scores(cases, "comparison")[[LORA, ADAPTER, FULL_FINE_TUNING]]
    return table.assign(data_sets=groups.size(), n_train=groups.median()).sort_values("n_train")


def published_in_words() -> str:
    """The same in words, a line a comparison."""
    return "\n".join(
        f"- *published*, {name}: {row['data_sets']:.0f} data sets, {row['n_train']:,.0f} examples "
        f"at the median: LoRA {row[LORA]:.1f}, adapters {row[ADAPTER]:.1f}, full fine-tuning "
        f"{row[FULL_FINE_TUNING]:.1f}."
        for name, row in published_means().iterrows()
    )


def published_memory_in_words() -> str:
    """How little of full fine-tuning's training memory V-PETL Bench saved by small modules."""
    rows = load_published().figures
    rows = rows[(rows["source"] == "vpetl_bench") & (rows["metric"] == "train_memory_mb")]
    lines = []
    for network, own in rows.groupby("network"):
        means = own.groupby("approach")[["value", "trainable_m"]].median()
        whole = means.loc[FULL_FINE_TUNING]
        shares = [
            f"{label_of(name)} {means.at[name, 'trainable_m'] / whole.trainable_m:.0%} of the "
            f"trained weights in **{means.at[name, 'value'] / whole.value:.0%}** of the memory"
            for name in (LORA, ADAPTER, PARTIAL_FINE_TUNING)
        ]
        lines.append(f"- *published*, {network} against full fine-tuning: {', '.join(shares)}.")
    return "\n".join(lines)


def latencies(models: Mapping[str, nn.Module], X: Tensor, repeats: int = 15) -> pd.DataFrame:
    """Processor milliseconds of one forward pass of each, the least of `repeats` in turns.

    Columns: network, milliseconds, and times those of the first one.
    """

    @torch.inference_mode()
    def forward(model: nn.Module) -> None:
        model(X)

    timers = {n: partial(timed_ms, partial(forward, m.eval())) for n, m in models.items()}
    found = in_turns(timers, repeats)
    least = [min(processor for processor, _ in found[name]) for name in models]
    times = [one / least[0] for one in least]
    return pd.DataFrame({"network": list(models), "milliseconds": least, "times the first": times})
