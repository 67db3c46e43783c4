# %% [markdown]
# # Worked answers to notebook 00

# %%
from helpers.lessons import check
from helpers.lessons.race import with_seconds
from helpers.results import comparable, load_runs, regret, summarise

runs = comparable(load_runs(backbone="pocket", dial=0.0, n_train=200))
runs = runs[runs.seed < 3]
curves = with_seconds(summarise(runs))

# %% [markdown]
# **00.1** The half width is $1.96\\sqrt{p(1-p)/n}$. Setting it to 0.01 and solving for n:

# %%
answer = 1.96**2 * 0.85 * (1 - 0.85) / 0.01**2
check("00.1", answer)

# %% [markdown]
# **00.2** Two rows of one table, divided.

# %%
seconds = curves[curves.task == "products_near"].set_index("approach").seconds
answer = seconds["full_fine_tuning"] / seconds["feature_extraction"]
check("00.2", answer)

# %% [markdown]
# **00.3** Regret compares each approach with the best one in the same situation (task, backbone and
# number of examples); averaging the colleague's rows gives the price of always freezing.

# %%
scored = regret(curves)
answer = 100 * scored[scored.approach == "feature_extraction"].regret.mean()
check("00.3", answer)
