"""A trained model as a folder: safetensors, a recipe as JSON, and a snippet that loads it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from sklearn.pipeline import Pipeline
from torch import Tensor

from helpers.advisor.task import OwnTask
from helpers.approaches import Fitted, TransferModel, get_approach, merge_lora, parse_options
from helpers.backbones import load_backbone
from helpers.errors import UserError
from helpers.paths import commit
from helpers.storage.files import PARTIAL, held, in_cache, left_behind, write_kept, write_whole
from helpers.tasks.images import read_image
from helpers.training.checkpoints import restore_task, task_bytes
from helpers.training.examples import Examples
from helpers.training.loop import predict


def classical_state(pipeline: Pipeline) -> tuple[bytes, list[str]]:
    """The arrays of a fitted pipeline as safetensors, and its words in the order of columns."""
    regression, words = pipeline[-1], []
    arrays = {"coef": regression.coef_, "intercept": regression.intercept_}
    arrays["classes"] = regression.classes_
    if len(pipeline) == 2:
        arrays["idf"] = pipeline[0].idf_
        words = sorted(pipeline[0].vocabulary_, key=pipeline[0].vocabulary_.get)
    else:
        arrays |= {"mean": pipeline[1].mean_, "scale": pipeline[1].scale_}
    tensors = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in arrays.items()}
    return save(tensors), words


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
    if regression.classes_.max() >= len(recipe["classes"]):
        raise ValueError("it has more classes than names")
    return pipeline


RECIPE, SNIPPET = "recipe.json", "load_me.py"
TENSORS, TEST = "model.safetensors", "test.csv"  # as earlier versions called them
# What each value of a recipe is; what is left out is read as this.
_KINDS = {"approach": "", "modality": "", "backbone": "", "settings": "", "seed": 0,
          "vocabulary": [], "classes": [], "files": {}, "seal": ""}  # fmt: skip
_NO_SEAL = "0" * 64
_OURS = re.compile(r"(model-[0-9a-f]{16}\.safetensors|test-[0-9a-f]{16}\.csv)")
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
        """Accuracy on the test examples listed beside the model, worked out again.

        Raises UserError where they are not there, or not those that were exported.
        """
        data = _part(self.folder, self.recipe, "test", TEST)
        rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))[1:]
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
    """Write a trained model and its recipe into a folder of the cache."""
    if isinstance(fitted.model, TransferModel):
        tensors = task_bytes(fitted.model)
    else:
        tensors, words = classical_state(fitted.model)
        facts = facts | {"vocabulary": words}
    facts = facts | {"git": commit()}
    in_cache(folder, "keeping a model", lambda: _write_model(folder, facts, {"model": tensors}))


def _write_model(folder: Path, recipe: dict[str, Any], parts: dict[str, bytes]) -> None:
    """Write a model over whatever model is there; a kill at any moment leaves one of both, whole.

    The parts are named by their content and the recipe, which comes last, names and hashes them;
    so parts of two models never meet. What no recipe names any more is deleted.
    """
    files = {}
    for part, data in parts.items():
        digest = hashlib.sha256(data).hexdigest()
        stem, ending = (TENSORS if part == "model" else TEST).split(".")
        files[part] = {"name": f"{stem}-{digest[:16]}.{ending}", "sha256": digest}
    with held(folder, wait=True):
        new = {folder / files[part]["name"]: data for part, data in parts.items()}
        before = [file for file in new if file.exists()]
        try:
            for file, data in new.items():
                write_whole(file, data)
            write_whole(folder / RECIPE, _signed(recipe | {"files": files}))
        except OSError:
            for file in new.keys() - before:
                file.unlink(missing_ok=True)
            raise
        for file in set(folder.iterdir()) - new.keys():
            ours = file.name in (TENSORS, TEST) or _OURS.fullmatch(file.name)
            if ours or (file.suffix == PARTIAL and left_behind(file)):
                file.unlink(missing_ok=True)


def _signed(recipe: dict[str, Any]) -> bytes:
    """A recipe as JSON, with a hash of every byte of it in its own place."""
    text = json.dumps(recipe | {"seal": _NO_SEAL}, indent=1, ensure_ascii=False)
    data = text.encode("utf-8", "surrogatepass")
    return data.replace(_NO_SEAL.encode(), hashlib.sha256(data).hexdigest().encode(), 1)


def read_recipe(folder: Path) -> dict[str, Any]:
    """What a folder says of its model. Raises UserError where none is there, or it was altered."""
    try:
        data = (folder / RECIPE).read_bytes()
        recipe = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{folder} holds no exported model ({error}); export it again") from error
    if not isinstance(recipe, dict) or not all(
        isinstance(recipe.get(key, default), type(default)) for key, default in _KINDS.items()
    ):
        raise _altered(folder / RECIPE)
    if not {"seal", "files"} & recipe.keys():  # of an earlier version
        return recipe
    seal = recipe.get("seal", "").encode("utf-8", "surrogatepass")
    unsigned = data.replace(seal, _NO_SEAL.encode(), 1)
    if seal != hashlib.sha256(unsigned).hexdigest().encode():
        raise _altered(folder / RECIPE)
    return recipe


def _part(folder: Path, recipe: dict[str, Any], part: str, before: str) -> bytes:
    """The bytes of a part of an exported model, which are those that its recipe was written with.

    before: its name in the folders of earlier versions, whose recipes hold no hashes.
    """
    told = recipe.get("files", {part: {"name": before}}).get(part, {"name": before})
    path = folder / told["name"]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} can't be read ({error}); export the model again") from error
    if "files" in recipe and told.get("sha256") != hashlib.sha256(data).hexdigest():
        raise _altered(path)
    return data


def model_files(folder: Path) -> dict[str, bytes]:
    """The files of a kept model by their names, the recipe last: it makes a folder whole."""
    recipe = read_recipe(folder)
    tensors = _part(folder, recipe, "model", TENSORS)
    return {recipe["files"]["model"]["name"]: tensors, RECIPE: (folder / RECIPE).read_bytes()}


def keep_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write down what `model_files` gave on another machine."""
    for name, content in files.items():
        if name == RECIPE or _OURS.fullmatch(name):
            write_kept(folder / name, content)


def is_kept(folder: Path) -> bool:
    """Whether the cache holds a whole model; a damaged one is said to be so, and deleted."""
    if not (folder / RECIPE).is_file():
        return False
    try:
        recipe = read_recipe(folder)
        _part(folder, recipe, "model", TENSORS)
        return "files" in recipe  # one of an earlier version can't be told from a damaged one
    except UserError:
        print(f"the model in {folder} is damaged and is trained again", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        return False


def _altered(path: Path) -> UserError:
    return UserError(f"{path} was altered after it was written; export the model again")


def load_model(folder: Path | str) -> OwnModel:
    """Load what `advise --export` wrote.

    Raises UserError for a folder without a whole model, files that are not those that the recipe
    was written with, or a backbone whose weights are another.
    """
    folder = Path(folder)
    recipe = read_recipe(folder)
    tensors = _part(folder, recipe, "model", TENSORS)
    try:
        return OwnModel(folder, recipe, _built(recipe, tensors, folder))
    except UserError:
        raise
    except (
        LookupError,
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
        SafetensorError,
    ) as error:
        # Of an earlier version, whose recipe has no hash.
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
        "settings": "",
        "data": own.name,
        **{key: row[key] for key in ("seed", "lr", "epochs", "n_train", "run_id")},
        "validation_accuracy": row["accuracy"],
    }


def write_export(kept: Path, own: OwnTask, test: dict[str, Any], folder: Path) -> str:
    """Copy a kept model to a folder of its own, with the loader and the test examples.

    Returns a sentence for the terminal. Raises UserError where the folder can't be written to; what
    was exported there before is still whole then.
    """
    recipe = read_recipe(kept)
    tensors = _part(kept, recipe, "model", TENSORS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / SNIPPET, LOADER.encode("utf-8"))
        _write_model(folder, recipe | {"test": test}, {"model": tensors, "test": _listed(own)})
    except OSError as error:
        raise UserError(
            f"cannot write the model to {folder} ({error.strerror or error}); name a folder that "
            "can be written to, with enough space"
        ) from error
    kind = get_approach(recipe["approach"]).stored
    return (
        f"Written to {folder}: {kind} ({len(tensors) / 1e6:.2f} MB), test accuracy "
        f"{test['accuracy']:.3f}; `python {folder / SNIPPET}` loads it and tests it again."
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
    return text.getvalue().encode("utf-8", "surrogatepass")
