# %% [markdown]
# # Worked answers to notebook 10

# %%
from helpers import records, rules
from helpers.checks import check
from helpers.curves import measured

held = measured(records.load())
table, _ = rules.situations(held)
picks = rules.score(table, held)
scores = rules.standing(picks).set_index("rule")

# %% [markdown]
# **10.1** The difference of two means, in points.

# %%
gap = scores.loc["always lora", "mean_regret"] - scores.loc["measured", "mean_regret"]
answer = 100 * gap
check("10.1", answer)

# %% [markdown]
# **10.2** The row with the largest regret.

# %%
own = picks[picks["rule"] == "always full_fine_tuning"]
answer = own.loc[own["regret"].idxmax(), "task"]
check("10.2", answer)


# %% [markdown]
# **10.3** The best constant is already ahead of the four-step rule.


# %%
def answer(examples, distance):
    return "lora" if distance >= 0.2 else "partial_fine_tuning"


check("10.3", answer)
