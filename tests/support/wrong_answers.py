"""Answers that no exercise may take, made from the right one: blanks, constants, near misses."""

import numbers
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from helpers.tasks import TASKS
from helpers.vocabulary import SHIPPED

BLANKS = (..., None, "", [], {})
RETURNED = (0, 1, None, True, [], "lora")  # by functions that look at nothing
WORDS = (*SHIPPED, *TASKS, *"abcde")


def constants(right: Any) -> Iterator[tuple[str, Any]]:
    """Yield (what it is, an answer of the same kind that takes no thought)."""
    if isinstance(right, torch.nn.Module):
        yield "a model of its own", torch.nn.Linear(2, 2)
    elif callable(right):
        for value in RETURNED:
            yield f"a function that returns {value!r}", lambda *a, _v=value, **k: _v
        yield "a function that returns what it is given", lambda *a, **k: a[0] if a else None
    elif isinstance(right, Mapping):
        for value in (0, *SHIPPED):
            yield f"{value!r} for all", dict.fromkeys(right, value)
    elif isinstance(right, (list, tuple, set)):
        yield "its first alone", [*right][:1]
    elif _is_number(right):
        yield from ((f"{value}", value) for value in (0, 1, 100))


def mistakes(right: Any) -> Iterator[tuple[str, Any]]:
    """Yield (what it is, an answer that is nearly right)."""
    if isinstance(right, torch.nn.Module):
        return
    if callable(right):
        yield "its results spoilt", Spoilt(right)
    elif isinstance(right, Mapping):
        values = [*right.values()]
        yield "values that changed places", dict(zip(right, values[1:] + values[:1], strict=True))
    else:
        yield from ((f"{wrong!r:.80}", wrong) for wrong in _near(right))


def _is_number(value: Any) -> bool:
    return isinstance(value, (numbers.Number, np.number)) and not isinstance(value, (bool, np.bool))


def _near(value: Any) -> Iterator[Any]:
    """Yield values of the same kind that are wrong."""
    if isinstance(value, str):
        yield from (word for word in WORDS if word.casefold() != value.strip().casefold())
    elif isinstance(value, (bool, np.bool)):
        yield not value
    elif _is_number(value):
        yield from (1.1 * value + 0.01, 2 * value + 1, -value - 1)
    elif isinstance(value, (list, tuple, set)) and value:
        yield [*value][:-1]
    elif isinstance(value, (np.ndarray, torch.Tensor)):
        yield 1.1 * value + 1 if value.dtype not in (bool, np.bool, torch.bool) else ~value
    elif isinstance(value, pd.DataFrame | pd.Series):
        yield value.iloc[:-1]


class Spoilt:
    """A function with a wrong result; one that works in place and returns nothing stays right."""

    def __init__(self, right: Callable[..., Any]) -> None:
        self.right, self.done = right, False

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Return something else than the function does."""
        result = self.right(*given, **named)
        self.done = self.done or result is not None
        return next(_near(result), None)
