# %% [markdown]
# # Worked answers to notebook 07

# %%
from itertools import permutations

from scipy.stats import spearmanr

from helpers.experiments import as_distance
from helpers.lessons import check, distances

# %% [markdown]
# **07.1** F / (1 + F).

# %%
answer = as_distance(3.0)
check("07.1", answer)

# %% [markdown]
# **07.2** All orders of `y`, by the strength of their rank correlation.


# %%
def answer(x, y):
    found = [abs(spearmanr(x, order).statistic) for order in permutations(y)]
    return sum(one >= found[0] - 1e-9 for one in found) / len(found)


check("07.2", answer)

# %% [markdown]
# **07.3** The share of the way from chance to every example right.

# %%
answer = (0.85 - 0.80) / (1 - 0.80)
check("07.3", answer)

# %% [markdown]
# **07.4** Both runs of a pair have the same seed, so they saw the same photos.

# %%
runs = distances.on_the_dial().query("n_train == 200")
answer = {}
for name in ("feature_extraction", "from_scratch", "classical"):
    own = runs[runs["approach"] == name]
    own = own.pivot(index="seed", columns="dial", values="test_accuracy")
    answer[name] = 100 * (own[0.0] - own[1.0]).mean()
check("07.4", answer)
