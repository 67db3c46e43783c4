"""What others published, beside our runs and never pooled with them: figures, cases, sums."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cases": ["comparable_cases"],
        "sums": ["average_scores", "full_minus_linear"],
        "tables": ["load_published"],
    },
)
