"""Measure the project's speed claims as ratios, each pair in one run, for data/results/bench.csv.

Every ratio comes from interleaved repeats (A B, A B, …), so that what else the machine does meets
both sides alike. `low` and `high` are the 95 % t interval of the mean log ratio.

Run: make bench   (about fifteen minutes on two cores; `python -m tools.bench.bench NAME …` for
some)
"""

from __future__ import annotations

import argparse
import csv
import datetime
import itertools
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from helpers.approaches import TransferModel, get_approach
from helpers.approaches.fine_tuning import PartialOptions
from helpers.backbones import load_backbone
from helpers.errors import UserError
from helpers.experiments.single_run import environment
from helpers.paths import results_dir
from helpers.runtime import pick_device
from helpers.tasks import Split, Task
from helpers.training.examples import Examples, batches
from helpers.training.feature_cache import frozen_prefix
from helpers.training.loop import TrainConfig, evaluate, parameter_groups, train
from tools.bench.bench_accuracy import time_to_accuracy_fastai, time_to_accuracy_hf
from tools.bench.bench_advisor import (
    advise_5000_again,
    advise_5000_memory,
    advise_5000_seconds,
    advise_50000_memory,
)
from tools.bench.bench_explorer import explorer_page_first_paint_ms, slider_update_ms
from tools.bench.bench_library import (
    adapter_swap_ms,
    library_memory,
    task_file_ratio,
)
from tools.bench.bench_sweeps import two_workers
from tools.bench.bench_texts import batched_by_length, tokenised_once
from tools.bench.timing import compare

COLUMNS = ("name", "ratio", "low", "high", "what", "device", "threads", "created")
SIDE = 128
FRESH = itertools.cycle(np.random.default_rng().permutation(256))


def photo_task(n: int) -> Task:
    """Noise photos of ten classes: speed does not depend on what they show."""
    rng = np.random.default_rng(0)

    def split(size: int) -> Split:
        images = rng.integers(0, 256, (size, SIDE, SIDE, 3), dtype=np.uint8)
        return Split(images, rng.integers(0, 10, size))

    parts = split(n), split(max(32, n // 8)), split(32)
    return Task("noise", "image", tuple("0123456789"), "MIT", "drawn here", "full", *parts)


def fit_lite0(task: Task, name: str, *, cache: bool, epochs: int, options=None):
    """Fit an approach on EfficientNet-Lite0; what is cached is computed anew each time."""
    approach = get_approach(name)
    config = approach.config("image", len(task.train), epochs=epochs, patience=epochs)
    # A pixel that no run before had gives new cache keys: preparing is part of what is timed.
    task.train.inputs[0, 0, 0, 0] = task.validation.inputs[0, 0, 0, 0] = next(FRESH)
    return approach.fit(load_backbone("efficientnet_lite0"), task, config, options, cache=cache)


def probe_cached() -> tuple[float, float, float, str]:
    """A probe's training, features computed once, against re-running the backbone each epoch."""
    task = photo_task(256)

    def run(cache: bool) -> Callable[[], object]:
        return lambda: fit_lite0(task, "feature_extraction", cache=cache, epochs=20)

    what = (
        "probe, 20 epochs, 256 photos: backbone re-run each epoch / features cached (extraction in)"
    )
    return *compare(run(False), run(True), 3), what


def extraction_throughput() -> tuple[float, float, float, str]:
    """Feature extraction against the bare backbone's forward pass on ready tensors."""
    backbone, task = load_backbone("efficientnet_lite0"), photo_task(512)
    ready = backbone.prepare(torch.from_numpy(task.train.inputs))
    bare_batches = [b.contiguous(memory_format=torch.channels_last) for b in ready.split(64)]

    @torch.inference_mode()
    def bare() -> None:
        for batch in bare_batches:
            backbone.pool(backbone(batch))

    def ours() -> None:
        frozen_prefix(backbone, task.train.inputs, backbone.n_stages, cache=False)

    bare(), ours()
    what = "photos/s of feature extraction (uint8 in, file out) / of the bare backbone on tensors"
    return *compare(bare, ours, 7), what


def partial_cached() -> tuple[float, float, float, str]:
    """Tuning the top two stages on cached prefix activations against running the prefix too."""
    task, options = photo_task(256), PartialOptions(top_stages=2)

    def run(cache: bool) -> Callable[[], object]:
        name = "partial_fine_tuning"
        return lambda: fit_lite0(task, name, cache=cache, epochs=10, options=options)

    ratio = compare(run(False), run(True), 3)
    approach = get_approach("partial_fine_tuning")
    config = approach.config("image", len(task.train), epochs=10, patience=10)
    finals = [
        approach.fit(
            load_backbone("efficientnet_lite0"), task, config, options, cache=cache
        ).history.train_loss[-1]
        for cache in (False, True)
    ]
    gap = abs(finals[0] - finals[1])
    if gap > 1e-4:
        raise UserError(f"cached and uncached final losses differ by {gap:.1e}, more than 1e-4")
    what = f"top two stages, 10 epochs, 256 photos: uncached / cached; final losses {gap:.0e} apart"
    return *ratio, what


def loop_overhead() -> tuple[float, float, float, str]:
    """Our loop against the same steps written bare."""
    rng = np.random.default_rng(0)
    images, labels = (
        rng.integers(0, 256, (1024, 28, 28, 1), dtype=np.uint8),
        rng.integers(0, 5, 1024),
    )
    data, held_out = Examples.raw(images, labels), Examples.raw(images[:128], labels[:128])
    config = TrainConfig(epochs=3, patience=9)

    def model() -> TransferModel:
        approach = get_approach("full_fine_tuning")
        return approach.build(load_backbone("pocket"), 5, approach.options())

    def bare() -> None:
        net, device = model(), pick_device()
        net.to(device)
        optimizer = torch.optim.AdamW(parameter_groups(net, config), fused=device.type != "mps")
        order = np.random.default_rng(0)
        for _ in range(config.epochs):
            net.train()
            for rows in batches(data, config.batch_size, order):
                x, y = torch.from_numpy(images[rows]).to(device), torch.from_numpy(labels[rows])
                F.cross_entropy(net(x), y.to(device)).backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0, foreach=True)
                optimizer.step()
                optimizer.zero_grad()
            evaluate(net, held_out, config)

    def ours() -> None:
        train(model(), data, held_out, config)

    bare(), ours()
    return *compare(
        ours, bare, 9
    ), "seconds of helpers.training.train / of the same steps written bare"


def full_vs_fastai() -> tuple[float, float, float, str]:
    """Full fine-tuning against fastai's `fit` on the same model, data and batch size."""
    try:
        import fastai.callback.progress  # noqa: F401  gives learners no_bar
        from fastai.data.core import DataLoaders
        from fastai.learner import Learner
    except ImportError as error:
        raise UserError("full_vs_fastai needs fastai: pip install -e .[bench]") from error
    task = photo_task(192)
    config = TrainConfig(epochs=2, patience=9, head_lr_scale=1.0)
    data = Examples.raw(task.train.inputs, task.train.labels)
    held_out = Examples.raw(task.validation.inputs, task.validation.labels)

    def model() -> TransferModel:
        approach = get_approach("full_fine_tuning")
        return approach.build(load_backbone("efficientnet_lite0"), 10, approach.options())

    def ours() -> None:
        train(model(), data, held_out, config)

    def theirs() -> None:
        sets = [
            torch.utils.data.TensorDataset(torch.from_numpy(s.inputs), torch.from_numpy(s.labels))
            for s in (task.train, task.validation)
        ]
        loaders = DataLoaders.from_dsets(*sets, bs=config.batch_size, num_workers=0)
        learner = Learner(loaders, model(), loss_func=F.cross_entropy)
        with learner.no_bar(), learner.no_logging():
            learner.fit(config.epochs, config.lr)

    what = "full fine-tuning of EfficientNet-Lite0, 192 photos: seconds / those of fastai's fit"
    return *compare(ours, theirs, 5), what


MEMORY_LIMIT_MB = 3000


def memory_5000_photos() -> tuple[float, float, float, str]:
    """Peak resident memory of decoding, caching and tuning on 5,000 photos, over 3 GB."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for i in range(5000):
            picture = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(picture).resize((400, 300)).save(Path(folder) / f"{i:04}.jpg")
        command = [sys.executable, str(Path(__file__).with_name("peak_memory.py")), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak = float(done.stdout.split()[-1])
    what = f"peak resident MB of decoding, caching and tuning on 5,000 photos ({peak:.0f}) / 3,000"
    return peak / MEMORY_LIMIT_MB, math.nan, math.nan, what


BENCHES = {
    bench.__name__: bench
    for bench in (
        probe_cached,
        extraction_throughput,
        partial_cached,
        loop_overhead,
        full_vs_fastai,
        memory_5000_photos,
        time_to_accuracy_fastai,
        time_to_accuracy_hf,
        two_workers,
        slider_update_ms,
        explorer_page_first_paint_ms,
        adapter_swap_ms,
        library_memory,
        task_file_ratio,
        tokenised_once,
        batched_by_length,
        advise_5000_seconds,
        advise_5000_again,
        advise_5000_memory,
        advise_50000_memory,
    )
}


def write(row: dict[str, str], path: Path) -> None:
    """Put a row into the file, which is replaced whole, rows in the order of BENCHES."""
    order = {name: i for i, name in enumerate(BENCHES)}
    held = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = {one["name"]: one for one in csv.DictReader(held)} | {row["name"]: row}
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".csv.partial")
    with scratch.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows.values(), key=lambda row: order.get(row["name"], 99)))
    scratch.replace(path)


def main() -> int:
    """Run the named benches (all without a name) and put their rows into bench.csv."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=", ".join(BENCHES))
    names = parser.parse_args().names or list(BENCHES)
    for name in names:
        if name not in BENCHES:
            print(f"no bench is named {name!r}; known: {', '.join(BENCHES)}", file=sys.stderr)
            return 2
        try:
            ratio, low, high, what = BENCHES[name]()
        except UserError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 2
        facts = environment(pick_device())
        row = {
            "name": name,
            "ratio": f"{ratio:.3f}",
            "low": f"{low:.3f}",
            "high": f"{high:.3f}",
            "what": what,
            "device": facts["device"],
            "threads": str(facts["threads"]),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        write(row, results_dir() / "bench.csv")
        print(f"{name}: {ratio:.3f} [{low:.3f}, {high:.3f}] {what}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
