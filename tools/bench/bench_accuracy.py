"""Seconds to an accuracy: what users would otherwise pick, against our cheapest that reaches it.

Both sides start from files on the disk and end with an accuracy on the test split; nothing that
one of them computed is there for the other.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from helpers.approaches import get_approach, parse_options
from helpers.backbones import load_backbone
from helpers.backbones.efficientnet import MEAN, STD, build_lite
from helpers.errors import UserError
from helpers.paths import cache_dir
from helpers.storage.install import asset_path
from helpers.tasks import load_task

PHOTOS, SIDE = 1_000, 128
TEXTS, TOKENS = 1_000, 64
# From the cheapest: an approach, the side or tokens it reads at, and its options.
PHOTO_LADDER = (
    ("feature_extraction", 128, "solver=lbfgs"),
    ("feature_extraction", 224, "solver=lbfgs"),
    ("partial_fine_tuning", 128, "norm=frozen;augment=mirror+crop"),
    ("full_fine_tuning", 128, "norm=frozen;augment=mirror+crop"),
)
TEXT_LADDER = (
    ("feature_extraction", TOKENS, "solver=lbfgs"),
    ("partial_fine_tuning", TOKENS, ""),
    ("lora", TOKENS, ""),
    ("full_fine_tuning", TOKENS, ""),
)
PROBE_STRENGTHS = (0.001, 0.01, 0.1)


def time_to_accuracy_fastai() -> tuple[float, float, float, str]:
    """fastai's `fine_tune` with its defaults, against our cheapest that is at least as good."""
    try:
        import fastai.vision.all as fastai
    except ImportError as error:
        raise UserError("time_to_accuracy_fastai needs fastai: pip install -e .[bench]") from error
    started = time.perf_counter()
    task = load_task("clothing", n_train=PHOTOS, image_size=224)
    with tempfile.TemporaryDirectory() as folder:
        for part in ("train", "validation", "test"):
            _as_files(Path(folder) / part, getattr(task, part), task.classes)
        print(f"photos written in {time.perf_counter() - started:.0f} s, not counted", flush=True)
        started = time.perf_counter()
        loaders = fastai.ImageDataLoaders.from_folder(
            folder,
            train="train",
            valid="validation",
            item_tfms=fastai.Resize(SIDE),
            batch_tfms=[*fastai.aug_transforms(), fastai.Normalize.from_stats(MEAN, STD)],
            num_workers=0,
        )
        body = torch.nn.Sequential(*build_lite("efficientnet_lite0", True, SIDE).stages)
        head = fastai.create_head(1280, len(task.classes))
        model = torch.nn.Sequential(body, head)
        learner = fastai.Learner(
            loaders, model, splitter=fastai.default_split, metrics=fastai.accuracy
        )
        with learner.no_bar(), learner.no_logging():
            learner.fine_tune(4)
            files = fastai.get_image_files(Path(folder) / "test")
            tests = loaders.test_dl(files, with_labels=True)
            theirs = float(learner.validate(dl=tests)[1])
        seconds = time.perf_counter() - started
        return _against(seconds, theirs, "fastai's fine_tune(4)", "clothing", PHOTO_LADDER)


def time_to_accuracy_hf() -> tuple[float, float, float, str]:
    """transformers' Trainer with peft's LoRA, against our cheapest that is at least as good."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

    task = load_task("reuters8", n_train=TEXTS)
    started = time.perf_counter()
    backbone = load_backbone("minilm", size=TOKENS)
    weights = next(asset_path("minilm").rglob("config.json")).parent
    model = AutoModelForSequenceClassification.from_pretrained(
        weights, num_labels=len(task.classes)
    )
    config = LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"])
    model = get_peft_model(model, config)
    sets = {}
    for part in ("train", "test"):
        split = getattr(task, part)
        tokens = torch.from_numpy(backbone.encode(split.inputs)).long()
        sets[part] = [
            {"input_ids": row, "attention_mask": (row != 0).long(), "labels": int(label)}
            for row, label in zip(tokens, split.labels, strict=True)
        ]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        arguments = TrainingArguments(
            folder, use_cpu=True, report_to=[], save_strategy="no", disable_tqdm=True,
            logging_strategy="no", learning_rate=1e-3,
        )  # fmt: skip
        trainer = Trainer(model=model, args=arguments, train_dataset=sets["train"])
        trainer.train()
        logits = trainer.predict(sets["test"]).predictions
    theirs = float((np.argmax(logits, 1) == task.test.labels).mean())
    seconds = time.perf_counter() - started
    return _against(seconds, theirs, "Trainer with peft's LoRA", "reuters8", TEXT_LADDER)


def _against(
    seconds: float, theirs: float, name: str, task: str, ladder: tuple
) -> tuple[float, float, float, str]:
    """Climb our ladder until it reaches their accuracy; the climb's seconds all count."""
    started, reached = time.perf_counter(), ""
    with _empty_cache():
        for approach, size, settings in ladder:
            ours = _ours(task, approach, size, settings)
            if ours >= theirs:
                reached = f"{approach} at {size}"
                break
    own = time.perf_counter() - started
    if not reached:
        raise UserError(f"nothing on the ladder reaches the {theirs:.4f} of {name} on {task}")
    what = (
        f"{task}, 1,000 examples, files to test accuracy: seconds of {name} ({seconds:.0f}, "
        f"accuracy {theirs:.4f}) / until {reached} reached {ours:.4f} ({own:.0f}, what was tried "
        "before it included)"
    )
    return seconds / own, math.nan, math.nan, what


def _ours(name: str, approach_name: str, size: int, settings: str) -> float:
    """Test accuracy of one approach by the recipe of the records."""
    task = load_task(name, n_train=1_000, image_size=None if name == "reuters8" else size)
    approach = get_approach(approach_name)
    options = parse_options(approach.options, settings)
    rates = PROBE_STRENGTHS if approach_name == "feature_extraction" else (None,)
    tried = []
    for rate in rates:
        config = approach.protocol(task.modality, len(task.train), lr=rate)
        backbone = load_backbone("minilm" if task.modality == "text" else "efficientnet_lite0",
                                 size=size)  # fmt: skip
        tried.append(approach.fit(backbone, task, config, options))
    return max(tried, key=lambda fitted: fitted.history.best[0]).accuracy(task.test)


@contextlib.contextmanager
def _empty_cache() -> Iterator[None]:
    """Decoded pictures and features are computed, and timed, anew; weights stay where they are."""
    assets, before = cache_dir() / "assets", os.environ.get("TRANSFER_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "assets").symlink_to(assets)
        os.environ["TRANSFER_CACHE"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["TRANSFER_CACHE"]
            else:
                os.environ["TRANSFER_CACHE"] = before


def _as_files(folder: Path, split, classes: tuple[str, ...]) -> None:
    """A folder a class, JPEG files at the size they were read."""
    from PIL import Image

    for name in classes:
        (folder / name).mkdir(parents=True)
    for row, (picture, label) in enumerate(zip(split.inputs, split.labels, strict=True)):
        Image.fromarray(np.asarray(picture)).save(
            folder / classes[label] / f"{row:05}.jpg", quality=90
        )
