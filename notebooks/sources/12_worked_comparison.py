# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Product photos: which approach would you have shipped?
#
# A team has a few hundred to a few thousand photos of products and an ImageNet network. The usual
# story: a frozen network is strong within minutes, partial fine-tuning adds a few
# points, and full fine-tuning overfits. The story leaves out the size of the pictures, which may matter
# more than the approach, and how each was trained, which can turn the order round. So with few photos
# and few answers try larger pictures first. Then measure one dearer approach beside them, with as much
# care, on several draws of *your* photos, and pay only for a clear gain.
#
# **Needs:** EfficientNet-Lite0, the clothing photos (a sample is in this clone) and the groceries
# (fetched by `make lab`).

# %%
import pandas as pd
from IPython.display import Markdown

from helpers.display import explore, image_grid, plot_history
from helpers.lessons import check, learning_rates, levers, photos, pick, product_photos, trade_offs
from helpers.lessons.claims import judge_claims, verdict_box
from helpers.results import coverage, recipe_in_words
from helpers.tasks import load_task

pd.set_option("display.max_colwidth", None)  # tables in full

# %% [markdown]
# The story's three sentences and its lesson, as the records judge them:

# %%
Markdown(verdict_box(19, 20, 21, 28))

# %% [markdown]
# ## 1. Larger pictures, or moving weights?
#
# EfficientNet-Lite0 was trained on pictures of 224 pixels; smaller ones are faster and lose detail. So
# computing can go into larger pictures for a frozen network, or into moving weights on small ones.
#
# **Predict first:** which brings more points?

# %%
runs = product_photos.recorded()
print(recipe_in_words({"image": runs["schema"].max()}), coverage(runs), sep="\n")
levers.plot_levers(runs)

# %% [markdown]
# Zero is the frozen network on small pictures; a filled marker changes the pictures or the approach, a
# hollow one both. In brackets: processor seconds of a training.

# %%
Markdown(levers.levers_in_words(runs))

# %% [markdown]
# Larger pictures need no learning rate and leave the base untouched ([08](08_compute_and_latency.ipynb)
# puts both in money).
#
# ## 2. The story's three approaches, live
#
# Ten kinds of clothing, photographed by volunteers on floors, beds and hangers, with the published
# split. We train at 64 pixels, to be quick.

# %%
n_train, epochs = pick(full=(200, 8), fast=(40, 1))
sizes = {"n_train": n_train, "epochs": epochs, "n_test": pick(full=None, fast=60)}
task = load_task("clothing", n_train=n_train, image_size=128)
print(task)
rows = [(task.train.labels == label).nonzero()[0][0] for label in range(10)]
image_grid(task.train.inputs[rows], task.classes, title="One of each class", columns=10)

# %% [markdown]
# First the frozen network, on small and larger pictures.
#
# **Predict first:** how far does each get beyond naming the largest class?

# %%
probe = product_photos.live("feature_extraction", 64, **sizes)
sharper = product_photos.live("feature_extraction", 128, **sizes)
Markdown(f"- {probe}\n- {sharper}")

# %% [markdown]
# Second, the top third of the network moves. What lies below is computed once and kept.

# %%
partial = product_photos.live("partial_fine_tuning", 64, **sizes)
Markdown(f"{partial} That is **{partial.seconds / probe.seconds:.0f} times** the probe's bill.")

# %% [markdown]
# Third, everything moves. **Predict first:** the story says that training goes on improving while
# validation stalls or drops. Which of the curves show it?

# %%
full = product_photos.live("full_fine_tuning", 64, **sizes)
chance = photos.guessing(task.test.labels)
plot_history(full.history, title=f"Full fine-tuning on {n_train} photos, one run", chance=chance)

# %% [markdown]
# The dashed line marks the epoch whose weights were kept.

# %%
Markdown(f"{full} {product_photos.curves_in_words(full.history)}")

# %% [markdown]
# Beside the frozen network on small pictures. From one draw nothing follows, not even the order.

# %%
Markdown(product_photos.beside_each_other(probe, sharper, partial, full))

# %% [markdown]
# ## 3. The same three over several draws
#
# Recorded by the recipe of section 1; the live runs were shorter, without augmentation. Each
# seed draws other training photos, so gains are taken seed by seed. Where all photos are taken, only
# trainings differ: no second draw. **Predict first:** will you see the story's order?

# %%
table = product_photos.beside_frozen(runs)
table.drop(columns="gap wider by")

# %% [markdown]
# An interval that spans zero is too close to call; where there is none, runs were too few. Over every
# way to move weights:

# %%
Markdown(product_photos.clear_gains(runs))

# %% [markdown]
# ## 4. And the other five
#
# The story leaves out LoRA, adapters, a probe before fine-tuning, training from scratch and doing
# without a network. The grey steps join what no other beats.
#
# **Predict first:** which of the five would you add to the story? Then change the situation: does the
# order stay?

# %%
places = product_photos.situations(runs)
bill = trade_offs.bill(runs)


def draw_race(situation):
    own = product_photos.at(bill, places[situation])
    words = {"title": situation, "xlabel": "processor seconds (log scale)"}
    return trade_offs.plot_front(own, "seconds", **words)


explore(draw_race, situation=list(places), start={"situation": product_photos.busiest(runs)})

# %% [markdown]
# ## 5. More photos
#
# Full fine-tuning, so the story ends, is for ten times the data. **Predict first:** with how many photos
# has it passed the frozen network, and the one that reads larger pictures (dashed)? Markers of few
# draws are corrected by how far the others were off on these.

# %%
product_photos.plot_sizes(runs)

# %% [markdown]
# Bars need three runs; what has none is unsure. Paired:

# %%
Markdown(product_photos.sizes_in_words(runs))

# %% [markdown]
# ## 6. Does full fine-tuning overfit?
#
# A wide gap between training and test says that photos were learned by heart; whether that *hurts*, the
# test accuracy tells. *Gap wider by*: in points, beside the frozen network's. Recipe 1 is our first
# round: fewer updates and rates, no augmentation, BatchNorm's statistics from small batches. Recipe 2
# is that of section 1. **Predict first:** by which does the story come true?

# %%
product_photos.by_recipe()

# %% [markdown]
# Photos and draws are the same, so overfitting depends on the recipe too; on what part of
# it, the table cannot tell.
#
# ## 7. How carefully must the learning rate be set?
#
# "Needs no special tuning" is said of the probe, "careful tuning" of fine-tuning. **Predict first:**
# which approach suffers most from a rate three times too high? Tried on one draw.

# %%
learning_rates.rates_tried()

# %% [markdown]
# Where the best rate is the *lowest* or *highest* tried, a better one may lie beyond it. A probe that is
# solved to its optimum has no rate, but a penalty (C: a small C is a strong one) in steps of ten: no
# rank.
# [03](03_fine_tuning.ipynb) sweeps rates with several seeds.
#
# ## 8. Photos from elsewhere
#
# Models are tested on photos like those they learned from, and used on others. To see what that costs,
# a probe learns from part of a published training list and answers for the rest of it, then for the
# published test. Were all of one kind, both accuracies would agree.
#
# **Predict first:** by how many points do they differ, for clothing and for groceries?

# %%
away = product_photos.elsewhere(["clothing", "grocery"], **pick(
    full={"n": 300, "n_test": 300}, fast={"n": 100, "n_test": 60}))  # fmt: skip
Markdown(product_photos.elsewhere_in_words(away))

# %% [markdown]
# Live accuracies are means over classes, so that another mix of classes is no shift. A random
# split hides such a fall.
#
# Moving more weights may make the fall larger, as others measured:

# %%
Markdown(product_photos.shifted_elsewhere())

# %% [markdown]
# ## 9. The verdict
#
# At any size of pictures: who leads, and what is the cheapest within two points of it?

# %%
Markdown(product_photos.to_ship(runs))

# %% [markdown]
# The ledger asks the same of all product photos (28: of every task), each data set with the most photos
# and pixels recorded. Fewer than three data sets are *undecided*: more draws from one shop say nothing about the
# next.

# %%
parts = [{"about": "accuracy"} | vars(one) | part | {"claim": one.id}
         for one in judge_claims(ids=(19, 20, 21, 28)) for part in one.parts or ({},)]  # fmt: skip
pd.DataFrame(parts)[["claim", "about", "verdict", "effect", "unit", "data_sets", "runs"]].round(3)

# %% [markdown]
# ## Try it: what would you ship?
#
# The filled marker is the cheapest approach within so many points of the best that fits your minutes.
#
# - Allow all the time and give up no point: what do you ship? From how many points on is it the frozen
#   network?
# - Take minutes away until the answer changes. Then change the pictures: is the answer the same?


# %%
def draw_ship(situation, points, minutes):
    own = product_photos.at(bill, places[situation])
    return trade_offs.plot_ship(own, 60 * minutes, points)


explore(
    draw_ship,
    situation=list(places),
    points=[0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0],
    minutes=[0.03, 0.1, 0.3, 1, 3, 10, 30, 60],
    labels={"points": "points not worth it", "minutes": "processor minutes"},
    start={"situation": product_photos.largest(runs), "minutes": 60, "points": 2.0},
)

# %% [markdown]
# ## What to remember
#
# - Try the size of pictures that the network was made for, and compare approaches at equal pixels,
#   draw by draw.
# - A wide gap between training and test is no verdict: another recipe may close it.
# - A best rate at the edge of those tried means that the comparison is not over.
# - Test on photos from where the model will work.
#
# In numbers:

# %%
Markdown(product_photos.findings())

# %% [markdown]
# ## Exercises
#
# **12.1** The test split has `372` photos. An approach reaches `0.60` on it. What is the half width of
# the textbook 95 % interval, $1.96\sqrt{p(1-p)/n}$?

# %%
answer = ...
check("12.1", answer)

# %% [markdown]
# **12.2** In `runs`, with 200 photos: how many points does the frozen network gain from the smallest
# to the largest pictures that were recorded? Seeds draw the photos, so compare seed by seed, and only
# seeds that both sizes have. (Points are hundredths of accuracy.)

# %%
answer = ...
check("12.2", answer)

# %% [markdown]
# **12.3** Write `choose(table, minutes, points)`: `table` has the columns `approach`, `minutes` and
# `accuracy`. Return the *name* of the cheapest approach within `points` hundredths of the most accurate
# one that fits into `minutes`, and `None` when nothing fits. Hand in the function itself.

# %%
answer = ...
check("12.3", answer)
