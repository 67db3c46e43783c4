# %% [markdown]
# # Worked answers to notebook 12

# %%
from helpers.experiments import recorded_runs
from helpers.lessons import check
from helpers.results import paired_gain

# %% [markdown]
# **12.1** The formula, with the numbers in place.

# %%
answer = 1.96 * (0.60 * (1 - 0.60) / 372) ** 0.5
check("12.1", answer)

# %% [markdown]
# **12.2** Both runs of a pair saw the same photos.

# %%
runs = recorded_runs("lite0")
runs = runs[runs["task"] == "clothing"]
gains = paired_gain(runs, "lora", "full_fine_tuning").set_index("n_train")
answer = 100 * gains["mean"][200]
check("12.2", answer)


# %% [markdown]
# **12.3** Budget first, then the mark, then the price.


# %%
def choose(table, minutes, points):
    fits = table[table["minutes"] <= minutes]
    if fits.empty:
        return None
    near = fits[fits["accuracy"] >= fits["accuracy"].max() - points / 100 - 1e-9]
    return near.loc[near["minutes"].idxmin(), "approach"]


answer = choose
check("12.3", answer)
