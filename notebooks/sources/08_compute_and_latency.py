# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # What does each approach cost, and when is it worth it?
#
# Freezing is cheapest to train, because the network runs once for all epochs. Every other approach runs
# at least a part of it in each. LoRA and adapters store little, but their steps run all of it, forward
# and back. Small models on small data cost cents either way, so ask first what answers and people cost.
# With few photos and few answers, try larger pictures before dearer training.
#
# **Needs:** this clone, EfficientNet-Lite0, MiniLM and the tweets (fetched by `make lab`).

# %%
import pandas as pd
from IPython.display import Markdown
from torch.nn.functional import cross_entropy

from helpers.backbones import load_backbone
from helpers.display import explore, figure
from helpers.experiments import measure_price
from helpers.lessons import check, money, pick, product_photos, trade_offs
from helpers.lessons.claims import verdict_box
from helpers.results import coverage, recipe_in_words
from helpers.tasks import load_task

# %% [markdown]
# What the records say of cost and latency:

# %%
Markdown(verdict_box(26, 27, 10))

# %% [markdown]
# ## 1. Anatomy of a training step
#
# A step has three parts. What freezing saves in each:
#
# - **forward** runs the network. A frozen stage with nothing trained below it gives the same output
#   each time, which can be kept;
# - **backward** computes two products a layer: the gradients of its input and of its weight. A frozen
#   weight saves the second. The first is needed down to the lowest layer that trains;
# - the **update** touches only what trains, and AdamW keeps two numbers for each such weight.


# %%
def one_step(model, X, y, optimizer):
    loss = cross_entropy(model(X), y)  # forward
    loss.backward()  # backward
    optimizer.step()  # update
    optimizer.zero_grad()


# %% [markdown]
# Timed here for five approaches on three networks, in processor time.
#
# **Predict first:** which part shrinks when only small modules train?

# %%
approaches = ["feature_extraction", "partial_fine_tuning", "adapter", "lora", "full_fine_tuning"]
near = load_task("products_near", n_train=60, n_test=60)
tweets = load_task("tweets", n_train=60, n_test=60)
print(near, tweets, sep="\n")
networks = {
    "efficientnet_lite0": (load_backbone("efficientnet_lite0", size=64), near, pick(16, 4)),
    "minilm": (load_backbone("minilm"), tweets, pick(8, 2)),
    "pocket": (load_backbone("pocket"), near, 32),
}
parts = {
    name: trade_offs.step_parts(network, task, approaches, size=size, repeats=pick(4, 1))
    for name, (network, task, size) in networks.items()
}
trade_offs.plot_parts(parts)

# %% [markdown]
# As shares of a step of full fine-tuning. *Calls* are operations handed to PyTorch's kernels: each
# takes time, however little it computes.

# %%
Markdown(trade_offs.parts_in_words(parts))

# %% [markdown]
# The probe (`freeze`) and partial fine-tuning leave the lower network out. LoRA and adapters leave
# nothing out, but their frozen BatchNorm is folded into the convolutions, which shortens forward. In
# larger networks wide products outweigh the calls: in
# [Raschka's runs](https://github.com/rasbt/LLMs-from-scratch/tree/main/ch06/02_bonus_additional-experiments)
# LoRA was slower than full fine-tuning on GPT-2 with 124 million weights and faster at 1.5 billion. A
# GPU changes times, not counts; none was measured here. What small modules save at any size is storage
# and the optimizer's memory ([04](04_adapters_and_lora.ipynb)).
#
# ## 2. What is kept
#
# What freezing saves grows with the epochs. Recorded runs on small data all make as many updates: 58
# epochs of 200 examples, 200 of 50. **Move the epochs:** which bar hardly grows with them, and which
# grow alike?

# %%
sides = {"pocket": 28, "efficientnet_lite0": 64}
price = {
    network: {name: measure_price(name, network, size=side, repeats=1, batch_size=8)
              for name in ("feature_extraction", "partial_fine_tuning", "full_fine_tuning")}
    for network, side in sides.items()
}  # fmt: skip


def draw_epochs(network, epochs):
    return trade_offs.plot_epochs(price[network], epochs, network)


explore(
    draw_epochs,
    network=["efficientnet_lite0", "pocket"],
    epochs=[1, 4, 16, 58, 200],
    start={"epochs": 58},
)

# %% [markdown]
# The first and the last bar train the same head. Processor seconds, as recorded on one core:

# %%
Markdown(trade_offs.benched("probe_cached", "partial_cached"))

# %% [markdown]
# Outputs for pictures that change from epoch to epoch can't be kept; those for a few fixed views can
# ([02](02_feature_extraction.ipynb)).
#
# ## 3. Four ways to be cheap
#
# Up is more accurate, left is cheaper, and the grey steps join what no other approach beats. A bar is a
# 95 % interval, drawn from three seeds on.
#
# **Predict first:** is any approach on all four fronts?

# %%
runs = trade_offs.recorded()
bill = trade_offs.bill(runs, least=3)
bill["gflops"] = bill["flops_train"] / 1e9
bill.loc[bill["runs"] < 3, ["low", "high"]] = None
bill["race"] = trade_offs.named(bill)
COSTS = {"seconds": "processor seconds", "gflops": "training GFLOP",
         "peak_memory_mb": "peak memory (MB)", "latency_ms": "latency (ms)"}  # fmt: skip
print(coverage(runs), recipe_in_words(), sep="\n")


# %% [markdown]
# Start with photos of clothing, then take a small network (`pocket`). Is the same approach ahead?


# %%
def draw_bills(race):
    own = bill[bill["race"] == race]
    made, axes = figure(race, width=8, height=5, rows=2, columns=2)
    for place, (ax, (cost, label)) in enumerate(zip(axes.ravel(), COSTS.items(), strict=True)):
        trade_offs.plot_front(own, cost, xlabel=f"{label}, log scale", ax=ax)
        if place != 1:
            ax.get_legend().remove()
    return made


held = bill.groupby("race").size()
races = sorted(held.index, key=lambda name: ("clothing" not in name, -held[name], name))
explore(draw_bills, race=races, labels={"race": "network, task, examples"})

# %% [markdown]
# Over all races. The cheapest is always on its front, so ask who else is.

# %%
Markdown(trade_offs.fronts_in_words(bill, COSTS, runs))

# %% [markdown]
# ## 4. "Ten times cheaper"
#
# Full fine-tuning beside the frozen network, seed by seed. To the right it costs more, above the line
# it is more accurate. **Predict first:** on which side of the dashed line do most points lie?

# %%
duel = trade_offs.cost_ratios(runs, "full_fine_tuning", "feature_extraction")
trade_offs.plot_duel(duel)

# %% [markdown]
# Ten is no law. The ratio depends on the recipe: how many updates the dear side makes, and whether the
# head is solved at once. Counted:

# %%
Markdown(f"{trade_offs.duel_in_words(duel)}\n{trade_offs.modules_in_words(runs)}")

# %% [markdown]
# That "the accuracy gap is smaller than the cost gap" says little, since the two have no common unit. A
# few points may be worth hours, and ten times a second is ten seconds.
#
# ## 5. Who pays later: latency
#
# Training is paid once, latency with every request. Frozen, partly or fully tuned, from scratch: the
# same network answers. LoRA *merged* into the weights is that network too; an adapter stays in the
# path.
#
# How large must a difference be to count? Networks that compute the same were timed again and again.
# **Predict first:** how far apart are two such timings?

# %%
money.plot_latency(runs)

# %% [markdown]
# A mark in the grey band tells nothing by itself. The box at the top averages over data sets, so
# it is surer than any mark, and not free of noise.

# %%
Markdown(money.latency_in_words(runs))

# %% [markdown]
# Timed here, one example at a time, in turns:

# %%
here = {name: money.timed_against_itself(networks[name][0], networks[name][1],
                                         turns=pick(5, 1), repeats=pick(10, 2))
        for name in ("pocket", "minilm")}  # fmt: skip
print(money.turns_in_words(here))
pd.DataFrame(here).rename_axis("× plain network").round(2)

# %% [markdown]
# ## 6. Seconds for pixels or for the approach
#
# Seconds can be spent on the approach or on larger pictures ([12](12_worked_comparison.ipynb)).
#
# **Predict first:** what buys more points for a second, larger pictures or moved weights?

# %%
photos, timed = product_photos.recorded(), product_photos.of_any_task()
money.plot_lever_costs(photos)

# %% [markdown]
# In points, seconds and money, at your price for an hour of a core:

# %%
PRICE, WAGE, WATTS = 0.05, 60, 10  # euro an hour of a core, euro an hour of a person, watts a core
Markdown(money.levers_in_money(photos, timed, PRICE))

# %% [markdown]
# ## Try it: your prices
#
# Computed for any number of photos from the recorded size nearest to it. Seconds count by photo for what is
# computed once, by update for the rest: 400 updates, or eight passes over more than 1,600 photos. An answer
# takes the recorded latency of the plain network at that size. A busy core is taken to draw 10 watts.
#
# - With no answers, which training is dearest: with 200 photos, with 5,000?
# - Raise the answers: from where on do pixels cost more than moved weights?

# %%
prices = money.price_list(photos, timed)


def draw_money(euro_an_hour, photos, answers):
    return money.plot_money(prices, euro_an_hour, photos, answers, watts=WATTS)


explore(
    draw_money,
    euro_an_hour=[0.01, 0.05, 0.2, 1.0, 3.0],
    photos=[200, 1_000, 5_000, 50_000, 500_000],
    answers=[0, 10_000, 100_000, 1_000_000, 10_000_000],
    labels={"euro_an_hour": "euro a core hour", "photos": "photos to train on"},
    start={"euro_an_hour": PRICE, "photos": 5_000, "answers": 1_000_000},
)

# %% [markdown]
# Somebody reads each result before its release (seconds computed as above):

# %%
Markdown(money.people_in_words(prices, 5_000, euro_an_hour=PRICE, wage=WAGE, minutes=20))

# %% [markdown]
# So a person's minutes cost more than the machine's seconds ([09](09_maintenance.ipynb) follows both
# through three years).
#
# ## What to remember
#
# - Say which cost you mean: seconds, memory, storage and latency rank approaches differently.
# - Freezing is cheap because the network runs once. Its lead grows with the epochs.
# - Know your noise before you compare latencies. Merge LoRA where one task is served.
# - If a gain isn't clear, don't pay for it.
#
# In numbers, from the records:

# %%
Markdown(trade_offs.findings())

# %% [markdown]
# ## Exercises
#
# **08.1** A training step of full fine-tuning costs about three forward passes. A probe needs one
# forward pass, once; its head costs nothing to speak of. From how many epochs on (a whole number) is
# the probe ten times cheaper?

# %%
answer = ...
check("08.1", answer)

# %% [markdown]
# **08.2** In `runs`, on `pocket` with 200 examples: how many times the processor seconds of full
# fine-tuning did LoRA take, typically (the geometric mean over the tasks)? `trade_offs.cost_ratios`
# and `trade_offs.typical` do the work.

# %%
answer = ...
check("08.2", answer)

# %% [markdown]
# **08.3** Write `front(table)`: it gets a table with the columns `approach`, `cost` and `accuracy` and
# returns the *set* of names that no other row beats (as cheap or cheaper, as accurate or more, and
# better in one of both). Hand in the function itself.

# %%
answer = ...
check("08.3", answer)
