"""What an approach costs: parameters, FLOPs, memory, bytes, milliseconds; all measured."""

import copy
import functools
import math
import tracemalloc
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from helpers.approaches import Fitted, Options, TransferModel
from helpers.approaches.base import entering_examples
from helpers.experiments.timing import processor_ms, serving_latency
from helpers.runtime import pick_device
from helpers.tasks import Split, Task
from helpers.training.checkpoints import task_bytes
from helpers.training.examples import Examples
from helpers.training.loop import TrainConfig, trainable


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """(trainable, total) parameters."""
    return sum(p.numel() for p in trainable(model)), sum(p.numel() for p in model.parameters())


def forward_flops(function: Callable[[], Any]) -> int:
    """FLOPs of a call (a multiply-add counts two), as PyTorch's own counter sees them."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        function()
    return counter.get_total_flops()


def training_step(model: nn.Module, inputs: Any, labels: Tensor) -> None:
    """One forward, backward and AdamW step, its state made in it; on a copy, if it matters."""
    optimizer = torch.optim.AdamW(trainable(model), lr=0.0, weight_decay=0.0)
    F.cross_entropy(model(inputs), labels).backward()
    optimizer.step()
    optimizer.zero_grad()


def step_flops(model: nn.Module, inputs: Any, labels: Tensor) -> int:
    """FLOPs of one training step on these inputs, backward pass included."""
    model = copy.deepcopy(model).train()
    counts = {torch.ops.aten.convolution_backward: _convolution_backward_flops}
    with FlopCounterMode(display=False, custom_mapping=counts) as counter:
        training_step(model, inputs, labels)
    return counter.get_total_flops()


def _convolution_backward_flops(
    grad_shape: list[int], x_shape: list[int], w_shape: list[int], *rest: Any, **_: Any
) -> int:
    """Each gradient of a convolution costs what its forward pass does.

    PyTorch's own count forgets that the weight's gradient is grouped, and so makes depthwise
    convolutions as dear as dense ones. `w_shape` is (out, in / groups, height, width).
    """
    output_mask = next(part for part in reversed(rest) if isinstance(part, list | tuple))
    positions = grad_shape[0] * math.prod(grad_shape[2:])
    return 2 * positions * math.prod(w_shape) * sum(map(bool, output_mask[:2]))


class TensorMemory(TorchDispatchMode):
    """Counts the bytes of live tensors, so that peaks do not depend on the allocator's habits.

    Every operation's results are registered by storage and forgotten when PyTorch frees it.
    What a kernel takes for itself while it runs (workspaces) is not seen. held: tensors that are
    there before, such as weights; what else of a tree has no storage is passed over.
    """

    def __init__(self, *held: Any) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._seen: weakref.WeakSet = weakref.WeakSet()
        self._held = [leaf.data for leaf in tree_leaves(held) if isinstance(leaf, Tensor)]
        for tensor in self._held:
            self.track(tensor)

    def __exit__(self, *error: Any) -> None:
        # What waits for the storages to be freed holds this object, which must not hold them.
        self._held.clear()
        super().__exit__(*error)

    def track(self, tensor: Tensor) -> None:
        """Count a tensor's storage until it is freed."""
        storage = tensor.untyped_storage()
        if storage in self._seen:
            return
        self._seen.add(storage)
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, size)

    def _free(self, size: int) -> None:
        self.live -= size

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.track(leaf)
        return result


def step_memory(model: nn.Module, inputs: Any, labels: Tensor) -> int:
    """Peak bytes of one training step: weights, gradients, optimizer state, activations."""
    device = labels.device
    model = copy.deepcopy(model).train()
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        training_step(model, inputs, labels)
        return torch.cuda.max_memory_allocated()
    with TensorMemory(*model.parameters(), *model.buffers(), labels, inputs) as memory:
        training_step(model, inputs, labels)
    return memory.peak


def forward_memory(model: nn.Module, function: Callable[[], Any]) -> int:
    """Peak bytes of a call without gradients, the model's weights included."""
    with TensorMemory(*model.parameters(), *model.buffers()) as memory, torch.no_grad():
        function()
    return memory.peak


def sample_batch(encoded: np.ndarray, n: int) -> Tensor:
    """The first n rows as a tensor (rows repeat when there are fewer)."""
    return torch.from_numpy(np.ascontiguousarray(encoded[np.arange(n) % len(encoded)]))


def measure(fitted: Fitted, task: Task, config: TrainConfig, options: Options) -> dict[str, float]:
    """Every cost column of a record, for a trained model on the device it was trained on."""
    history = fitted.history
    row = {
        "prepare_seconds": fitted.prepare_seconds,
        "train_seconds": history.seconds,
        "train_cpu_seconds": history.cpu_seconds + fitted.prepare_cpu_seconds,
    }
    if not isinstance(fitted.model, TransferModel):
        return row | _classical_costs(fitted, task)
    model, n = fitted.model, min(config.batch_size, len(task.train))
    head = Split(task.train.inputs[:n], task.train.labels[:n])
    raw = Examples.raw(model.backbone.encode(head.inputs), head.labels)
    rows, device = np.arange(n), pick_device(config.device)
    inputs, labels = raw.batch(rows, device)
    step_inputs, prefix_flops, prefix_memory = inputs, 0.0, 0
    if model.start:
        step_inputs, _ = entering_examples(model, head, None, config)[0].batch(rows, device)
        prefix = functools.partial(run_prefix, model, inputs)
        prefix_flops = forward_flops(prefix) / n
        prefix_memory = forward_memory(model.backbone, prefix)
    views = options.views if options.augment and model.start else 1
    prepared = len(task.train) * views + len(task.validation)
    moving, total = count_parameters(model)
    merged, unmerged = serving_latency(model, inputs[:1])
    seen_flops = step_flops(model, step_inputs, labels) / n * history.examples_seen
    return row | {
        "flops_train": seen_flops + prefix_flops * prepared + _probe_flops(fitted, inputs, n),
        "peak_memory_mb": max(
            step_memory(model, step_inputs, labels),
            prefix_memory,
            _solver_memory(model, options, len(task.train)),
        )
        / 1e6,
        "trainable_params": moving,
        "total_params": total,
        "stored_mb": len(task_bytes(model)) / 1e6,
        "latency_ms": merged,
        "latency_unmerged_ms": unmerged,
    }


def _probe_flops(fitted: Fitted, inputs: Tensor, n: int) -> float:
    """FLOPs of the whole backbone on what a probe before training read; `inputs` are n of them."""
    backbone, probed = fitted.model.backbone, fitted.extra.get("probe_inputs", 0)
    return probed and forward_flops(lambda: backbone(backbone.prepare(inputs))) / n * probed


def _solver_memory(model: TransferModel, options: Options, n: int) -> int:
    """Bytes of what L-BFGS holds of a probe's features, in 64 bits: as they are and standardised.

    Counted and not measured; 0 where no solver is at work.
    """
    if getattr(options, "solver", "") != "lbfgs":
        return 0
    views = options.views if options.augment else 1
    return 2 * 8 * views * n * model.backbone.feature_size


def run_prefix(model: TransferModel, inputs: Tensor) -> Any:
    """What the frozen stages below `model.start` return for a raw batch."""
    return model.backbone(model.backbone.prepare(inputs), stop=model.start)


def _classical_costs(fitted: Fitted, task: Task) -> dict[str, float]:
    """Costs of a scikit-learn pipeline; bytes are those of its arrays and vocabulary."""
    *preparing, regression = [step for _, step in fitted.model.steps]
    one = task.test.inputs[:1]
    latency = processor_ms(functools.partial(fitted.model.predict, one), 20, warm_up=0)
    weights = regression.coef_.size + regression.intercept_.size
    words = getattr(preparing[-1], "vocabulary_", {})
    stored = 4 * weights + sum(len(word.encode()) + 4 for word in words)
    # A multinomial step multiplies examples and weights forward and back: 4 FLOPs a weight.
    used = regression.coef_.size
    if words:
        used *= fitted.model[:-1].transform(task.train.inputs[:200]).getnnz(1).mean() / len(words)
    return {
        "flops_train": 4.0 * used * fitted.history.examples_seen,
        "peak_memory_mb": _fit_memory(fitted, task) / 1e6,
        "trainable_params": weights,
        "total_params": weights,
        "stored_mb": stored / 1e6,
        "latency_ms": latency,
        "latency_unmerged_ms": latency,
    }


def _fit_memory(fitted: Fitted, task: Task) -> int:
    """Peak bytes while the pipeline is fitted again, one solver step long, as Python counts."""
    pipeline = clone(fitted.model).set_params(logisticregression__max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        tracemalloc.start()
        pipeline.fit(task.train.inputs, task.train.labels)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak
