"""`data/assets.toml` as dataclasses."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import get_origin

from helpers import paths
from helpers.errors import UserError
from helpers.registry import unknown_name
from helpers.storage.files import read_toml
from helpers.storage.seals import tree_hash

KINDS = ("wheel", "sdist", "commit", "files")
PACKAGES = {"wheel": ".whl", "sdist": ".tar.gz"}  # kinds that a package index holds


@dataclass(frozen=True)
class Asset:
    """One table of `data/assets.toml`; the file's head says what the fields mean."""

    name: str
    kind: str  # one of KINDS
    about: str
    licence: str
    size: int  # bytes to download, 0 where the host does not say before it answers
    unpacked: int  # bytes on disk; of what another host holds at most so many
    tasks: tuple[str, ...] = ()  # tasks that read it
    package: str = ""
    version: str = ""
    sha256: str = ""  # of the package's file
    strip: str = ""  # leading folder left out when unpacking
    files: tuple[str, ...] = ()  # patterns of the members to unpack
    folder: str = ""  # its folder below $TRANSFER_DATA
    fallback: str = ""  # what is used while it is missing
    url: str = ""  # of a Git repository
    commit: str = ""
    count: int = 0  # pictures that its commit holds
    optional: bool = False  # not fetched unless it is named or used
    urls: tuple[str, ...] = ()
    contents: dict[str, str] = field(default_factory=dict)  # file name -> SHA-256 unzipped
    tree: str = ""  # of the unpacked files

    def __post_init__(self) -> None:
        for one in fields(self):
            value, kind = getattr(self, one.name), get_origin(one.type) or one.type
            parts = {tuple: list, dict: dict.values}.get(kind, lambda _: ())
            if not isinstance(value, kind) or not all(isinstance(v, str) for v in parts(value)):
                raise UserError(
                    f"asset {self.name!r} in data/assets.toml has {one.name} = {value!r:.80}, "
                    f"which is no {kind.__name__}; correct it"
                )
        if self.kind not in KINDS:
            raise UserError(f"asset {self.name!r} has kind {self.kind!r}; use one of {KINDS}")

    @property
    def needs_other_host(self) -> bool:
        """True for what no package index holds."""
        return self.kind not in PACKAGES

    @property
    def fingerprint(self) -> str:
        """Hash of what the unpacked folder must hold; a changed entry is fetched again."""
        fields = ("kind", "sha256", "strip", "files", "commit", "count", "contents")
        chosen = {key: value for key, value in asdict(self).items() if key in fields}
        text = json.dumps(chosen, sort_keys=True)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()

    @property
    def most_bytes(self) -> int:
        """What a host may send: its headers differ by a few bytes, and no more is wanted."""
        return max(self.size, self.unpacked) * 11 // 10

    def has_tree(self, hashes: Mapping[str, str]) -> bool:
        """Whether unpacked files, path → SHA-256, are those that the entry pins, if it does."""
        return not self.tree or tree_hash(hashes) == self.tree

    def is_package_name(self, file_name: str) -> bool:
        """Tell whether a file name is that of this asset's package, however it is spelled."""
        ending = PACKAGES[self.kind]
        if not file_name.lower().endswith(ending):
            return False
        name, stem = (
            re.sub(r"[-_.]+", "_", text).lower()
            for text in (file_name[: -len(ending)] + "-", f"{self.package}-{self.version}-")
        )
        return name.startswith(stem)


def all_assets(file: Path | None = None) -> dict[str, Asset]:
    """Read the registry: name -> Asset, in the file's order. Raises UserError if it is missing."""
    file = file or paths.data_dir() / "assets.toml"
    if not file.exists():
        raise UserError(f"there is no {file}; install the package from a clone: pip install -e .")
    return {name: _asset(name, table) for name, table in read_toml(file).items()}


def assets_named(name: str) -> list[Asset]:
    """Return the asset called `name`, or those that the task `name` reads.

    Raises UserError, with a suggestion, when there is neither.
    """
    registry = all_assets()
    if name in registry:
        return [registry[name]]
    found = [asset for asset in registry.values() if name in asset.tasks]
    if not found:
        tasks = {task for asset in registry.values() for task in asset.tasks}
        raise unknown_name("asset or task", name, {*registry, *tasks})
    return found


def _asset(name: str, table: dict) -> Asset:
    try:
        values = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
        return Asset(name=name, **values)
    except (AttributeError, TypeError) as error:
        raise UserError(f"asset {name!r} in data/assets.toml: {error}; correct it") from None
