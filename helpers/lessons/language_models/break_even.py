"""Recorded steps of every method on decoders of growing size, and where LoRA starts to pay.

`data/results/break_even.csv` holds one line per turn; whole lines are appended by
`tools/measure/measure_break_even.py` and never edited. Its columns:

    model                name in tools.measure.step_costs.MODELS; random weights, float32
    approach, setting    the method: LoRA's rank and targets (none: every linear layer), an
                         adapter's reduction
    batch, seq           texts in a step, and tokens of each
    turn                 in a turn every method takes one step, one after the other
    trainable_params, total_params
    weight_bytes, gradient_bytes, optimizer_bytes   in memory; optimizer: AdamW, after a step
    passing_bytes        by formula: gradients and activations at the worst moment
    peak_bytes           counted (helpers.experiments.costs.TensorMemory) in the second step
    formula_bytes, formula_error   tools.measure.memory_formula, and formula / counted − 1
    checkpoint_bytes     on disk, of what was trained
    step_ms              processor milliseconds, over threads, of one training step
    step_wall_ms         the same by the clock
    merged_ms, unmerged_ms   processor milliseconds of a forward pass on the batch; empty for
                         many long texts, and for long ones of the largest models
    threads, torch, created, git
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.errors import UserError
from helpers.results.statistics import interval_table, stays_above_zero
from helpers.storage.results_file import ResultsFile
from helpers.vocabulary import ADAPTER, FULL_FINE_TUNING, LORA, label_of

QUESTION = ["model", "approach", "setting", "batch", "seq", "turn"]
BYTES = ["weight_bytes", "gradient_bytes", "optimizer_bytes", "passing_bytes", "peak_bytes",
         "formula_bytes", "checkpoint_bytes"]  # fmt: skip
TIMES = ["step_ms", "step_wall_ms", "merged_ms", "unmerged_ms"]
COLUMNS = [*QUESTION, "trainable_params", "total_params", *BYTES, "formula_error", *TIMES,
           "threads", "torch", "created", "git"]  # fmt: skip
FILE = ResultsFile("break_even.csv", COLUMNS, QUESTION, text=["setting"])
PLACE = ["model", "batch", "seq"]
METHOD = ["approach", "setting"]
FULL = FULL_FINE_TUNING


def load(path: Path | None = None) -> pd.DataFrame:
    """The recorded rows; none where nothing was recorded yet. Raises UserError for other columns.

    Two columns are added: `method`, in words, and `base_params` of the decoder itself.
    """
    return in_words(FILE.load(path))


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of `COLUMNS` with the columns that `load` adds."""
    table = table.copy()
    table["method"] = [_words(*pair) for pair in table[METHOD].to_numpy()]
    inserted = table["approach"].isin([LORA, ADAPTER])
    table["base_params"] = table["total_params"] - table["trainable_params"].where(inserted, 0)
    return table


def ratios(rows: pd.DataFrame, value: str = "step_ms") -> pd.DataFrame:
    """Each method's `value` over full fine-tuning's in its turn: a row for each place and method.

    Columns: those of PLACE, base_params, approach, setting, method, mean (geometric), low and high
    (95 % by Student's t on logarithms; equal to the mean where nothing varies, as with bytes; NaN
    for a single turn) and turns. Models that were not fully tuned are left out.
    """
    if value not in [*TIMES, *BYTES]:
        raise UserError(f"{value!r} has no ratio; choose one of {', '.join([*TIMES, *BYTES])}")
    keys = [*PLACE, "turn"]
    base = rows[rows["approach"] == FULL][[*keys, value]]
    both = rows[rows["approach"] != FULL].merge(base, on=keys, suffixes=("", "_over"))
    both["log"] = np.log(both[value] / both[f"{value}_over"])
    by = [*PLACE, "base_params", *METHOD, "method"]
    table = interval_table(both, by, "log", sort=False).rename(columns={"runs": "turns"})
    ends = ["mean", "low", "high"]
    table[ends] = np.exp(table[ends])
    return table.sort_values(["batch", "seq", "method", "base_params"], ignore_index=True)


def break_even(table: pd.DataFrame) -> pd.DataFrame:
    """From which size on each method costs less than full fine-tuning.

    table: from `ratios`. One row for each batch, seq and method: `answer` (always, never, from, or
    unsteady, as far as measured), `params` (where the mean ratio falls below 1 for good, straight
    over log size; the smallest size where the answer is always; NaN: never), `clear` (the smallest
    size from which on the whole interval lies below), `smallest` and `largest` size measured.
    """
    rows = []
    for key, own in table.groupby(["batch", "seq", *METHOD, "method"], sort=False):
        own = own.sort_values("base_params")
        sizes = own["base_params"].to_numpy(float)
        saved = 1 - own["mean"].to_numpy(float)
        answer = "from" if saved[-1] > 0 else "unsteady"
        if (saved > 0).all() or (saved <= 0).all():
            answer = "always" if saved[-1] > 0 else "never"
        params = stays_above_zero(sizes, saved)
        not_clear = np.flatnonzero(~(own["high"].to_numpy(float) < 1))
        first = int(not_clear[-1]) + 1 if len(not_clear) else 0
        clear = sizes[first] if first < len(sizes) else math.nan
        rows.append((*key, answer, params, clear, sizes[0], sizes[-1]))
    names = ["batch", "seq", *METHOD, "method", "answer", "params", "clear", "smallest", "largest"]
    return pd.DataFrame(rows, columns=names)


def told(table: pd.DataFrame, what: str) -> list[str]:
    """`break_even` in sentences, one for each row; what: such as "a training step is cheaper"."""
    told = []
    for row in table.to_dict("records"):
        span = f"{_size(row['smallest'])} to {_size(row['largest'])} parameters"
        where = f"{row['method']}, {row['batch']} × {row['seq']} tokens"
        answers = {
            "always": f"{what} at every size measured ({span})",
            "never": f"{what} at no size measured ({span})",
            "from": f"{what} from about {_size(row['params'])} parameters on (measured: {span})",
            "unsteady": f"{what} at some sizes, but not at the largest (measured: {span})",
        }
        told.append(f"{where}: {answers[row['answer']]}.")
    return told


def lora_in_words(rows: pd.DataFrame | None = None) -> str:
    """From which size on LoRA of rank 8 on every layer pays, for the shortest and longest steps."""
    rows, lines = load() if rows is None else rows, []
    for value, words in (("step_ms", "a step is faster"), ("peak_bytes", "it needs less memory")):
        found = break_even(ratios(rows, value))
        own = (found["setting"] == "rank=8") & (found["approach"] == LORA)
        lines += told(found[own].iloc[[0, -1]] if own.sum() > 1 else found[own], words)
    return "\n".join(f"- {line}" for line in lines) or "Not recorded yet."


def _size(count: float) -> str:
    return f"{count / 1e9:.2g} B" if count >= 1e9 else f"{count / 1e6:.3g} M"


def _words(approach: str, setting: str) -> str:
    """A method in words, such as "LoRA rank 8, q and v"."""
    parts = dict(part.split("=") for part in setting.split())
    if approach == LORA:
        short = [name.removesuffix("_proj") for name in parts.get("targets", "").split("+") if name]
        return f"LoRA rank {parts['rank']}, {' and '.join(short) or 'every linear layer'}"
    if approach == ADAPTER:
        return f"adapter, width / {parts['reduction']}"
    return label_of(approach)
