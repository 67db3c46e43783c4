"""Rows for tests of records and of what reads them."""

from helpers.results import runs, schema


def make_row(**changes) -> dict:
    """A whole, valid row; an argument replaces a column."""
    row = {
        "schema": runs.COMPARED,
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
