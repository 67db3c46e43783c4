"""The processor seconds of a run."""

import pandas as pd


def with_seconds(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `seconds`: of the processor, for preparation and training."""
    return table.assign(seconds=table["train_cpu_seconds"])
