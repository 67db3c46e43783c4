"""The article's claims, and how each is tested on the records."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "ledger": [
            "counts_in_words",
            "effect_in_words",
            "judge_claims",
            "ledger_table",
            "load_claims",
            "verdict_box",
        ],
    },
)
