# %% [markdown]
# # Worked answers to notebook 10

# %%
from itertools import product

from helpers.lessons import check, rule_trial
from helpers.lessons.exercises import scenarios

# %% [markdown]
# **10.1** The best accuracy minus that of the pick.


# %%
def answer(accuracies, pick):
    return 100 * (max(accuracies.values()) - accuracies[pick])


check("10.1", answer)

# %% [markdown]
# **10.2** The mean within each data set, then over data sets.


# %%
def answer(table, unseen):
    seen = table[table["data_set"] != unseen]
    by_set = seen.groupby(["approach", "data_set"])["regret"].mean()
    return by_set.groupby("approach").mean().idxmin()


check("10.2", answer)

# %% [markdown]
# **10.3** The best pair of approaches on both sides of the best wall. What was not run gives up as
# much as the worst.

# %%
table = rule_trial.evidence()["own"]
wide = table.pivot(index=["case", "n_train", "distance"], columns="approach", values="regret")
wide = wide.apply(lambda row: row.fillna(row.max()), axis=1).reset_index()


def lost(column, wall, below, above):
    small = wide[column] < wall
    return wide[below].where(small, wide[above]).mean()


walls = [(c, wall) for c in ("n_train", "distance") for wall in sorted(set(wide[c]))]
names = sorted(set(table["approach"]))
(column, wall), below, above = min(
    product(walls, names, names), key=lambda tried: lost(*tried[0], *tried[1:])
)


def answer(examples, distance):
    return below if (examples if column == "n_train" else distance) < wall else above


check("10.3", answer)

# %% [markdown]
# **10.4** The cheapest of those that the runs can't tell from the best.


# %%
def take(scenario):
    bill = scenarios.options(scenario)
    good = [
        name for name in bill["approach"] if scenarios.outcome(scenario, name, bill).credit == 1
    ]
    return bill.set_index("approach")["minutes"][good].idxmin()


answer = {name: take(scenario) for name, scenario in scenarios.scenarios().items()}
check("10.4", answer)
