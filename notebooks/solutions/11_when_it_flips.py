# %% [markdown]
# # Worked answers to notebook 11

# %%
import numpy as np

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
# **11.3** Rows of length one, multiplied and summed.


# %%
def changed(before, today, least):
    rows = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (before, today)]
    return list(np.flatnonzero((rows[0] * rows[1]).sum(1) < least))


answer = changed
check("11.3", answer)
