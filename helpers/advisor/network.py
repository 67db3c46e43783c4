"""The network that reads the data: which one, at what size, and on how many threads.

On a busy machine one thread beats many that wait for each other, so a forward pass is timed first.
"""

from __future__ import annotations

import contextlib
import re
import statistics
import time
from collections.abc import Iterator

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from helpers.advisor.checks.copies import words_of
from helpers.advisor.data import OwnData
from helpers.backbones import BACKBONES, Backbone, advised_backbone, load_backbone
from helpers.errors import UserError
from helpers.runtime import keep_freed_memory, pick_device

HUB_SIZES = {"image": 128, "text": 64}  # pixels a side, or tokens, of a model that no entry is for

# Below these nothing is left of an example; beyond, memory or the network's places run out.
SIZES = {"image": (8, 1_024), "text": (4, 512)}
_TOKEN = 16  # characters: no token of a text is as long on average

_NO_WORDS = re.compile(r"https?://\S+|\S*[@#]\S*")
_READ, _WORDS, _LETTERS = 2_000, 60, 20  # characters and words read of a text; letters to judge by

BATCH, REPEATS = 8, 3
# Fewer threads are taken where they are faster by this: where others need the cores they are by
# more, and a passing load of the machine must not halve a whole answer's speed.
CLEARLY = 1.2


def choose_backbone(name: str | None, image_size: int | None, data: OwnData) -> Backbone:
    """The pretrained network that was asked for, or the advised one for the data's modality.

    image_size: pixels a side, or tokens; None: the advised size. Raises UserError for a network
    that reads the other modality.
    """
    name = name or advised_backbone(data.modality)
    advised_size = HUB_SIZES[data.modality]
    if name in BACKBONES:
        info = BACKBONES[name]
        _check_modality(name, info.modality, data)  # before any weights are fetched
        advised_size = info.advised_size or info.default_size
    _check_size(image_size or advised_size, data.modality)
    backbone = load_backbone(name, size=image_size or advised_size)
    _check_modality(name, backbone.modality, data)
    return backbone


def native_backbone(backbone: Backbone, side: int | None) -> Backbone | None:
    """The same network at the size that it was trained at; None where it reads that already.

    side: of the decoded pictures, None for texts. Pictures that hold no more pixels than are read
    are not looked at a second time.
    """
    size, native = backbone.recipe.size, largest_size(backbone)
    if side is None or side <= size or native == size:
        return None
    return load_backbone(backbone.name, size=native)


def largest_size(backbone: Backbone) -> int:
    """The larger of the size that a network reads and the one that it was trained at."""
    info = BACKBONES.get(backbone.name)
    return max(backbone.recipe.size, info.native_size if info else 0)


def cut_off(backbone: Backbone, data: OwnData) -> np.ndarray | None:
    """Which texts hold more tokens than the backbone reads, bool (N,); None for pictures."""
    if data.modality != "text":
        return None
    size = backbone.recipe.size
    plain = [" ".join(text.split()) for text in data.items]
    cut = np.array([len(text) > _TOKEN * size for text in plain])
    rows = [row for row, text in enumerate(plain) if not cut[row] and len(text) > size - 2]
    if rows:
        ids = backbone.tokenizer([plain[row] for row in rows], size + 1)
        cut[rows] = (ids[:, size:] != 0).any(axis=1)
    return cut


def letters_a_piece(backbone: Backbone, data: OwnData) -> np.ndarray | None:
    """Letters that each piece of the tokenizer stands for in a text, float (N,); None for pictures.

    An encoder cuts words that its training hardly held into many pieces, or calls them unknown.
    Links, names (@) and tags (#) are left out, and at most 60 words are read. NaN: too few words.
    """
    if data.modality != "text":
        return None
    words = [words_of(_NO_WORDS.sub(" ", text[:_READ]))[:_WORDS] for text in data.items]
    letters = np.array([sum(map(len, said)) for said in words], dtype=float)
    rows = np.flatnonzero(letters >= _LETTERS)
    found = np.full(len(data), np.nan)
    if len(rows):
        ids = backbone.tokenizer([" ".join(words[row]) for row in rows], SIZES["text"][1])
        found[rows] = letters[rows] / np.maximum(1, (ids != 0).sum(axis=1) - 2)  # both ends
    return found


def _check_size(size: int, modality: str) -> None:
    least, most = SIZES[modality]
    if not least <= size <= most:
        unit = "pixels a side" if modality == "image" else "tokens"
        raise UserError(f"--image-size {size:,} is not from {least} to {most:,} {unit}; name one")


def _check_modality(name: str, modality: str, data: OwnData) -> None:
    if modality != data.modality:
        raise UserError(
            f"{name} reads {modality}s, and {data.root} holds {data.modality}s; name another "
            "backbone"
        )


@contextlib.contextmanager
def fastest_threads(backbone: Backbone) -> Iterator[int]:
    """Use as many threads as a forward pass is fastest with now, and afterwards as before.

    Tried are all that PyTorch may use, half of them, and one. On a GPU nothing is changed.
    """
    before = torch.get_num_threads()
    choices = sorted({before, max(1, before // 2), 1}, reverse=True)
    if len(choices) == 1 or pick_device().type != "cpu":
        yield before
        return
    keep_freed_memory()
    try:
        best = fewest_fast(_seconds(backbone, _batch(backbone), choices))
        torch.set_num_threads(best)
        with threadpool_limits(limits=best, user_api="blas"):
            yield best
    finally:
        torch.set_num_threads(before)


def fewest_fast(seconds: dict[int, float]) -> int:
    """The number of threads to use: all of them, or fewer that are CLEARLY faster."""
    best = max(seconds)
    for count in sorted(seconds, reverse=True):
        if seconds[count] * CLEARLY < seconds[best]:
            best = count
    return best


def _batch(backbone: Backbone) -> torch.Tensor:
    side = backbone.recipe.size
    if backbone.modality == "text":
        return torch.ones((BATCH, side), dtype=torch.int32)
    shape = (BATCH, side, side, backbone.recipe.channels)
    return torch.from_numpy(np.zeros(shape, dtype=np.uint8))


@torch.inference_mode()
def _seconds(backbone: Backbone, batch: torch.Tensor, choices: list[int]) -> dict[int, float]:
    """Median seconds of a forward pass on so many threads each, taken in turns."""
    times: dict[int, list[float]] = {count: [] for count in choices}
    for turn in range(REPEATS + 1):  # the first one warms up
        for count in choices:
            torch.set_num_threads(count)
            started = time.perf_counter()
            backbone.pool(backbone(backbone.prepare(batch)))
            if turn:
                times[count].append(time.perf_counter() - started)
    return {count: statistics.median(taken) for count, taken in times.items()}
