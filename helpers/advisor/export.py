"""A trained model as a folder: safetensors, a recipe as JSON, and a snippet that loads it."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from sklearn.pipeline import Pipeline
from torch import Tensor

from helpers.advisor.hyperparameters import settings_of
from helpers.advisor.model_folder import RECIPE, read_part, read_recipe, told_by, write_model
from helpers.advisor.onnx_file import as_onnx
from helpers.advisor.read.build import read_each
from helpers.advisor.read.class_folders import read_text
from helpers.advisor.read.folder_layout import TEXT_SUFFIXES
from helpers.advisor.read.tables import long_cells
from helpers.advisor.task import OwnTask
from helpers.approaches import Fitted, TransferModel, get_approach, merge_lora, parse_options
from helpers.backbones import load_backbone
from helpers.errors import UserError, printable
from helpers.paths import commit
from helpers.storage.files import in_cache, write_whole
from helpers.tasks.images import read_image
from helpers.training.checkpoints import restore_task, task_bytes
from helpers.training.examples import Examples
from helpers.training.loop import predict


def classical_state(pipeline: Pipeline) -> tuple[bytes, dict[str, Any]]:
    """The arrays of a fitted pipeline as safetensors, and what else its recipe needs.

    vocabulary: the words, or characters, that it counts in the order of their columns.
    """
    regression, facts = pipeline[-1], {"vocabulary": []}
    arrays = {"coef": regression.coef_, "intercept": regression.intercept_}
    arrays["classes"] = regression.classes_
    if len(pipeline) == 2:
        arrays["idf"] = pipeline[0].idf_
        counted = sorted(pipeline[0].vocabulary_, key=pipeline[0].vocabulary_.get)
        facts = {"vocabulary": counted, "counts": pipeline[0].analyzer}
    else:
        arrays |= {"mean": pipeline[1].mean_, "scale": pipeline[1].scale_}
    tensors = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in arrays.items()}
    return save(tensors), facts


def restored_pipeline(recipe: dict[str, Any], tensors: dict[str, Tensor]) -> Pipeline:
    """The pipeline that `classical_state` wrote, by scikit-learn's public attributes alone."""
    arrays = {key: value.numpy() for key, value in tensors.items()}
    characters = recipe.get("counts") == "char"
    pipeline = get_approach(recipe["approach"]).pipeline(
        recipe["modality"], recipe["lr"], 0, 1, characters=characters
    )
    if recipe["modality"] == "text":
        pipeline[0].set_params(vocabulary=recipe["vocabulary"])  # in the order of the columns
        pipeline[0].idf_ = arrays["idf"]
    else:
        pipeline[1].mean_, pipeline[1].scale_ = arrays["mean"], arrays["scale"]
    regression = pipeline[-1]
    regression.coef_, regression.intercept_ = arrays["coef"], arrays["intercept"]
    regression.classes_ = arrays["classes"]
    if regression.classes_.max() >= len(recipe["classes"]):
        raise ValueError("it has more classes than names")
    return pipeline


SNIPPET, CARD = "load_me.py", "README.md"
ONNX_EXAMPLES = 8  # that an ONNX file is held against the network with
# What a recipe that was altered leads to, where no hash tells it.
_BROKEN = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, SafetensorError)
_AS_WRITTEN = ("utf-8", "surrogatepass")  # names of files may not be UTF-8
LOADER = '''"""Load the exported model and use it: python load_me.py [FILE_OR_TEXT ...]"""

import sys
from pathlib import Path

from helpers.advisor import load_model  # pip install freeze-tune-adapt

model = load_model(Path(__file__).parent)
sys.exit(model.command(sys.argv[1:]))  # a program calls model.classify([...])
'''


@dataclass(frozen=True)
class OwnModel:
    """A loaded model. recipe: everything that was written about it; model: what answers."""

    folder: Path
    recipe: dict[str, Any]
    model: Any = field(repr=False)

    def about(self) -> str:
        """What it is, in two lines; the scripts of earlier exports print it."""
        r, tested = self.recipe, self.recipe.get("test")
        said = f"{r['approach']} on {r['backbone']}: {', '.join(r['classes'])}"
        if not tested:
            return said
        return f"{said}\ntest accuracy, as reported: {tested['accuracy']:.4f} (n = {tested['n']:,})"

    def command(self, given: Sequence[str]) -> int:
        """Print the class of each picture, text or file of a text, or test the model again.

        Returns the exit status, 2 with one line of error for a file that cannot be read.
        """
        print(*map(printable, self.about().splitlines()), sep="\n")
        try:
            for name, label in zip(given, self.classify(self._named(given)), strict=True):
                print(printable(f"{name}: {label}"))
            if not given:
                print(f"test accuracy, worked out again: {self.test_accuracy():.4f}")
        except UserError as error:
            print(printable(" ".join(str(error).split())), file=sys.stderr)
            return 2
        return 0

    def _named(self, given: Sequence[str]) -> list[str | Path]:
        """What was given on a command line: names of files as paths, other words as texts."""
        if self.recipe["modality"] != "text":
            return list(given)

        def is_file(words: str) -> bool:
            if Path(words).suffix.lower() in TEXT_SUFFIXES and len(words.split()) == 1:
                return True  # a text file, there or not
            return os.path.exists(words)  # noqa: PTH110  (Path.exists raises for a long text)

        return [Path(words) if is_file(words) else words for words in given]

    def probabilities(self, inputs: Sequence[str | Path]) -> np.ndarray:
        """Probabilities (N, classes) for picture files, or for texts; a `Path` is a text's file."""
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
        """Accuracy on the test examples listed beside the model, worked out again.

        Raises UserError where they are not there, or not those that were exported.
        """
        data = read_part(self.folder, self.recipe, "test")
        with long_cells():
            rows = list(csv.reader(io.StringIO(data.decode(*_AS_WRITTEN), newline="")))[1:]
        named = self.classify([row[0] for row in rows])
        return float(np.mean([name == row[1] for name, row in zip(named, rows, strict=True)]))

    def _encoded(self, inputs: Sequence[str | Path]) -> Any:
        if self.recipe["modality"] == "text":
            return read_each(lambda one: _text(one) if isinstance(one, Path) else str(one), inputs)
        form = {"size": self.recipe["side"], "channels": self.recipe["channels"]}
        pixels = partial(read_image, **form, scale=self.recipe.get("scale"))
        return np.stack(read_each(pixels, [Path(file) for file in inputs]))

    def _logits(self, inputs: Any) -> torch.Tensor:
        if not isinstance(self.model, TransferModel):
            scores = np.full((len(inputs), len(self.recipe["classes"])), -1e9, dtype=np.float32)
            found = self.model.predict_log_proba(inputs)
            scores[:, self.model[-1].classes_] = np.maximum(found, -1e9)
            return torch.from_numpy(scores)
        encoded = self.model.backbone.encode(inputs)
        labels = np.zeros(len(encoded), dtype=np.int64)
        return predict(self.model, Examples.raw(encoded, labels))


def _text(file: Path) -> str:
    try:
        return read_text(file)
    except OSError as error:
        raise UserError(f"{file} cannot be opened ({error.strerror}); check the name") from error
    except ValueError as error:
        raise UserError(f"{file} {error}; save it as UTF-8") from error


def save_fitted(fitted: Fitted, facts: dict[str, Any], folder: Path) -> None:
    """Write a trained model and its recipe into a folder of the cache."""
    if isinstance(fitted.model, TransferModel):
        tensors = task_bytes(fitted.model)
    else:
        tensors, counted = classical_state(fitted.model)
        facts = facts | counted
    facts = facts | {"git": commit()}
    in_cache(folder, "keeping a model", lambda: write_model(folder, facts, {"model": tensors}))


def load_model(folder: Path | str) -> OwnModel:
    """Load what `advise --export` wrote.

    Raises UserError for a folder without a whole model, files that are not those that the recipe
    was written with, or a backbone whose weights are another.
    """
    folder = Path(folder)
    recipe = read_recipe(folder)
    tensors = read_part(folder, recipe, "model")
    try:
        return OwnModel(folder, recipe, _built(recipe, tensors, folder))
    except UserError:
        raise
    except _BROKEN as error:
        raise UserError(
            f"{folder} holds no model that can be read ({type(error).__name__}: {error}); export "
            "it again"
        ) from error


def _built(recipe: dict[str, Any], tensors: bytes, folder: Path) -> Any:
    """What a recipe and its tensors make: a pipeline, or a network."""
    approach = get_approach(recipe["approach"])
    if not approach.uses_network:
        return restored_pipeline(recipe, load(tensors))
    backbone = load_backbone(
        recipe["backbone"], pretrained=approach.uses_pretrained, size=recipe["image_size"],
        seed=recipe["seed"],
    )  # fmt: skip
    options = parse_options(approach.options, recipe.get("settings", ""))
    model = approach.build(backbone, len(recipe["classes"]), options)
    restore_task(model, tensors, f"the model in {folder}")
    model.start = 0  # it is given raw inputs
    return merge_lora(model).eval()


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
        "scale": own.data.scale,
        "settings": settings_of(row["approach"], own.task.modality),
        "data": own.name,
        **{key: row[key] for key in ("seed", "lr", "epochs", "n_train", "run_id")},
        "validation_accuracy": row["accuracy"],
    }


def write_export(
    kept: Path, own: OwnTask, test: dict[str, Any], folder: Path, card: str = ""
) -> str:
    """Copy a kept model to a folder of its own, with loader, test examples, card and ONNX file.

    card: Markdown. Returns a sentence for the terminal. Raises UserError where the folder can't be
    written to; what was exported there before is still whole then.
    """
    recipe = read_recipe(kept)
    tensors = read_part(kept, recipe, "model")
    ours = "approach" in told_by(folder) or (folder / SNIPPET).exists()
    if (folder / RECIPE).exists() and not ours:
        raise UserError(f"{folder} holds a {RECIPE} that is of no export; name another folder")
    onnx, why = as_onnx(_built(recipe, tensors, kept), own.task.test.inputs[:ONNX_EXAMPLES])
    parts = {"model": tensors, "test": _listed(own)} | ({"onnx": onnx} if onnx else {})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / SNIPPET, LOADER.encode("utf-8"))
        if card:
            write_whole(folder / CARD, card.encode("utf-8", "replace"))
        write_model(folder, recipe | {"test": test}, parts)
    except OSError as error:
        raise UserError(
            f"cannot write the model to {folder} ({error.strerror or error}); name a folder that "
            "can be written to, with enough space"
        ) from error
    kind = get_approach(recipe["approach"]).stored
    return (
        f"Written to {folder}: {kind} ({len(tensors) / 1e6:.2f} MB), test accuracy "
        f"{test['accuracy']:.3f}; `python {folder / SNIPPET}` loads it and tests it again. "
        + (f"No ONNX file: {why}." if why else f"ONNX: {len(onnx) / 1e6:.1f} MB, equal outputs.")
    )


def _listed(own: OwnTask) -> bytes:
    """The test examples with their labels, as CSV."""
    text, task = io.StringIO(), own.task
    writer = csv.writer(text)
    writer.writerow(["file" if task.modality == "image" else "text", "label"])
    for row in own.rows["test"]:
        item = own.data.items[row]
        item = str(Path(item).resolve()) if task.modality == "image" else item
        writer.writerow([item, task.classes[own.data.labels[row]]])
    return text.getvalue().encode(*_AS_WRITTEN)
