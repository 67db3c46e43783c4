"""Pictures of every kind become the right pixels, once, whole, and in bounded memory."""

import copy
import errno
import os
import shutil
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from helpers.errors import UserError
from helpers.tasks import images
from helpers.tasks.images import ImageError, array_memmap, image_memmap, read_image


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of our own, and no other to look in."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TRANSFER_CACHE", str(folder))
    monkeypatch.setattr(images.paths, "data_dir", lambda: tmp_path / "data")
    return folder / "images"


def noise(height, width, channels=3, seed=0):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def folder_of(path, count, size=20):
    """Write `count` pictures whose grey level is their number times ten; return the files."""
    path.mkdir(exist_ok=True)
    files = []
    for i in range(count):
        files.append(path / f"{i}.png")
        Image.new("RGB", (size, size), (10 * i,) * 3).save(files[-1])
    return files


# --- one picture --------------------------------------------------------------------------------


def test_a_picture_of_the_right_size_is_kept_bit_for_bit(tmp_path):
    pixels = noise(16, 16)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png", 16)
    assert read.dtype == np.uint8 and np.array_equal(read, pixels)


def test_the_shorter_side_is_scaled_and_the_centre_kept(tmp_path):
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, 30:70] = 200  # the middle 40 of 100 columns
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png", 40) == 200).all()
    half = read_image(tmp_path / "a.png", 20)
    assert half.shape == (20, 20, 3) and (half[:, 2:-2] == 200).all()


def test_small_pictures_are_enlarged(tmp_path):
    Image.new("L", (7, 5), 90).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png", 32, 1) == 90).all()


def test_scaling_down_is_antialiased(tmp_path):
    board = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "a.png")
    small = read_image(tmp_path / "a.png", 32, 1)
    assert small.std() < 5 and abs(small.mean() - 127.5) < 3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr", "I;16"])
def test_any_mode_comes_out_as_asked(tmp_path, mode, channels):
    suffix = {"CMYK": "jpg", "YCbCr": "jpg"}.get(mode, "png")
    white = Image.new("RGB", (12, 10), "white")
    grey16 = Image.fromarray(np.full((10, 12), 65535, np.uint16))
    (grey16 if mode == "I;16" else white.convert(mode)).save(tmp_path / f"a.{suffix}")
    read = read_image(tmp_path / f"a.{suffix}", 8, channels)
    assert read.shape == (8, 8, channels) and (read >= 253).all()


def test_cmyk_keeps_its_colour(tmp_path):
    Image.new("RGB", (16, 16), (255, 0, 0)).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    red, green, blue = read_image(tmp_path / "a.jpg", 16).reshape(-1, 3).mean(0)
    assert red > 230 and green < 30 and blue < 30


def test_transparent_parts_are_white(tmp_path):
    Image.new("RGBA", (8, 8), (10, 20, 30, 0)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png", 8) == 255).all()
    Image.new("RGBA", (8, 8), (0, 0, 0, 128)).save(tmp_path / "b.png")
    assert (abs(read_image(tmp_path / "b.png", 8).astype(int) - 127) <= 1).all()
    palette = Image.new("RGB", (8, 8), (0, 0, 0)).convert("P")
    palette.save(tmp_path / "c.png", transparency=palette.getpixel((0, 0)))
    assert (read_image(tmp_path / "c.png", 8) == 255).all()


@pytest.mark.parametrize("stored", [0, 257 * 100, 257 * 128, 65535])
def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path, stored):
    Image.fromarray(np.full((8, 8), stored, np.uint16)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png", 8, 1) == stored // 257).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 1]], np.float32), [0, 255]),
        (np.array([[0, 200]], np.float32), [0, 200]),
        (np.array([[0, 257 * 40]], np.int32), [0, 40]),
        (np.array([[-5, 5]], np.float32), [0, 255]),
        (np.array([[0, 1_000_000]], np.int32), [0, 255]),
    ],
)
def test_other_numbers_are_brought_to_8_bits(tmp_path, values, expected):
    Image.fromarray(np.repeat(np.repeat(values, 8, 0), 4, 1)).save(tmp_path / "a.tif")
    read = read_image(tmp_path / "a.tif", 8, 1)[:, :, 0]
    assert [read[0, 0], read[0, -1]] == expected


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path, orientation):
    pixels = np.zeros((16, 16), np.uint8)
    pixels[:8, :8] = 255  # bright at the top left
    upright = Image.fromarray(pixels)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png", 16, 1)[:, :, 0], pixels)


def test_large_jpegs_lose_nothing_to_the_fast_path(tmp_path):
    gradient = np.linspace(0, 255, 1600).astype(np.uint8)[None].repeat(1200, 0)
    Image.fromarray(gradient).save(tmp_path / "a.jpg", quality=95)
    Image.fromarray(gradient).save(tmp_path / "a.png")
    fast, exact = (read_image(tmp_path / f"a.{s}", 64, 1).astype(int) for s in ("jpg", "png"))
    assert abs(fast - exact).max() <= 4


# --- bad pictures -------------------------------------------------------------------------------


def bomb(file, side):
    """Write the beginning of a PNG that claims to be `side` pixels wide and high."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    rest = chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + head + rest)
    return file


@pytest.mark.parametrize("side", [9_500, 30_000])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_decompression_bombs_are_refused(tmp_path, side, strict):
    file = bomb(tmp_path / "bomb.png", side)
    with warnings.catch_warnings():
        if strict:
            warnings.simplefilter("error")
        with pytest.raises(ImageError, match=r"bomb.png is refused: .*at most 89,478,485 pixels"):
            read_image(file, 32)


def damaged_files(path):
    """Write one file of each kind of damage; return them."""
    Image.fromarray(noise(64, 64)).save(path / "whole.jpg")
    Image.fromarray(noise(64, 64)).save(path / "whole.png")
    for suffix in ("jpg", "png"):
        data = (path / f"whole.{suffix}").read_bytes()
        (path / f"cut.{suffix}").write_bytes(data[: len(data) // 2])
    (path / "text.jpg").write_text("not a picture")
    (path / "empty.png").write_bytes(b"")
    names = ("cut.jpg", "cut.png", "text.jpg", "empty.png", "missing.png")
    return [path / name for name in names]


@pytest.mark.parametrize("index", range(5))
def test_damage_is_named(tmp_path, index):
    file = damaged_files(tmp_path)[index]
    with pytest.raises(ImageError, match=file.name):
        read_image(file, 32)


# --- folders ------------------------------------------------------------------------------------


def test_files_become_a_read_only_memory_map(tmp_path):
    files = folder_of(tmp_path / "a", 7)
    array = image_memmap(files, 16, 3)
    assert isinstance(array.images, np.memmap) and array.images.dtype == np.uint8
    assert array.images.shape == (7, 16, 16, 3)
    assert array.images[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40, 50, 60]
    assert array.kept.tolist() == list(range(7)) and array.skipped == ()
    with pytest.raises(ValueError, match="read-only"):
        array.images[0] = 1


def test_the_order_given_is_kept_for_any_number_of_threads(tmp_path, cache):
    files = folder_of(tmp_path / "a", 20)[::-1]
    first = np.array(image_memmap(files, 16, 3, threads=1).images)
    for file in cache.iterdir():
        file.unlink()
    assert np.array_equal(image_memmap(files, 16, 3, threads=4).images, first)
    assert first[0, 0, 0, 0] == 190


def test_pictures_are_decoded_once(tmp_path, monkeypatch):
    files = folder_of(tmp_path / "a", 5)
    first = image_memmap(files, 16, 3)
    monkeypatch.setattr(images, "read_image", lambda *_: pytest.fail("decoded again"))
    assert np.array_equal(image_memmap(files, 16, 3).images, first.images)


def test_size_channels_order_and_content_have_their_own_cache(tmp_path):
    files = folder_of(tmp_path / "a", 4)
    assert image_memmap(files, 16, 3).images.shape == (4, 16, 16, 3)
    assert image_memmap(files, 8, 3).images.shape == (4, 8, 8, 3)
    assert image_memmap(files, 16, 1).images.shape == (4, 16, 16, 1)
    assert image_memmap(files[::-1], 16, 1).images[0, 0, 0, 0] == 30
    Image.new("RGB", (30, 30), (99, 99, 99)).save(files[0])
    assert image_memmap(files, 16, 1).images[0, 0, 0, 0] == 99


def test_unreadable_pictures_are_skipped_counted_and_named(tmp_path, monkeypatch):
    files = folder_of(tmp_path / "a", 9)
    files[2].write_text("not a picture")
    files[5].write_bytes(files[6].read_bytes()[:40])
    with pytest.warns(UserWarning, match=r"2 of 9 pictures .* skipped: 2.png, 5.png"):
        array = image_memmap(files, 16, 1)
    assert array.kept.tolist() == [0, 1, 3, 4, 6, 7, 8]
    assert array.images[:, 0, 0, 0].tolist() == [0, 10, 30, 40, 60, 70, 80]
    assert [one.name for one in array.skipped] == ["2.png", "5.png"]
    assert array.skipped[0].problem == "is not a picture that can be read"
    assert array.skipped[0].reason == f"{files[2]} is not a picture that can be read"
    monkeypatch.setattr(images, "read_image", lambda *_: pytest.fail("decoded again"))
    with pytest.warns(UserWarning, match="2 of 9"):
        assert image_memmap(files, 16, 1).images.shape == (7, 16, 16, 1)


def test_what_is_wrong_with_a_picture_survives_the_cache_and_another_process(tmp_path):
    files = folder_of(tmp_path / "a", 5)
    files[3].write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="1 of 5"):
        first = image_memmap(files, 16, 1).skipped
    with pytest.warns(UserWarning, match="1 of 5"):
        assert image_memmap(files, 16, 1).skipped == first
    error = copy.copy(ImageError(files[3], "is odd"))  # as it travels: made anew from its parts
    assert (str(error), error.problem) == (f"{files[3]} is odd", "is odd")


def test_a_folder_that_is_mostly_unreadable_is_refused(tmp_path, cache):
    files = folder_of(tmp_path / "a", 5)
    for file in files[:3]:
        file.write_text("not a picture")
    with pytest.raises(UserError, match=r"3 of 5 pictures cannot be read, .*0.png"):
        image_memmap(files, 16)
    assert not list(cache.glob("*.npy")) and not list(cache.glob("*.partial"))


def test_no_pictures_and_impossible_shapes_are_refused(tmp_path):
    with pytest.raises(UserError, match="no pictures"):
        image_memmap([], 16)
    files = folder_of(tmp_path / "a", 1)
    for size, channels in ((0, 3), (16, 2)):
        with pytest.raises(UserError, match="size >= 1 and 1 or 3 channels"):
            image_memmap(files, size, channels)


def test_arrays_are_resized_once(tmp_path):
    stack = noise(10, 10, 5).transpose(2, 0, 1)[..., None]
    calls = []

    def make():
        calls.append(1)
        return stack

    assert np.array_equal(array_memmap(make, 10, ["noise"]), stack)
    assert array_memmap(make, 20, ["noise"]).shape == (5, 20, 20, 1)
    array_memmap(make, 10, ["noise"])
    assert len(calls) == 2
    array_memmap(make, 10, ["other"])
    assert len(calls) == 3


# --- disks, processes, memory -------------------------------------------------------------------


def test_disk_full_is_one_sentence_and_leaves_nothing(tmp_path, cache, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    files = folder_of(tmp_path / "a", 3)
    with monkeypatch.context() as patch:
        patch.setattr(images, "_write_header", full)
        with pytest.raises(UserError, match="disk is full.*TRANSFER_CACHE"):
            image_memmap(files, 16)
    assert not list(cache.glob("*.npy")) and not list(cache.glob("*.partial"))
    assert len(image_memmap(files, 16).images) == 3


CHILD = """
import os, sys, time
from pathlib import Path
from helpers.tasks import images
real = images.read_image
def read(file, size, channels):
    with Path(sys.argv[2]).open("a") as log:
        log.write(file.name + "\\n")
    {then}
    return real(file, size, channels)
images.read_image = read
{before}
files = sorted(Path(sys.argv[1]).glob("*.png"))
try:
    print(images.image_memmap(files, 64, 3, threads=1).images.sum())
except images.UserError as error:
    print(error)
"""


def child(folder, log, then="", before=""):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD.format(then=then, before=before), str(folder), str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a file's size")
def test_a_write_that_fails_for_real(tmp_path, cache):
    folder_of(tmp_path / "a", 30)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    output, errors = child(tmp_path / "a", tmp_path / "log", before=limit).communicate(timeout=60)
    assert "the disk is full" in output, errors
    assert not list(cache.glob("*.npy")) and not list(cache.glob("*.partial"))


def test_processes_at_once_decode_once(tmp_path):
    files = folder_of(tmp_path / "a", 12)
    running = [child(tmp_path / "a", tmp_path / "log", "time.sleep(0.1)") for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in running]
    assert len({out for out, _ in outputs}) == 1 and outputs[0][0].strip().isdigit(), outputs
    assert sorted((tmp_path / "log").read_text().split()) == sorted(f.name for f in files)


def test_a_killed_process_leaves_nothing_that_is_taken_for_whole(tmp_path, cache):
    files = folder_of(tmp_path / "a", 6)
    killed = child(tmp_path / "a", tmp_path / "log", 'file.name == "3.png" and os._exit(9)')
    killed.communicate(timeout=60)
    assert killed.returncode == 9 and list(cache.glob("*.partial"))
    assert len(image_memmap(files, 64).images) == 6
    assert not list(cache.glob("*.partial")), "what the killed process left is cleared away"


@pytest.mark.parametrize("ending", ["npy", "json"])
def test_a_changed_byte_of_the_cache_is_said_and_mended(tmp_path, cache, capsys, ending):
    files = folder_of(tmp_path / "a", 6)
    total = image_memmap(files, 64).images.sum()
    (file,) = cache.glob(f"*.{ending}")
    data = bytearray(file.read_bytes())
    data[-len(data) // 3] ^= 4
    file.write_bytes(data)
    assert image_memmap(files, 64).images.sum() == total
    assert "is damaged" in capsys.readouterr().err
    assert image_memmap(files, 64).images.sum() == total
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "damage", ["cut", "zeroed", "zeroed after its header", "of other pictures"]
)
def test_a_damaged_cache_file_is_made_again(tmp_path, cache, damage):
    files = folder_of(tmp_path / "a", 6)
    whole = np.array(image_memmap(files, 64).images)
    (file,) = cache.glob("*.npy")
    data = file.read_bytes()
    if damage == "of other pictures":  # as whole as can be, and of the same shape
        image_memmap(files[::-1], 64)
        (other,) = set(cache.glob("*.npy")) - {file}
        file.write_bytes(other.read_bytes())
    else:
        kept = {"cut": len(data) // 2, "zeroed": 0, "zeroed after its header": 128}[damage]
        file.write_bytes(data[:kept] + bytes(0 if damage == "cut" else len(data) - kept))
    assert np.array_equal(image_memmap(files, 64).images, whole)


def test_other_pixels_under_the_same_name_size_and_time_are_seen(tmp_path):
    """As after `cp -p`, an unpacked archive, or a camera without a clock."""
    sums = set()
    for folder, value in (("a", 40), ("b", 90), ("a", 140)):
        file = tmp_path / folder / "0.bmp"
        file.parent.mkdir(exist_ok=True)
        Image.new("RGB", (30, 30), (value,) * 3).save(file)
        os.utime(file, (1.6e9, 1.6e9))
        sums.add(int(image_memmap([file], 16, 1).images[0, 0, 0, 0]))
    assert sums == {40, 90, 140}


def test_equal_pictures_in_two_places_share_an_entry_and_keep_their_own_names(tmp_path, cache):
    for place in ("a", "b"):
        files = folder_of(tmp_path / place, 3)
        files[1].write_bytes(b"no picture")
        with pytest.warns(UserWarning, match="1 of 3"):
            (skipped,) = image_memmap(files, 16, 1).skipped
        assert skipped.reason.startswith(str(files[1]))
    assert len(list(cache.glob("*.npy"))) == 1


def test_a_picture_that_changes_while_it_is_read_is_refused(tmp_path, cache, monkeypatch):
    files = folder_of(tmp_path / "a", 3)
    real = images.read_image

    def read(file, size, channels):
        if file == files[2]:
            Image.new("RGB", (30, 30), (99,) * 3).save(files[0])
        return real(file, size, channels)

    monkeypatch.setattr(images, "read_image", read)
    with pytest.raises(UserError, match="0.png changed while it was read"):
        image_memmap(files, 16)
    assert not list(cache.glob("*.npy")) and not list(cache.glob("*.partial"))


def test_the_cache_may_be_deleted_while_pictures_are_decoded(tmp_path, cache, monkeypatch):
    files = folder_of(tmp_path / "a", 5)
    real, calls = images.read_image, []

    def read(file, size, channels):
        calls.append(file)
        if len(calls) == 3:
            shutil.rmtree(cache.parent)
        return real(file, size, channels)

    monkeypatch.setattr(images, "read_image", read)
    assert image_memmap(files, 16, threads=1).images.shape == (5, 16, 16, 3)


@pytest.mark.skipif(sys.platform == "win32", reason="ru_maxrss is POSIX")
def test_memory_stays_bounded(tmp_path):
    Image.fromarray(noise(64, 64)).save(tmp_path / "a.jpg")
    code = """
import resource, sys
from pathlib import Path
from helpers.tasks.images import image_memmap
files = [Path(sys.argv[1])]
image_memmap(files, 8)
unit = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
images = image_memmap(files * 1500, 224, threads=2).images
print(images.nbytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.jpg")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    array, grown = map(int, done.stdout.split())
    assert array > 200e6
    assert grown < array / 2
