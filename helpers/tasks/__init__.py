"""Target tasks: fixed splits, class names, licence and provenance of each.

`load_task(name)` gives the splits; `TASKS` describes them; a new task is one `register_task`.
"""

from helpers.registry import import_members
from helpers.tasks import photos, products, texts
from helpers.tasks.domain_dial import DIAL_STEPS, apply_dial
from helpers.tasks.loading import load_or_fallback, load_task, train_examples
from helpers.tasks.registry import (
    TASKS,
    Source,
    Split,
    Task,
    TaskInfo,
    family,
    register_task,
)

for _module in (products, photos, texts):
    for _info in _module.TASKS:
        register_task(_info)
import_members(__name__)  # a new file here that calls register_task is found by being here

__all__ = [
    "DIAL_STEPS",
    "TASKS",
    "Source",
    "Split",
    "Task",
    "TaskInfo",
    "apply_dial",
    "family",
    "load_or_fallback",
    "load_task",
    "register_task",
    "train_examples",
]
