"""Pictures of any kind -> square uint8 arrays, decoded once into a memory-mapped file.

Every picture is turned upright (EXIF), flattened (alpha on white), brought to 8-bit grey or RGB,
resized so that its shorter side is `size` pixels (antialiased bicubic) and cropped at the centre.
Memory stays bounded: pictures are decoded and written a few hundred at a time.
"""

import contextlib
import hashlib
import json
import os
import sys
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
from filelock import FileLock
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from helpers import paths
from helpers.errors import UserError
from helpers.runtime import keep_freed_memory
from helpers.storage.files import PARTIAL, held, in_cache, there, write_whole
from helpers.storage.seals import Damaged, altered, digests, sealed, sha256_of, unsealed
from helpers.tasks import image_depth
from helpers.tasks.image_depth import Scale

MAX_PIXELS = 89_478_485  # PIL's own limit: beyond it a small file may unpack into gigabytes
_RECIPE = 2  # raise it when the pixels that `read_image` gives change
_CHUNK = 256
Cached = tuple[np.ndarray, list[tuple[int, str]], Scale | None]
_LONG = 16  # longer side over shorter side: beyond it the middle is cut out before it is resized


class ImageError(UserError):
    """A picture that cannot be used: which file, and what is wrong with it ("is damaged")."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(file, problem)  # both, so that it can travel between processes
        self.file, self.problem = file, problem

    def __str__(self) -> str:
        return f"{self.file} {self.problem}"


class SkippedImage(NamedTuple):
    """A picture that was left out: its name, why in a sentence, and that without the name."""

    name: str
    reason: str
    problem: str


@dataclass(frozen=True)
class ImageArray:
    """Decoded pictures.

    images: read-only memory map, uint8 (N, size, size, channels).
    kept: int64 (N,), which of the given pictures the rows are.
    skipped: the pictures left out, in the order in which they were given.
    scale: of the pictures of more than 8 bits, where one was asked for and there are some.
    """

    images: np.ndarray
    kept: np.ndarray
    skipped: tuple[SkippedImage, ...]
    scale: Scale | None = None


def read_image(file: Path, size: int, channels: int = 3, scale: Scale | None = None) -> np.ndarray:
    """Decode one picture into uint8 (size, size, channels); channels is 1 (grey) or 3 (RGB).

    scale: of a picture of more than 8 bits (`value_range`); None: what its own values suggest.
    Raises ImageError when it is missing, unreadable, truncated or larger than MAX_PIXELS.
    """
    try:
        with image_depth.opened(file) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _too_large(file, f"{image.width} x {image.height} pixels")
            image.draft(image.mode, (2 * size, 2 * size))  # JPEG: decode no more than needed
            if scale is not None and image_depth.is_deep(image):
                image = image_depth.scaled(image, scale)
            ImageOps.exif_transpose(image, in_place=True)  # most are upright: no copy
            return square(_flat(image, channels), size)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(file, "a decompression bomb") from error
    except FileNotFoundError as error:
        raise ImageError(file, "does not exist") from error
    except UnidentifiedImageError as error:
        raise ImageError(file, "is not a picture that can be read") from error
    except OSError as error:
        why = f"cannot be opened: {error.strerror}" if error.errno else f"is damaged ({error})"
        raise ImageError(file, why) from error
    except Exception as error:  # decoders raise nearly anything on a damaged file
        raise ImageError(file, f"is damaged ({error})") from error


def square(image: Image.Image, size: int) -> np.ndarray:
    """Resize the shorter side to `size`, crop the centre; return uint8 (size, size, channels)."""
    shorter = min(image.size)
    if max(image.size) > _LONG * shorter:  # resized whole it may take gigabytes
        box = [max(0, (side - 3 * shorter) // 2) for side in image.size]
        ends = [min(side, start + 3 * shorter) for side, start in zip(image.size, box, strict=True)]
        image = image.crop((*box, *ends))
    if shorter != size:
        scaled = [max(size, round(side * size / shorter)) for side in image.size]
        image = image.resize(tuple(scaled), Image.Resampling.BICUBIC)
    left, top = ((side - size) // 2 for side in image.size)
    pixels = np.asarray(image.crop((left, top, left + size, top + size)), dtype=np.uint8)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def image_memmap(
    files: Sequence[Path],
    size: int,
    channels: int = 3,
    *,
    progress: bool = False,
    threads: int = 0,
    one_scale: bool = False,
) -> ImageArray:
    """Decode files once into the cache, in their order; later calls only map the result.

    The cache is keyed by the files' content, `size` and `channels`, wherever the files lie.
    `threads` 0 means one per processor. one_scale: pictures of more than 8 bits share the scale
    that their values ask for (`value_range`), else each has the one that its own suggest.
    Unreadable pictures are left out with a warning that counts and names them. Raises UserError
    when more than half are unreadable, a file changes while it is read, or the disk is full.
    """
    if size < 1 or channels not in (1, 3):
        raise UserError(f"pictures need size >= 1 and 1 or 3 channels, not {size} and {channels}")
    if not files:
        raise UserError("there are no pictures to read; name a folder that holds some")
    content = digests(files)
    # What can't be read has no content to tell it by.
    told_by = [one or str(file) for one, file in zip(content, files, strict=True)]
    key = _key(told_by, size, channels, *(["one scale"] if one_scale else []))

    def plan(skipped: list) -> tuple[tuple[int, ...], Iterator[np.ndarray], Scale | None]:
        scale = image_depth.value_range(files, threads) if one_scale else None
        how = (channels,) if scale is None else (channels, scale)
        rows = _decoded(files, size, how, skipped, progress, threads)
        return (len(files), size, size, channels), _as_hashed(rows, files, content), scale

    images, left_out, scale = _cached(key, plan)
    kept = np.setdiff1d(np.arange(len(files)), [row for row, _ in left_out])
    skipped = tuple(
        SkippedImage(files[row].name, f"{files[row]} {problem}", problem)
        for row, problem in left_out
    )
    if skipped:
        warnings.warn(_skipped_message(skipped, len(files)), stacklevel=2)
    return ImageArray(images, kept, skipped, scale)


def _as_hashed(
    rows: Iterator[np.ndarray], files: Sequence[Path], content: Sequence[str]
) -> Iterator[np.ndarray]:
    """Pass rows on; UserError at the end where a file is not what it was when it was hashed."""
    yield from rows
    for file, before, now in zip(files, content, digests(files), strict=True):
        if before != now:
            raise UserError(f"{file} changed while it was read; let it be finished and ask again")


def array_memmap(make: Callable[[], np.ndarray], size: int, key: Sequence[object]) -> np.ndarray:
    """Resize pictures that are not files once into the cache; later calls only map the result.

    `make()` returns them, uint8 (N, H, W, C); it is called only when the cache lacks them, and
    `key` (JSON-able) says what they are. Returns a read-only memory map (N, size, size, C).
    """

    def rows(images: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(images), _CHUNK):
            chunk = images[start : start + _CHUNK]
            if chunk.shape[1:3] != (size, size):
                as_pictures = [Image.fromarray(i[:, :, 0] if i.shape[2] == 1 else i) for i in chunk]
                chunk = np.stack([square(picture, size) for picture in as_pictures])
            yield chunk

    def plan(skipped: list) -> tuple[tuple[int, ...], Iterator[np.ndarray], None]:
        images = make()
        return (len(images), size, size, images.shape[3]), rows(images), None

    return _cached(_key(list(key), size), plan)[0]


def _decoded(
    files: Sequence[Path],
    size: int,
    how: tuple,
    skipped: list,
    progress: bool,
    threads: int,
) -> Iterator[np.ndarray]:
    """Yield the readable pictures chunk by chunk; note the others in `skipped`, by their row.

    how: what `read_image` is told beside file and size.
    """

    keep_freed_memory()
    hide = None if progress else True  # None: only where someone watches a terminal

    def attempt(file: Path) -> np.ndarray | ImageError:
        try:
            return read_image(file, size, *how)
        except ImageError as error:
            return error

    with (
        tqdm(total=len(files), desc="decoding", unit="pictures", leave=False, disable=hide) as bar,
        ThreadPoolExecutor(threads or joblib.cpu_count()) as pool,
    ):
        for start in range(0, len(files), _CHUNK):
            chunk = files[start : start + _CHUNK]
            results = list(pool.map(attempt, chunk))
            good = [r for r in results if not isinstance(r, ImageError)]
            for offset, result in enumerate(results):
                if isinstance(result, ImageError):
                    skipped.append((start + offset, result.problem))
            bar.update(len(chunk))
            if good:
                yield np.stack(good)
    if len(skipped) > len(files) / 2:
        raise UserError(
            f"{len(skipped)} of {len(files)} pictures cannot be read, the first because "
            f"{files[skipped[0][0]]} {skipped[0][1]}; check the folder"
        )


def _cached(key: str, plan: Callable) -> Cached:
    """Return what is cached under `key`: pictures, rows left out with their problems, the scale.

    `plan(skipped)` gives shape and rows if nothing is.
    """
    for folder in paths.cache_dirs():
        found = _opened(folder / "images" / f"{key}.npy")
        if found is not None:
            return found
    file = paths.cache_dir() / "images" / f"{key}.npy"
    return in_cache(file.parent, "keeping pictures", lambda: _made(file, plan))


def _made(file: Path, plan: Callable) -> Cached:
    """What a file of the cache holds, which is written first where another process has not."""
    with FileLock(file.with_suffix(".lock")):
        found = _opened(file)
        if found is None:
            for stale in file.parent.glob(f"{file.stem}.*{PARTIAL}"):  # of a killed process: we
                stale.unlink()  # hold the lock
            _write(file, plan)
            found = _opened(file)
    return there(found, file)


def _opened(file: Path) -> Cached | None:
    """What a file of the cache holds; None where it is missing, or damaged, which is said."""
    notes = file.with_suffix(".json")
    if not file.is_file() or not notes.is_file():
        return None
    try:
        facts = unsealed(notes.read_bytes())
        if altered(file.parent, {file.name: facts["sha256"]}, file.parent):
            raise Damaged("other bytes than were written")
        images = np.load(file, mmap_mode="r", allow_pickle=False)
    except OSError:  # deleted meanwhile
        return None
    except Damaged as error:
        print(f"{file} is damaged ({error}) and is made again", file=sys.stderr)
        return None
    scale = facts["scale"]
    with contextlib.suppress(OSError):  # of a clone that is read-only
        os.utime(notes)
    return images, [tuple(pair) for pair in facts["skipped"]], scale and tuple(scale)


def _write(file: Path, plan: Callable) -> None:
    """Write the .npy with plain writes: a memory map on a full disk would kill the process."""
    temporary = file.with_name(f"{file.stem}.{uuid.uuid4().hex}{PARTIAL}")
    skipped: list[tuple[int, str]] = []
    shape, rows, scale = plan(skipped)
    try:
        temporary.touch()
        with held(temporary):
            with temporary.open("r+b") as handle:
                _write_header(handle, shape)
                for chunk in rows:
                    handle.write(np.ascontiguousarray(chunk, dtype=np.uint8).data)
                handle.seek(0)  # numpy leaves room in a header for any number of rows
                _write_header(handle, (shape[0] - len(skipped), *shape[1:]))
            notes = {"sha256": sha256_of(temporary), "skipped": skipped, "scale": scale}
            write_whole(file.with_suffix(".json"), sealed(notes), synced=False)
            temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _write_header(handle: object, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(handle, header)


def _flat(image: Image.Image, channels: int) -> Image.Image:
    """Bring any mode to "L" or "RGB": alpha onto white, 16 bits scaled to 8."""
    mode = "L" if channels == 1 else "RGB"
    if image_depth.is_deep_grey(image):
        image = image_depth.eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image if image.mode == mode else image.convert(mode)


def _too_large(file: Path, what: str) -> ImageError:
    return ImageError(file, f"is refused: {what}, at most {MAX_PIXELS:,} pixels are read")


def _skipped_message(skipped: Sequence[SkippedImage], given: int) -> str:
    names = ", ".join(one.name for one in skipped[:5])
    more = f" and {len(skipped) - 5} more" if len(skipped) > 5 else ""
    return (
        f"{len(skipped)} of {given} pictures cannot be read and were skipped: {names}{more} "
        f"(the first: {skipped[0].reason})"
    )


def _key(*parts: object) -> str:
    text = json.dumps([_RECIPE, *parts])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:24]
