"""Many tasks on one base: files of adapters, and their server."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "library": ["Library"],
        "server": ["Server"],
    },
)
