# %% [markdown]
# # Worked answers to notebook 10

# %%
from helpers.lessons import check
from helpers.lessons.exercises import scenarios
from helpers.results import load_runs, measured_curves, rival_rules

held = measured_curves(load_runs())
table, _ = rival_rules.situations(held)
picks = rival_rules.score(table, held)
scores = rival_rules.standing(picks).set_index("rule")

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

# %% [markdown]
# **10.4** The cheapest of those that the runs can't tell from the best.


# %%
def take(scenario):
    bill = scenarios.options(scenario, held)
    good = [
        name for name in bill["approach"] if scenarios.outcome(scenario, name, bill).credit == 1
    ]
    return bill.set_index("approach")["minutes"][good].idxmin()


answer = {name: take(scenario) for name, scenario in scenarios.scenarios().items()}
check("10.4", answer)
