"""A trained model as a folder: safetensors, a recipe as JSON, and a snippet that loads it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from sklearn.pipeline import Pipeline
from torch import Tensor

from helpers.advisor.task import OwnTask
from helpers.approaches import Fitted, TransferModel, get_approach, merge_lora, parse_options
from helpers.backbones import load_backbone
from helpers.errors import UserError
from helpers.paths import commit
from helpers.storage.files import write_whole
from helpers.tasks.images import read_image
from helpers.training.checkpoints import load_task_state, save_task
from helpers.training.examples import Examples
from helpers.training.loop import predict


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
    """The pipeline that `classical_state` wrote, by scikit-learn's public attributes alone."""
    arrays = {key: value.numpy() for key, value in tensors.items()}
    pipeline = get_approach(recipe["approach"]).pipeline(recipe["modality"], recipe["lr"], 0, 1)
    if recipe["modality"] == "text":
        pipeline[0].set_params(vocabulary=recipe["vocabulary"])  # in the order of the columns
        pipeline[0].idf_ = arrays["idf"]
    else:
        pipeline[1].mean_, pipeline[1].scale_ = arrays["mean"], arrays["scale"]
    regression = pipeline[-1]
    regression.coef_, regression.intercept_ = arrays["coef"], arrays["intercept"]
    regression.classes_ = arrays["classes"]
    return pipeline


TENSORS, RECIPE, SNIPPET, TEST = "model.safetensors", "recipe.json", "load_me.py", "test.csv"
LOADER = '''"""Load the exported model and use it: python load_me.py [FILE_OR_TEXT ...]"""

import sys
from pathlib import Path

from helpers.advisor import load_model  # pip install freeze-tune-adapt

model = load_model(Path(__file__).parent)
print(model.about())
for given, name in zip(sys.argv[1:], model.classify(sys.argv[1:])):
    print(f"{given}: {name}")
if not sys.argv[1:]:
    print(f"test accuracy, worked out again: {model.test_accuracy():.4f}")
'''


@dataclass(frozen=True)
class OwnModel:
    """A loaded model. recipe: everything that was written about it; model: what answers."""

    folder: Path
    recipe: dict[str, Any]
    model: Any = field(repr=False)

    def about(self) -> str:
        """What it is, in two lines."""
        r = self.recipe
        tested = r.get("test") or {}
        said = f"{r['approach']} on {r['backbone']}: {', '.join(r['classes'])}"
        if not tested:
            return said
        return f"{said}\ntest accuracy, as reported: {tested['accuracy']:.4f} (n = {tested['n']:,})"

    def probabilities(self, inputs: Sequence[str | Path]) -> np.ndarray:
        """Probabilities (N, classes) for picture files, or for texts."""
        if not len(inputs):
            return np.zeros((0, len(self.recipe["classes"])))
        return torch.softmax(self._logits(self._encoded(inputs)), 1).numpy()

    def predict(self, inputs: Any) -> np.ndarray:
        """Indices of the most probable classes, int64 (N,), of inputs as a task's split has them.

        inputs: uint8 (N, side, side, channels), or N texts.
        """
        return self._logits(inputs).argmax(1).numpy()

    def classify(self, inputs: Sequence[str | Path]) -> list[str]:
        """The most probable class of each picture file, or text."""
        return [self.recipe["classes"][i] for i in self.probabilities(inputs).argmax(1)]

    def test_accuracy(self) -> float:
        """Accuracy on the test examples listed beside the model, worked out again."""
        path = self.folder / TEST
        if not path.is_file():
            raise UserError(f"{path} is not there, so there is nothing to test on")
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))[1:]
        named = self.classify([row[0] for row in rows])
        return float(np.mean([name == row[1] for name, row in zip(named, rows, strict=True)]))

    def _encoded(self, inputs: Sequence[str | Path]) -> Any:
        if self.recipe["modality"] == "text":
            return [str(text) for text in inputs]
        side, channels = self.recipe["side"], self.recipe["channels"]
        return np.stack([read_image(Path(file), side, channels) for file in inputs])

    def _logits(self, inputs: Any) -> torch.Tensor:
        if not isinstance(self.model, TransferModel):
            scores = np.full((len(inputs), len(self.recipe["classes"])), -1e9, dtype=np.float32)
            found = self.model.predict_log_proba(inputs)
            scores[:, self.model[-1].classes_] = np.maximum(found, -1e9)
            return torch.from_numpy(scores)
        encoded = self.model.backbone.encode(inputs)
        labels = np.zeros(len(encoded), dtype=np.int64)
        return predict(self.model, Examples.raw(encoded, labels))


def save_fitted(fitted: Fitted, facts: dict[str, Any], folder: Path) -> None:
    """Write a trained model and its recipe; the recipe comes last, so a whole folder has one."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(fitted.model, TransferModel):
        save_task(fitted.model, folder / TENSORS)
    else:
        facts = facts | {"vocabulary": classical_state(fitted.model, folder / TENSORS)}
    told = json.dumps(facts | {"git": commit()}, indent=1, ensure_ascii=False)
    write_whole(folder / RECIPE, told.encode("utf-8"))


def load_model(folder: Path | str) -> OwnModel:
    """Load what `advise --export` wrote.

    Raises UserError for a folder without a whole model, or a backbone whose weights are another.
    """
    folder = Path(folder)
    try:
        recipe = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} holds no exported model ({error}); export it again") from error
    approach = get_approach(recipe["approach"])
    if not approach.uses_network:
        return OwnModel(folder, recipe, restored_pipeline(recipe, load_file(folder / TENSORS)))
    backbone = load_backbone(
        recipe["backbone"], pretrained=approach.uses_pretrained, size=recipe["image_size"],
        seed=recipe["seed"],
    )  # fmt: skip
    options = parse_options(approach.options, recipe.get("settings", ""))
    model = approach.build(backbone, len(recipe["classes"]), options)
    load_task_state(model, folder / TENSORS)
    model.start = 0  # it is given raw inputs
    return OwnModel(folder, recipe, merge_lora(model).eval())


def model_facts(
    own: OwnTask, backbone: str, image_size: int, row: dict[str, Any]
) -> dict[str, Any]:
    """What a recipe says of a model that a row of the race describes."""
    inputs = own.task.train.inputs
    picture = own.task.modality == "image"
    return {
        "approach": row["approach"],
        "modality": own.task.modality,
        "backbone": backbone,
        "image_size": image_size,
        "classes": list(own.task.classes),
        "side": inputs.shape[1] if picture else None,
        "channels": inputs.shape[3] if picture else None,
        "settings": "",
        "data": own.name,
        **{key: row[key] for key in ("seed", "lr", "epochs", "n_train", "run_id")},
        "validation_accuracy": row["accuracy"],
    }


def write_export(kept: Path, own: OwnTask, test: dict[str, Any], folder: Path) -> str:
    """Copy a kept model to a folder of its own, with the loader and the test examples.

    Returns a sentence for the terminal. Raises UserError where the folder can't be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept / TENSORS, folder / TENSORS)
        (folder / SNIPPET).write_text(LOADER, encoding="utf-8")
        rows, task = own.rows["test"], own.task
        with (folder / TEST).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file" if task.modality == "image" else "text", "label"])
            for row in rows:
                item = own.data.items[row]
                item = str(Path(item).resolve()) if task.modality == "image" else item
                writer.writerow([item, task.classes[own.data.labels[row]]])
        recipe = json.loads((kept / RECIPE).read_text(encoding="utf-8")) | {"test": test}
        told = json.dumps(recipe, indent=1, ensure_ascii=False)
        write_whole(folder / RECIPE, told.encode("utf-8"))
    except OSError as error:
        raise UserError(
            f"cannot write the model to {folder} ({error.strerror or error}); name a folder that "
            "can be written to"
        ) from error
    size = (folder / TENSORS).stat().st_size / 1e6
    kind = get_approach(recipe["approach"]).stored
    return (
        f"Written to {folder}: {kind} ({size:.2f} MB), test accuracy {test['accuracy']:.3f}; "
        f"`python {folder / SNIPPET}` loads it and tests it again."
    )
