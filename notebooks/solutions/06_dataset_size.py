# %% [markdown]
# # Worked answers to notebook 06

# %%
from math import exp, log

from helpers.lessons import check
from helpers.results import mean_interval

# %% [markdown]
# **06.1** 0.70 lies half-way between 0.60 and 0.80, and half-way over log n is the geometric mean.

# %%
answer = (100 * 1000) ** 0.5
check("06.1", answer)

# %% [markdown]
# **06.2** The last size without a gain, and the next one: between them the line crosses zero.


# %%
def crossing(sizes, frozen, tuned):
    gain = [b - a for a, b in zip(frozen, tuned, strict=True)]
    behind = [place for place, one in enumerate(gain) if one <= 0]
    if not behind:
        return sizes[0]
    last = behind[-1]
    if last == len(sizes) - 1:
        return None
    share = -gain[last] / (gain[last + 1] - gain[last])
    return exp(log(sizes[last]) + share * (log(sizes[last + 1]) - log(sizes[last])))


answer = crossing
check("06.2", answer)

# %% [markdown]
# **06.3** The first size, from small to large, whose interval begins above zero.


# %%
def clear_from(gains):
    for size in sorted(gains):
        _, low, _ = mean_interval(gains[size])
        if low > 0:
            return size
    return None


answer = clear_from
check("06.3", answer)
