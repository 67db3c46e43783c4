"""Recorded runs, and the statistics and evidence over them. Nothing here loads torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "evidence": ["both_answers"],
        "learning_curves": ["comparable"],
        "runs": ["load_runs"],
        "schema": ["COMPARED", "recipe_in_words"],
        "statistics": [
            "coverage",
            "mean_interval",
            "paired_gain",
            "regret",
            "summarise",
            "wilson_interval",
        ],
    },
)
