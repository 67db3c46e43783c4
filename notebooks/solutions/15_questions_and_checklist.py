# %% [markdown]
# # Worked answers to notebook 15

# %%
import numpy as np

from helpers.lessons import check, crossings, pitfalls

# %% [markdown]
# **15.1** Go up in steps of 100 until two points are visible.

# %%
sizes = range(100, 100_000, 100)
answer = next(n for n in sizes if pitfalls.smallest_visible_gain(n, 0.9) <= 0.02)
check("15.1", answer)


# %% [markdown]
# **15.2** Draw pictures instead of rows; their copies follow.


# %%
def hold_out(source, seed):
    pictures = np.unique(source)
    rng = np.random.default_rng(seed)
    return np.isin(source, rng.permutation(pictures)[: len(pictures) // 5])


answer = hold_out
check("15.2", answer)

# %% [markdown]
# **15.3** Chosen on the test set, and one seed: both are cured by the third offer.

# %%
answer = "c"
check("15.3", answer)

# %% [markdown]
# **15.4** The largest regret of a single seed, in points.

# %%
crowned = pitfalls.one_seed(crossings.recorded())
answer = 100 * crowned["regret"].max()
check("15.4", answer)
