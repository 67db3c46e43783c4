"""`fetch`: the command that gets assets, and says what each is, weighs and allows."""

from collections.abc import Sequence

from helpers import paths
from helpers.errors import UserError
from helpers.storage import install
from helpers.storage.assets import Asset, all_assets, assets_named
from helpers.storage.download import Unreachable
from helpers.storage.upkeep import usage


def fetch(names: Sequence[str] = ()) -> dict[str, str]:
    """Get assets by name (an asset's, or a task's), or all of them, and print a line for each.

    Without names, optional assets that are not there are listed and not fetched, and what only
    other hosts hold may be out of reach: it is reported with what falls back for it. Returns by
    name what became of each: "there", "fetched", "optional: how to get it", or "unavailable (why):
    what stands in".

    Raises UserError for an unknown name, and when a wheel, or anything named, cannot be had; the
    others are fetched first.
    """
    named = {asset.name: asset for name in names for asset in assets_named(name)}
    results, failures = {}, []
    for asset in (named or all_assets()).values():
        try:
            status = _fetch_one(asset, named=bool(named))
        except UserError as error:
            if named or not asset.needs_other_host:
                failures.append(error)
                continue
            why = "its host cannot be reached" if isinstance(error, Unreachable) else str(error)
            status = f"unavailable ({why}): {asset.fallback}"
        results[asset.name] = status
        size = f"{asset.size / 1e6:.0f} MB" if asset.size else ""
        print(f"{asset.name:<19}{size:>6}  {asset.about} [{asset.licence}]: {status}")
    if failures:
        raise failures[0] if len(failures) == 1 else UserError("; ".join(map(str, failures)))
    used = ", ".join(f"{kind} {size / 1e6:,.0f} MB" for kind, size in usage().items())
    print(f"assets are in {paths.cache_dir() / 'assets'}; the whole cache: {used}")
    return results


def _fetch_one(asset: Asset, *, named: bool) -> str:
    found = install.located(asset)
    if found is not None and install.is_whole(asset, found):
        return "there"
    if asset.optional and not named:
        return f"optional: python -m helpers fetch {asset.name}"
    install.install(asset)
    return "fetched"
