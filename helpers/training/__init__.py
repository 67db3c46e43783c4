"""The one training loop, its batches, and the cache of what frozen layers return."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "feature_cache": ["extract_features", "frozen_prefix"],
        "loop": ["TrainConfig", "TrainingDiverged", "predict", "train"],
    },
)
