"""The explorer: every answer on sliders, in a notebook; `tools.site` writes it as a page."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"notebook": ["explorer"]}
)
