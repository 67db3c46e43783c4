"""Recorded steps of every method on decoders of growing size, and where LoRA starts to pay.

`data/results/break_even.csv` holds one line per turn; whole lines are appended by
`tools/measure/measure_break_even.py` and never edited. Its columns are told in `data/README.md`.
"""

import math

import numpy as np
import pandas as pd

from helpers.results.statistics import pair, stays_above_zero
from helpers.storage.results_file import ResultsFile
from helpers.vocabulary import FULL_FINE_TUNING, LORA

QUESTION = ["model", "approach", "setting", "batch", "seq", "turn"]
BYTES = ["weight_bytes", "gradient_bytes", "optimizer_bytes", "passing_bytes", "peak_bytes",
         "formula_bytes", "checkpoint_bytes"]  # fmt: skip
TIMES = ["step_ms", "step_wall_ms", "merged_ms", "unmerged_ms"]
COLUMNS = [*QUESTION, "trainable_params", "total_params", *BYTES, "formula_error", *TIMES,
           "threads", "torch", "created", "git"]  # fmt: skip
FILE = ResultsFile("break_even.csv", COLUMNS, QUESTION, text=["setting"])
STEP = ["batch", "seq"]


def saved(rows: pd.DataFrame, value: str) -> pd.DataFrame:
    """Share of full fine-tuning's `value` that LoRA of rank 8 on every layer saves in its turn.

    Columns: those of STEP, base_params (of the decoder itself) and saved (by the geometric mean of
    turns' ratios). Models that were not fully tuned are left out.
    """
    lora = rows[(rows["approach"] == LORA) & (rows["setting"] == "rank=8")]
    full = rows[rows["approach"] == FULL_FINE_TUNING]
    both = pair(lora, full, ["model", *STEP, "turn"], [value])
    both["base_params"] = both["total_params"] - both["trainable_params"]
    both["log"] = np.log(both[value] / both[f"{value}_theirs"])
    table = both.groupby([*STEP, "base_params"], as_index=False)["log"].mean()
    return table.assign(saved=1 - np.exp(table["log"]))


def lora_in_words(rows: pd.DataFrame | None = None) -> str:
    """From which size on LoRA of rank 8 on every layer pays, for the shortest and longest steps.

    Between two sizes the share that is saved is read straight over log size.
    """
    rows, lines = FILE.load() if rows is None else rows, []
    for value, words in (("step_ms", "a step is faster"), ("peak_bytes", "it needs less memory")):
        steps = list(saved(rows, value).groupby(STEP))
        for (batch, seq), own in steps[:1] + steps[1:][-1:]:
            sizes, gain = own["base_params"].to_numpy(float), own["saved"].to_numpy()
            span, start = f"{_size(sizes[0])} to {_size(sizes[-1])}", stays_above_zero(sizes, gain)
            where = f"from about {_size(start)} parameters on (measured: {span} parameters)"
            if (gain > 0).all() or (gain <= 0).all():
                where = f"at {'every' if gain[0] > 0 else 'no'} size measured ({span} parameters)"
            elif math.isnan(start):
                where = f"at some sizes, but not at the largest (measured: {span} parameters)"
            method = f"LoRA rank 8, every linear layer, {batch} × {seq} tokens"
            lines.append(f"- {method}: {words} {where}.")
    return "\n".join(lines) or "Not recorded yet."


def _size(count: float) -> str:
    return f"{count / 1e9:.2g} B" if count >= 1e9 else f"{count / 1e6:.3g} M"
