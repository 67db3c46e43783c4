"""What frozen stages return, computed once: pooled features and frozen-prefix activations."""

import contextlib
import hashlib
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from helpers.backbones import Backbone, weights_hash
from helpers.paths import cache_dir
from helpers.runtime import Stopwatch, keep_freed_memory, pick_device, release_pages
from helpers.storage.files import PARTIAL, disk_errors, in_cache, there
from helpers.storage.files import held as being_made
from helpers.storage.seals import Damaged, altered, below, sealed, unsealed
from helpers.storage.upkeep import trim
from helpers.training.augmentations import get_augment
from helpers.training.examples import Arrays, Examples, batches

BATCH_SIZE = 64
PIXELS = BATCH_SIZE * 128**2  # that go through the network together, at most
_FORMAT = 2  # raise it when entries are written otherwise
FACTS = "facts.json"  # in an entry: what it holds, with a hash of every file
MARKS = "marks.npy"  # in an entry: which inputs its rows came from


@dataclass(frozen=True)
class Prefix:
    """Output of the first `stop` stages: one array, or (hidden, mask) for texts.

    seconds, cpu_seconds: what computing it cost when it was computed, cached or not.
    """

    arrays: Arrays
    seconds: float
    cpu_seconds: float


def extract_features(
    backbone: Backbone, inputs: np.ndarray | list[str], *, cache: bool = True
) -> np.ndarray:
    """Pooled features (N, feature_size) of raw inputs, float32."""
    return frozen_prefix(backbone, inputs, backbone.n_stages, cache=cache).arrays[0]


def frozen_prefix(
    backbone: Backbone,
    inputs: np.ndarray | list[str],
    stop: int,
    *,
    augment: str = "",
    view: int = 0,
    cache: bool = True,
    device: str = "auto",
) -> Prefix:
    """Run `stages[:stop]` over the inputs once and keep the result on disk, memory-mapped.

    `stop == n_stages` gives pooled features; less gives activations that the stages above can
    train on. Images lie as (N,H,W,C). The key is the content: weights below `stop`, inputs,
    recipe, augmentation and view; so a changed model or image never meets a stale file.

    cache: False computes into a temporary folder that is gone when the arrays are.
    Raises UserError when the disk is full.
    """
    encoded = backbone.encode(inputs)
    augment = augment if view else ""  # view 0 is the picture as it is, whatever else there is
    compute = partial(_compute, backbone, encoded, stop, augment, view, device)
    if not cache:
        with (
            tempfile.TemporaryDirectory(prefix="prefix-") as folder,
            disk_errors("computing features", Path(folder)),
        ):
            made = compute(Path(folder))
            arrays = tuple(np.array(array) for array in made.arrays)
        return Prefix(arrays, made.seconds, made.cpu_seconds)
    key = f"{_fingerprint(backbone, stop)}-{_content(encoded)}-{stop}-{augment or 'plain'}-{view}"
    folder = _place(backbone) / key
    make = partial(_make, folder, compute)
    return in_cache(folder.parent, "caching features", lambda: _open(folder) or make())


def _make(folder: Path, compute: Callable[[Path], object]) -> Prefix:
    """Make an entry beside its place and rename it, which another process may have done."""
    trim("features", cache_dir())
    scratch = Path(tempfile.mkdtemp(suffix=PARTIAL, dir=folder.parent))
    try:
        with being_made(scratch):
            compute(scratch)
            with contextlib.suppress(OSError):
                scratch.replace(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return there(_open(folder), folder)


def marks(encoded: np.ndarray) -> np.ndarray:
    """Hash of each encoded input, S32 (N,): equal inputs have equal marks, in whatever array.

    Texts are read to their last word, because each array pads them to its own longest.
    """
    about = f"{encoded.shape[2:]}{encoded.dtype}".encode()
    found = []
    for row in np.asarray(encoded):
        kept = np.trim_zeros(row, "b") if encoded.ndim == 2 else np.ascontiguousarray(row)
        digest = hashlib.blake2b(about + str(len(kept)).encode(), digest_size=16)
        digest.update(kept.tobytes())
        if len(found) % 256 == 255:
            release_pages(encoded)
        found.append(digest.hexdigest())
    return np.array(found, dtype="S32")


def held(backbone: Backbone, stop: int, wanted: np.ndarray) -> list[tuple[np.ndarray, Arrays]]:
    """What the cache has of inputs with these marks (S32): (marks, arrays) of each entry with any.

    Entries with augmented inputs are left out.
    """
    found = []
    for folder in sorted(_place(backbone).glob(f"{_fingerprint(backbone, stop)}-*-{stop}-plain-0")):
        try:
            there = np.load(folder / MARKS, allow_pickle=False)
            kept = _open(folder) if np.isin(there, wanted).any() else None
        except (OSError, ValueError, EOFError):  # it has none, or was just trimmed
            continue
        if kept is not None:
            found.append((there, kept.arrays))
    return found


@torch.inference_mode()
def _compute(
    backbone: Backbone,
    encoded: np.ndarray,
    stop: int,
    augment: str,
    view: int,
    device: str,
    folder: Path,
) -> Prefix:
    """Write the arrays and the facts about them into `folder`."""
    keep_freed_memory()
    target = pick_device(device)
    change, rng = get_augment(augment), np.random.default_rng(view)
    pooled = stop >= backbone.n_stages
    raw = Examples.raw(encoded, np.zeros(len(encoded), dtype=np.int64))
    backbone.to(target).eval()
    watch = Stopwatch()
    with contextlib.ExitStack() as files:
        outputs: list[BinaryIO] = []
        for rows in batches(raw, _batch_size(encoded)):
            batch, _ = raw.batch(rows, target)
            # View 0 is the picture as it is: a model must know what it will be shown.
            batch = change(batch, rng) if change and view else batch
            state = backbone(backbone.prepare(batch), stop=stop)
            parts = [backbone.pool(state)] if pooled else _parts(state)
            if not outputs:
                outputs = [
                    files.enter_context(_new_array(folder / f"{i}.npy", part, encoded))
                    for i, part in enumerate(parts)
                ]
            for output, part in zip(outputs, parts, strict=True):
                output.write(_padded(part, encoded).tobytes())
            release_pages(encoded)
        if not augment:
            np.save(folder / MARKS, marks(encoded))
    facts = {"arrays": len(outputs), "seconds": watch.seconds, "cpu_seconds": watch.cpu_seconds}
    (folder / FACTS).write_bytes(sealed(facts | {"sha256": below(folder)}))
    return _arrays(folder, facts)


def _batch_size(encoded: np.ndarray) -> int:
    """Inputs that go through together: fewer large pictures, whose activations take the memory."""
    pixels = math.prod(encoded.shape[1:3]) if encoded.ndim == 4 else 1
    return max(1, min(BATCH_SIZE, PIXELS // pixels))


def _parts(state: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
    """Tensors of a state, images as (N,H,W,C)."""
    tensors = list(state) if isinstance(state, tuple) else [state]
    return [t.permute(0, 2, 3, 1) if t.ndim == 4 else t for t in tensors]


def _padded(part: Tensor, encoded: np.ndarray) -> np.ndarray:
    """As numpy, with a text batch padded to the data set's longest text."""
    array = part.cpu().contiguous().numpy()
    is_sequence = part.ndim == 3 or part.dtype == torch.bool
    if is_sequence and encoded.ndim == 2 and array.shape[1] < encoded.shape[1]:
        widths = [(0, 0)] * array.ndim
        widths[1] = (0, encoded.shape[1] - array.shape[1])
        array = np.pad(array, widths)
    return array


@contextlib.contextmanager
def _new_array(path: Path, part: Tensor, encoded: np.ndarray):
    """A .npy file with its header written. Plain writes: a full disk kills a memory map."""
    header = np.lib.format.header_data_from_array_1_0(_padded(part[:1], encoded))
    header["shape"] = (len(encoded), *header["shape"][1:])
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        yield file


def _open(folder: Path) -> Prefix | None:
    """An entry whose every byte is as it was written; None where there is none.

    A damaged one is said to be so, and deleted.
    """
    try:
        facts = unsealed((folder / FACTS).read_bytes())
        if altered(folder, facts["sha256"], folder.parent):
            raise Damaged("other bytes than were written")
        os.utime(folder)
        return _arrays(folder, facts)
    except OSError:  # there is none, or it was just trimmed
        return None
    except Damaged as error:
        print(f"{folder} is damaged ({error}) and is computed again", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _arrays(folder: Path, facts: Mapping[str, Any]) -> Prefix:
    arrays = tuple(np.load(folder / f"{i}.npy", mmap_mode="r") for i in range(facts["arrays"]))
    return Prefix(arrays, facts["seconds"], facts["cpu_seconds"])


def _place(backbone: Backbone) -> Path:
    """The folder of a backbone's entries."""
    return cache_dir() / "features" / backbone.name.replace(":", "_").replace("/", "_")


def _fingerprint(backbone: Backbone, stop: int) -> str:
    """Hash of the weights below `stop`, of the input recipe, and of how entries are written."""
    half = " bfloat16" * torch.is_autocast_enabled("cpu")
    about = f"{_FORMAT}{backbone.recipe!r}{half}"
    return weights_hash(backbone.stages[:stop].state_dict(), about)


def _content(encoded: np.ndarray) -> str:
    """Hash of the inputs, read in pieces so that memory stays bounded."""
    digest = hashlib.blake2b(f"{encoded.shape}{encoded.dtype}".encode(), digest_size=8)
    for i in range(0, len(encoded), 256):
        digest.update(np.ascontiguousarray(encoded[i : i + 256]).tobytes())
        release_pages(encoded)
    return digest.hexdigest()
