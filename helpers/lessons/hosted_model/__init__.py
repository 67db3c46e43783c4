"""A hosted model on this machine: its service and its client."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "client": ["hosted"],
    },
)
