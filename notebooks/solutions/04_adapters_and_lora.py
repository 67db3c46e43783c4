# %% [markdown]
# # Worked answers to notebook 04

# %%
from helpers.approaches import TransferModel, add_adapters, freeze
from helpers.backbones import load_backbone
from helpers.lessons import check

# %% [markdown]
# **04.1** One output of the convolution reads 80 · 3 · 3 numbers, so $A$ has 8 rows of that length, and
# $B$ has 8 numbers for each of the 80 outputs.

# %%
answer = 8 * (80 * 3 * 3) + 80 * 8
check("04.1", answer)

# %% [markdown]
# **04.2** The weight has 384 · 1,536 numbers and each rank adds 384 + 1,536, so divide and round up.

# %%
answer = -(-384 * 1536 // (384 + 1536))
check("04.2", answer)

# %% [markdown]
# **04.3** Flattened, a kernel is a matrix: one row for each output. The update is the product of the
# two flattened ones.


# %%
def merge(conv, A, B, scale):
    update = B.flatten(1) @ A.flatten(1)
    return conv.weight + scale * update.view_as(conv.weight)


answer = merge
check("04.3", answer)

# %% [markdown]
# **04.4** `add_adapters` wraps all four residual blocks (stages 1 to 4, counted from 0). Taking the
# wrapper off the two lower ones leaves the stages themselves.

# %%
backbone = freeze(load_backbone("pocket"))
add_adapters(backbone)
for lower in (1, 2):
    backbone.stages[lower] = backbone.stages[lower].base
answer = TransferModel(backbone, 5)
check("04.4", answer)
