"""Methods of the `peft` library on our text encoders, trained by our loop, and their records.

`data/results/peft.csv` holds one line for each trained model; whole lines are appended by
`tools/measure/measure_peft.py` and never edited. Its columns:

    method               a name in METHODS
    task, n_train, seed  as in runs.csv, and so the same training texts
    lr                   the rates tried are METHODS[...].rates, on TRIAL with seed 0
    epochs, tokens       as the sweep `minilm` has them
    val_accuracy         the best epoch's
    test_accuracy, n_test
    half_accuracy        test accuracy with the task's file rounded to 16 bits; empty: not asked
    trainable_params, stored_bytes
    train_cpu_seconds    processor seconds over threads
    created, git         when, and the commit the code was at
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from helpers.approaches import (
    Approach,
    LoRALinear,
    Options,
    TransferModel,
    freeze,
    get_approach,
    merge_lora,
)
from helpers.backbones import Backbone, clone
from helpers.errors import UserError
from helpers.registry import find
from helpers.storage.results_file import ResultsFile
from helpers.vocabulary import LORA

QUESTION = ["method", "task", "n_train", "seed", "lr"]
NUMBERS = ["epochs", "tokens", "val_accuracy", "test_accuracy", "n_test", "half_accuracy",
           "trainable_params", "stored_bytes", "train_cpu_seconds"]  # fmt: skip
COLUMNS = [*QUESTION, *NUMBERS, "created", "git"]
FILE = ResultsFile("peft.csv", COLUMNS, QUESTION)
TRIAL = "reuters8"  # the task that learning rates are chosen on, by validation
FEED_FORWARD = r".*layer\.output\.dense"  # a BERT layer's second half, behind 1,536 activations


@dataclass(frozen=True)
class PeftMethod:
    """One method: what `peft` calls it, its settings, and the rates to try.

    kind: the name of a `peft` configuration. source: the paper.
    """

    title: str
    kind: str
    settings: Mapping[str, Any]
    rates: tuple[float, ...]
    source: str


METHODS = {
    # Rank, alpha, layers and first rate of our own `lora`, so that the two differ in their authors.
    LORA: PeftMethod(
        "LoRA, by peft",
        "LoraConfig",
        {"r": 8, "lora_alpha": 16, "target_modules": ["query", "key", "value", "dense"]},
        (1e-3, 3e-3, 1e-2),
        "Hu et al. 2021, arXiv 2106.09685",
    ),
    "ia3": PeftMethod(
        "IA³, by peft",
        "IA3Config",
        {
            "target_modules": rf".*\.key|.*\.value|{FEED_FORWARD}",
            "feedforward_modules": FEED_FORWARD,
        },
        (3e-3, 1e-2, 3e-2),
        "Liu et al. 2022, arXiv 2205.05638",
    ),
    "ln_tuning": PeftMethod(
        "LayerNorm tuning, by peft",
        "LNTuningConfig",
        {"target_modules": ["LayerNorm"]},
        (1e-3, 3e-3, 1e-2),
        "Zhao et al. 2023, arXiv 2312.11420",
    ),
}


class PeftApproach(Approach):
    """One of `peft`'s methods on a frozen text encoder; not in the registry, since it is theirs.

    The base is frozen as ours is (weights, statistics, dropout), so that accuracies compare.
    """

    epochs = 12

    def __init__(self, method: str) -> None:
        self.method = find("method of peft", method, METHODS)
        self.name, self.title = f"peft:{method}", self.method.title
        self.learning_rates = {"text": self.method.rates}

    def build(self, backbone: Backbone, n_classes: int, options: Options) -> TransferModel:
        """Insert the method's parts into the backbone's layers, in place, and add a head."""
        import peft

        if backbone.modality != "text":
            raise UserError(f"{self.name} is set up for text encoders, not for {backbone.name}")
        freeze(backbone)
        config = getattr(peft, self.method.kind)(**self.method.settings)
        with warnings.catch_warnings():  # peft doubts LayerNorm, which LN tuning is about
            warnings.filterwarnings("ignore", "Unsupported layer type", UserWarning)
            peft.inject_adapter_in_model(config, backbone.stages)
        return TransferModel(backbone, n_classes)


def copy_lora(ours: nn.Module, theirs: nn.Module) -> int:
    """Write the updates of our LoRA layers into peft's of the same names; returns how many.

    ours, theirs: two copies of a network, such as two backbones.
    """
    layers, count = dict(theirs.named_modules()), 0
    with torch.no_grad():
        for name, layer in ours.named_modules():
            if isinstance(layer, LoRALinear):
                layers[name].lora_A["default"].weight.copy_(layer.A)
                layers[name].lora_B["default"].weight.copy_(layer.B)
                count += 1
    return count


def lora_gradients(root: nn.Module) -> list[torch.Tensor]:
    """Gradients of A and B of every LoRA layer, ours or peft's, layer by layer in one order."""
    found = {}
    for name, layer in root.named_modules():
        if isinstance(layer, LoRALinear):
            found[name] = layer.A.grad, layer.B.grad
        elif hasattr(layer, "lora_A"):
            pair = layer.lora_A["default"], layer.lora_B["default"]
            found[name] = tuple(part.weight.grad for part in pair)
    return [gradient for name in sorted(found) for gradient in found[name]]


def merge_peft(root: nn.Module) -> nn.Module:
    """Have `peft` add every update below `root` to the weights it changes, in place."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for layer in [part for part in root.modules() if isinstance(part, BaseTunerLayer)]:
        layer.merge()
    return root


def gaps(backbone: Backbone, texts: list[str], labels: np.ndarray) -> dict[str, float]:
    """Largest differences of our LoRA and peft's on a whole network: the same update, one loss.

    Both get our random matrices and one head. Keys: outputs, gradients, and merged against
    unmerged of either.
    """
    theirs, ours = PeftApproach(LORA), get_approach(LORA)
    count = int(labels.max()) + 1
    pair = [a.build(clone(backbone), count, a.options()).eval() for a in (ours, theirs)]
    for name, parameter in pair[0].named_parameters():
        if name.endswith(".B"):
            nn.init.normal_(parameter, std=0.05)  # zeros would hide every mistake
    copy_lora(pair[0].backbone, pair[1].backbone)
    pair[1].head.load_state_dict(pair[0].head.state_dict())
    ids, wanted = torch.from_numpy(backbone.encode(texts)), torch.from_numpy(labels)
    outputs = [model(ids) for model in pair]
    for logits in outputs:
        F.cross_entropy(logits, wanted).backward()
    sides = zip(*(lora_gradients(model.backbone) for model in pair), strict=True)
    with torch.no_grad():
        merged = merge_lora(pair[0])(ids), merge_peft(pair[1])(ids)
        found = {"outputs": outputs[0] - outputs[1]}
        found["gradients"] = torch.cat([(mine - other).flatten() for mine, other in sides])
        found["merged, ours"] = merged[0] - outputs[0]
        found["merged, peft's"] = merged[1] - outputs[1]
    return {name: float(gap.detach().abs().max()) for name, gap in found.items()}


def chosen_rate(method: str, rows: pd.DataFrame) -> float | None:
    """The method's rate that validation prefers on TRIAL, the lower one of equals.

    None where a trial is not recorded yet.
    """
    rates = find("method of peft", method, METHODS).rates
    mine = rows[(rows["method"] == method) & (rows["task"] == TRIAL) & (rows["seed"] == 0)]
    if not set(rates) <= set(mine["lr"]):
        return None
    best = mine.sort_values(["val_accuracy", "lr"], ascending=[False, True])
    return float(best["lr"].iloc[0])


def load(path: Path | None = None) -> pd.DataFrame:
    """The recorded rows; none where nothing was recorded. Raises UserError for other columns."""
    return FILE.load(path)
