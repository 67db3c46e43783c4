# %% [markdown]
# # Worked answers to notebook 05

# %%
from helpers.lessons import check
from helpers.results import load_runs, paired_gain

# %% [markdown]
# **05.1** Three passes in each of twenty epochs, against a single one.

# %%
answer = 20 * 3 / 1
check("05.1", answer)

# %% [markdown]
# **05.2** From $\sqrt{p(1-p)/n} = e$ follows $n = p(1-p)/e^2$.

# %%
answer = 0.8 * (1 - 0.8) / 0.01**2
check("05.2", answer)

# %% [markdown]
# **05.3** Seed by seed, so that the luck of the draw is the same on both sides.

# %%
runs = load_runs(sweep="pocket", dial=0.0, n_train=200)
gains = paired_gain(runs, "from_scratch", "full_fine_tuning")
answer = gains.loc[gains["mean"].idxmax(), "task"]
check("05.3", answer)
