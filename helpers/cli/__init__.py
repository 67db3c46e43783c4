"""The command line, `python -m helpers COMMAND`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "commands": ["build_parser", "main"],
    },
)
