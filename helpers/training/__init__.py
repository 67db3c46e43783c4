"""The one training loop, its batches, and the cache of what frozen layers return."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "checkpoints": ["load_task_state", "save_task", "task_bytes", "task_state"],
        "examples": ["Examples", "batches"],
        "feature_cache": ["extract_features", "frozen_prefix"],
        "loop": [
            "History",
            "TrainConfig",
            "TrainingDiverged",
            "evaluate",
            "parameter_groups",
            "predict",
            "train",
        ],
    },
)
