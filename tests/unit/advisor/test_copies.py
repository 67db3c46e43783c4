"""Changed copies are found, mirrored and cropped ones too; what only looks alike is not."""

import io

import numpy as np
import pytest
from own import with_splits
from PIL import Image

from helpers.advisor.checks import copies
from helpers.advisor.checks.catalogue import run_checks
from helpers.advisor.checks.copies import COARSE, FINE, align, blurred, lay, near_pairs
from helpers.advisor.read.any_format import read_data
from helpers.tasks import load_task, splits
from helpers.tasks.images import square

COPIED = 40


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def digits():
    return _pictures("digits", 600)


@pytest.fixture(scope="module")
def textile():
    return _pictures("textile", 200)


def _pictures(name, n):
    return [Image.fromarray(x[..., 0]) for x in np.asarray(load_task(name).train.inputs[:n])]


def _saved(image, quality=90):
    held = io.BytesIO()
    image.save(held, "JPEG", quality=quality)
    return Image.open(held)


def _cropped(image, left, top, right, bottom):
    """Take shares off the sides, then cut out the largest square of what is left."""
    side = (1 - max(left + right, top + bottom)) * image.width
    x, y = (
        ((1 + near - far) * image.width - side) / 2 for near, far in ((left, right), (top, bottom))
    )
    return image.resize(image.size, Image.Resampling.BICUBIC, box=(x, y, x + side, y + side))


def _mirrored(image):
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _marked(image):
    """A pale bar over the lower part, as a line of writing would leave."""
    values = np.asarray(image).astype(float)
    side = len(values)
    bar = values[side * 6 // 10 : side * 7 // 10, side // 5 : side * 4 // 5]
    bar += 0.15 * (255 - bar)
    return Image.fromarray(values.round().astype(np.uint8))


CHANGES = {
    "mirrored": _mirrored,
    "crop 1 %": lambda image: _saved(_cropped(image, *[0.01] * 4)),
    "crop 3 %": lambda image: _saved(_cropped(image, *[0.03] * 4)),
    "crop 5 %": lambda image: _saved(_cropped(image, *[0.05] * 4)),
    "off centre": lambda image: _saved(_cropped(image, 0.05, 0.01, 0.02, 0.05)),
    "mirrored crop": lambda image: _saved(_mirrored(_cropped(image, 0.01, 0.04, 0.04, 0.02))),
    "smaller": lambda image: _saved(image.resize([max(28, image.width // 2)] * 2)),
    "quality": lambda image: _saved(image, quality=50),
    "brighter": lambda image: image.point(lambda value: min(255, round(value * 1.15) + 6)),
    "marked": _marked,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("task", "least"), [("digits", 0.9), ("textile", 0.975)])
def test_changed_copies_are_found_where_all_looks_alike(task, least, change, request):
    pictures = request.getfixturevalue(task)
    n = len(pictures)
    copies = [CHANGES[change](picture) for picture in pictures[:COPIED]]
    thumbs = np.stack([square(picture, 32)[..., 0] for picture in (*pictures, *copies)])
    found = {tuple(pair) for pair in near_pairs(thumbs).tolist()}
    wanted = {(i, n + i) for i in range(COPIED)}
    assert len(found & wanted) >= least * COPIED
    assert len(found - wanted) <= 2


def test_mirrored_digits_are_no_copies_of_others(digits):
    """A 0 or an 8 looks much like another one mirrored."""
    pictures = [*digits[:300], *map(_mirrored, digits[300:])]
    assert len(near_pairs(np.stack([square(picture, 32)[..., 0] for picture in pictures]))) <= 1


def test_a_picture_is_no_copy_of_itself():
    half = np.random.default_rng(0).integers(0, 255, (20, 4, 2), dtype=np.uint8)
    symmetric = np.concatenate([half, half[:, :, ::-1]], axis=2)
    thumbs = [square(Image.fromarray(picture), 32)[..., 0] for picture in symmetric]
    assert len(near_pairs(np.stack(thumbs))) == 0


def test_a_crop_is_laid_where_it_was_cut_out(textile):
    whole = np.stack([square(picture, 32)[..., 0] for picture in textile[:20]])
    part = [square(_cropped(picture, 0.04, 0.01, 0.02, 0.05), 32) for picture in textile[:20]]
    whole, part = whole.astype(np.float32), np.stack(part)[..., 0].astype(np.float32)
    at = np.tile(np.float32([0.97, 0, 0.97, 0]), (20, 1))
    at = align(whole, part, align(blurred(whole), blurred(part), at, COARSE), FINE)
    # Six hundredths of each side are gone; the centre moved two up and one to the right.
    assert np.allclose(np.median(at, axis=0), [0.94, -0.64, 0.94, 0.32], atol=0.02)
    laid, shared = lay(whole, at)
    assert shared[:, 4:-4, 4:-4].all()
    assert not shared[:, :2].any()
    assert np.abs(laid - part)[shared].mean() < 0.4 * np.abs(whole - part)[shared].mean()


def test_augmentations_of_one_picture_stay_in_one_split(tmp_path, textile):
    for i, picture in enumerate(textile[:60]):
        folder = tmp_path / ("plain", "broken")[i % 2]
        folder.mkdir(exist_ok=True)
        picture.save(folder / f"{i:02}x.png")
        _mirrored(picture).save(folder / f"m{i:02}x.png")
        _cropped(picture, 0.02, 0.03, 0.04, 0.01).save(folder / f"c{i:02}x.png")
    data = with_splits(read_data(tmp_path))
    numbers = np.array([item.stem.strip("mcx") for item in data.items])
    apart = [n for n in set(numbers) if len(set(data.splits[numbers == n])) > 1]
    assert len(apart) <= 1
    (finding,) = [found for found in run_checks(data) if found.check == "duplicates"]
    assert "mirrored" in finding.found


def test_copies_are_looked_for_at_each_size(tmp_path, textile, monkeypatch):
    """What is remembered of one size and number of channels does not stand for another."""
    for i, picture in enumerate(textile[:24]):
        folder = tmp_path / "own" / ("plain", "broken")[i % 2]
        folder.mkdir(exist_ok=True, parents=True)
        picture.save(folder / f"{i:02}.png")
    data, made = read_data(tmp_path / "own"), []

    def thumbnails(data, *shape):
        made.append(shape)
        return thumbnails_of(data, *shape)

    thumbnails_of = copies.thumbnails
    monkeypatch.setattr(copies, "thumbnails", thumbnails)
    for shape in ((32, 3), (64, 3), (64, 1), (64, 3), (32, 3)):
        copies.find_copies(data, *shape)
    assert made == [(32, 3), (64, 3), (64, 1)]


SAID = {
    "German": (
        "Die Größe der Hütte überraschte die müden Gäste, als sie über den Hügel spät kamen",
        "Die Größe der Hütte überraschte die müden Gäste, als sie über den Hügel früh kamen",
        "Ärzte können während der nächsten Woche keine höheren Löhne für Überstunden erwarten",
    ),
    "Russian": (
        "Вчера вечером мы долго гуляли по набережной и смотрели на корабли в старом порту",
        "Вчера вечером мы долго гуляли по набережной и смотрели на корабли в новом порту",
        "Завтра утром поезд из Москвы прибудет на два часа позже обычного времени",
    ),
    "Chinese": (
        "这家餐厅的服务非常好而且菜也很新鲜我们下次一定还会再来",
        "这家餐厅的服务非常好而且菜也很便宜我们下次一定还会再来",
        "昨天晚上的电影让人失望因为故事太长演员也没有感情",
    ),
    "Greek": (
        "Το ξενοδοχείο ήταν καθαρό και ήσυχο, αλλά το πρωινό άρχιζε πολύ αργά για εμάς",
        "Το ξενοδοχείο ήταν καθαρό και ήσυχο, αλλά το πρωινό άρχιζε πολύ νωρίς για εμάς",
        "Η συναυλία ακυρώθηκε επειδή έβρεχε όλη την ημέρα στην πόλη μας",
    ),
}


@pytest.mark.parametrize("language", SAID)
def test_texts_that_say_nearly_the_same_are_found_in_any_script(language):
    first, changed, other = SAID[language]
    shouted = f"{first.upper()}!!! https://example.org/x1"
    near = copies._text_copies([first, changed, other, shouted]).near
    assert near[0] == near[1] == near[3] != near[2]


def test_words_of_english_are_those_that_recorded_splits_rest_on():
    for text in ("It's 5 o'clock -- DON'T  wait: see https://a.example/b?c=1 now_then", "", "42"):
        assert copies.words_of(text) == splits._plain(text)
