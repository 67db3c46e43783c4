# %% [markdown]
# # Worked answers to notebook 13

# %%
import math

from helpers.lessons import check
from helpers.lessons.language_models import counting

# %% [markdown]
# **13.1** Two matrices of 4,096 by 4,096 in each of 32 layers, and $r\,(m + n)$ for each.

# %%
model = next(one for one in counting.ARCHITECTURES if one.name == "7 B")
answer = 2 * model.shape.layers * 16 * (model.shape.width + model.shape.width)
check("13.1", answer)

# %% [markdown]
# **13.2** Two moments of four bytes for every weight.

# %%
trained, total = counting.count_lora(model)
answer = 2 * 4 * total / 1e9
check("13.2", answer)

# %% [markdown]
# **13.3** The bill of each kind, in this order.


# %%
def fits(weights, trained, gigabytes):
    bills = {"full": 16 * weights, "lora": 2 * weights + 16 * trained}
    bills["qlora"] = 5 / 8 * weights + 16 * trained
    return next((name for name, bill in bills.items() if bill <= gigabytes * 1e9), None)


answer = fits
check("13.3", answer)

# %% [markdown]
# **13.4** The same sum twice: averaged over tokens, and shared out over bytes in bits.


# %%
def foresight(logs, size):
    nats = -sum(logs)
    return math.exp(nats / len(logs)), nats / math.log(2) / size


answer = foresight
check("13.4", answer)
