"""The network that reads the data: which one, at what size, and what it does not see of texts."""

from __future__ import annotations

import re

import numpy as np

from helpers.advisor.checks.copies import words_of
from helpers.advisor.data import OwnData
from helpers.backbones import BACKBONES, Backbone, advised_backbone, load_backbone
from helpers.errors import UserError

HUB_SIZES = {"image": 128, "text": 64}  # pixels a side, or tokens, of a model that no entry is for

# Below these nothing is left of an example; beyond, memory or the network's places run out.
SIZES = {"image": (8, 1_024), "text": (4, 512)}
_TOKEN = 16  # characters: no token of a text is as long on average

_NO_WORDS = re.compile(r"https?://\S+|\S*[@#]\S*")
_READ, _WORDS, _LETTERS = 2_000, 60, 20  # characters and words read of a text; letters to judge by


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
    size, (least, most) = image_size or advised_size, SIZES[data.modality]
    if not least <= size <= most:
        unit = "pixels a side" if data.modality == "image" else "tokens"
        raise UserError(f"--image-size {size:,} is not from {least} to {most:,} {unit}; name one")
    backbone = load_backbone(name, size=size)
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


def _check_modality(name: str, modality: str, data: OwnData) -> None:
    if modality != data.modality:
        raise UserError(
            f"{name} reads {modality}s, and {data.root} holds {data.modality}s; name another "
            "backbone"
        )
