"""Continued pretraining on examples without labels."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "pretraining": [
            "PretextConfig",
            "contrast",
            "nt_xent",
            "random_view",
            "refresh_statistics",
        ],
    },
)
