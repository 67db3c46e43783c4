# %% [markdown]
# # Worked answers to notebook 07

# %%
from helpers import measured_distances
from helpers.checks import check

# %% [markdown]
# **07.1** F / (1 + F).

# %%
answer = measured_distances.as_distance(3.0)
check("07.1", answer)

# %% [markdown]
# **07.2** The largest distance.

# %%
table = measured_distances.load()
table = table[(table["backbone"] == "pocket") & (table["dial"] == 0)]
answer = table.loc[table["distance"].idxmax(), "task"]
check("07.2", answer)

# %% [markdown]
# **07.3** The share of the way from chance to every example right.

# %%
answer = (0.85 - 0.80) / (1 - 0.80)
check("07.3", answer)
