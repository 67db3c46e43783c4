"""Plain torch that notebooks 02 to 05 give to carry home: their functions and classes, by name."""

import ast

import timm
import torch

from helpers.backbones import load_lite_weights
from tools.notebooks import build_notebooks as build

SHOWN = ("02", "03", "04", "05")
KINDS = (ast.FunctionDef, ast.ClassDef)


def plain_torch(root):
    """Return what the notebooks define; where two define one name, the later's."""
    collection = build.Collection(root)
    names = {"timm": timm, "torch": torch, "nn": torch.nn, "AdamW": torch.optim.AdamW}
    names["load_lite_weights"] = load_lite_weights
    for number in SHOWN:
        for cell in build.read_source(collection.find(number)):
            if cell.cell_type == "code":
                tree = ast.parse(cell.source)
                tree.body = [one for one in tree.body if isinstance(one, KINDS)]
                exec(compile(tree, f"notebook {number}", "exec"), names)
    return names
