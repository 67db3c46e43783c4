"""`fetch`: the command that gets assets, and says what each is, weighs and allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from helpers import paths
from helpers.errors import UserError
from helpers.storage import install
from helpers.storage.assets import Asset, all_assets, assets_named
from helpers.storage.download import Unreachable
from helpers.storage.upkeep import usage


@dataclass(frozen=True)
class Fetched:
    """What became of one asset. `path` is None where this machine has none of it."""

    name: str
    path: Path | None
    status: (
        str  # "there", "fetched", "optional: how to get it", "unavailable (why): what stands in"
    )


def fetch(names: Sequence[str] | None = None, *, progress: bool = True) -> list[Fetched]:
    """Get assets by name (an asset's, or a task's), or all of them.

    Without names, optional assets that are not there are listed and not fetched, and what only
    other hosts hold may be out of reach: it is reported with what falls back for it. Prints one
    line per asset when `progress`.

    Raises UserError for an unknown name, and when a wheel, or anything named, cannot be had; the
    others are fetched first.
    """
    if isinstance(names, str):
        names = [names]
    asked = [asset for name in names for asset in assets_named(name)] if names else None
    wanted = all_assets().values() if asked is None else {a.name: a for a in asked}.values()
    results, failures = [], []
    for asset in wanted:
        try:
            result = _fetch_one(asset, progress, named=asked is not None)
        except UserError as error:
            if asked is not None or not asset.needs_other_host:
                failures.append(error)
                continue
            why = "its host cannot be reached" if isinstance(error, Unreachable) else str(error)
            result = Fetched(asset.name, None, f"unavailable ({why}): {asset.fallback}")
        results.append(result)
        if progress:
            size = f"{asset.size / 1e6:.0f} MB" if asset.size else ""
            about = f"{asset.about} [{asset.licence}]"
            print(f"{asset.name:<19}{size:>6}  {about}: {result.status}")
    if failures:
        raise failures[0] if len(failures) == 1 else UserError("; ".join(map(str, failures)))
    if progress:
        used = ", ".join(f"{kind} {size / 1e6:,.0f} MB" for kind, size in usage().items())
        print(f"assets are in {paths.cache_dir() / 'assets'}; the whole cache: {used}")
    return results


def _fetch_one(asset: Asset, progress: bool, *, named: bool) -> Fetched:
    found = install.located(asset)
    if found is not None and install.is_whole(asset, found):
        return Fetched(asset.name, found, "there")
    if asset.optional and not named:
        return Fetched(asset.name, None, f"optional: python -m helpers fetch {asset.name}")
    return Fetched(asset.name, install.install(asset, progress=progress), "fetched")
