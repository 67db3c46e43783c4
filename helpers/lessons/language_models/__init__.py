"""Language models: adapting a decoder, and what that costs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "causal_lm": ["load_causal_lm", "sample"],
        "tuning": ["adapt_briefly", "as_curves"],
    },
)
