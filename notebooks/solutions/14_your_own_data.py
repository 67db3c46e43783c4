# %% [markdown]
# # Worked answers to notebook 14

# %%
from scipy.stats import binomtest

from helpers.lessons import check

# %% [markdown]
# **14.1** One photo of 200, in points.

# %%
answer = 100 * 1 / 200
check("14.1", answer)

# %% [markdown]
# **14.2** Only disagreements count: 12 of 16 on one side, against a fair coin.

# %%
answer = binomtest(12, 12 + 4).pvalue
check("14.2", answer)

# %% [markdown]
# **14.3** The share of the way from chance to every example right.

# %%
answer = (0.70 - 0.40) / (1 - 0.40)
check("14.3", answer)
