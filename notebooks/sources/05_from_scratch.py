# %% [markdown]
# # What does training from scratch really cost?
#
# Mostly in labels. A step from scratch costs what a step of full fine-tuning costs, since it is the
# same network and all of it moves. But random weights must first learn what pretrained ones bring
# along, and that takes more steps and, above all, more examples. How many more to match a frozen
# network differs: on small grey pictures often none, while on photos and texts as many left it far
# behind. So price it out.
#
# **Needs:** this clone and EfficientNet-Lite0 (fetched by `make lab`).

# %%
import time

import pandas as pd
import timm
import torch
from IPython.display import Markdown
from torch import nn

from helpers.backbones import load_backbone, load_lite_weights
from helpers.display import explore, plot_curves
from helpers.experiments import measure_price
from helpers.lessons import check, crossings, photos, pick, scratch_prices
from helpers.lessons.claims import verdict_box
from helpers.results import COMPARED, coverage, recipe_in_words
from helpers.tasks import load_task

# %% [markdown]
# On all data sets together:

# %%
Markdown(verdict_box(25))

# %% [markdown]
# ## One architecture, two beginnings
#
# "From scratch" keeps the architecture and starts from random weights. In code that is one line less:


# %%
def network(n_classes, pretrained):
    net = timm.create_model("tf_efficientnet_lite0")
    if pretrained:
        load_lite_weights(net, "efficientnet_lite0")  # elsewhere: pretrained=True
    net.classifier = nn.Linear(net.num_features, n_classes)
    return net


# %% [markdown]
# Pretrained weights want a low rate, and only the new head a high one. Random weights all want a high one,
# and BatchNorm has to learn its statistics too: `learns` says so.


# %%
def train(net, lr, head_lr, epochs, learns):
    base = [p for name, p in net.named_parameters() if not name.startswith("classifier")]
    head = {"params": net.classifier.parameters(), "lr": head_lr}
    optimizer, reached = torch.optim.AdamW([{"params": base}, head], lr=lr), []
    for _ in range(epochs):
        net.train(learns)
        for rows in torch.randperm(len(X)).split(32):
            nn.functional.cross_entropy(net(X[rows]), y[rows]).backward()
            optimizer.step()
            optimizer.zero_grad()
        net.eval()
        with torch.inference_mode():
            reached.append(float((net(unseen).argmax(1) == truth).float().mean()))
    return reached


# %% [markdown]
# Both on the same 200 photos of clothing (96 pixels, to be quick).
#
# **Predict first:** where does each curve start? Which run takes longer?

# %%
epochs = pick(full=4, fast=1)
task = load_task("clothing", n_train=pick(200, 40), image_size=96, n_test=pick(200, 40))
print(task)
lite = load_backbone("efficientnet_lite0", size=96)
X, unseen = (lite.prepare(torch.tensor(part.inputs)) for part in (task.train, task.test))
y, truth = torch.tensor(task.train.labels), torch.tensor(task.test.labels)
curves, seconds = [], {}
for name, *rates, known in (("full_fine_tuning", 2e-4, 2e-3, True),
                            ("from_scratch", 3e-3, 3e-3, False)):  # fmt: skip
    torch.manual_seed(0)
    started = time.process_time()
    reached = train(network(10, known), *rates, epochs, learns=not known)
    seconds[name] = time.process_time() - started
    curves += [(name, epoch, value) for epoch, value in enumerate(reached, start=1)]

# %% [markdown]
# The dotted line is guessing, the share of the largest class.

# %%
curves = pd.DataFrame(curves, columns=["approach", "epoch", "mean"])
title = f"{len(X)} photos, two beginnings"
made = plot_curves(curves, "epoch", title=title, chance=photos.guessing(truth.numpy()))
made.axes[0].set(xticks=range(1, epochs + 1), ylim=(0, 1))
made

# %% [markdown]
# The seconds are nearly alike. The accuracies differ:

# %%
last = curves.groupby("approach")["mean"].last()
tuned, fresh = last["full_fine_tuning"], last["from_scratch"]
Markdown(
    f"Scratch took **{seconds['from_scratch'] / seconds['full_fine_tuning']:.1f} times** the processor "
    f"seconds of full fine-tuning and was right on **{fresh:.0%}** of {len(truth)} new photos; full "
    f"fine-tuning was on **{tuned:.0%}**."
)

# %% [markdown]
# More epochs would bring scratch further. The mean of few seeds is corrected by how far off the other
# approaches were on these draws.

# %%
Markdown(photos.recorded_beside(200, "from_scratch"))

# %% [markdown]
# ## Why accuracy on few photos wobbles
#
# On few validation photos, accuracy wobbles. Who has 200 photos can spare perhaps fifty to validate on,
# and each counts for a visible step. Judge a network of known accuracy on many random handfuls: how far
# does luck alone carry the score? **Predict first.**

# %%
scratch_prices.plot_handfuls(tuned, sizes=(50, 1_000))

# %% [markdown]
# The width has a formula, $\sqrt{p(1-p)/n}$: the standard error of a share $p$ counted on $n$ examples.
# Whoever picks the best of twenty epochs also picks the luckiest. So each record below reads the test set
# once, after all choices, and each comparison is made over several seeds.
#
# ## Does scratch keep up?
#
# Scratch minus full fine-tuning in points, paired by seed, where two seeds have both. A square is
# coloured where one side is clearly ahead: the whole 95 % interval over draws is on its side, which by
# luck alone happens in one square of twenty.
#
# **Predict first:** is scratch ever clearly ahead?

# %%
runs = crossings.recorded()
scratch, full, frozen = "from_scratch", "full_fine_tuning", "feature_extraction"
duel = crossings.duels(runs, scratch, full)
networks = " and ".join(duel["curve"].str.partition(",")[0].unique())
crossings.plot_duels(duel, scratch, full, f"From scratch against full fine-tuning, on {networks}")

# %% [markdown]
# Counted, and what it rests on:

# %%
compared = runs[runs["approach"].isin([scratch, full])].merge(duel[["curve", "n_train"]])
recipe = recipe_in_words({kind: COMPARED[kind] for kind in duel["modality"].unique()})
Markdown(
    f"{crossings.duels_in_words(duel, scratch, full)}\n\n"
    f"{crossings.kinds_in_words(duel, scratch, full)}\n\n{coverage(compared)} {recipe}"
)

# %% [markdown]
# Most are too close to call. Perhaps pretraining brings little along: `pocket` is small, and saw only
# plain pictures of five products. Photos and texts have too few draws.
#
# ## How many examples does it take?
#
# **A team freezes the network and trains a head on few examples. How many would scratch need to do as
# well?** We read it off the curves, straight between measured sizes on the log scale.

# %%
crossings.needed_table(runs, scratch, frozen)

# %% [markdown]
# What the frozen network reaches with the examples under *feature extraction*, scratch reaches with those
# under *from scratch*. Where scratch gets by with as few, freezing has
# bought nothing: fixed features that don't fit can be worse than none.

# %%
found = [crossings.needed_in_words(runs, scratch, target) for target in (frozen, full)]
Markdown("\n\n".join(found))

# %% [markdown]
# ## In money
#
# A label costs a cent where somebody clicks, euros where a physician looks; an hour of a rented core, a
# few cents. The bill below is that of the table, at your prices.
#
# - At which price of a label does the machine's share become visible?
# - Choose a network and task where scratch needs few examples. Who is cheaper?


# %%
def draw_bill(curve, label_cents, hour_cents):
    return scratch_prices.plot_label_bill(runs, curve, label_cents, hour_cents)


dearest_first = crossings.needed(runs, scratch, frozen).sort_values("examples", ascending=False)
explore(
    draw_bill,
    curve=list(dearest_first["curve"]),
    label_cents=[1, 5, 20, 100, 500],
    hour_cents=[2, 10, 50, 300],
    labels={
        "curve": "network and task",
        "label_cents": "a label (cents)",
        "hour_cents": "a processor hour (cents)",
    },
    start={"label_cents": 20, "hour_cents": 10},
)

# %% [markdown]
# Somebody has paid for the pretraining. If you download weights, you don't pay for it. If you pretrain a
# network of your own, expect this kind of bill, here on a very small scale:

# %%
Markdown(scratch_prices.pretraining_in_words())

# %% [markdown]
# ## What others measured
#
# Each marker is a published case that has both approaches.

# %%
scratch_prices.plot_published()

# %% [markdown]
# Each number lacks an interval, and sources differ in more than size. *Second-hand*
# numbers are those that another paper quotes.

# %%
Markdown(scratch_prices.published_in_words())

# %% [markdown]
# *Rethinking ImageNet Pre-training* (He et al. 2018, [arXiv 1811.08883](https://arxiv.org/abs/1811.08883))
# says the same of object detection: with many labelled objects and longer training, scratch is no worse,
# and pretraining saves time.
#
# ## Try it: a price list for this machine
#
# One photo's price (forward, backward and update) is measured here, on one core, and multiplied.
# Validation and loading come on top.

# %%
prices = {
    name: measure_price(name, "efficientnet_lite0", size=128, batch_size=16, repeats=pick(9, 1))
    for name in (frozen, "partial_fine_tuning", full)
}
prices[scratch] = prices[full]  # the same step

# %% [markdown]
# - How many photos can you fine-tune in a coffee break? How many can you probe?
# - With more epochs, which marks move and which hardly? Why?
# - At how many photos does scratch last overnight, and what does that night cost?


# %%
def draw(n_train, epochs, hour_cents):
    return scratch_prices.plot_price_list(prices, n_train, epochs, hour_cents)


explore(
    draw,
    n_train=[200, 1_000, 5_000, 20_000, 100_000],
    epochs=[5, 20, 100],
    hour_cents=[2, 10, 50, 300],
    labels={"n_train": "photos", "hour_cents": "an hour of this machine (cents)"},
    start={"n_train": 1_000, "epochs": 20, "hour_cents": 10},
)

# %% [markdown]
# ## What to remember
#
# - A step from scratch costs what a step of full fine-tuning costs. The price lies in more steps
#   and in more labelled examples.
# - Ask for the crossing: how many examples does scratch need to match what you have?
# - A curve on few validation photos wobbles by several points for no reason. Compare means over seeds, on
#   a test set that chose nothing.
#
# In numbers, from the records:

# %%
Markdown(f"- {crossings.duels_in_words(duel, scratch, full)}\n- {found[0]}")

# %% [markdown]
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
# **05.3** You pretrain a network of your own for `pretraining` euros. Each task in the list `saved` then
# saves that many euros of labels and machine time against scratch (less than zero where pretraining
# hurt). Write `pays_after(pretraining, saved)`: the number of the task, counted from 1, after which the
# savings first cover the pretraining, or `None`. Hand in the function.

# %%
answer = ...
check("05.3", answer)
