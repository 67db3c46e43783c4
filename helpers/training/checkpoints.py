"""What one task adds to the disk: a head, an adapter or weights, as safetensors."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from helpers.backbones import weights_hash
from helpers.errors import UserError
from helpers.training.loop import moving_names


def base_fingerprint(model: nn.Module) -> str:
    """Hash of everything in the model that its task did not train: 16 hex digits."""
    trained = set(moving_names(model))
    return weights_hash({k: v for k, v in model.state_dict().items() if k not in trained})


def task_state(model: nn.Module) -> dict[str, Tensor]:
    """The tensors that differ from the base: trained weights and moved BatchNorm statistics."""
    state = model.state_dict()
    return {name: state[name].detach().cpu().contiguous() for name in moving_names(model)}


def halved(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors with 16-bit floats: half the bytes, about three decimal digits.

    name: of the task, for the message. Raises UserError where a value does not fit (past 65,504).
    """
    made = {key: t.half() if t.is_floating_point() else t for key, t in state.items()}
    for key, tensor in made.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UserError(
                f"{key} of the task {name!r} has values beyond 16 bits; save it with bits=32"
            )
    return made


def widened(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with 32-bit floats, as models compute: exact, whatever they were."""
    return {key: t.float() if t.is_floating_point() else t for key, t in state.items()}


def task_bytes(model: nn.Module) -> bytes:
    """The safetensors file of one task, as bytes."""
    return save(task_state(model), {"base": base_fingerprint(model)})


def header_of(data: bytes) -> dict[str, Any]:
    """The header of a safetensors file: tensors' names → types and shapes, and `__metadata__`.

    Raises ValueError for bytes without one.
    """
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length]) if 0 < length <= len(data) - 8 else None
    except RecursionError:
        header = None
    if not isinstance(header, dict):
        raise ValueError("it has no header")
    return header


def restore_task(model: nn.Module, data: bytes, what: str) -> nn.Module:
    """Put the tensors of a task's file, called `what`, into a model built the same way.

    Raises UserError for a damaged file, another base, or tensors that do not fit.
    """
    try:
        metadata = header_of(data).get("__metadata__") or {}
        state = load(data)
    except (SafetensorError, ValueError) as error:
        raise UserError(f"{what} can't be read as safetensors ({error}); save it again") from error
    wanted = task_state(model)
    if metadata.get("base") != base_fingerprint(model):
        raise UserError(f"{what} was trained on another base; load the backbone it names")
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    if shapes != {name: tuple(value.shape) for name, value in wanted.items()}:
        raise UserError(f"{what} does not fit this model: its tensors differ in name or shape")
    model.load_state_dict(state, strict=False)
    return model
