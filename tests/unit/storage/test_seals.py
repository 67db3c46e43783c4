"""Hashes of files: remembered only while nothing can have changed, never for what can't tell."""

import os
import time

import pytest

from helpers.storage import seals
from helpers.storage.seals import Damaged, digests, sealed, sha256_of, unsealed


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def read(monkeypatch):
    """Names of the files that were read."""
    names, real = [], seals._read
    monkeypatch.setattr(seals, "_read", lambda name: (names.append(name), real(name))[1])
    return names


@pytest.fixture
def settled(monkeypatch):
    """As if every file had lain there for a while."""
    monkeypatch.setattr(seals, "SETTLED", -(10**12))


def write(file, text):
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def test_a_file_is_read_once(tmp_path, read, settled):
    files = [write(tmp_path / "data" / f"{n}.txt", str(n)) for n in range(3)]
    assert digests([*files, files[0]]) == [*map(sha256_of, files), sha256_of(files[0])]
    assert len(read) == 3
    assert digests(files[::-1]) == [sha256_of(file) for file in files[::-1]]
    assert len(read) == 3


@pytest.mark.skipif(os.name != "posix", reason="no time of change: every file is read each time")
@pytest.mark.parametrize("replaced", [False, True])
def test_no_set_time_hides_other_content(tmp_path, settled, replaced):
    file = write(tmp_path / "data" / "a.txt", "one")
    before = file.stat()
    digests([file])
    if replaced:
        file.rename(tmp_path / "data" / "old.txt")
    time.sleep(0.02)
    write(file, "two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digests([file]) == [sha256_of(file)]


@pytest.mark.parametrize(("count", "size"), [(1, 50_000_000), (50, 1_000_000), (2_500, 20_000)])
def test_fifty_megabytes_cost_little_more_than_hashing_them(tmp_path, settled, count, size):
    """Of a processor, beside hashing the same files plainly; and once."""
    (tmp_path / "data").mkdir()
    files = [tmp_path / "data" / str(number) for number in range(count)]
    for file in files:
        file.write_bytes(os.urandom(1000) * (size // 1000))

    def seconds(work):
        started = time.process_time()
        assert "" not in work()
        return time.process_time() - started

    plain = seconds(lambda: [sha256_of(file) for file in files])
    first, again = (seconds(lambda: digests(files)) for _ in range(2))
    assert first <= 10 * plain + 0.5 and again <= first


def test_what_was_just_written_is_read_again(tmp_path, read):
    """Its next change may fall into the same tick of the clock."""
    file = write(tmp_path / "data" / "a.txt", "one")
    digests([file])
    digests([file])
    assert len(read) == 2


def test_without_a_time_of_change_nothing_is_remembered(tmp_path, read, settled, monkeypatch):
    monkeypatch.setattr(seals, "HAS_CHANGE_TIME", False)
    file = write(tmp_path / "data" / "a.txt", "one")
    digests([file])
    digests([file])
    assert len(read) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_what_is_no_file_has_no_content(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    assert digests([tmp_path / "pipe", tmp_path / "loop", tmp_path, tmp_path / "none"]) == [""] * 4


@pytest.mark.parametrize("damage", [b"", b"[]", b"[" * 100_000, b"9" * 30, None])
def test_damaged_memory_is_only_forgotten(tmp_path, settled, damage):
    file = write(tmp_path / "data" / "a.txt", "one")
    digests([file])
    (ledger,) = (tmp_path / "cache" / "stamps").glob("*.json")
    data = ledger.read_bytes()
    ledger.write_bytes(data.replace(b"a.txt", b"b.txt") if damage is None else damage)
    assert digests([file]) == [sha256_of(file)]


def test_every_byte_of_a_seal_counts():
    data = sealed({"a": [1, 2.5, "é\ud800"], "b": None})
    assert unsealed(data) == {"a": [1, 2.5, "é\ud800"], "b": None}
    for place in range(len(data)):
        with pytest.raises(Damaged):
            unsealed(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(Damaged):
        unsealed(data + b" ")


def test_what_is_gone_is_forgotten(tmp_path, settled):
    first, second = (write(tmp_path / "data" / name, name) for name in ("a.txt", "b.txt"))
    digests([first])
    first.unlink()
    digests([second])
    (ledger,) = (tmp_path / "cache" / "stamps").glob("*.json")
    assert list(unsealed(ledger.read_bytes())) == [str(second)]
