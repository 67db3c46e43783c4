"""The article's claims, and how each is tested on the records."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "ledger": [
            "effect_in_words",
            "in_words",
            "judge_claims",
            "load_claims",
            "situations",
            "verdict_box",
            "withdrawn",
        ],
    },
)
