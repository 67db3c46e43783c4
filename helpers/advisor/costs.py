"""What each approach costs on this machine: a few steps of each, timed on the user's own inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from helpers.advisor.hyperparameters import BATCH_SIZE, Hyperparameters
from helpers.advisor.task import Form, OwnTask, key_of
from helpers.approaches import get_approach
from helpers.backbones import Backbone
from helpers.experiments.costs import count_parameters, measure, run_prefix, sample_batch
from helpers.experiments.single_run import environment
from helpers.experiments.steps import Step, first_step, memory_parts, step_timer
from helpers.experiments.timing import one_thread, serving_latency, spent, undisturbed
from helpers.runtime import pick_device
from helpers.training.checkpoints import task_state
from helpers.vocabulary import FEATURE_EXTRACTION

STEP_SIDE = 128  # pixels up to which a timed step has STEP examples
STEP, REPEATS, CLASSICAL = 16, 2, 500  # examples of a timed step, repeats, examples of a timed fit
_VERSION = 2  # raise it when costs come out otherwise


@dataclass(frozen=True)
class Cost:
    """What one approach costs here, in seconds an example where nothing else is said.

    prepare: the frozen stages below what is trained, once. step: one training step. judge: one
    prediction while it trains. fit: of what a solver fits, without steps.
    memory_mb: at the peak of a step on BATCH_SIZE examples. stored_mb: on disk for each task.
    busy: whether other programs were running meanwhile, so that seconds may be too high.
    """

    approach: str
    prepare: float
    step: float
    judge: float
    fit: float
    memory_mb: float
    stored_mb: float
    latency_ms: float
    trainable: int
    busy: bool = False

    def seconds(
        self, recipe: Hyperparameters, n_train: int, n_validation: int, missing: int | None = None
    ) -> float:
        """Seconds of one training run, preparation and early stopping as recorded included.

        missing: examples whose frozen prefix is not there yet; all of them where None.
        """
        if not get_approach(self.approach).uses_network:
            return self.fit * n_train
        epochs = max(1.0, recipe.share * recipe.epochs)
        each = n_train * self.step + n_validation * self.judge
        missing = n_train + n_validation if missing is None else missing
        return self.prepare * missing + self.fit * n_train + epochs * each + 0.3


# What was timed beside other programs is timed again the next time.
COSTS = Form(
    read=lambda held: {name: Cost(**cost) for name, cost in held.items()},
    write=lambda costs: (
        None
        if any(cost.busy for cost in costs.values())
        else {name: asdict(cost) for name, cost in costs.items()}
    ),
)


def costs_key(backbone: Backbone, names: Iterable[str]) -> str:
    """What costs depend on beside the data, this machine for one, as the name of a file."""
    facts = environment(pick_device())
    machine = [facts[name] for name in ("device", "threads", "torch")]
    return key_of("costs", _VERSION, *machine, backbone.name, backbone.recipe.size, *names)


def own_costs(
    backbone: Backbone, own: OwnTask, names: Iterable[str], fit: float = 0.0
) -> dict[str, Cost]:
    """Costs by approach, timed here; what trains in the same steps, or is served alike, once.

    fit: seconds that a solver needs for a probe, an example; it takes no steps then.
    """
    entries = {name: get_approach(name) for name in names}
    twins = {name: e.steps_like for name, e in entries.items() if e.steps_like in entries}
    trained = [name for name, e in entries.items() if e.uses_network and name not in twins]
    few = timed_examples(backbone)
    size = min(few, len(own.task.train))
    steps = {name: first_step(backbone, own.task, name, few) for name in trained}
    seconds, busy = undisturbed(_timers(steps, own, size), REPEATS)
    costs, latency = {}, {}
    one = sample_batch(backbone.encode(own.task.train.inputs[:1]), 1)
    with one_thread() if busy else nullcontext():
        for name, step in steps.items():
            served = "plain" if entries[name].serves_plain_network() else name
            if served not in latency:
                latency[served], _ = serving_latency(step[0], one)
            costs[name] = _stepped(name, step, size, seconds, latency[served])
        costs |= {name: _fitted(name, own) for name, e in entries.items() if not e.uses_network}
    probe = costs.get(FEATURE_EXTRACTION)
    if probe and fit:
        costs[FEATURE_EXTRACTION] = replace(probe, step=0.0, judge=0.0, fit=fit)
    for name, twin in twins.items():
        extra = probe.prepare if probe and entries[name].reads_features else 0.0
        costs[name] = replace(costs[twin], approach=name, prepare=extra)
    return {name: replace(costs[name], busy=busy) for name in entries}


def timed_examples(backbone: Backbone) -> int:
    """Examples of a timed step: at more pixels fewer, whose activations take as much memory."""
    if backbone.modality == "text":
        return STEP
    return max(4, int(STEP * min(1.0, (STEP_SIDE / backbone.recipe.size) ** 2)))


def _timers(steps: Mapping[str, Step], own: OwnTask, size: int) -> dict[str, Any]:
    """What times the parts of a cost on `size` examples, by approach and part."""
    timers = {}
    for name, step in steps.items():
        model, inputs, _ = step
        timers[f"{name} step"] = step_timer(step, spent)  # of a copy, in training
        model.eval()
        timers[f"{name} judge"] = partial(spent, torch.no_grad()(partial(model, inputs)))
        if model.start:
            batch = sample_batch(model.backbone.encode(own.task.train.inputs[:size]), size)
            prefix = torch.no_grad()(partial(run_prefix, model, batch))
            timers[f"{name} prepare"] = partial(spent, prefix)
    return timers


def _stepped(
    name: str, step: Step, size: int, seconds: Mapping[str, float], latency: float
) -> Cost:
    """The cost of what trains in steps. seconds: of what `_timers` times, on `size` examples."""
    model, memory = step[0], memory_parts(*step)
    grown = BATCH_SIZE / size  # activations grow with the batch
    return Cost(
        approach=name,
        prepare=seconds.get(f"{name} prepare", 0.0) / size,
        step=seconds[f"{name} step"] / size,
        judge=seconds[f"{name} judge"] / size,
        fit=0.0,
        memory_mb=memory["weights_mb"] + memory["moments_mb"] + grown * memory["passing_mb"],
        stored_mb=sum(value.nbytes for value in task_state(model).values()) / 1e6,
        latency_ms=latency,
        trainable=count_parameters(model)[0],
    )


def _fitted(name: str, own: OwnTask) -> Cost:
    """Fit what has no network on some examples; its seconds grow with their number."""
    approach, task = get_approach(name), own.task
    few = np.arange(min(CLASSICAL, len(task.train)))
    small = replace(task, train=task.train.take(few), validation=task.validation.take(slice(50)))
    config = approach.config(task.modality, len(few))
    fits = []
    taken = spent(lambda: fits.append(approach.fit(None, small, config)))
    row = measure(fits[0], small, config, approach.options())
    facts = (row["peak_memory_mb"], row["stored_mb"], row["latency_ms"], row["trainable_params"])
    return Cost(name, 0.0, 0.0, 0.0, min(taken) / len(few), *facts)
