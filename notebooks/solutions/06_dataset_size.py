# %% [markdown]
# # Worked answers to notebook 06

# %%
from helpers.experiments import recorded_runs
from helpers.lessons import check
from helpers.results import summarise

curves = summarise(recorded_runs("pocket"))
curves = curves[curves["dial"] == 0].set_index(["task", "n_train", "approach"])["mean"]

# %% [markdown]
# **06.1** One difference of two means.

# %%
here = curves["digits", 200]
answer = here["full_fine_tuning"] - here["feature_extraction"]
check("06.1", answer)

# %% [markdown]
# **06.2** The highest mean.

# %%
answer = curves["textile", 50].idxmax()
check("06.2", answer)

# %% [markdown]
# **06.3** 0.70 lies half-way between 0.60 and 0.80, and half-way over log n is the geometric mean.

# %%
answer = (100 * 1000) ** 0.5
check("06.3", answer)
