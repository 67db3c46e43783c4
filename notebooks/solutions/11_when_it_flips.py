# %% [markdown]
# # Worked answers to notebook 11

# %%
import numpy as np

from helpers.experiments import recorded_runs
from helpers.lessons import check, flips

# %% [markdown]
# **11.1** With all similarities equal, each of the other 31 views has the same probability.

# %%
answer = np.log(2 * 16 - 1)
check("11.1", answer)

# %% [markdown]
# **11.2** Paired by seed.

# %%
rows = flips.load("unlabelled")
rows = rows[(rows["task"] == "digits") & (rows["n_labelled"] == 50)]
table = flips.paired(rows, ("continued", flips.PROBE), ("plain", flips.PROBE))
answer = table["mean"].iloc[0]
check("11.2", answer)

# %% [markdown]
# **11.3** Count up to the first number of tasks that does it.

# %%
sizes = recorded_runs("minilm").groupby("approach")["stored_mb"].median()
copy, file = sizes["full_fine_tuning"], sizes["lora"]
answer = next(n for n in range(1, 10_000) if n * copy > 20 * (copy + n * file))
check("11.3", answer)

# %% [markdown]
# **11.4** Unlabelled data: first continued pretraining, then the same approach.

# %%
answer = "unlabelled"
check("11.4", answer)
