# %% [markdown]
# # Worked answers to notebook 07

# %%
from helpers.experiments import as_distance, load_distances, recorded_runs
from helpers.lessons import check

# %% [markdown]
# **07.1** F / (1 + F).

# %%
answer = as_distance(3.0)
check("07.1", answer)

# %% [markdown]
# **07.2** The largest distance.

# %%
table = load_distances()
table = table[(table["backbone"] == "pocket") & (table["dial"] == 0)]
answer = table.loc[table["distance"].idxmax(), "task"]
check("07.2", answer)

# %% [markdown]
# **07.3** The share of the way from chance to every example right.

# %%
answer = (0.85 - 0.80) / (1 - 0.80)
check("07.3", answer)

# %% [markdown]
# **07.4** Both runs of a pair have the same seed, so they saw the same photos.

# %%
runs = recorded_runs("pocket")
runs = runs[(runs["task"] == "products_near") & (runs["n_train"] == 200)]
answer = {}
for name in ("feature_extraction", "from_scratch", "classical"):
    own = runs[runs["approach"] == name]
    own = own.pivot(index="seed", columns="dial", values="test_accuracy")
    answer[name] = 100 * (own[0.0] - own[1.0]).mean()
check("07.4", answer)
