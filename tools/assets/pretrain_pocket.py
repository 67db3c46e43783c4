"""Pretrain the `pocket` backbone and write data/weights/pocket.safetensors and pocket.json.

Source: five classes of Fashion-MNIST (task `products_source`), each picture in four rotations.
The network tells the twenty (product, rotation) pairs apart: rotations make it look at shape
and texture, which five easy products alone would not (label augmentation after Lee et al. 2020,
arXiv 1910.05872). The other five classes are never seen, so they are an honest near target.

Run: python -m tools.assets.pretrain_pocket   (about ten minutes on two cores, seed 0)
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch
from safetensors.torch import save_file

from helpers.approaches import FromScratch, TransferModel
from helpers.backbones import load_backbone
from helpers.errors import UserError
from helpers.paths import weights_dir
from helpers.tasks import Split, load_task
from helpers.training.augmentations import get_augment
from helpers.training.examples import Examples
from helpers.training.loop import TrainConfig, predict, train

TURNS = 4


def rotated(split: Split, n_classes: int) -> Examples:
    """Every picture in four rotations, labelled turn · n_classes + class."""
    images = [np.rot90(split.inputs, turn, (1, 2)) for turn in range(TURNS)]
    labels = [split.labels + turn * n_classes for turn in range(TURNS)]
    return Examples.raw(np.concatenate(images), np.concatenate(labels))


def accuracy(model: TransferModel, examples: Examples, n_logits: int) -> float:
    """Accuracy among the first n_logits classes."""
    predicted = predict(model, examples)[:, :n_logits].argmax(1)
    return float((predicted == torch.from_numpy(examples.labels)).float().mean())


def main() -> None:
    """Train, measure on the source's test split, write weights and facts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8, help="passes over all four rotations")
    epochs = parser.parse_args().epochs
    task = load_task("products_source")
    if task.origin != "full":
        raise UserError("pretraining needs the whole Fashion-MNIST: set TRANSFER_DATA or fetch it")
    n_classes = len(task.classes)
    backbone = load_backbone("pocket", pretrained=False, seed=0)
    model = FromScratch().build(backbone, n_classes * TURNS, FromScratch.options())
    config = TrainConfig(lr=3e-3, epochs=epochs, batch_size=128, weight_decay=0.05, seed=0)
    started = time.perf_counter()
    history = train(
        model,
        rotated(task.train, n_classes),
        rotated(task.validation, n_classes),
        config,
        augment=get_augment("shift"),
        on_epoch=lambda epoch, h: print(epoch + 1, round(h.val_accuracy[-1], 4), flush=True),
    )
    facts = {
        "source": "Fashion-MNIST classes " + ", ".join(task.classes),
        "n_train": len(task.train),
        "epochs": epochs,
        "best_epoch": history.best_epoch,
        "pair_accuracy": accuracy(model, rotated(task.test, n_classes), n_classes * TURNS),
        "product_accuracy": accuracy(
            model, Examples.raw(task.test.inputs, task.test.labels), n_classes
        ),
        "parameters": sum(p.numel() for p in model.backbone.parameters()),
        "seconds": round(time.perf_counter() - started),
    }
    tensors = {key: value.contiguous() for key, value in model.backbone.state_dict().items()}
    tensors["source_head.weight"] = model.head.weight.detach()
    tensors["source_head.bias"] = model.head.bias.detach()
    weights_dir().mkdir(parents=True, exist_ok=True)
    save_file(tensors, weights_dir() / "pocket.safetensors")
    text = json.dumps(facts, indent=2) + "\n"
    (weights_dir() / "pocket.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
