"""Pictures of 16 bits with colour or alpha: all bits are read, whatever the file's format."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from helpers.tasks.image_depth import scaled, value_range
from helpers.tasks.images import read_image


def png(values):
    """A PNG of 16 bits a channel, of uint16 (H, W, 2 to 4)."""

    def chunk(kind, body):
        whole = kind + body
        return struct.pack(">I", len(body)) + whole + struct.pack(">I", zlib.crc32(whole))

    height, width, channels = values.shape
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(values, order, packed):
    """A TIFF of 16 bits a channel, of uint16 (H, W, 3 or 4); order: "<" or ">"."""
    height, width, channels = values.shape
    pixels = values.astype(f"{order}u2").tobytes()
    pixels = zlib.compress(pixels) if packed else pixels
    tags = [(256, width), (257, height), (258, None), (259, 8 if packed else 1), (262, 2)]
    tags += [(273, None), (277, channels), (278, height), (279, len(pixels))]
    tags += [(338, 2)] if channels == 4 else []
    bits = 8 + 2 + 12 * len(tags) + 4
    start = bits + 2 * channels
    body = struct.pack(f"{order}HIH", 42, 8, len(tags))
    for tag, value in tags:
        many, told = (channels, bits) if tag == 258 else (1, start if tag == 273 else value)
        if tag in (258, 273, 279):
            body += struct.pack(f"{order}HHII", tag, 3 if tag == 258 else 4, many, told)
        else:
            body += struct.pack(f"{order}HHIHH", tag, 3, 1, told, 0)
    body += struct.pack(f"{order}I{channels}H", 0, *[16] * channels)
    return (b"II" if order == "<" else b"MM") + body + pixels


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("channels", [3, 4])
def test_all_bits_of_a_colour_tiff_are_read(order, packed, channels, tmp_path):
    values = twelve_bits(channels)
    (tmp_path / "a.tif").write_bytes(tiff(values, order, packed))
    check(tmp_path / "a.tif", values)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_all_bits_of_a_png_are_read_and_alpha_sets_no_scale(channels, tmp_path):
    values = twelve_bits(channels)
    (tmp_path / "a.png").write_bytes(png(values))
    check(tmp_path / "a.png", values)


def test_what_alpha_hides_is_white(tmp_path):
    values = twelve_bits(4)
    values[:16, :, 3] = 0
    (tmp_path / "a.png").write_bytes(png(values))
    assert (read_image(tmp_path / "a.png", 32, 3, (0, 4095))[:16] == 255).all()


def twelve_bits(channels):
    """uint16 (32, 32, channels) up to 4,095; alpha, the last of 2 or 4, is whole."""
    values = np.random.default_rng(0).integers(0, 4096, (32, 32, channels))
    if channels in (2, 4):
        values[..., -1] = 65_535
    return values


def check(file, values):
    colours = values[..., :1] if values.shape[2] == 2 else values[..., :3]
    assert value_range([file], 1) == pytest.approx((0, 4095), abs=50)
    with Image.open(file) as image:
        assert scaled(image, (0, 4095)).size == (32, 32)
    assert abs(read_image(file, 32, 3, (0, 4095)) - colours * 255 / 4095).max() <= 1
