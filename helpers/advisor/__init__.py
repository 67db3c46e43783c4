"""The advisor: somebody's own data in, an answer with checks, costs and reasons out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "export": ["load_model"],
        "pipeline": ["Request", "advise", "export_model"],
        "report.as_text": ["in_words"],
    },
)
