# %% [markdown]
# # How much of the network should move?
#
# Begin with little, and let more move while a measurement says that it pays. Fine-tuning lets gradients
# flow back into pretrained weights: into the top few stages (*partial*) or into all of them (*full*).
# Moving the top is cheap, because everything below it runs once and is kept. Moving more can win more,
# and asks for care with the learning rate, BatchNorm, and what the network forgets.
#
# **Needs:** this clone, EfficientNet-Lite0, fabric and digits (fetched by `make lab`).

# %%
import numpy as np
import pandas as pd
import timm
import torch
from IPython.display import Markdown
from torch.optim import AdamW

from helpers.approaches import TransferModel, freeze, get_approach, remove_lora
from helpers.backbones import clone, load_backbone, load_lite_weights
from helpers.display import explore, plot_curves, plot_history, plot_race
from helpers.experiments import count_parameters, source_accuracy
from helpers.lessons import check, crossings, fine_tuning, photos, pick
from helpers.lessons.claims import verdict_box
from helpers.results import comparable, coverage, load_runs, summarise
from helpers.tasks import load_task
from helpers.training import TrainingDiverged

# %% [markdown]
# On all data sets together:

# %%
Markdown(verdict_box(4, 5, 2, 6))

# %% [markdown]
# ## 1. The loop, and what "partial" means
#
# Photos and network are those of notebook 02, with a new head. `eval()` keeps BatchNorm's statistics as
# pretrained (section 4 says why).


# %%
def pretrained_network(n_classes):
    net = timm.create_model("tf_efficientnet_lite0")  # elsewhere: pretrained=True
    load_lite_weights(net, "efficientnet_lite0")  # here: the weights that pip brought
    net.classifier = torch.nn.Linear(net.num_features, n_classes)
    return net.eval()


# %% [markdown]
# **Partial.** Freeze everything, then free the top third of the stages. The head starts from nothing, so
# it learns ten times as fast.


# %%
def partial(net, lr, stages=3):
    net.requires_grad_(False)
    top = [[net.blocks[5]], [net.blocks[6]], [net.conv_head, net.bn2]][-stages:]
    top = [part for stage in top for part in stage]
    for part in (*top, net.classifier):
        part.requires_grad_(True)
    moving = [weight for part in top for weight in part.parameters()]
    head = {"params": net.classifier.parameters(), "lr": 10 * lr}
    return AdamW([{"params": moving, "lr": lr}, head])


# %% [markdown]
# **Full.** Everything moves. Lower stages hold general features that need less change, so each stage
# further down learns at 0.8 times the rate above it (Howard and Ruder 2018,
# [ULMFiT](https://arxiv.org/abs/1801.06146)).


# %%
def full(net, lr, head_scale=10):
    stages = [[net.conv_stem, net.bn1], *([one] for one in net.blocks), [net.conv_head, net.bn2]]
    groups = [{"params": net.classifier.parameters(), "lr": head_scale * lr}]
    for depth, stage in enumerate(reversed(stages)):
        weights = [weight for part in stage for weight in part.parameters()]
        groups.append({"params": weights, "lr": lr * 0.8**depth})
    return AdamW(groups)


# %% [markdown]
# **Probe, then fine-tune** (*LP-FT*). A random head sends large, aimless gradients into the network at
# the start; a head that already fits does not (Kumar et al. 2022,
# [arXiv 2202.10054](https://arxiv.org/abs/2202.10054)). So fit the head first, as in notebook 02:


# %%
def probe_then_full(net, probe, lr):
    net.classifier.load_state_dict(probe.state_dict())
    return full(net, lr, head_scale=1)


# %% [markdown]
# A test compares the three with the collection's own approaches. The loop is the same for all:


# %%
def tune(net, optimizer, X, y, epochs):
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(32):
            loss = torch.nn.functional.cross_entropy(net(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return net


# %% [markdown]
# Two epochs only show that the lines work; section 2 trains longer, recorded runs at least 400 steps.

# %%
n_train = pick(full=200, fast=40)
task = load_task("clothing", n_train=n_train, image_size=128, n_test=pick(full=100, fast=40))
print(task)
lite = load_backbone("efficientnet_lite0", size=128)
X, unseen = (lite.prepare(torch.tensor(part.inputs)) for part in (task.train, task.test))
y = torch.tensor(task.train.labels)
torch.manual_seed(0)
net = pretrained_network(len(task.classes))
tune(net, partial(net, lr=1e-3), X, y, epochs=pick(full=2, fast=1))
with torch.inference_mode():
    said = net(unseen).argmax(1).numpy()
Markdown(f"Test accuracy: **{np.mean(said == task.test.labels):.3f}**.")

# %% [markdown]
# The collection's loop (`helpers.training.train`) adds what experience asks for: a rate that rises at
# first, so that no large step is taken while nothing fits (*warm-up*), and then falls; clipped gradients;
# validation now and then, with the best weights put back.
#
# **What freezing buys.** What the lower stages return for a photo is computed once and kept. The share of
# each network's weights, stage by stage:

# %%
shares = {
    name: [count_parameters(stage)[1] for stage in load_backbone(name).stages]
    for name in ("efficientnet_lite0", "pocket")
}
table = pd.DataFrame({name: pd.Series(n) / sum(n) for name, n in shares.items()})
table.index = pd.RangeIndex(1, len(table) + 1, name="stage")
table.map("{:.3f}".format).where(table.notna(), "")

# %% [markdown]
# So *partial* does not mean few parameters. It means that gradients stop early.
#
# ## 2. How many stages?
#
# The farther the task, the more layers should move, says folk wisdom. Live on the photos: no stage (a
# probe), the top one, the top two of nine. Three seeds draw the photos.
#
# **Predict first:** how many points does the first stage gain over the probe, and how many more the
# second?

# %%
few = pick(full={}, fast={"seeds": (0, 1), "epochs": 1})
deep = photos.vary("top_stages", (0, 1, 2), n_train=n_train, **few)
depth = fine_tuning.by_value(deep, "top_stages")
made = plot_curves(depth, "top_stages", by="task", title=f"Stages that move, on {n_train} photos")
made.axes[0].set_xticks((0, 1, 2))
made

# %% [markdown]
# Differences seed by seed, and what each step costs in processor seconds:

# %%
Markdown(fine_tuning.steps_in_words(deep, "top_stages"))

# %% [markdown]
# So free more only while validation improves. Distance alone does not tell how far to go: Lee et al. (2022,
# [arXiv 2210.11466](https://arxiv.org/abs/2210.11466)) found that tuning the *first* block suits a change
# of the input, and the last one a change of the output.
#
# All nine stages, full fine-tuning, take too long to wait for. Recorded runs trained longer, *partial* with
# its top third:

# %%
Markdown(photos.recorded_beside(200, "partial_fine_tuning", "full_fine_tuning"))

# %% [markdown]
# ## 3. The learning rate
#
# A rate that is right for random weights can destroy pretrained weights in fifty steps; too low a rate
# changes too little. Before you compare anything, sweep it in decades. The top stage on the photos
# again:
#
# **Predict first:** by how much do the best and the worst of these rates differ?

# %%
rates = (1e-5, 1e-4, 1e-3, 1e-2)
swept = photos.vary("lr", rates, n_train=n_train, top_stages=1, **few)
plot_curves(
    fine_tuning.by_value(swept, "lr"),
    "lr",
    by="task",
    title="Accuracy against learning rate, top stage of the photo network",
    xlabel="learning rate (log scale)",
    log_x=True,
)

# %% [markdown]
# Look for a slope on the left (too slow to arrive), a plateau, a fall on the right. Where the best is the
# lowest or highest tried, go on beyond it. Rates share their draws, so compare them draw by draw;
# overlapping bands don't mean a tie. Choose on validation, never on test, as here:

# %%
Markdown(fine_tuning.rates_in_words(swept))

# %% [markdown]
# **A finder**, when trials are dear: one short run whose rate grows from step to step, and a look at the
# training loss (Smith 2015, [arXiv 1506.01186](https://arxiv.org/abs/1506.01186)). The top stage again.


# %%
def find_rate(net, X, y, rates):
    optimizer, losses = partial(net, lr=1.0, stages=1), []
    scales = [group["lr"] for group in optimizer.param_groups]
    for rate in rates:
        for group, scale in zip(optimizer.param_groups, scales, strict=True):
            group["lr"] = scale * rate
        rows = torch.randint(len(X), (32,))
        loss = torch.nn.functional.cross_entropy(net(X[rows]), y[rows])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


# %% [markdown]
# **Predict first:** from which rate on does the loss stop falling?

# %%
grown = np.geomspace(1e-5, 0.02, pick(60, 8))
torch.manual_seed(0)
losses = find_rate(pretrained_network(len(task.classes)), X, y, grown)
fine_tuning.plot_finder(grown, losses)

# %% [markdown]
# Start about ten times below the rate at which the smoothed loss is lowest. A finder sees one run and no
# validation photo, so it says where to sweep and not what to take.

# %%
Markdown(fine_tuning.finder_in_words(grown, losses, swept))

# %% [markdown]
# `pocket`, a small network of our own, learned five kinds of product. After tuning on five *other*
# products we ask for its accuracy on the old ones.
#
# **Predict first:** which of these three rates will announce that something is wrong?

# %%
pocket = load_backbone("pocket")
n_test = pick(full=500, fast=300)  # as many as the sample has
near = load_task("products_near", n_train=pick(full=200, fast=60), n_test=n_test)
for lr in (3e-4, 0.02, 1e3):
    tuning = get_approach("full_fine_tuning")
    config = tuning.config("image", len(near.train), lr=lr, epochs=pick(full=8, fast=2))
    try:
        fitted = tuning.fit(clone(pocket), near, config, tuning.options(norm="frozen"))
        kept = source_accuracy(fitted.model.backbone, pocket, n_test)
        print(f"rate {lr:g}: test {fitted.accuracy(near.test):.3f}, old task {kept:.3f}")
    except TrainingDiverged as error:
        print(f"stopped: {error}.")

# %% [markdown]
# Only the absurd rate ends in `nan`. The middle one is dangerous: clipping caps each step, so the loss
# stays finite and falls, and what it did to pretrained features shows mostly in the old task. When a
# fine-tuned model is no better than one from scratch, suspect the rate first.
#
# **Slower at the bottom, later at the bottom.** Two remedies should protect lower stages: falling rates
# (section 1), and *gradual unfreezing*, which trains the head and frees one stage after another. At a
# rate found by a sweep:

# %%
Markdown(fine_tuning.remedies(near, **pick(full={}, fast={"seeds": (0, 1), "epochs": 6})))

# %% [markdown]
# ## 4. The BatchNorm trap
#
# Many tutorials freeze with one line: `requires_grad = False`. But a BatchNorm layer also keeps a
# *running mean and variance*, which every forward pass in training mode updates, gradient or not.
#
# We freeze that way, show the network pictures without a loss or an optimizer, and ask for its old task.
# **Predict first:** near pictures, far ones (simulated fabric), and a real freeze: which one forgets?

# %%
fabric = load_task("textile", n_train=pick(full=500, fast=100), image_size=28).train.inputs
moments = pick(full=(0, 4, 16, 64, 128), fast=(0, 16))
naive = [TransferModel(clone(pocket).requires_grad_(False), 5) for _ in range(2)]
found = {
    "one-line freeze, near": fine_tuning.watch(naive[0], near.train.inputs, moments, n_test),
    "one-line freeze, fabric": fine_tuning.watch(naive[1], fabric, moments, n_test),
    "freeze(), fabric": fine_tuning.watch(
        TransferModel(freeze(clone(pocket)), 5), fabric, moments, n_test
    ),
}

# %% [markdown]
# A network that is really frozen gives a flat line.

# %%
drift = pd.DataFrame(found).rename_axis("batches").reset_index().melt("batches", var_name="case")
plot_curves(
    drift,
    "batches",
    "value",
    by="case",
    title="'Frozen', and yet it forgets",
    xlabel="batches shown in training mode (nothing is trained)",
    ylabel="accuracy on the old task",
)

# %% [markdown]
# The statistics drift towards whatever passes by, and did more damage on simulated fabric than on near
# pictures. A "frozen" prefix then returns something else from batch to batch, what was kept of it is
# wrong, and two tasks can't share it. Freeze with `eval()`, and make sure that the next `model.train()`
# does not undo it. The same goes for dropout.
#
# Where the weights move, it is a choice. Recorded with 200 examples, both ways at searched rates, running
# minus held statistics in points. **Predict first:** which sign?

# %%
running = fine_tuning.running_statistics()
running.round(1).set_index(["task and network", "approach"])

# %% [markdown]
# In a sentence:

# %%
Markdown(fine_tuning.running_in_words(running))

# %% [markdown]
# Runs that are compared hold them, so where running ones are ahead, fine-tuning's figures are that much
# too low.
#
# ## 5. Overfitting on tiny data
#
# On a tiny set, the warnings say, training goes on improving while validation stalls or drops. Fifty
# pictures, everything moves, no early stopping (`pocket`, to be quick; many more pictures to validate on
# than a team with fifty would own).
#
# **Predict first:** sketch the curves.

# %%
tiny = fine_tuning.tune_tiny(50, epochs=pick(full=30, fast=4), n_validation=pick(500, 200))
title = "Full fine-tuning on fifty pictures"
plot_history(tiny.history, title=title, train_accuracy=tiny.train_accuracy)

# %% [markdown]
# Does validation stall or drop? A drop has to be larger than the noise of that many pictures.

# %%
Markdown(fine_tuning.overfit_in_words(tiny))

# %% [markdown]
# When accuracy stands still while the loss rises, the network is wrong more *confidently*, not more
# often. If you use its probabilities, choose the epoch by validation *loss*; here accuracy chooses.
# Whether overfitting costs more than moving the network gains, only a comparison tells:
# [06](06_dataset_size.ipynb).
#
# ## 6. What the network forgets
#
# Tuning for a new task can cost the old one: *catastrophic forgetting*. After each recorded run the
# tuned stages of `pocket` went back under the original classifier. Right is remembered, up is learned.
# BatchNorm's statistics were held, so whatever is lost was lost by weights.
#
# Start on the near task, then choose `digits`. **Which approach that overwrites the base moves
# farthest to the left?** Then lower the number of examples. **Do fewer cost less of the old task?**

# %%
tested = comparable(load_runs(backbone="pocket", dial=0.0))
tested = tested.dropna(subset=["source_accuracy_after"])
kept = summarise(tested, by=("task", "n_train", "approach"))
print(coverage(tested))


# %% [markdown]
# **Predict:** where is LoRA, whose base stays frozen? Try `textile` too.


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
        xlabel="accuracy on the old task after training",
        ylabel="test accuracy on the new task",
    )


tasks, sizes = ["products_near", "digits", "textile", "solar_cells"], [50, 200, 1000]
words = {"n_train": "training examples"}
explore(draw_forgetting, task=tasks, n_train=sizes, labels=words, start={"n_train": 1000})

# %% [markdown]
# LoRA often loses most here, measured *through* its plug-in; why is not tested ([13](13_language_models.ipynb):
# less, on texts). But it can be removed. Live, on digits, in a few epochs:

# %%
task = load_task("digits", n_train=pick(full=200, fast=60), image_size=28)
lora = get_approach("lora")
config = lora.config("image", len(task.train), lr=1e-2, epochs=pick(full=8, fast=2))
tuned = lora.fit(clone(pocket), task, config).model.backbone.cpu()
through = source_accuracy(tuned, pocket, n_test)
unplugged = remove_lora(tuned)
same = all(torch.equal(v, pocket.state_dict()[k]) for k, v in unplugged.state_dict().items())
lowest = kept.loc[kept.groupby(["task", "n_train"])["source_accuracy_after"].idxmin()]
Markdown(
    f"LoRA kept least in {(lowest['approach'] == 'lora').sum()} of {len(lowest)} recorded places. "
    f"Live: old task through LoRA **{through:.3f}**, unplugged "
    f"**{source_accuracy(unplugged, pocket, n_test):.3f}**; bit-equal to the original: **{same}**. "
    "After full fine-tuning there is nothing to unplug, unless you kept a copy."
)

# %% [markdown]
# Forgetting matters when one network must serve both tasks, or when the next task resembles the old
# one. If you ship one task per network and keep the original file, it costs nothing.
#
# ## What to remember
#
# - Start with one or two top stages, and free more while validation improves. Try full fine-tuning too.
# - Sweep the learning rate in decades first. One that is far too high need not diverge.
# - `requires_grad=False` does not freeze BatchNorm. Evaluation mode does, and must survive
#   `model.train()`.
# - On tiny data watch validation *loss* too; probabilities need the epoch it chooses.
# - Fine-tuning overwrites the base. LoRA and adapters change behaviour too, and can be unplugged.
#
# In numbers:

# %%
everything, runs = "full_fine_tuning", crossings.recorded()
others = ("feature_extraction", "partial_fine_tuning", "lora")
pairs = [(crossings.duels(runs, everything, one), everything, one) for one in others]
told = "\n".join(f"- {crossings.duels_in_words(*pair)}" for pair in pairs)
live = photos.lead(deep.rename(columns={"top_stages": "approach"}), 2, 0)
last = max(moments)
Markdown(
    f"- {photos.beside_records(live, 'moving two stages')}\n{told}\n"
    f"- After {last} batches of simulated fabric in training mode, without training, the one-line "
    f"freeze scored {found['one-line freeze, fabric'][last]:.3f} on its old task, the real one "
    f"{found['freeze(), fabric'][last]:.3f}."
)

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
# statistic changes, training uses them, and the rest still trains. Hand in the function itself.

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
