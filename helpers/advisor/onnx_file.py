"""A trained network as ONNX, which runtimes without Python read, checked against the network."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from helpers.approaches import TransferModel

MISSING = "an ONNX file needs `pip install 'freeze-tune-adapt[onnx]'`"
NO_NETWORK = "an ONNX file is written of networks alone"
CLOSE = 1e-4  # the most that a probability may differ
_OPSET = 18


class _Whole(nn.Module):
    """From pictures, uint8 (N, side, side, channels), or token ids (N, L), to probabilities."""

    def __init__(self, model: TransferModel, side: int | None) -> None:
        super().__init__()
        self.model, self.is_text = model, side is None
        self.resize = (
            None
            if side in (None, model.backbone.recipe.size)
            else _resizing(side, model.backbone.recipe.size)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        backbone = self.model.backbone
        if self.resize is not None:
            pictures = inputs.permute(0, 3, 1, 2).float()
            inputs = (self.resize @ pictures @ self.resize.T).permute(0, 2, 3, 1)
        state = inputs.long() if self.is_text else backbone.prepare(inputs)
        return torch.softmax(self.model.head(backbone.pool(backbone(state))), dim=1)


def _resizing(side: int, size: int) -> Tensor:
    """A matrix (size, side) that resizes columns as `prepare_images` does, which ONNX may not."""
    impulses = torch.eye(side)[None, None]
    return functional.interpolate(
        impulses, size=(size, side), mode="bilinear", antialias=side > size
    )[0, 0]


def as_onnx(model: Any, examples: np.ndarray | list[str]) -> tuple[bytes | None, str]:
    """Return (an ONNX file, "") or (None, why there is none).

    examples: two or more as a task's split has them; the file must answer them as the model does,
    to `CLOSE`. The input is called `inputs`, the output `probabilities` (N, classes); the number of
    examples is free, and so is the length of texts.
    """
    if not isinstance(model, TransferModel):
        return None, NO_NETWORK
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  (the exporter asks for it)
    except ImportError:
        return None, MISSING
    encoded = torch.from_numpy(np.array(model.backbone.encode(examples)))
    side = None if model.backbone.modality == "text" else encoded.shape[1]
    whole = _Whole(model, side).eval()
    try:
        data = _exported(whole, encoded)
    except torch.onnx.OnnxExporterError as error:
        return None, f"the network can't be written as ONNX ({type(error).__name__})"
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    told = session.run(None, {"inputs": encoded.numpy()})[0]
    with torch.inference_mode():
        expected = torch.softmax(model(encoded), dim=1).numpy()
    apart = float(np.abs(told - expected).max())
    if apart > CLOSE:
        return None, f"the ONNX file differs from the network by {apart:.1g} and was left out"
    return data, ""


def _exported(whole: _Whole, encoded: Tensor) -> bytes:
    free = {0: torch.export.Dim("examples")}
    if whole.is_text:
        free[1] = torch.export.Dim("tokens", min=2, max=512)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own insides
        file = Path(folder) / "model.onnx"
        with contextlib.redirect_stdout(io.StringIO()):  # it reports its steps there
            torch.onnx.export(
                whole, (encoded,), file, dynamo=True, opset_version=_OPSET, input_names=["inputs"],
                output_names=["probabilities"], dynamic_shapes=(free,), external_data=False,
                verbose=False,
            )  # fmt: skip
        return file.read_bytes()
