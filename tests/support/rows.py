"""Rows for tests of records and of what reads them."""

import numpy as np
import pandas as pd

from helpers.results import schema


def make_row(**changes) -> dict:
    """A whole, valid row; an argument replaces a column."""
    row = {
        "schema": schema.COMPARED[changes.get("modality", "image")] or schema.SCHEMA,
        "sweep": "trial",
        "task": "digits",
        "modality": "image",
        "backbone": "pocket",
        "approach": "lora",
        "n_train": 50,
        "dial": 0.0,
        "seed": 0,
        "lr": 1e-3,
        "epochs": 20,
        "batch_size": 32,
        "image_size": 28,
        "settings": "",
        "origin": "full",
        "precision": "float32",
        "device": 'cpu: "Model, 3 GHz"',
        "torch": "2.6.0",
        "git": "0123456789",
        "created": "2026-01-02T03:04:05+00:00",
    }
    row |= {c.name: 1 for c in schema.COLUMNS if c.name not in row and c.name != "run_id"}
    return row | changes


SECONDS = {"feature_extraction": 1.0, "lora": 10.0, "full_fine_tuning": 100.0}


def made(values: dict[str, list[float]], n_train: int = 100, **changes) -> pd.DataFrame:
    """Runs of one cell: accuracies by approach, a seed for each."""
    rows = [
        make_row(
            **{
                "task": "digits",
                "approach": approach,
                "n_train": n_train,
                "seed": seed,
                "test_accuracy": accuracy,
                "train_seconds": SECONDS.get(approach, 5.0) * n_train / 100,
                "train_cpu_seconds": SECONDS.get(approach, 5.0) * n_train / 100,
                "prepare_seconds": 0.0,
                "latency_ms": 1.0 + (approach == "lora"),
            }
            | changes
        )
        for approach, several in values.items()
        for seed, accuracy in enumerate(several)
    ]
    return pd.DataFrame(rows)


def three(frozen: float, lora: float, full: float, spread: float = 0.01) -> dict[str, list[float]]:
    """Three seeds for each approach around its mean; the seeds' luck is not shared."""
    pattern = np.array([[-1, 0, 1], [1, -1, 0], [0, 1, -1]]) * spread
    means = {"feature_extraction": frozen, "lora": lora, "full_fine_tuning": full}
    return {name: list(mean + pattern[i]) for i, (name, mean) in enumerate(means.items())}
