# %% [markdown]
# # Worked answers to notebook 05

# %%
from helpers.lessons import check

# %% [markdown]
# **05.1** Three passes in each of twenty epochs, against a single one.

# %%
answer = 20 * 3 / 1
check("05.1", answer)

# %% [markdown]
# **05.2** From $\sqrt{p(1-p)/n} = e$ follows $n = p(1-p)/e^2$.

# %%
answer = 0.8 * (1 - 0.8) / 0.01**2
check("05.2", answer)

# %% [markdown]
# **05.3** A running sum. Tasks that lose money count too, so their order matters.


# %%
def pays_after(pretraining, saved):
    total = 0
    for place, one in enumerate(saved, start=1):
        total += one
        if total >= pretraining:
            return place
    return None


answer = pays_after
check("05.3", answer)
