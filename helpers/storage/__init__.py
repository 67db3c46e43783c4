"""Files that survive kills, downloads and caches. Nothing here knows a model."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "assets": ["Asset", "all_assets", "assets_named"],
        "files": ["locked", "write_whole"],
        "install": ["asset_path", "find_asset"],
        "results_file": ["ResultsFile", "RowFile"],
    },
)
