# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How far is too far?
#
# Too far is where pretraining no longer helps: the same network, trained from scratch, does about as
# well. Distance can be measured in seconds, before any tuning. But a score of distance is useful only
# if it foretells what tuning gains; so few places show none. So we compute three, turn a dial that
# moves one task away from its origin, and hold each score to what came out.
#
# **Needs:** this clone; digits, fabric, solar cells (fetched by `make lab`).

# %%
import pandas as pd
from IPython.display import Markdown

from helpers.backbones import load_backbone
from helpers.display import explore, figure, image_grid, plot_curves
from helpers.experiments import frechet_distance, log_me, probe
from helpers.lessons import check, distances, pick
from helpers.lessons.claims import verdict_box
from helpers.results import COMPARED, coverage, recipe_in_words
from helpers.tasks import DIAL_STEPS, load_task
from helpers.training import extract_features

# %% [markdown]
# On all data sets together:

# %%
Markdown(verdict_box(5, 9))

# %% [markdown]
# ## Three scores, live
#
# `pocket` learned on five classes of products, so here we have what is usually missing: the pretraining
# data, our zero. Fabric (`textile`) is **simulated**: a program drew its faults.

# %%
n = pick(full=500, fast=150)
pocket = load_backbone("pocket")
seen = load_task("products_source", n_test=n)
print(seen)
source = extract_features(pocket, seen.test.inputs)
names = ["products_source", "products_near", "digits", "textile", "solar_cells"]
parts = {name: load_task(name, n_train=n, image_size=28).train for name in names}
features = {name: extract_features(pocket, part.inputs) for name, part in parts.items()}

# %% [markdown]
# - **Probe above chance**: a linear classifier on frozen features; 0 is guessing, 1 is every example
#   right. It asks whether *these classes* can be told apart. What to compare it with is in
#   [notebook 02](02_feature_extraction.ipynb).
# - **Fréchet distance**: how far the cloud of features lies from the source's, in units of the source's
#   spread. It never looks at a label.
# - **LogME**: the log evidence of a linear model on the features; higher is better.
#
# **Predict first:** will the three put the tasks in the same order? The last three columns are ranks,
# 1 is nearest.

# %%
rows = {}
for name, cloud in features.items():
    labels = parts[name].labels
    rows[name] = (
        probe(cloud, labels).above_chance, frechet_distance(source, cloud), log_me(cloud, labels)
    )  # fmt: skip
live = pd.DataFrame(rows, index=["probe", "Fréchet", "LogME"]).T
nearness = live.assign(**{"Fréchet": -live["Fréchet"]})
live.round(2).join(nearness.rank(ascending=False).astype(int).add_suffix(" rank"))

# %% [markdown]
# A probe mixes in how hard a task is: digits lie far from clothes by Fréchet, yet a probe does nearly as
# well on them as on the near products. So `distance` in this collection is built on the clouds: F / (1 +
# F) of the Fréchet distance F, which runs from 0 to 1.
#
# ## The dial
#
# One task, the same labels, all the information kept: the near products are inverted, then cut into
# ever smaller patches that change places. Only their likeness to the source is lost.

# %%
products = {d: load_task("products_near", n_train=n, dial=d).train for d in DIAL_STEPS}
moved = {d: extract_features(pocket, part.inputs) for d, part in products.items()}
dialled = {d: frechet_distance(source, cloud) for d, cloud in moved.items()}
pictures = [part.inputs[0] for part in products.values()]
titles = [f"{d:.2f}" for d in products]
image_grid(pictures, titles, title="One photo along the dial", columns=7)

# %% [markdown]
# **Predict first:** which approach should not care about the last steps at all, because it never looks
# at neighbouring pixels?

# %%
runs = distances.on_the_dial()
curves = distances.dial_curves()
print(coverage(runs), recipe_in_words({"image": COMPARED["image"]}), sep="\n")

# %% [markdown]
# Move the dial over the steps that were recorded. **Do all approaches fall alike, and which one is ahead at
# the end?**

# %%
steps = sorted(curves["dial"].unique())


def turn(dial, n_train):
    step = min(steps, key=lambda known: abs(known - dial))
    made, (left, ax) = figure(f"Dial {step:.2f}: {DIAL_STEPS[step]}", width=8, height=3.6,
                              columns=2, width_ratios=[1, 3])  # fmt: skip
    left.imshow(products[step].inputs[0].squeeze(), cmap="gray")
    left.set_axis_off()
    left.set_title(f"Fréchet {dialled[step]:.2f}", size="small")
    plot_curves(curves[curves["n_train"] == n_train], "dial", xlabel="dial (0: as it is)", ax=ax)
    ax.axvline(step, color="#333333", ls="--", lw=1)
    return made


# %% [markdown]
# The sizes are those with several steps.

# %%
explore(
    turn,
    dial=[round(d, 2) for d in steps],
    n_train=sorted(int(size) for size in curves["n_train"].unique()),
    labels={"n_train": "training examples"},
    start={"dial": 0.5, "n_train": 1000},
)

# %% [markdown]
# How much is pretraining still worth? Full fine-tuning minus the same network from scratch: on the line
# it is worth nothing, below it it does harm. **At which step does the interval first touch the line?**

# %%
distances.plot_worth()

# %% [markdown]
# That is one answer to "how far is too far", for one task and a small network:

# %%
Markdown(distances.worth_sentence())

# %% [markdown]
# ## Does distance foretell who wins?
#
# If a distant domain wants more weights to move, the gain of tuning over a frozen probe should grow with
# the distance. Each mark is a task or a step of the dial. What ImageNet networks were trained on isn't at
# hand; there the distance is taken to a stand-in, clothing photos, which is an assumption; two samples of
# clothing still lie a little apart. Texts have no mark. The table leaves out networks with fewer than
# four.
#
# **Is there one cloud that rises, or one for each network?**

# %%
explore(
    distances.plot_gains,
    approach=list(distances.TUNED),
    n_train=distances.sizes(),
    labels={"n_train": "training examples"},
    start={"n_train": 200},
)

# %% [markdown]
# As a number: the rank correlation of each score with the gain, where +1 says "the farther, the more
# tuning gains". The column `needed` is what luck alone reaches at most once in twenty times, and the
# steps of the dial are not even independent tasks. **Predict first:** how many are higher?

# %%
distances.foretold().round(2)

# %% [markdown]
# The verdict at the top pools the networks. You have one, and for that the count is this:

# %%
Markdown(distances.foretold_sentence())

# %% [markdown]
# ## What to remember
#
# - A distance between clouds needs no labels, but it needs the pretraining data or a stand-in.
# - A probe tells whether your classes can be separated. What tuning will gain, so few places can't tell
#   from it.
# - So measure the distance to know what you have, and decide by a probe and one tuned run.

# %%
fewest = distances.worth_sentence().splitlines()[0]
Markdown(f"{fewest}\n- {distances.foretold_sentence()}")

# %% [markdown]
# ## Exercises
#
# **07.1** A Fréchet distance of 3: which `distance` is that?

# %%
answer = ...
check("07.1", answer)

# %% [markdown]
# **07.2** Is it luck? Write `luck(x, y)`: the share of all orders of `y` whose rank correlation with
# `x` is at least as strong, either way, as that of `x` and `y` as they are. Both have five numbers
# without ties.

# %%
answer = ...
check("07.2", answer)

# %% [markdown]
# **07.3** A probe reaches `0.85` where the largest class is `0.80` of the examples. How far is that above
# chance, from 0 to 1?

# %%
answer = ...
check("07.3", answer)

# %% [markdown]
# **07.4 Predict, then run.** Turn the dial from 0 to its end, with 200 examples: how many *points* of
# test accuracy do frozen features, the same network from scratch, and a classical model on raw pixels
# lose? Guess before you look at any record (a gain is a negative loss). The nearer, the more credit;
# then read the truth off the records.

# %%
answer = {"feature_extraction": ..., "from_scratch": ..., "classical": ...}
check("07.4", answer)
