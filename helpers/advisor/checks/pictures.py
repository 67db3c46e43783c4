"""What the checks look at: pictures decoded once, small grey versions, and what headers tell."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
from PIL import Image

from helpers.advisor.data import Finding, OwnData, counted
from helpers.advisor.task import decoded
from helpers.errors import UserError
from helpers.runtime import release_pages
from helpers.storage.seals import digests
from helpers.tasks.image_depth import opened
from helpers.tasks.images import array_memmap
from helpers.tasks.splits import stratified_order

THUMBNAIL = 32  # pixels: enough to tell copies and blank pictures by
LOOKED_AT = 64  # pictures whose headers tell size and colour
GREY = {"1", "L", "I", "F", "LA", "I;16", "I;16B", "I;16L"}
MOST_HEADERS = 5_000  # pictures whose headers are read: a share to within one and a half points
_MAKE, _MODEL, _SOFTWARE, _TIME, _EXIF, _TAKEN = 0x010F, 0x0110, 0x0131, 0x0132, 0x8769, 0x9003


def picture_shape(data: OwnData, image_size: int) -> tuple[int | None, int]:
    """(side, channels) to decode to: small pictures as they are, grey ones grey; None for texts.

    image_size: side in pixels that the backbone reads; smaller pictures are enlarged only when
    they are read, so that fifty thousand of them stay small in the cache.
    """
    if data.modality == "text":
        return None, 0
    rows = np.unique(np.linspace(0, len(data) - 1, LOOKED_AT).astype(int))
    sides, grey = [], True
    for row in rows:
        try:
            with opened(data.items[row]) as image:
                sides.append(min(image.size))
                grey &= image.mode in GREY
        except Exception:  # damaged ones are counted when all are read
            continue
    side = int(np.median(sides)) if sides else image_size
    return max(8, min(image_size, side)), 1 if sides and grey else 3


def readable(data: OwnData, side: int | None, channels: int) -> OwnData:
    """Return the data without pictures that cannot be read, which a finding counts and names.

    side, channels: what the pictures will be used at (`picture_shape`), so that they are decoded
    just once. Raises UserError when more than half cannot be read.
    """
    if data.modality != "image":
        return data
    array = decoded(data, side, channels)
    if array.scale is not None and data.scale is None:
        low, high = array.scale
        finding = Finding(
            "bit depth",
            "note",
            f"Pictures of more than 8 bits share one scale: {low:,.6g} becomes black and "
            f"{high:,.6g} white, as the values of all of them ask for.",
            (),
            "Bring pictures that come later to the same values; the exported model does so.",
        )
        data = replace(data, scale=array.scale).found(finding)
    rows = np.arange(len(data)) if data.rows is None else data.rows
    good = np.isin(rows, array.kept)
    if good.all():
        return data
    # Another would be drawn in the place of a split that cannot be read at all.
    named = np.unique(data.splits[data.splits != ""])
    if lost := [str(split) for split in named if not good[data.splits == split].any()]:
        raise UserError(
            f"{data.root}: no picture of the {' and '.join(lost)} split can be read; mend them, or "
            "leave the split out to have one drawn from train"
        )
    gone = np.flatnonzero(~good)
    unread = np.setdiff1d(np.arange(len(array.kept) + len(array.skipped)), array.kept)
    problem = array.skipped[np.searchsorted(unread, rows[gone[0]])].problem
    finding = Finding(
        "unreadable files",
        "warning",
        f"{counted(len(gone), 'picture')} of {len(data):,} cannot be read and were left out: "
        f"it {problem} for one.",
        data.names(gone),
        "Replace them or save them anew; a picture that is cut off was often not copied whole.",
    )
    return data.take(np.flatnonzero(good)).found(finding)


def thumbnails(data: OwnData, side: int, channels: int) -> np.ndarray:
    """Return small grey versions, uint8 (N, 32, 32), made from the pictures as they are decoded.

    data: without pictures that cannot be read (`readable`).
    """
    large = decoded(data, side, channels).images
    key = ["thumbnails", large.shape, side, channels, *digests(data.items)]

    def shrunk() -> np.ndarray:
        grey = (Image.fromarray(picture.squeeze()).convert("L") for picture in large)
        size = (THUMBNAIL, THUMBNAIL)
        small = np.stack([one.resize(size, Image.Resampling.BICUBIC) for one in grey])[..., None]
        release_pages(large)
        return small

    return array_memmap(shrunk, THUMBNAIL, key)[..., 0]


def read_headers(data: OwnData) -> pd.DataFrame:
    """What the headers of at most MOST_HEADERS pictures say, drawn stratified by class.

    A row for each that can be read, by its row in the data: width and height in pixels, and as
    text, "" where a header has none, size, mode, format, camera, software and day.
    """
    rows = np.sort(stratified_order(data.labels, 0)[:MOST_HEADERS])
    facts = {row: _header(data.items[row]) for row in rows}
    facts = {row: fact for row, fact in facts.items() if fact is not None}
    columns = ["width", "height", "size", "mode", "format", "camera", "software", "day"]
    return pd.DataFrame(list(facts.values()), index=list(facts), columns=columns)


def _header(file: object) -> tuple | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning about a tag tells nothing about the class
            with opened(file) as image:
                (width, height), mode, kind = image.size, image.mode, image.format or ""
                exif = image.getexif()
                inner = exif.get_ifd(_EXIF) if _EXIF in exif else {}
    except Exception:  # decoders raise nearly anything on a damaged file
        return None
    camera = " ".join(_text(exif.get(tag)) for tag in (_MAKE, _MODEL)).strip()
    software, taken = _text(exif.get(_SOFTWARE)), _text(inner.get(_TAKEN) or exif.get(_TIME))
    day = taken[:10].replace(":", "-")
    return width, height, f"{width} x {height}", mode, kind, camera, software, day


def _text(value: object) -> str:
    return " ".join(str(value).replace("\0", "").split()) if value else ""
