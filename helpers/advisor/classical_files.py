"""The classical pipeline as plain data: its arrays as safetensors, its words as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from sklearn.pipeline import Pipeline
from torch import Tensor

from helpers.approaches import get_approach
from helpers.storage.files import write_whole


def classical_state(pipeline: Pipeline, path: Path) -> list[str]:
    """Write the arrays of a fitted pipeline; returns its words in the order of their columns."""
    regression, words = pipeline[-1], []
    arrays = {"coef": regression.coef_, "intercept": regression.intercept_}
    arrays["classes"] = regression.classes_
    if len(pipeline) == 2:
        arrays["idf"] = pipeline[0].idf_
        words = sorted(pipeline[0].vocabulary_, key=pipeline[0].vocabulary_.get)
    else:
        arrays |= {"mean": pipeline[1].mean_, "scale": pipeline[1].scale_}
    tensors = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in arrays.items()}
    write_whole(path, save(tensors))
    return words


def restored_pipeline(recipe: dict[str, Any], tensors: dict[str, Tensor]) -> Pipeline:
    """The pipeline that `classical_state` wrote."""
    arrays = {key: value.numpy() for key, value in tensors.items()}
    pipeline = get_approach(recipe["approach"]).pipeline(recipe["modality"], recipe["lr"], 0, 1)
    if recipe["modality"] == "text":
        words = pipeline[0]
        words.vocabulary = {word: i for i, word in enumerate(recipe["vocabulary"])}
        words._validate_vocabulary()
        words.idf_ = arrays["idf"]
    else:
        scaler = pipeline[1]
        scaler.mean_, scaler.scale_ = arrays["mean"], arrays["scale"]
        scaler.var_, scaler.n_features_in_ = scaler.scale_**2, len(scaler.mean_)
        scaler.n_samples_seen_ = 1
    regression = pipeline[-1]
    regression.coef_, regression.intercept_ = arrays["coef"], arrays["intercept"]
    regression.classes_ = arrays["classes"]
    regression.n_features_in_ = regression.coef_.shape[1]
    regression.n_iter_ = np.array([1])
    return pipeline
