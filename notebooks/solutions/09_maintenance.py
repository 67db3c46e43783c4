# %% [markdown]
# # Worked answers to notebook 09

# %%
from helpers.lessons import check

# %% [markdown]
# **09.1** 400·T = 100 · (400 + 2·T), so 200·T = 40,000.

# %%
answer = 100 * 400 / (400 - 100 * 2)
check("09.1", answer)

# %% [markdown]
# **09.2** The first pair of low neighbours; its later week is the answer.


# %%
def retrain_after(confidence, limit):
    low = [value < limit for value in confidence]
    return next((week for week in range(1, len(low)) if low[week - 1] and low[week]), None)


answer = retrain_after
check("09.2", answer)

# %% [markdown]
# **09.3** The table says what can't be used on this base.


# %%
def to_train(library):
    table = library.list()
    return sorted(table.loc[table["problem"] != "", "task"])


answer = to_train
check("09.3", answer)
