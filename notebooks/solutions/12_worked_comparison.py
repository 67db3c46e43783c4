# %% [markdown]
# # Worked answers to notebook 12

# %%
from helpers.lessons import check, product_photos

# %% [markdown]
# **12.1** The formula, with the numbers in place.

# %%
answer = 1.96 * (0.60 * (1 - 0.60) / 372) ** 0.5
check("12.1", answer)

# %% [markdown]
# **12.2** Both runs of a pair saw the same photos.

# %%
runs = product_photos.recorded()
frozen = runs[(runs["approach"] == "feature_extraction") & (runs["n_train"] == 200)]
wide = frozen.pivot(index="seed", columns="image_size", values="test_accuracy")
answer = 100 * (wide[wide.columns[-1]] - wide[wide.columns[0]]).dropna().mean()
check("12.2", answer)


# %% [markdown]
# **12.3** Budget first, then the mark, then the price.


# %%
def choose(table, minutes, points):
    fits = table[table["minutes"] <= minutes]
    if fits.empty:
        return None
    near = fits[fits["accuracy"] >= fits["accuracy"].max() - points / 100 - 1e-9]
    return near.loc[near["minutes"].idxmin(), "approach"]


answer = choose
check("12.3", answer)
