"""Target tasks: fixed splits, class names, licence and provenance of each.

`load_task(name)` gives the splits; `TASKS` describes them; a new task is one `register_task`.
"""

import lazy_loader

from helpers.registry import import_members
from helpers.tasks import photos, products, texts
from helpers.tasks.registry import register_task

for _module in (products, photos, texts):
    for _info in _module.TASKS:
        register_task(_info)
import_members(__name__)  # a new file here that calls register_task is found by being here

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "domain_dial": ["DIAL_STEPS", "apply_dial"],
        "loading": ["load_or_fallback", "load_task", "train_examples"],
        "registry": ["TASKS", "Source", "Split", "Task", "TaskInfo", "family", "register_task"],
    },
)
