# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # How much of the network should move?
#
# As much as your data can pay for, and seldom everything at once. Fine-tuning lets gradients flow
# back into pretrained weights: into the top few stages (*partial*) or into all of them (*full*).
# Moving the top stages is cheap, because everything below them runs once and is cached. Moving
# more can win more points. It also asks for care in three places: the learning rate, BatchNorm, and
# what the network forgets. All of it is measured below, and each sentence with a measured number in
# it is written by a cell.
#
# > **Provisional.** The recorded runs below are a first round that undersold fine-tuning: BatchNorm's
# > statistics ran on small batches, learning-rate grids were short, texts got a dozen updates, photos
# > 64 pixels. A second round is being measured; `python -m helpers audit` says how far it is. Until it
# > stands, learn the methods here and decide nothing by the accuracies.
#
# **Needs:** the product photos and `pocket` (in this clone), the fabric images (fetched by `make lab`).

# %% [markdown]
# ## Set-up
#
# Everything live in this notebook uses `pocket`, a residual network small enough to tune in seconds.
# It learned on five product classes. Our *near* task is the five product classes it never saw; our
# *far* task is fabric, in which it has to find weaving defects.

# %%
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown

from helpers import paths
from helpers.approaches import TransferModel, freeze, get_approach, remove_lora
from helpers.backbones import clone, load_backbone
from helpers.display import explore, figure, plot_curves, plot_race
from helpers.experiments import count_parameters, source_accuracy
from helpers.lessons import check, pick
from helpers.results import coverage, load_runs, mean_interval, paired_gain, summarise
from helpers.runtime import pick_device
from helpers.tasks import load_task
from helpers.training import Examples, TrainingDiverged, batches, evaluate, parameter_groups, train

# %% [markdown]
# Five hundred labelled examples of each task. That is an afternoon of labelling, and about what
# many teams start with. Accuracies that are measured live read the first `n_test` test images.

# %%
n_train, n_test = pick(full=500, fast=100), pick(full=2_000, fast=300)
pocket = load_backbone("pocket")
near = load_task("products_near", n_train=n_train, n_test=n_test)
far = load_task("textile", n_train=n_train, image_size=28)
for name, task in {"near": near, "far": far}.items():
    classes = ", ".join(task.classes)
    print(f"{name}: {len(task.train)} to train on ({classes}); data: {task.origin}")

# %% [markdown]
# ## 1. The loop, and what "partial" means
#
# A *stage* is a block of layers between two places where the network may be cut. The first stages
# see edges and textures, the last ones see something close to classes. Where do the weights sit?

# %%
sizes = [count_parameters(stage)[1] for stage in pocket.stages]
table = pd.DataFrame({"stage": range(1, len(sizes) + 1), "parameters": sizes})
table["share"] = (table["parameters"] / sum(sizes)).round(3)
table

# %% [markdown]
# The top two stages hold most of the weights, as in nearly every convolutional network. So *partial*
# does not mean few parameters. It means that gradients stop early, and that whatever lies below the
# stop never changes.
#
# Here is fine-tuning in ten lines. Only what has `requires_grad` goes to the optimizer; nothing else
# in the loop knows that the network is pretrained.


# %%
def tune(model, examples, lr, epochs, device):
    moving = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(moving, lr=lr)
    for epoch in range(epochs):
        model.train()
        for rows in batches(examples, 32, np.random.default_rng(epoch)):
            inputs, labels = examples.batch(rows, device)
            loss = torch.nn.functional.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return model


# %% [markdown]
# `partial.build` freezes the network, frees its top stages again and puts a new head on. It returns
# a model that expects cached activations, so we tell it to start at stage 0, with raw images.

# %%
partial, full = get_approach("partial_fine_tuning"), get_approach("full_fine_tuning")
model = partial.build(clone(pocket), len(near.classes), partial.options(top_stages=2))
model.start = 0
examples = Examples.raw(near.train.inputs, near.train.labels)
tune(model.to(pick_device()), examples, lr=1e-3, epochs=pick(full=6, fast=2), device=pick_device())
test = Examples.raw(near.test.inputs, near.test.labels)
accuracy = evaluate(model, test, partial.config("image", n_train))[1]
Markdown(f"Ten lines took it to a test accuracy of **{accuracy:.3f}** on the near task.")

# %% [markdown]
# The loop that the rest of the collection uses is `helpers.training.train`. It is these lines and
# what experience adds: a rate that rises, then falls; clipped gradients; a validation score after
# each epoch, early stopping and the best weights put back; and a plain sentence when the loss is
# no longer a number.
#
# **What freezing buys.** The two upper stages change with every step, the three lower ones never
# do. So their output for a given image never changes either, and it can be computed once.
# **Predict first:** will training on that cache give the same losses, or only similar ones? And how
# much faster will it be?

# %%
config = partial.config("image", n_train, epochs=pick(full=12, fast=3))
options = partial.options(top_stages=2)
cached = partial.fit(clone(pocket), near, config, options)
plain = partial.fit(clone(pocket), near, config, options, cache=False)
gap = np.abs(np.subtract(cached.history.train_loss, plain.history.train_loss)).max()
difference = f"{gap:.0e}" if gap else "exactly zero"
ratio = plain.history.cpu_seconds / cached.history.cpu_seconds
Markdown(
    f"Largest difference between the two loss curves: **{difference}**. The loop took "
    f"{cached.history.cpu_seconds:.2f} s of processor time with the cache and "
    f"{plain.history.cpu_seconds:.2f} s without: **{ratio:.1f} times** faster. Filling the cache "
    f"took {cached.prepare_cpu_seconds:.2f} s, once."
)

# %% [markdown]
# It is the same training, not an approximation of it, as long as the prefix is *really* frozen
# (section 4 shows how that goes wrong) and the images are not augmented afresh each time. `pocket`'s
# lower stages are cheap, which limits what caching can save. An ImageNet backbone has more below the
# cut:

# %%
path = paths.results_dir() / "bench.csv"
bench = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["name"])
row = bench[bench["name"] == "partial_cached"].to_dict("records")
Markdown(
    f"Measured by `make bench`: **{row[0]['ratio']:.1f} times** faster "
    f"({row[0]['low']:.1f} to {row[0]['high']:.1f}). What was run: {row[0]['what']}."
    if row
    else "`make bench` has not recorded this ratio here yet."
)

# %% [markdown]
# ## 2. How many stages?
#
# Folk wisdom says: the farther the task, the more layers should move. We recorded partial
# fine-tuning with one to five top stages on the near task and on two far ones (fabric, and
# handwritten digits). Zero stages is feature extraction, at its own tuned rate and with the same
# seeds. The band is a 95 % interval over seeds, each of which draws other training examples.

# %%
stage_runs = load_runs(sweep="stages")
swept = summarise(stage_runs, by=("task", "n_train", "settings"))
swept["top_stages"] = swept["settings"].str.removeprefix("top_stages=").astype(int)
probe_runs = load_runs(sweep="pocket", approach="feature_extraction", dial=0.0, seed=[0, 1, 2])
probe = summarise(probe_runs, by=("task", "n_train")).assign(top_stages=0)
probe = probe[probe["task"].isin(swept["task"]) & probe["n_train"].isin(swept["n_train"])]
stages = pd.concat([probe, swept]).sort_values("task").reset_index(drop=True)
print(coverage(stage_runs))

# %% [markdown]
# **Predict first:** draw three lines in your head, from zero stages (left) to all five (right). Which
# rises longest? Does any of them fall again? Then move the slider: **do more examples push the best
# number of stages up?**


# %%
def draw_stages(n_train):
    rows = stages[stages["n_train"] == n_train]
    if rows.empty:
        return "The sweep `stages` is not recorded here"
    return plot_curves(
        rows,
        "top_stages",
        by="task",
        title=f"How many stages to move, with {n_train:,} training examples",
        xlabel="top stages that move (0: only the head)",
    )


explore(draw_stages, n_train=[200, 1000], labels={"n_train": "training examples"})

# %% [markdown]
# Each line of the table below is one panel of that slider, one task at a time: the number of stages
# that did best, what it gained over moving a single stage, and what moving all five gained. A gain
# is paired (same seed, same examples), and where its interval includes zero you can't tell it from
# luck.

# %%
keys = ["task", "n_train", "seed"]
wide = stage_runs.pivot_table(index=keys, columns="settings", values="test_accuracy")
rows = []
for (task, n), block in wide.groupby(level=["task", "n_train"]):
    block = block.dropna(axis="columns", how="all")
    few, all_of_them, best = block.columns[0], block.columns[-1], block.mean().idxmax()
    gains = [mean_interval((block[more] - block[few]).dropna()) for more in (best, all_of_them)]
    spread = ["one seed" if low != low else f"{low:+.3f} to {high:+.3f}" for _, low, high in gains]
    words = [f"{gain[0]:+.3f} ({around})" for gain, around in zip(gains, spread, strict=True)]
    rows.append((task, n, int(best[-1]), *words))
columns = ["task", "n_train", "best stages", "best over 1 stage", "all 5 over 1 stage"]
pd.DataFrame(rows, columns=columns)

# %% [markdown]
# Where along the lines does accuracy come from? From letting *something* move, or from letting *more*
# move?

# %%
means = stages.pivot_table(index=["task", "n_train"], columns="top_stages", values="mean")
means = means.reindex(columns=range(pocket.n_stages + 1)).dropna(subset=[0, 1])
lines = [
    f"- {task}, {n:,} examples: {row[1] - row[0]:+.3f} from zero stages to one, "
    f"{row.loc[1:].max() - row[1]:+.3f} from one to the best"
    for (task, n), row in means.iterrows()
]
Markdown("\n".join(lines) or "These runs have not been recorded yet.")

# %% [markdown]
# If distance alone decided, the two far tasks would agree with each other. Do they? Distance is not
# one number: a task can differ in what the pixels look like, in which details matter, or only in what
# the classes are called. Lee et al. (2022, [arXiv 2210.11466](https://arxiv.org/abs/2210.11466)) found
# that tuning the *first* block suits a change of the input, and the last one a change of the output.
# So "far, hence move more" is a guess to test, not a rule.
#
# "The best" is picked after the fact, so its gain is flattered by luck; read it next to the paired
# intervals above. And each further stage has a price: less is cached, more has to be computed and
# stored. That is the case for unfreezing step by step: start with one or two stages, look at
# validation, and free more only while validation still asks for it.

# %% [markdown]
# ## 3. The learning rate
#
# Pretrained weights are a starting point worth keeping. A rate that is fine for random weights can
# walk away from it in the first fifty steps, and one that is too low never leaves. We recorded three
# approaches over four decades of rates, with 300 examples each.
#
# **Predict first:** which of the three tolerates the widest range? Does LoRA, which adds small
# matrices that start at zero, want a higher or a lower rate than moving the weights themselves?

# %%
rate_runs = load_runs(sweep="lr_sensitivity")
rates = summarise(rate_runs, by=("task", "approach", "lr"))
made, axes = figure("Accuracy against learning rate, 300 examples", width=8, columns=2, sharey=True)
for ax, (task, rows) in zip(axes, rates.groupby("task"), strict=False):
    plot_curves(rows, "lr", log_x=True, xlabel="learning rate (log scale)", ax=ax)
    ax.set_title(task, loc="left", size="medium")
    ax.set_xticks([1e-5, 1e-3, 1e-1], ["0.00001", "0.001", "0.1"])
    if ax is axes[0]:
        ax.get_legend().remove()
print(coverage(rate_runs))
made

# %% [markdown]
# Look at the shape: a slope on the left (too slow to arrive in the epochs it has), a plateau, and a
# fall on the right. The table says how wide each plateau is, counted as the range of rates within
# two points of the best, and how much the highest rate lost.

# %%
rows = []
for (task, approach), block in rates.groupby(["task", "approach"]):
    if len(block) < 5:
        continue  # too few rates recorded to speak of a range
    block = block.sort_values("lr")
    good = block[block["mean"] >= block["mean"].max() - 0.02]["lr"]
    best = block.loc[block["mean"].idxmax()]
    lost = best["mean"] - block["mean"].iloc[-1]
    span = f"{good.min():g} to {good.max():g}"
    rows.append((task, approach, f"{best['lr']:g}", round(best["mean"], 3), span, round(lost, 3)))
columns = ["task", "approach", "best rate", "accuracy there", "within 2 points", "lost at highest"]
pd.DataFrame(rows, columns=columns)

# %% [markdown]
# Now live. Full fine-tuning at the default rate, at one a few hundred times higher, and at an absurd
# one. We also ask each survivor for its accuracy on the *source* task, the five classes it was
# pretrained on, under the original classifier: how much of the pretraining is left?
#
# **Predict first:** which of the three will announce that something is wrong?

# %%
for lr in (3e-4, 0.1, 1e3):
    config = full.config("image", n_train, lr=lr, epochs=pick(full=10, fast=2))
    try:
        fitted = full.fit(clone(pocket), near, config)
        kept = source_accuracy(fitted.model.backbone, pocket, n_test)
        print(f"rate {lr:g}: test {fitted.accuracy(near.test):.3f}, source task {kept:.3f}")
    except TrainingDiverged as error:
        print(f"rate {lr:g}: stopped, because {error}.")

# %% [markdown]
# Only the absurd rate ends in `nan`, and our loop stops with a sentence instead of training on. The
# middle one is the dangerous one. BatchNorm rescales whatever the weights become and clipping caps
# each step, so the loss stays finite and the curve may look like ordinary, slightly noisy training.
# What it did to the pretrained features shows only in the source accuracy: you end up paying for a
# pretrained network and training from a bad random one. When a fine-tuned model is no better than
# one from scratch, suspect the rate first.
#
# ### Slower at the bottom, later at the bottom
#
# Two classic remedies come from Howard and Ruder (2018, [ULMFiT](https://arxiv.org/abs/1801.06146)).
# *Discriminative rates*: each stage further down learns more slowly, since general features need less
# change. *Gradual unfreezing*: train the head, then free one stage after another. Here is what
# `layer_decay=0.5` hands to the optimizer:

# %%
config = full.config("image", n_train, layer_decay=0.5)
groups = parameter_groups(full.build(clone(pocket), 5, full.options()), config)
found = sorted({group["lr"] for group in groups}, reverse=True)
names = ["new head", *(f"stage {i}" for i in range(pocket.n_stages, 0, -1))]
pd.DataFrame({"part": names, "learning rate": [f"{lr:.2e}" for lr in found]})

# %% [markdown]
# The head starts from nothing, so it gets ten times the rate of the top stage. Do the remedies pay
# here? Three ways to move everything, with few examples, several seeds, and both accuracies: on the
# new task and on the source.

# %%
ways = {
    "same rate everywhere": (1.0, 0),
    "discriminative rates": (0.5, 0),
    "gradual unfreezing": (1.0, 2),
}
rows = []
few, epochs = pick(full=200, fast=60), pick(full=10, fast=3)
for seed in range(pick(full=3, fast=1)):
    task = load_task("products_near", n_train=few, seed=seed)
    for way, (decay, every) in ways.items():
        config = full.config("image", few, epochs=epochs, seed=seed, unfreeze_every=every)
        fitted = full.fit(clone(pocket), task, config, full.options(layer_decay=decay))
        kept = source_accuracy(fitted.model.backbone, pocket, n_test)
        rows.append((way, seed, fitted.accuracy(task.test), kept))
tried = pd.DataFrame(rows, columns=["way", "seed", "test accuracy", "source accuracy"])

# %% [markdown]
# The first column of numbers is what you came for, the second is what it cost the old task.

# %%
means = tried.groupby("way", sort=False)[["test accuracy", "source accuracy"]].mean()
means.round(3)

# %% [markdown]
# Before you believe a ranking, compare the difference between the ways with the difference between
# seeds, which is only luck of the draw:

# %%
seeds = tried.groupby("seed")["test accuracy"].mean()
found = means["test accuracy"]
Markdown(
    f"Best on the new task: **{found.idxmax()}**; most of the source task kept: "
    f"**{means['source accuracy'].idxmax()}**. Test accuracy differed by "
    f"{found.max() - found.min():.3f} between ways, and by {seeds.max() - seeds.min():.3f} between "
    f"{len(seeds)} draws of the training examples."
)

# %% [markdown]
# Within equal epochs both remedies move the lower stages less. That protects what was there, and it
# leaves less movement for the new task. They are a trade, not a free gain, and whether the trade
# pays is a question for your validation split.

# %% [markdown]
# ## 4. The BatchNorm trap
#
# Nearly every tutorial freezes with one line: `requires_grad = False`. Weights then get no gradient.
# But a BatchNorm layer also keeps a *running mean and variance*, which are not parameters: they are
# updated by every forward pass in training mode, gradient or not.
#
# **Predict first:** we freeze that way and show the network one batch of fabric. No loss, no optimizer.
# Does anything change?

# %%
naive = clone(pocket).requires_grad_(False)
norm = naive.stages[0][1]
before = norm.running_mean.clone()
naive.train()
images = torch.from_numpy(np.ascontiguousarray(far.train.inputs[:32]))
naive(naive.prepare(images))
print("parameters that may move:", sum(p.requires_grad for p in naive.parameters()))
print("running mean before:", before[:4].numpy().round(3))
print("running mean after: ", norm.running_mean[:4].numpy().round(3))

# %% [markdown]
# Nothing may move, and it moved. How much harm is that? We keep passing batches, still without any
# training, and ask now and then for the accuracy on the source task. `helpers.approaches.freeze`
# is the real thing: it also marks the layers, and `TransferModel.train()` leaves marked layers in
# evaluation mode.


# %%
def watch(model, images, moments):
    """Accuracy on the source task after so many batches in training mode."""
    rng, found = np.random.default_rng(0), {}
    model.train()
    for step in range(max(moments) + 1):
        if step in moments:
            found[step] = source_accuracy(model.backbone, pocket, n_test)
        rows = np.sort(rng.choice(len(images), 32, replace=False))
        with torch.no_grad():
            model.features(torch.from_numpy(np.ascontiguousarray(images[rows])))
    return found


# %% [markdown]
# Three cases: the one-line freeze with near batches, the one-line freeze with fabric, and the real
# freeze with fabric. **Predict first:** in which of them will the network forget its own classes?

# %%
moments = pick(full=(0, 4, 8, 16, 32, 64, 128), fast=(0, 16))
naive_near, naive_far = (TransferModel(clone(pocket).requires_grad_(False), 5) for _ in range(2))
found = {
    "one-line freeze, near": watch(naive_near, near.train.inputs, moments),
    "one-line freeze, fabric": watch(naive_far, far.train.inputs, moments),
    "freeze(), fabric": watch(TransferModel(freeze(clone(pocket)), 5), far.train.inputs, moments),
}

# %% [markdown]
# One line for each case. A really frozen network must give a flat one.

# %%
drift = pd.DataFrame(found).rename_axis("batches").reset_index().melt("batches", var_name="case")
shown = plot_curves(drift, "batches", "value", by="case", title="'Frozen', and yet it forgets")
shown.axes[0].set_xlabel("batches shown in training mode (no training)")
shown.axes[0].set_ylabel("accuracy on the source task")
shown

# %% [markdown]
# The ends of the lines, in numbers:

# %%
ends = {name: (steps[0], steps[max(moments)]) for name, steps in found.items()}
lines = [f"- {name}: {old:.3f} → **{new:.3f}**" for name, (old, new) in ends.items()]
Markdown(f"After {max(moments)} batches, not one weight changed:\n\n" + "\n".join(lines))

# %% [markdown]
# The statistics drift towards whatever passes by, so the damage grows with the distance between
# your data and the pretraining data; near batches hardly hurt. It also means that a "frozen" prefix
# isn't one: its outputs change from batch to batch, cached activations would be wrong, and two tasks
# can't share the base. Freeze with `module.eval()` and make sure that the next `model.train()` does
# not undo it. The same trap waits in dropout, which `requires_grad` doesn't switch off either.

# %% [markdown]
# ## 5. Overfitting on tiny data
#
# Warnings about full fine-tuning say that on a tiny set training accuracy climbs while validation
# stalls or drops. We give it fifty examples and no early stopping. A team with fifty examples owns
# about a hundred to validate on; to see the curve without that noise we borrow more here.
#
# **Predict first:** sketch four curves, accuracy and loss, for training and validation.

# %%
tiny = load_task("products_near", n_train=50)
pool = load_task("products_near").validation.take(slice(pick(full=1000, fast=200)))
seen, unseen = (Examples.raw(split.inputs, split.labels) for split in (tiny.train, pool))
epochs = pick(full=40, fast=4)
config = full.config("image", 50, epochs=epochs, patience=epochs)
model, scores = full.build(clone(pocket), len(tiny.classes), full.options()), []
history = train(
    model,
    seen,
    unseen,
    config,
    on_epoch=lambda epoch, history: scores.append(evaluate(model, seen, config)[1]),
)

# %% [markdown]
# Left: how many are right. Right: how surprised the network is by the truth (cross-entropy). The
# training loss is measured while the weights still move, so it may start above validation.

# %%
made, axes = figure("Full fine-tuning on fifty examples", width=8, height=3.4, columns=2)
epoch = range(1, epochs + 1)
pairs = ((scores, history.val_accuracy), (history.train_loss, history.val_loss))
for ax, (training, validation), what in zip(axes, pairs, ("accuracy", "loss"), strict=True):
    ax.plot(epoch, training, color="#000000", marker="o", ms=3, label="training")
    ax.plot(epoch, validation, color="#d55e00", marker="s", ms=3, label="validation")
    ax.set(xlabel="epoch", ylabel=what)
    ax.legend()
made

# %% [markdown]
# So does validation stall, or does it drop? A drop has to be larger than the noise of measuring
# accuracy on this many validation images, so the next cell compares the two.

# %%
peak, last = max(history.val_accuracy), history.val_accuracy[-1]
noise = 2 * (peak * (1 - peak) / len(unseen)) ** 0.5
word = "drops" if peak - last > noise else "stalls"
low = min(history.val_loss)
Markdown(
    f"Training accuracy ends at **{scores[-1]:.3f}**. Validation accuracy peaks at {peak:.3f} (epoch "
    f"{history.val_accuracy.index(peak) + 1}) and ends at {last:.3f}: it **{word}** (a fall under "
    f"{noise:.3f} could be noise). Validation *loss* is lowest at {low:.3f} (epoch "
    f"{history.val_loss.index(low) + 1}) and ends at {history.val_loss[-1]:.3f}, "
    f"{history.val_loss[-1] / low - 1:+.0%}."
)

# %% [markdown]
# When accuracy stands still while the loss rises, the network is not wrong more often, it is wrong
# more *confidently*. If you use its probabilities, that is damage already, and accuracy will not
# show it. This is also why our loop keeps the best weights, not the last.
#
# Overfitting is not yet a reason to avoid full fine-tuning, though. The question is whether something
# else does better on the same fifty examples:

# %%
pocket_runs = load_runs(sweep="pocket", dial=0.0)
tiny_runs = pocket_runs[(pocket_runs["n_train"] == 50) & (pocket_runs["task"] == "products_near")]
others = sorted(set(tiny_runs["approach"]) - {"full_fine_tuning"})
gains = [paired_gain(tiny_runs, other, "full_fine_tuning") for other in others]
columns = ["approach", "mean", "low", "high", "runs"]
table = pd.concat(gains) if gains else pd.DataFrame(columns=columns)
print(coverage(tiny_runs))
table[columns].sort_values("mean").round(3).reset_index(drop=True)

# %% [markdown]
# Each line is an approach's gain over full fine-tuning on fifty near examples, seed by seed, with its
# interval. Above zero: it beat full fine-tuning.

# %%
better, worse = table[table["low"] > 0]["approach"], table[table["high"] < 0]["approach"]
Markdown(
    f"Clearly better than full fine-tuning here: **{', '.join(better) or 'none'}**. Clearly worse: "
    f"**{', '.join(worse) or 'none'}**. Too close to call: {len(table) - len(better) - len(worse)} "
    f"of {len(table)}."
    if len(table)
    else "These runs have not been recorded yet."
)

# %% [markdown]
# Hold that against the common advice, which says that below a few thousand examples freezing or
# small plug-ins almost always win. Overfitting is real, and the curves above show it. Whether it
# costs more than what moving the network gains is a separate question, and only a comparison like
# this one answers it.

# %% [markdown]
# ## 6. What the network forgets
#
# Tuning for a new task can cost the old one: *catastrophic forgetting*. We know what `pocket` learned
# from, so it can be measured. After each recorded run the tuned stages went back under the original
# classifier, on the source task's test images. Right is remembered, up is learned.
#
# **Predict first:** where is LoRA, whose base stays frozen? And where is *LP-FT*, which trains the head
# first and only then lets everything move?

# %%
tested = pocket_runs.dropna(subset=["source_accuracy_after"])
kept = summarise(tested, by=("task", "n_train", "approach"))
print(coverage(tested))

# %% [markdown]
# Start on the near task, then choose `textile`. **Which approach moves farthest to the left?** Then
# raise the number of examples: more examples are more steps. **Do they cost more memory of the
# source?**


# %%
def draw_forgetting(task, n_train):
    rows = kept[(kept["task"] == task) & (kept["n_train"] == n_train)]
    if rows.empty:
        return f"No run on {task} with {n_train:,} examples has been recorded yet."
    return plot_race(
        rows,
        "source_accuracy_after",
        log_x=False,
        title=f"Learned and remembered: {task}, {n_train:,} examples",
        xlabel="accuracy on the source task after training",
        ylabel="test accuracy on the new task",
    )


tasks = ["products_near", "digits", "textile", "solar_cells"]
explore(draw_forgetting, task=tasks, n_train=[50, 200, 1000], start={"n_train": 200})

# %% [markdown]
# The same as a list, on fabric with 200 examples: what was left of the source task, most first, and
# beside it the test accuracy on fabric with its interval.

# %%
rows = kept[(kept["task"] == "textile") & (kept["n_train"] == 200)]
rows = rows.sort_values("source_accuracy_after", ascending=False).set_index("approach")
columns = {"source_accuracy_after": "source after", "mean": "test", "low": "low", "high": "high"}
rows[[*columns, "runs"]].rename(columns=columns).round(3)

# %% [markdown]
# Look for LoRA and the adapters. Their base is frozen, and still their source accuracy can fall,
# because it is measured *through* the plug-in: with it the network does another job now. But a
# plug-in can be pulled. Live, on fabric:

# %%
few = pick(full=300, fast=60)
task = load_task("textile", n_train=few, image_size=28)
tuned = {}
for name in ("full_fine_tuning", "lp_ft", "lora"):
    approach = get_approach(name)
    config = approach.config("image", few, epochs=pick(full=10, fast=2))
    tuned[name] = approach.fit(clone(pocket), task, config).model.backbone
    print(
        f"{approach.title}: {source_accuracy(tuned[name], pocket, n_test):.3f} on the source task"
    )

# %% [markdown]
# The rates here are the defaults; those behind the slider were tuned on validation, which is why the
# numbers differ. The higher the rate, the farther the weights walk, and the more is forgotten.
#
# Now unplug LoRA and compare every tensor with the original network, bit for bit.

# %%
unplugged = remove_lora(tuned["lora"].cpu())
original = pocket.state_dict()
same = all(torch.equal(value, original[name]) for name, value in unplugged.state_dict().items())
Markdown(
    f"Unplugged: **{source_accuracy(unplugged, pocket, n_test):.3f}** on the source task; bit-equal to the "
    f"original: **{same}**. For full fine-tuning and LP-FT there is nothing to unplug: the old "
    "weights are gone, unless you kept a copy."
)

# %% [markdown]
# LP-FT was proposed by Kumar et al. (2022, [arXiv 2202.10054](https://arxiv.org/abs/2202.10054)): a
# random head sends large, aimless gradients into the network at the start, and a head that already
# fits does not. Over ten data sets they found fine-tuning 2 % better than a probe on familiar data and
# 7 % worse on shifted data, and LP-FT ahead of fine-tuning by 1 % and 10 %. Compare it with full
# fine-tuning in the slider above: what it remembers, and what it pays for that in accuracy.
#
# Forgetting matters when one network must serve both tasks, or when your next task resembles the old
# one. If you ship one task per network and keep the original file, it costs you nothing.

# %% [markdown]
# ## What to remember
#
# - *Partial* means that the lower stages really never change. Then they run once, and training on the
#   cache gives the same losses for less time.
# - Start with one or two top stages. Free more while validation improves, and believe a gain only
#   where its interval clears zero.
# - Sweep the learning rate in decades before you compare anything. A rate that is far too high need
#   not diverge: with BatchNorm and clipping it quietly spends the pretraining.
# - `requires_grad=False` does not freeze BatchNorm. Evaluation mode does, and it must survive
#   `model.train()`.
# - On tiny data watch the validation *loss* as well, and keep the best weights.
# - Fine-tuning overwrites the base. LoRA and adapters change behaviour too, and can be unplugged.

# %% [markdown]
# ## Exercises
#
# **03.1** What share of `pocket`'s backbone parameters moves with `top_stages=3`? (A number between 0
# and 1; the table in section 1 helps.)

# %%
answer = ...
check("03.1", answer)

# %% [markdown]
# **03.2 Fix the bugs.** This loop is to train the head alone, on a backbone that stays as it was. It
# runs and the loss falls, and yet it does something else, for two reasons. Mend it.


# %%
def train_head(model, X, y, steps):
    """Train the head of `model` on one batch; the backbone stays as it was pretrained."""
    model.train()
    optimizer = torch.optim.SGD(model.backbone.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(X), y)
        loss.backward()
        optimizer.step()


answer = train_head
check("03.2", answer)

# %% [markdown]
# **03.3** Sometimes all weights should move while the BatchNorm statistics stay: with small batches,
# for instance. Write `keep_statistics(model)`, to be called after `model.train()`, so that no running
# statistic changes and everything else still trains. Hand in the function itself.

# %%
answer = ...
check("03.3", answer)

# %% [markdown]
# **03.4** Among the approaches that overwrite the base (`partial_fine_tuning`, `full_fine_tuning`,
# `lp_ft`), which one has kept *most* of the source task when tuned on `textile` with 200 examples? Ask
# the records.

# %%
answer = ...
check("03.4", answer)
