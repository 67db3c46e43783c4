# %% [markdown]
# # How many examples do I need before fine-tuning pays?
#
# **There is no single number: look for the place where two learning curves cross.** The frozen network
# may start higher, and fine-tuning climbs for longer. In our pictures full fine-tuning was level or ahead
# from the smallest size on, once it had enough updates and a searched rate. In published tables freezing
# comes first more often where examples are few. So "below a few thousand, freeze" can cost you accuracy.
# Three sizes of your own data show where your crossing lies.
#
# **Needs:** this clone and EfficientNet-Lite0 (fetched by `make lab`).

# %%
import pandas as pd
from IPython.display import Markdown

from helpers.display import explore
from helpers.lessons import check, crossings, photos, pick
from helpers.lessons.claims import verdict_box
from helpers.results import coverage, recipe_in_words

# %% [markdown]
# On all data sets together:

# %%
Markdown(verdict_box(8))

# %% [markdown]
# ## 1. Three sizes, two curves
#
# Live, on photos of clothing: a frozen network with a probe, and partial fine-tuning of the top third, on
# 50, 100 and 200 photos in three draws. All sizes get as many updates, some thirty, so the smaller ones
# get more epochs. Recorded runs get 400 or more and searched rates.
#
# **Predict first:** at how many photos does fine-tuning get ahead?

# %%
frozen, tuned = "feature_extraction", "partial_fine_tuning"
sizes, updates = pick(full=((50, 100, 200), 800), fast=((40, 80), 80))
few = pick(full={}, fast={"seeds": (0, 1)})
races = [
    photos.live_race(names=(frozen, tuned), n_train=n, epochs=updates // n, **few) for n in sizes
]
rows = pd.concat(races)
crossings.plot_live(rows, "Photos of clothing, three sizes")

# %% [markdown]
# A band is a 95 % interval for the mean of three draws. The difference is taken draw by draw, which is
# far more exact, and read between two sizes straight over the *logarithm* of their number.

# %%
told = crossings.own_crossing(rows, tuned, frozen)
Markdown(told)

# %% [markdown]
# Train both at a quarter, at half and at all of your data, over several draws.
# If the gain is clear and grows, more data will pay for fine-tuning; if it shrinks, the frozen network
# catches up. Don't extend the lines far: curves level off.
#
# ## 2. Where do the curves cross?
#
# The same question in the records, with *full* fine-tuning:

# %%
runs = crossings.recorded()
print(coverage(runs), recipe_in_words(), sep="\n")

# %% [markdown]
# Three lines: the frozen network, the better of LoRA and adapters (chosen on validation, draw by draw),
# and full fine-tuning. Sizes count training examples; each run chose by at least 100 validation labels
# that come on top.
#
# - Start with `pocket`, a small network of our own. Does the orange line ever lie below the blue one?
# - Does the small module follow the blue line or the orange one?
# - Lay a fourth approach beside them. Does anything start lower than *from scratch*?


# %%
def draw(curve, beside):
    return crossings.plot_lines(runs, curve, beside)


fourth = ["nothing", "classical", tuned, "lp_ft", "from_scratch"]
explore(draw, curve=crossings.curves(runs), beside=fourth, labels={"curve": "network and task"})

# %% [markdown]
# Full fine-tuning minus frozen features, in points, coloured where one is clearly ahead,
# seed by seed. **Predict first:** with how few examples is the frozen network clearly ahead?

# %%
full = "full_fine_tuning"
duel = crossings.duels(runs, full, frozen)
crossings.plot_duels(duel, full, frozen, "Full fine-tuning minus the frozen network")

# %% [markdown]
# A crossing would be a row that turns from blue to orange. A sign that changes in grey may be luck; where
# a row begins in orange, a crossing can only lie further left.

# %%
told_kinds = crossings.kinds_in_words(duel, full, frozen)
scratch = crossings.needed_in_words(runs, "from_scratch", frozen)
Markdown(
    f"{crossings.duels_in_words(duel, full, frozen)}\n\n{told_kinds}\n\nAs in notebook 05: {scratch}"
)

# %% [markdown]
# Full fine-tuning starts from the frozen network's weights and may stay near them. With pictures, enough
# updates, a searched rate and the best weights kept, few examples alone did not put it behind.
#
# ## 3. The rule of thumb, tested
#
# Many guides say: under a few thousand labelled examples, freezing or a parameter-efficient method almost
# always beats full fine-tuning. In fairness the cheap side may choose among frozen features, LoRA and
# adapters, *by validation accuracy*, draw by draw, as you would.
#
# **Predict first:** "almost always" would be nine in ten. What share will it be?

# %%
cheap = crossings.CHEAP
few = runs[runs["n_train"] < crossings.FEW]
small = crossings.duels(few, cheap, full)
crossings.plot_duels(small, cheap, full, "Freezing or a small module, against full fine-tuning")

# %% [markdown]
# Counted:

# %%
rule = crossings.rule_in_words(small)
Markdown(f"{rule}\n\n{crossings.duels_in_words(small, cheap, full)}")

# %% [markdown]
# Where a square is grey, either side would do. **Predict first:** what did validation choose within the
# cheap side?

# %%
Markdown(crossings.picks_in_words(few))

# %% [markdown]
# A rule that LoRA carries says nothing for freezing, and LoRA doesn't always train faster
# ([08](08_compute_and_latency.ipynb)).
#
# Our own first round of pictures favoured the rule. It gave full fine-tuning fewer updates, three rates
# and BatchNorm's statistics of small batches. Then the recipe changed:

# %%
Markdown(crossings.rounds_in_words(small, cheap, full))

# %% [markdown]
# So ask of any crossing how many updates each side got, and who searched its rate.
#
# The rule comes with a warning: full fine-tuning overfits few examples ([03](03_fine_tuning.ipynb)).
# **How often is its gap between training and test accuracy the wider one, and does it lose then?**

# %%
Markdown(crossings.gaps_in_words(runs))

# %% [markdown]
# Choose by validation accuracy; here the gap told nothing.
#
# ## 4. Beyond our sizes
#
# Published cases reach farther:

# %%
Markdown(crossings.sizes_in_words(runs))

# %% [markdown]
# *Published* figures by the number of training examples: what full fine-tuning gained over the frozen
# network, in points, and how often the frozen one came first.
#
# **Predict first:** where does it come first more often, below 5,000 examples or above?

# %%
crossings.published_by_size()

# %% [markdown]
# The direction is the rule's, the size is not:

# %%
Markdown(crossings.published_in_words())

# %% [markdown]
# The mean gain is above zero there too. Networks are mostly larger, each case is one number, and papers
# that compare the two tend to have enough data for fine-tuning. Read a direction, not a probability.
#
# ## 5. Which differences are bigger than luck?
#
# With few examples, two draws of the training set can differ by more than two approaches do. Standard
# deviations in points, the median over networks and tasks, of what was run at every size:

# %%
crossings.luck_by_size(runs).head(12)

# %% [markdown]
# Where the last column is small, a single run is a poor judge. Below a few hundred examples, run several
# draws.
#
# ## What to remember
#
# - A threshold in examples is a crossing of two curves. It moves with task, network and recipe, so look
#   for *yours* with three sizes of your data.
# - Freezing is the cheap start with few examples, and small modules are cheap to store. They did not
#   win "almost always"; the count is below.
# - Not measured here: noisy labels, networks of more than some twenty million weights, and the luck of
#   the test split, which all seeds share.
#
# In numbers:

# %%
Markdown(f"- Live: {told}\n- {rule}\n- {crossings.duels_in_words(duel, full, frozen)}")

# %% [markdown]
# ## Exercises
#
# **06.1** A curve reads `0.60` at 100 examples and `0.80` at 1,000, straight over log n. At how many
# examples does it reach `0.70`?

# %%
answer = ...
check("06.1", answer)

# %% [markdown]
# **06.2 Estimate your own crossing.** Write `crossing(sizes, frozen, tuned)`: three sizes in ascending
# order and the accuracies at each, as lists. It returns the number of examples from which `tuned` stays
# ahead, read straight over log n; the smallest size if it is ahead at all three, and `None` if it isn't
# ahead at the last. Hand in the function.

# %%
answer = ...
check("06.2", answer)

# %% [markdown]
# **06.3 Is it more than luck?** Write `clear_from(gains)`. `gains` says for each size what several draws
# gained, such as `{50: [0.01, -0.02, 0.03], 200: [0.04, 0.05, 0.06]}`. Return the smallest size at which the
# whole 95 % interval for the mean gain lies above zero, or `None`. `helpers.results.mean_interval` makes
# the interval (mean, low, high). Hand in the function.

# %%
answer = ...
check("06.3", answer)
