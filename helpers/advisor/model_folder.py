"""A folder that holds a model: parts named by their content, and a recipe that hashes them."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from helpers.errors import UserError
from helpers.storage.files import PARTIAL, held, left_behind, write_kept, write_whole

RECIPE = "recipe.json"
TENSORS, TEST = "model.safetensors", "test.csv"  # as earlier versions called them
_NAMES = {"model": TENSORS, "test": TEST, "onnx": "model.onnx"}
# What each value of a recipe is; what is left out is read as this.
_KINDS = {"approach": "", "modality": "", "backbone": "", "settings": "", "seed": 0,
          "vocabulary": [], "classes": [], "files": {}, "seal": ""}  # fmt: skip
_NO_SEAL = "0" * 64
_OURS = re.compile(r"(model-[0-9a-f]{16}\.(safetensors|onnx)|test-[0-9a-f]{16}\.csv)")


def write_model(folder: Path, recipe: dict[str, Any], parts: dict[str, bytes]) -> None:
    """Write a model over whatever model is there; a kill at any moment leaves one of both, whole.

    The parts are named by their content and the recipe, which comes last, names and hashes them;
    so parts of two models never meet. What no recipe names any more is deleted.
    """
    files = {}
    for part, data in parts.items():
        digest = hashlib.sha256(data).hexdigest()
        stem, ending = _NAMES[part].split(".")
        files[part] = {"name": f"{stem}-{digest[:16]}.{ending}", "sha256": digest}
    with held(folder, wait=True):
        before = told_by(folder)  # the parts of an earlier version bear no hash in their names
        old = (TENSORS, TEST) if "approach" in before and "files" not in before else ()
        new = {folder / files[part]["name"]: data for part, data in parts.items()}
        had = [file for file in new if file.exists()]
        try:
            for file, data in new.items():
                write_whole(file, data)
            write_whole(folder / RECIPE, _signed(recipe | {"files": files}))
        except OSError:
            for file in new.keys() - had:
                file.unlink(missing_ok=True)
            raise
        for file in set(folder.iterdir()) - new.keys():
            ours = file.name in old or _OURS.fullmatch(file.name)
            if ours or (file.suffix == PARTIAL and left_behind(file)):
                file.unlink(missing_ok=True)


def told_by(folder: Path) -> dict[str, Any]:
    """A folder's recipe as it stands there, altered or not; nothing where none can be read."""
    try:
        told = json.loads((folder / RECIPE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


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


def read_part(folder: Path, recipe: dict[str, Any], part: str) -> bytes:
    """The bytes of a part of an exported model, which are those that its recipe was written with.

    The recipes of earlier versions hold no hashes, and name no files.
    """
    told = recipe.get("files", {}).get(part, {"name": _NAMES[part]})
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
    tensors = read_part(folder, recipe, "model")
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
        read_part(folder, recipe, "model")
        return "files" in recipe  # one of an earlier version can't be told from a damaged one
    except UserError:
        print(f"the model in {folder} is damaged and is trained again", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        return False


def _altered(path: Path) -> UserError:
    return UserError(f"{path} was altered after it was written; export the model again")
