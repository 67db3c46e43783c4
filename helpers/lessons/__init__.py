"""What one notebook alone needs: a module or a package for each topic."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "exercises.check": ["check", "grade"],
        "profile": ["pick"],
    },
)
