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
# # When is it enough to freeze everything?
#
# When a *straight cut* through the features that the network already computes separates your
# classes well enough for what you need. That is cheap to find out: a linear head on frozen
# features, a **probe**, trains in a moment, needs few examples and leaves the base bit for bit
# what it was. The price is a ceiling, because features that nobody may change can only be cut,
# never bent. So run the probe first, always; then compare it with the right things. Being better
# than guessing is not enough, and this notebook shows why.
#
# > **Provisional.** The recorded runs below are a first round that undersold fine-tuning: BatchNorm's
# > statistics ran on small batches, learning-rate grids were short, texts got a dozen updates, photos
# > 64 pixels. A second round is being measured; `python -m helpers audit` says how far it is. Until it
# > stands, learn the methods here and decide nothing by the accuracies.
#
# **Needs:** this clone; fabric and solar-cell photos come through pip the first time.

# %%
import functools

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from IPython.display import Markdown
from torch import nn

from helpers.approaches import Options, flatten_pixels, freeze, get_approach
from helpers.backbones import load_backbone
from helpers.display import APPROACH_STYLE, explore, figure, image_grid, plot_bars, plot_curves
from helpers.experiments import source_accuracy
from helpers.lessons import check, pick
from helpers.results import coverage, load_runs, mean_interval, paired_gain, summarise
from helpers.tasks import load_task
from helpers.training import extract_features, frozen_prefix

# %% [markdown]
# ## Freezing, in ten lines
#
# Our task: five kinds of product photo (`products_near`). The base is `pocket`, a small residual
# network of our own. It was pretrained on five *other* kinds of product, so this task is near,
# and we know that it is. Look for two things in the function: who may no longer be updated, and
# who may no longer *adapt by itself*.

# %%
task = load_task("products_near", n_train=pick(full=500, fast=200))


def freeze_by_hand(module):
    for parameter in module.parameters():
        parameter.requires_grad = False  # no gradient: the optimizer has nothing to move
    for layer in module.modules():
        layer.training = False  # BatchNorm uses its stored statistics, dropout stays off
    return module


# %% [markdown]
# The second loop is the one that people forget. BatchNorm layers keep running averages of what
# flows through them, and these averages move during training *without any gradient*. We come back
# to that below.
#
# Now attach a new head, one linear layer, and count what will move.

# %%
base = freeze_by_hand(load_backbone("pocket"))
head = nn.Linear(base.feature_size, len(task.classes))
still = sum(parameter.numel() for parameter in base.parameters())
moves = sum(parameter.numel() for parameter in head.parameters())
print("photos from:", {"full": "Fashion-MNIST", "sample": "data/sample"}[task.origin])
Markdown(f"**{still:,}** weights stand still; **{moves:,}** move, one in {still // moves:,}.")

# %% [markdown]
# The package's `freeze` does the same and one thing more. `model.train()` would switch every
# layer back to training mode, so `freeze` marks what it froze, and our models keep marked layers
# still whatever they are told. Is it really the same? Compare the two, layer by layer.

# %%
theirs = freeze(load_backbone("pocket"))
pairs = list(zip(base.modules(), theirs.modules(), strict=True))
same_mode = all(ours.training == other.training for ours, other in pairs)
any_gradient = any(p.requires_grad for p in [*base.parameters(), *theirs.parameters()])
print("modes alike:", same_mode, "| anything left to train:", any_gradient)

# %% [markdown]
# ## Features that never change are computed once
#
# A frozen base gives the same features for the same photo in every epoch. Recomputing them is
# work thrown away, so pass each photo through once, keep the result (a row of `feature_size`
# numbers) and train the head on the rows.
#
# **Predict first:** with this many epochs, how many times faster will the cached run be? As many
# as there are epochs, more, or fewer?

# %%
probing = get_approach("feature_extraction")
epochs = pick(full=20, fast=5)
config = probing.config("image", len(task.train), epochs=epochs, patience=epochs)
rerun = probing.fit(load_backbone("pocket"), task, config, cache=False)
cached = probing.fit(load_backbone("pocket"), task, config)

# %% [markdown]
# The cached run found or filled a file, so its one pass through the base (training and validation
# photos) is timed apart, without the file:

# %%
both = (task.train, task.validation)
passes = [frozen_prefix(base, split.inputs, base.n_stages, cache=False) for split in both]
once = sum(done.seconds for done in passes)
slow, fast = rerun.history.seconds, cached.history.seconds + once
Markdown(
    f"{epochs} epochs, base re-run each time: **{slow:.1f} s**. Features computed once: "
    f"**{fast:.2f} s**, of which {once:.2f} s are the one pass. "
    f"Ratio: **{slow / fast:.0f} times**."
)

# %% [markdown]
# The one pass is a fixed price and each further epoch is almost free, so the ratio grows with the
# number of epochs until the head's own training is all that is left. A larger base makes it
# larger: `make bench` measures the same on EfficientNet-Lite0 (row `probe_cached` of
# `data/results/bench.csv`).
#
# Caching also changes what is convenient. With the rows in hand you can try ten regularisations,
# or draw the training set five times, in the time one uncached epoch takes. We do both below.
#
# ## The probe, written out
#
# A probe is logistic regression: bring the features to one scale, fit one weight matrix. The
# problem is convex, so there is one best answer, and L-BFGS walks to it without a learning rate
# to tune. The `penalty` pulls the weights towards zero, which matters when examples are few.


# %%
def train_probe(rows, labels, n_classes, penalty=0.01):
    mean, std = rows.mean(0), rows.std(0) + 1e-4
    X, y = torch.from_numpy((rows - mean) / std), torch.from_numpy(labels)
    head = nn.Linear(X.shape[1], n_classes)
    nn.init.zeros_(head.weight)
    solver = torch.optim.LBFGS(head.parameters(), max_iter=50, line_search_fn="strong_wolfe")

    def loss():
        solver.zero_grad()
        value = F.cross_entropy(head(X), y) + penalty * head.weight.square().sum()
        value.backward()
        return value

    solver.step(loss)
    return lambda new: head(torch.from_numpy((new - mean) / std)).argmax(1).numpy()


# %% [markdown]
# `train_probe` returns a function from features to classes. Beside it stands the registry's
# version, `get_approach("feature_extraction")`: the same head, trained by the one loop that all
# approaches share (AdamW, early stopping on validation), so that its records compare with theirs.

# %%
pocket = load_backbone("pocket")
rows = extract_features(pocket, task.train.inputs)
probe = train_probe(rows, task.train.labels, len(task.classes))
by_hand = np.mean(probe(extract_features(pocket, task.test.inputs)) == task.test.labels)
settings = probing.config("image", len(task.train))
registered = probing.fit(load_backbone("pocket"), task, settings).accuracy(task.test)
Markdown(f"Test accuracy: by hand **{by_hand:.3f}**, from the registry **{registered:.3f}**.")

# %% [markdown]
# ## Is that good? Compare it with something
#
# One number says little. It needs three neighbours: *guessing* (always the most frequent class),
# the same classifier on *raw pixels* (no network at all), and its own *spread* when other
# examples are drawn. This is our experiment for the rest of the notebook. Each probe picks its
# penalty on validation from the same three, so that no kind of feature gets more tuning than
# another.

# %%
PENALTIES = (0.001, 0.01, 0.1)


def accuracy_of(describe, name, seed, n_train=task.train.labels.size):
    drawn = load_task(name, n_train=n_train, seed=seed, image_size=28)
    X, y, held_out = describe(drawn.train.inputs), drawn.train.labels, drawn.validation
    probes = [train_probe(X, y, len(drawn.classes), penalty) for penalty in PENALTIES]
    unseen = describe(held_out.inputs)
    best = max(probes, key=lambda probe: np.mean(probe(unseen) == held_out.labels))
    return float(np.mean(best(describe(drawn.test.inputs)) == drawn.test.labels))


# %% [markdown]
# `describe` turns photos into rows of numbers: frozen features, or plain pixels. **Predict
# first:** by how much do the features of a network that has seen thousands of *other* products
# beat the pixels themselves?

# %%
learned = functools.partial(extract_features, pocket)
seeds = range(pick(full=5, fast=2))
on_features = [accuracy_of(learned, "products_near", seed) for seed in seeds]
on_pixels = [accuracy_of(flatten_pixels, "products_near", seed) for seed in seeds]
gain, low, high = mean_interval(np.subtract(on_features, on_pixels))
Markdown(
    f"Guessing {1 / len(task.classes):.2f}; raw pixels **{np.mean(on_pixels):.3f}**; frozen "
    f"features **{np.mean(on_features):.3f}**. Difference, draw by draw: {gain:+.3f} (95 % "
    f"interval {low:+.3f} to {high:+.3f}, {len(seeds)} draws of {len(task.train)} photos)."
)

# %% [markdown]
# Did you expect that? Centred photos on a plain background are kind to raw pixels: the same pixel
# shows the same part of the garment every time. On another number of examples the order may
# differ, so look at the recorded runs, which cover several sizes.

# %%
near = load_runs(sweep="pocket", task="products_near", dial=0.0)
compared = near[near["approach"].isin(["feature_extraction", "classical"])]
print(coverage(compared))
plot_curves(
    summarise(compared),
    "n_train",
    title="Near task: a probe on frozen features, and no network at all",
    xlabel="training examples (log scale)",
    log_x=True,
    chance=1 / len(task.classes),
)

# %% [markdown]
# Both curves lie far above the dotted line. Whoever compares with guessing alone would call
# either a success. How much of the blue curve is owed to pretraining? That is the next question.
#
# ## "Well above chance" is too easy a test
#
# A common piece of advice: train a probe; if it lands well above chance, the features transfer,
# so freeze. We try it on one near task and three far ones. In the far ones, nothing looks like
# what `pocket` was pretrained on.

# %%
NAMES = ("products_near", "digits", "textile", "solar_cells")
tasks = {name: load_task(name, image_size=28) for name in NAMES}
shown = [(name, i) for name in NAMES for i in range(2)]
image_grid(
    [tasks[name].train.inputs[i] for name, i in shown],
    [name for name, _ in shown],
    title="One near task and three far ones, at 28 pixels",
)

# %% [markdown]
# The fair control is easy to make: the **same network with random weights**, frozen as well.
# Random convolutions already blur, filter and pool, which helps by itself. Only what the
# pretrained network adds *on top of that*, and on top of raw pixels, is transfer.
#
# **Predict first:** on which tasks will the pretrained features win against both?

# %%
untrained = load_backbone("pocket", pretrained=False)
WAYS = {
    "raw pixels": flatten_pixels,
    "random network": functools.partial(extract_features, untrained),
    "pretrained network": learned,
}
scores = {
    (name, way): [accuracy_of(describe, name, seed) for seed in seeds]
    for name in NAMES
    for way, describe in WAYS.items()
}
guessing = [np.bincount(tasks[n].test.labels).max() / len(tasks[n].test) for n in NAMES]

# %% [markdown]
# Look first at the distance from each dash (guessing) to the circle, then at what lies between.

# %%
STYLES = ("classical", "from_scratch", "feature_extraction")
made, ax = figure("Guessing, two controls, and the pretrained network", width=8.0)
ax.scatter(range(4), guessing, marker="_", s=900, color="#7f7f7f", label="guessing")
for shift, (way, style) in enumerate(zip(WAYS, STYLES, strict=True)):
    look = APPROACH_STYLE[style]
    rows = np.array([mean_interval(scores[name, way]) for name in NAMES])
    bars = {"yerr": rows[:, 2] - rows[:, 0], "capsize": 3, "label": way}
    places = np.arange(4) + 0.12 * (shift - 1)
    ax.errorbar(places, rows[:, 0], fmt=look.marker, color=look.colour, **bars)
ax.set_xticks(range(4), NAMES)
ax.set(xlabel=f"task (bars: 95 % interval over {len(seeds)} draws)", ylabel="test accuracy")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
made

# %% [markdown]
# The eye can be fooled by draws that were lucky for all three, so take differences draw by draw.
# A gain counts when its whole interval lies above zero.

# %%
table = pd.DataFrame({"task": NAMES, "guessing": np.round(guessing, 3)})
pretrained = [np.array(scores[name, "pretrained network"]) for name in NAMES]
gaps = {}
for control in ("guessing", "raw pixels", "random network"):
    level = guessing if control == "guessing" else [scores[name, control] for name in NAMES]
    gaps[control] = [mean_interval(a - np.array(b)) for a, b in zip(pretrained, level, strict=True)]
    words = [f"{gap:+.3f} ({low:+.3f} to {high:+.3f})" for gap, low, high in gaps[control]]
    table[f"above {control}"] = words
table

# %% [markdown]
# Counted up, with "clearly" meaning that the whole interval is on one side:

# %%
clear = {control: np.array([low > 0 for _, low, _ in found]) for control, found in gaps.items()}
both = clear["raw pixels"] & clear["random network"]
passed = ", ".join(np.array(NAMES)[both]) or "none"
Markdown(
    f"The easy test, clearly above guessing, is passed on **{clear['guessing'].sum()} of 4** "
    f"tasks. Clearly above raw pixels *and* random weights: **{both.sum()} of 4** ({passed})."
)

# %% [markdown]
# So keep the probe as a test, and change what it is compared with:
#
# - above guessing only: the *task* is learnable; that says nothing about the *features*;
# - above raw pixels and above random weights: the *pretraining* has brought something;
# - above guessing and below raw pixels: the frozen base loses what you need. Let it move, or do
#   without it.
#
# These are 28-pixel pictures and a very small base. The solar cells below ask the same of a
# larger base on larger photos, where the answer may be another; the comparison stays the right
# one.
#
# ## Augmentation, with a cache
#
# Shifted and mirrored copies are new pictures, so a cache of one feature row per photo would make
# augmentation impossible. The way out is to cache several **views**: the photo as it is, and some
# changed versions. Epoch $e$ then trains on view $e$ modulo the number of views. It costs as many
# passes as there are views.
#
# **Predict first:** shoes in this set all point the same way. Will mirrored copies help?


# %%
def augmented_accuracy(augment, seed):
    drawn = load_task("products_near", n_train=pick(full=200, fast=50), seed=seed)
    settings = probing.config("image", len(drawn.train), seed=seed)
    options = Options(augment=augment, views=4)
    return probing.fit(load_backbone("pocket"), drawn, settings, options).accuracy(drawn.test)


plain = [augmented_accuracy("", seed) for seed in seeds]
for augment in ("shift", "mirror"):
    changed = [augmented_accuracy(augment, seed) for seed in seeds]
    gain, low, high = mean_interval(np.subtract(changed, plain))
    verdict = "helps" if low > 0 else "harms" if high < 0 else "no clear difference"
    print(f"{augment:7s} {gain:+.3f} ({low:+.3f} to {high:+.3f}): {verdict}")

# %% [markdown]
# Augmentation teaches a network to ignore a change. A linear head on frozen features can only
# pick among what the base already tells apart or ignores, so it has less to gain than a network
# that moves. Choose changes that your test pictures really show.
#
# ## The base can't be harmed
#
# This is what the word frozen promises, and it can be checked to the bit: copy every weight and
# every BatchNorm statistic, train a probe, compare.

# %%
base = load_backbone("pocket")
before = {name: value.clone() for name, value in base.state_dict().items()}
probing.fit(base, task, config)
moved = [name for name, value in base.state_dict().items() if not torch.equal(value, before[name])]
statistics = sum(name.endswith(("mean", "var")) for name in before)
Markdown(
    f"Of **{len(before)}** tensors ({statistics} of them BatchNorm statistics), **{len(moved)}** "
    "changed."
)

# %% [markdown]
# Now the mistake. Switch off gradients and forget the mode: no optimizer, no loss, only photos of
# fabric passing through once. **Predict first:** what changes, and does the network still know
# the five products it was pretrained on?

# %%
naive = load_backbone("pocket").requires_grad_(False).train()
for batch in torch.from_numpy(np.array(tasks["textile"].train.inputs[:500])).split(32):
    naive(naive.prepare(batch))
moved = [name for name, value in naive.state_dict().items() if not torch.equal(value, before[name])]
kinds = sorted({name.rsplit(".", 1)[-1] for name in moved})
kept, lost = (source_accuracy(tuned, base) for tuned in (base, naive))
Markdown(
    f"**{len(moved)}** tensors moved: {', '.join(kinds)}. On its own pretraining task the network "
    f"scored {kept:.3f}, and now scores **{lost:.3f}**."
)

# %% [markdown]
# No weight has moved, and yet this is another network. Every other head that shares the base
# would now read features it was not trained on. That is why *frozen* in this collection means
# weights, statistics and dropout. [Notebook 03](03_fine_tuning.ipynb) shows what the same trap
# does to fine-tuning.
#
# ## Real photos: cracked solar cells
#
# Pictures of solar cells that glow in the dark under current, some of them cracked, are as far
# from ImageNet's dogs and cars as photos get. There is a published yardstick: on a 75/25 split,
# hand-made features with an SVM reached 82.44 %, a fine-tuned CNN 88.42 % ([Deitsch et al.
# 2019](https://arxiv.org/abs/1807.02894)). We use the same proportions, stratified by cell type
# and label; part of the training share is our validation set. The base is EfficientNet-Lite0,
# pretrained on ImageNet. These runs take minutes each, so they are recorded.
#
# **Predict first:** does a frozen ImageNet base beat features made by hand for this very task?

# %%
cells = load_runs(sweep=["solar", "lite0"], task="solar_cells", backbone="efficientnet_lite0")
cells = cells[cells["n_train"] >= 1_600]
kinds = ("approach", "image_size", "settings", "lr", "epochs", "batch_size")
recorded = summarise(cells, by=kinds)
recorded["validation"] = summarise(cells, by=kinds, value="val_accuracy")["mean"]
recorded = recorded.sort_values("validation").drop_duplicates("approach", keep="last")
recorded = recorded.sort_values("mean", ascending=False)
print(coverage(cells))
made = plot_bars(recorded, title="Solar cells, all training images, beside the published")
for accuracy, name, line in ((0.8244, "SVM", "--"), (0.8842, "CNN", ":")):
    made.axes[0].axvline(accuracy, color="#000000", ls=line, label=f"published {name}")
made.axes[0].legend(loc="center left", bbox_to_anchor=(1, 0.5))
made

# %% [markdown]
# An approach that was recorded with several settings (picture size, augmentation, stages) stands
# there with the one that was best on validation. The published figures are single values without
# an interval.

# %%
means, seeds_of = (recorded.set_index("approach")[column] for column in ("mean", "runs"))
said = "The probe on solar cells has not been recorded yet."
if "feature_extraction" in means:
    frozen, name = means["feature_extraction"], means.idxmax()
    at = {"SVM": 0.8244, "CNN": 0.8842}
    sides = [f"{'above' if frozen >= at[w] else 'below'} the published {w}" for w in at]
    said = f"The frozen base reached **{frozen:.3f}**, {' and '.join(sides)}. "
    said += f"Best of ours: {APPROACH_STYLE[name].label}, **{means[name]:.3f}** "
    said += f"(seeds: {seeds_of['feature_extraction']} and {seeds_of[name]})."
Markdown(said)

# %% [markdown]
# ## The ceiling: what fine-tuning adds on the same task
#
# A probe can't make features that are not there. Fine-tuning can. The fair way to see what that
# is worth is seed by seed: same training examples, same test, one base frozen and one moving.
#
# **Predict first:** where will fine-tuning gain most over the probe, on the near task or on far
# ones? With few examples or with many?

# %%
runs = load_runs(sweep="pocket", dial=0.0)
MOVING = ("partial_fine_tuning", "full_fine_tuning", "lora")
gains = pd.concat([paired_gain(runs, approach, "feature_extraction") for approach in MOVING])
print(coverage(runs[runs["approach"].isin([*MOVING, "feature_extraction"])]))
made, axes = figure("Accuracy gained over the probe", width=8.0, columns=2, sharey=True)
for ax, name in zip(axes, ("products_near", "digits"), strict=True):
    label = {"xlabel": "training examples (log scale)", "ylabel": "gain over the probe"}
    plot_curves(gains[gains["task"] == name], "n_train", title=name, log_x=True, ax=ax, **label)
    ax.axhline(0, color="#0072b2", lw=1)
axes[0].get_legend().remove()
made

# %% [markdown]
# The blue line at zero is the probe; whatever lies above it is left unseen by freezing. The same
# for all four tasks, at the largest size that each was recorded with:

# %%
largest = gains[gains["n_train"] == gains.groupby("task")["n_train"].transform("max")]
top = largest.sort_values("mean").drop_duplicates("task", keep="last")
level = summarise(runs[runs["approach"] == "feature_extraction"])
top = top.merge(level[["task", "n_train", "mean"]], on=["task", "n_train"], suffixes=("", "_probe"))
columns = ["task", "n_train", "mean_probe", "approach", "mean", "low", "high", "runs"]
top[columns].rename(columns={"mean_probe": "probe", "mean": "gain"}).round(3)

# %% [markdown]
# And what the gain costs. Medians over seeds; processor seconds, so that a busy machine counts
# fairly. The last two columns are accuracy on the *pretraining* task, before and after: whoever
# moves the base moves it away from there.

# %%
n = 200
paid = summarise(runs[(runs["task"] == "products_near") & (runs["n_train"] == n)])
columns = ["approach", "mean", "train_cpu_seconds", "peak_memory_mb", "stored_mb"]
paid = paid[[*columns, "source_accuracy_before", "source_accuracy_after"]]
paid.sort_values("train_cpu_seconds").round(3)

# %% [markdown]
# All recorded sizes and tasks together, and the price ratio in words:

# %%
price = paid.set_index("approach")["train_cpu_seconds"]
ratio = price.get("full_fine_tuning", np.nan) / price.get("feature_extraction", np.nan)
networks = price.drop("classical", errors="ignore")
clear, some = (gains["low"] > 0).sum(), (gains["high"] < 0).sum()
Markdown(
    f"At {n} examples full fine-tuning took **{ratio:.1f} times** the probe's processor time; the "
    f"cheapest network was **{networks.idxmin().replace('_', ' ')}**. Of {len(gains)} recorded "
    f"comparisons with the probe, **{clear}** are clear gains, {some} clear losses, and "
    f"{len(gains) - clear - some} too close to call."
)

# %% [markdown]
# Three things people say of freezing, on our runs: *cheapest*, *can't harm the base*, *lower
# ceiling*. The tables above bear on each. Notice that the gain is no law of nature: it depends on
# the task and on how many examples there are.
#
# ## Try it
#
# Features of the whole pool lie in memory, so every position of these sliders trains its probes
# anew. Move *training examples* from left to right: where does the curve on **new** photos
# flatten? Then set few examples and raise the penalty. Does it close the gap between the two
# curves, and does that help? Which class stays hard, even with all examples?

# %%
pool = load_task("products_near", n_train=pick(full=2_000, fast=500))
X, T = (extract_features(pocket, split.inputs) for split in (pool.train, pool.test))
SIZES = [n for n in (10, 50, 200, 500, 2_000) if n <= len(X)]


@functools.cache
def fitted(n, penalty):
    probe = train_probe(X[:n], pool.train.labels[:n], len(pool.classes), penalty)
    return probe(X[:n]) == pool.train.labels[:n], probe(T) == pool.test.labels


# %% [markdown]
# Left, accuracy on the photos it was trained on and on new ones; right, the share of each class
# that is found.


# %%
def draw(n_train, penalty):
    sizes = [n for n in SIZES if n <= n_train]
    seen, new = zip(*(map(np.mean, fitted(n, penalty)) for n in sizes), strict=True)
    words = f"{n_train:,} photos: {seen[-1]:.2f} on them, {new[-1]:.2f} on new ones"
    made, (left, right) = figure(words, width=8.0, height=3.4, columns=2)
    left.plot(sizes, seen, color="#000000", marker="s", label="its own photos")
    left.plot(sizes, new, color="#0072b2", marker="o", label="new photos")
    left.set(xscale="log", xlim=(8, 2_500), ylim=(0.4, 1.02))
    left.set(xlabel="training examples (log scale)", ylabel="accuracy")
    left.set_xticks([10, 100, 1_000], ["10", "100", "1,000"])
    left.legend()
    right_ones = [fitted(n_train, penalty)[1][pool.test.labels == k].mean() for k in range(5)]
    right.barh(pool.classes, right_ones, color="#0072b2")
    right.set(xlabel="share of the class that is found", xlim=(0, 1))
    return made


# %% [markdown]
# The still below shows the first state; run the notebook to move it.

# %%
explore(
    draw,
    n_train=SIZES,
    penalty=[0.001, 0.01, 0.1, 1.0],
    labels={"n_train": "training examples", "penalty": "penalty on weights"},
    start={"n_train": 200, "penalty": 0.01},
    alt="Accuracy of a probe by number of training examples, and by class",
)

# %% [markdown]
# ## What to remember
#
# - Freeze weights, BatchNorm statistics and dropout; then the base is safe to the bit, and any
#   number of heads can share it.
# - Frozen features are computed once. Every further head, penalty or draw is nearly free.
# - A probe above guessing shows that the task is learnable. Above raw pixels *and* above the same
#   network with random weights, it shows that pretraining helps.
# - The probe is the cheapest credible network. Its ceiling is set by the base, and only measuring
#   fine-tuning on your task tells how far below the best it lies.
#
# ## Exercises
#
# **02.1** EfficientNet-Lite0 gives 1,280 features. How many numbers does a linear head for the
# two classes of the solar cells hold?

# %%
answer = ...
check("02.1", answer)

# %% [markdown]
# **02.2** Your probe on frozen features beats guessing by a wide margin. Which control tells
# whether the *pretraining* deserves the praise, and not the architecture? `"a"` the same probe
# with more examples, `"b"` the same probe on the same network with random weights, `"c"` a larger
# network.

# %%
answer = ...
check("02.2", answer)

# %% [markdown]
# **02.3** Pass one batch of solar cells through `load_backbone("pocket").train()` and compare
# `state_dict()` before and after. Give the list of the names that changed.

# %%
answer = ...
check("02.3", answer)

# %% [markdown]
# **02.4** From the recorded runs (`sweep="pocket"`, `dial=0.0`): how much does full fine-tuning
# gain over the probe on `digits` with 200 examples, averaged over the seeds that both have?

# %%
answer = ...
check("02.4", answer)
