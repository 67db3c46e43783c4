"""Pictures of more than 8 bits a channel: one scale for a whole set, from its own values."""

import errno
import re
import stat
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
from PIL import Image

Scale = tuple[float, float]  # the values that become 0 and 255
_LOOKED_AT = 1_000  # of such pictures: their values tell the scale of all
_FEW = 0.1  # per cent of a picture's values at either end: one hot pixel sets no scale
_ORIENTATION = 0x0112
_DEEP_COLOUR = re.compile("(RGB|RGBX|RGBA|LA);16([BLN])")
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def opened(file: Path) -> Image.Image:
    """Open a picture. Raises OSError for a pipe or a device, which would be waited for."""
    if not stat.S_ISREG(Path(file).stat().st_mode):
        raise OSError(errno.EINVAL, "neither a file nor a link to one")
    return Image.open(file)


def is_deep_grey(image: Image.Image) -> bool:
    """Whether a picture is grey with more than 8 bits, or with numbers of any kind."""
    return image.mode.startswith("I;16") or image.mode in ("I", "F")


def is_deep(image: Image.Image) -> bool:
    """Whether an opened picture, not decoded yet, holds more than 8 bits a channel on disk."""
    # Of colour with 16 bits a channel Pillow decodes the upper 8.
    return is_deep_grey(image) or _DEEP_COLOUR.fullmatch(_stored(image)) is not None


def _stored(image: Image.Image) -> str:
    """How the pixels lie on disk, as Pillow calls it: "RGB;16B" has the upper byte first."""
    told = image.tile[0].args if image.tile else ""
    return str(told[0] if isinstance(told, tuple) and told else told)


def _values(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """All bits of an opened deep picture, (H, W) or (H, W, channels), and its alpha in 8 bits."""
    found = _DEEP_COLOUR.fullmatch(_stored(image))
    if found is None:
        return np.asarray(image), None
    kind, order = found.groups()
    with Image.open(image.filename) as again:  # the lower bytes, read as if they were the upper
        raw = "RGBA" if kind == "LA" else f"{kind};16{_OTHER_BYTE[order]}"
        again.tile = [tile._replace(args=_renamed(tile.args, raw)) for tile in again.tile]
        lower = np.asarray(again)
    if kind == "LA":  # both bytes of grey, then those of alpha
        return lower[..., 0].astype(np.uint16) * 256 + lower[..., 1], lower[..., 2]
    upper = np.asarray(image)
    values = upper[..., :3].astype(np.uint16) * 256 + lower[..., :3]
    return values, upper[..., 3] if kind == "RGBA" else None


def _renamed(args: object, raw: str) -> object:
    return (raw, *args[1:]) if isinstance(args, tuple) else raw


def scaled(image: Image.Image, scale: Scale) -> Image.Image:
    """An opened deep picture in 8 bits on a scale, turned as before; what is no number is 0."""
    low, high = scale
    values, alpha = _values(image)
    values = (values.astype(np.float64) - low) * (255 / ((high - low) or 1.0))
    turned = image.getexif().get(_ORIENTATION)  # it decodes the picture, so that comes first
    small = Image.fromarray(_rounded(values))
    if alpha is not None:
        small.putalpha(Image.fromarray(np.ascontiguousarray(alpha)))
    if turned:
        small.getexif()[_ORIENTATION] = turned
    return small


def eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits (PIL's own conversion clips at 255), other numbers by range."""
    values = np.asarray(image, dtype=np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    if image.mode.startswith("I;16"):
        values = values / 257
    elif low < 0 or high > 65535:
        values = (values - low) * (255 / ((high - low) or 1.0))
    elif high > 255:
        values = values / 257
    elif image.mode == "F" and high <= 1:
        values = values * 255
    return Image.fromarray(_rounded(values))


def _rounded(values: np.ndarray) -> np.ndarray:
    whole = np.nan_to_num(values, nan=0.0, posinf=255.0, neginf=0.0)
    return np.rint(np.clip(whole, 0, 255)).astype(np.uint8)


def value_range(files: Sequence[Path], threads: int = 0) -> Scale | None:
    """The one scale of all pictures of more than 8 bits among files; None where there are none.

    From the least to the greatest value, without the outermost thousandth of each picture where
    that leaves anything. Of many such pictures a thousand are looked at.
    """
    with ThreadPoolExecutor(threads or joblib.cpu_count()) as pool:
        told = pool.map(_says_deep, files)
        deep = [file for file, says in zip(files, told, strict=True) if says]
        if not deep:
            return None
        rows = np.unique(np.linspace(0, len(deep) - 1, _LOOKED_AT).astype(int))
        ends = [one for one in pool.map(_ends, [deep[row] for row in rows]) if one is not None]
    if not ends:
        return None
    least, nearly_least, nearly_most, most = np.array(ends).T
    low, high = nearly_least.min(), nearly_most.max()
    if low == high:
        low, high = least.min(), most.max()
    return float(low), float(high)


def _says_deep(file: Path) -> bool:
    try:
        with opened(file) as image:
            return is_deep(image)
    except Exception:  # what cannot be read is told when it is decoded
        return False


def _ends(file: Path) -> tuple[float, float, float, float] | None:
    """Least value, nearly the least, nearly the greatest and the greatest of a deep picture."""
    try:
        with opened(file) as image:
            values = _values(image)[0].ravel()
    except Exception:
        return None
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    near = np.percentile(values[:: max(1, len(values) // 1_000_000)], (_FEW, 100 - _FEW))
    return float(values.min()), float(near[0]), float(near[1]), float(values.max())
