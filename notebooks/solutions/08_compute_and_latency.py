# %% [markdown]
# # Worked answers to notebook 08

# %%
from helpers.lessons import check, trade_offs

# %% [markdown]
# **08.1** After $E$ epochs the bills are $3E$ and 1 forward passes, so $3E \ge 10$.

# %%
answer = next(epochs for epochs in range(1, 100) if 3 * epochs >= 10)
check("08.1", answer)

# %% [markdown]
# **08.2** Ratios are averaged as geometric means, so that twice and half cancel out.

# %%
runs = trade_offs.recorded()
runs = runs[(runs["backbone"] == "pocket") & (runs["n_train"] == 200)]
answer = trade_offs.typical(trade_offs.cost_ratios(runs, "lora", "full_fine_tuning")["ratio"])
check("08.2", answer)


# %% [markdown]
# **08.3** Each row against all others. Slow for millions of rows, and plain for a dozen.


# %%
def front(table):
    rows = list(table.itertuples())

    def beats(a, b):
        no_worse = a.cost <= b.cost and a.accuracy >= b.accuracy
        return no_worse and (a.cost < b.cost or a.accuracy > b.accuracy)

    return {b.approach for b in rows if not any(beats(a, b) for a in rows)}


answer = front
check("08.3", answer)
