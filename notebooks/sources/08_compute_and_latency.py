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
# Freezing is the cheapest to train because its forward pass can be kept and used again; everything
# else pays for it in every epoch. How many times cheaper that makes it is no constant: it grows
# with the epochs and with the network, so "ten times" holds in some places and not in others, and
# the cells below count them. Small trained modules are *not* small bills: a step of LoRA or
# adapters runs the whole network forward and back, and on a small one it may cost more than full
# fine-tuning. After training, the plain network answers as fast whoever trained it. Whether a
# point of accuracy is worth its seconds is yours to say; this notebook tells what the point costs.
#
# > **Provisional.** The recorded runs below are a first round that undersold fine-tuning: BatchNorm's
# > statistics ran on small batches, learning-rate grids were short, texts got a dozen updates, photos
# > 64 pixels. A second round is being measured; `python -m helpers audit` says how far it is. Until it
# > stands, learn the methods here and decide nothing by the accuracies.
#
# **Needs:** this clone; the weights of EfficientNet-Lite0 and MiniLM with the tweets (fetched by
# `make lab`).

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown

from helpers import paths
from helpers.approaches import get_approach, merge_lora
from helpers.backbones import clone, load_backbone
from helpers.display import APPROACH_STYLE, explore, figure, looks
from helpers.experiments import first_step, latency_ms, measure_price, recorded_runs
from helpers.lessons import check, claims, pick, trade_offs
from helpers.results import coverage, wilson_interval
from helpers.tasks import load_task

# %% [markdown]
# ## 1. Four bills for the same accuracy
#
# Every recorded run carries its costs. Time is counted in **processor seconds**, preparation of
# cached features included: several runs shared a machine, and the wall clock would have billed one
# for the others. FLOPs come from a counter and would be the same anywhere. Memory is the largest sum
# of live tensors in a training step. Latency is one example through the finished network.

# %%
grids = ["pocket", "pocket_large", "lite0", "lite0_all", "minilm"]
runs = pd.concat([recorded_runs(name) for name in grids]).drop_duplicates("run_id")
runs = runs[runs["dial"] == 0]
bill = trade_offs.bill(runs)
bill["gflops"] = bill["flops_train"] / 1e9
bill["race"] = bill["backbone"] + " on " + bill["task"]
bill.loc[bill["runs"] < 3, ["low", "high"]] = np.nan  # two seeds bound next to nothing
print(coverage(runs))

# %% [markdown]
# An approach lies on the *Pareto front* when no other one is both cheaper and at least as accurate.
# The grey steps join the front; what lies below them is paid for nothing.
#
# **Predict first:** is any approach on all four fronts? Is the front of time the same as that of
# memory?


# %%
COSTS = {"seconds": "processor seconds", "gflops": "training GFLOP",
         "peak_memory_mb": "peak memory (MB)", "latency_ms": "latency (ms)"}  # fmt: skip


def draw_bills(race, n):
    own = bill[(bill["race"] == race) & (bill["n_train"] == n)]
    if own.empty:
        return f"{race} with {n:,} examples has not been recorded yet."
    made, axes = figure(f"{race}, {n:,} examples", width=8, height=5, rows=2, columns=2)
    for place, (ax, (cost, label)) in enumerate(zip(axes.ravel(), COSTS.items(), strict=True)):
        trade_offs.plot_front(own, cost, xlabel=f"{label}, log scale", ax=ax)
        if place != 1:
            ax.get_legend().remove()
    return made


# %% [markdown]
# Take `pocket` first, then the ImageNet network. Does the same approach win on both?

# %%
all_races = sorted(bill["race"].unique(), key=lambda name: ("near" not in name, name))
explore(
    draw_bills,
    race=all_races or ["nothing recorded"],
    n=[50, 200, 1000],
    labels={"race": "backbone and task", "n": "training examples"},
    start={"n": 200},
)

# %% [markdown]
# One race is an anecdote. So count: on how many of the recorded situations (a task, a backbone, a
# size) does each approach lie on each front? A front is drawn through means, so an approach can also
# be on it by luck; one that is hardly ever on it is another matter.

# %%
fronts = pd.DataFrame(
    {label: trade_offs.front_counts(bill, cost).set_index("approach")["on_front"]
     for cost, label in COSTS.items()}
)  # fmt: skip
fronts["situations"] = bill.groupby("approach").size()
fronts.sort_values("processor seconds", ascending=False)

# %% [markdown]
# The cheapest approach is always on the front of its own cost, whatever it reaches: that is what a
# front is. Ask instead who is there *beside* it.

# %%
shares = fronts.div(fronts.pop("situations"), axis=0) if len(fronts) else fronts
rarely = [f"*{APPROACH_STYLE[n].label}* ({s:.0%})" for n, s in shares["processor seconds"].items()
          if s < 0.1]  # fmt: skip
often = [f"*{APPROACH_STYLE[n].label}* ({s:.0%})" for n, s in shares["processor seconds"].items()
         if s >= 0.5]  # fmt: skip
Markdown(
    f"On the front of processor seconds in half of the situations or more: "
    f"{', '.join(often) or 'none'}. In fewer than one in ten: {', '.join(rarely) or 'none'}."
)

# %% [markdown]
# ## 2. "Freezing is ten times cheaper", and "the accuracy gap is smaller than the cost gap"
#
# Two claims that every guide makes. We test both on each situation in which frozen features and full
# fine-tuning ran with the same seeds. To the right, fine-tuning costs more; above the line, it is
# more accurate.
#
# **Predict first:** on which side of the dashed line, at ten times the cost, do most points lie?

# %%
duel = trade_offs.cost_ratios(runs, "full_fine_tuning", "feature_extraction")
made, ax = figure("Full fine-tuning against frozen features, one point a situation")
for name, look in looks(duel["backbone"]).items():
    own = duel[duel["backbone"] == name]
    ax.plot(own["ratio"], 100 * own["gain"], look.marker, color=look.colour, label=name)
ax.axvline(10, color="#7f7f7f", ls="--", label="ten times the cost")
ax.axhline(0, color="#333333", lw=1)
ax.set(xscale="log", xlabel="times the processor seconds (log scale)")
ax.set_xticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
ax.set_ylabel("gain in accuracy (points)")
ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
made

# %% [markdown]
# Counted for each backbone. The last column is the whole span, since a mean hides that the same two
# approaches can be near in one place and far apart in another.

# %%
rows = []
for name, own in duel.groupby("backbone"):
    ten, of = int((own["ratio"] >= 10).sum()), len(own)
    low, high = wilson_interval(ten, of)
    span = f"{own['ratio'].min():.1f} to {own['ratio'].max():.1f}"
    share = f"{ten} of {of} ({low:.0%} to {high:.0%})"
    rows.append((name, share, round(trade_offs.typical(own["ratio"]), 1), span))
pd.DataFrame(
    rows, columns=["backbone", "ten times or more (95 %)", "typical ratio", "smallest to largest"]
)

# %% [markdown]
# Situations of one task are related, so those intervals are on the narrow side. The claims ledger
# averages within a data set first; here is what it says of both claims, and what we count for the second.

# %%
ledger = {verdict.id: verdict for verdict in claims.judge_claims()}
smaller = int((duel["ratio"] > 1 + duel["gain"].abs()).sum())
said = [f"- {claims.in_words(ledger[number])}" for number in (26, 27)]
Markdown(
    "\n".join(said)
    + f"\n\nThe cost ratio was above one plus the gap in accuracy in **{smaller} of {len(duel)}** "
    f"situations. Full fine-tuning was the *more accurate* one in {(duel['gain'] > 0).sum()} of "
    f"them, clearly so in {(duel['low'] > 0).sum()}, and clearly worse in {(duel['high'] < 0).sum()}."
)

# %% [markdown]
# Before you quote the second claim: it compares two things that have no common unit. An accuracy can't
# rise by more than what is missing to one, and a cost can rise without end, so the cost gap
# nearly always looks larger. A few points may be worth hours to you, and ten times a second is ten
# seconds. The useful number is the price of a point:

# %%
priced = trade_offs.price_of_points(runs[runs["n_train"] == 200])
priced["race"] = priced["backbone"] + " on " + priced["task"]
priced = priced[priced["approach"].isin(["partial_fine_tuning", "lora", "full_fine_tuning"])]
clear = priced[priced["low"] > 0].sort_values("seconds_per_point")
words = {"points": "points gained", "seconds_per_point": "seconds a point"}
print(f"{len(clear)} of {len(priced)} gains over frozen features at 200 examples are clear")
clear[["race", "approach", *words]].rename(columns=words).head(12).round(2).reset_index(drop=True)

# %% [markdown]
# Only gains whose 95 % interval lies above zero are listed, cheapest point first. All the others asked
# for more seconds and can't show what they bought.
#
# ## 3. What the cache does
#
# A frozen stage gives the same output for the same picture each time. Compute it once, and every
# further epoch is a few multiplications in the head. Live: a probe and partial fine-tuning, with
# the cache and without.

# %%
n_train = pick(full=200, fast=60)
task = load_task("products_near", n_train=n_train, n_test=200)
pocket = load_backbone("pocket")
rows = []
for name in ("feature_extraction", "partial_fine_tuning"):
    approach = get_approach(name)
    config = approach.config("image", n_train, epochs=pick(20, 3), patience=100)
    for cached in (True, False):
        fitted = approach.fit(clone(pocket), task, config, cache=cached)
        once, loop = fitted.prepare_cpu_seconds, fitted.history.cpu_seconds
        rows.append((name, "yes" if cached else "no", once, loop, once + loop))
columns = ["approach", "cached", "once (s)", "epochs (s)", "together (s)"]
kept = pd.DataFrame(rows, columns=columns)
kept.round(2)

# %% [markdown]
# On the ImageNet network, where the part that is kept is far larger, `make bench` records the same
# ratio:

# %%
total = kept.pivot(index="approach", columns="cached", values="together (s)")
path = paths.results_dir() / "bench.csv"
bench = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["name"])
bench = bench[bench["name"].isin(["probe_cached", "partial_cached"])].drop_duplicates("name")
lines = [f"- pocket, live, *{APPROACH_STYLE[name].label}*: **{row['no'] / row['yes']:.1f} times** "
         "as long without the cache" for name, row in total.iterrows()]  # fmt: skip
lines += [f"- recorded: **{row.ratio:.1f} times** ({row.low:.1f} to {row.high:.1f}); {row.what}"
          for row in bench.itertuples()]  # fmt: skip
Markdown("\n".join(lines))

# %% [markdown]
# So "freezing is cheap" is mostly "the cache is cheap". It is gone as soon as the pictures change from
# epoch to epoch: fresh augmentation and caching exclude each other (a fixed number of augmented views
# is the compromise). To see when the ratio reaches ten, price one example on this machine, once and
# per epoch:

# %%
three = ["feature_extraction", "partial_fine_tuning", "full_fine_tuning"]
sides = {"pocket": 28, "efficientnet_lite0": 64}
price = {
    (network, name): measure_price(name, network, size=side, repeats=pick(5, 1))
    for network, side in sides.items()
    for name in three
}

# %% [markdown]
# **Move the epochs up from one:** with a single epoch, how much cheaper is freezing? When does the
# dark blue bar stop growing, and which bar never stops?


# %%
def draw_epochs(network, epochs):
    once = {name: 1e3 * price[network, name].prepare_seconds for name in three}
    each = {name: 1e3 * price[network, name].step_seconds for name in three}
    bars = {APPROACH_STYLE[name].label: once[name] + epochs * each[name] for name in three}
    ratio = bars["full fine-tuning"] / bars["feature extraction"]
    bars["frozen, no cache"] = epochs * (once[three[0]] + each[three[0]])
    title = f"{network}, {epochs} epochs: full costs {ratio:.1f} times the cached probe"
    made, ax = figure(title, height=3)
    colours = [APPROACH_STYLE[name].colour for name in three] + ["#b3cde3"]
    ax.barh(list(bars), list(bars.values()), color=colours)
    ax.invert_yaxis()
    ax.set(xlabel="milliseconds for one example, all epochs")
    return made


# %% [markdown]
# The top and the bottom bar train the same head; what lies between them is the cache.

# %%
epoch_steps = [1, 2, 4, 8, 16, 32, 64]
explore(draw_epochs, network=list(sides), epochs=epoch_steps, start={"epochs": 8})

# %% [markdown]
# These are equal numbers of epochs. In the records a probe is allowed more of them than full
# fine-tuning, because its epochs cost next to nothing; and both stop early.
#
# ## 4. Why small modules make no small bill
#
# LoRA and adapters train a small share of the weights. What do their runs cost beside full
# fine-tuning? One count over all situations, seed by seed.
#
# **Predict first:** in how many of them was LoRA the *dearer* one?

# %%
rows = []
for name in ("lora", "adapter", "partial_fine_tuning"):
    against = trade_offs.cost_ratios(runs, name, "full_fine_tuning")
    work = trade_offs.cost_ratios(runs, name, "full_fine_tuning", cost="flops_train")
    for network, own in against.groupby("backbone"):
        flops = trade_offs.typical(work[work["backbone"] == network]["ratio"])
        seconds = trade_offs.typical(own["ratio"])
        dearer = f"{(own['ratio'] > 1).sum()} of {len(own)}"
        rows.append((network, name, dearer, seconds, flops, seconds / flops))
columns = ["backbone", "approach", "dearer than full", "× seconds", "× FLOPs", "× seconds a FLOP"]
pd.DataFrame(rows, columns=columns).round(2).sort_values(["backbone", "approach"])

# %% [markdown]
# The last three columns take the bill apart: *seconds* are *FLOPs* times *seconds for each FLOP*. FLOPs
# hold how much a step computes and how many steps early stopping let it take; the last column is how
# badly the machine was used. Above one, the same arithmetic took longer. (On `minilm` what trains from
# the first layer on was given six epochs, and what can be cached its usual number: the row of partial
# fine-tuning there compares runs of unequal length.)
#
# Why would it? Look into one step: forward, backward, update, measured here and now in turns.

# %%
five = ["feature_extraction", "partial_fine_tuning", "adapter", "lora", "full_fine_tuning"]
tweets = load_task("tweets", n_train=pick(300, 60), n_test=60)
lite0, minilm = load_backbone("efficientnet_lite0", size=64), load_backbone("minilm")
entrants = {"pocket": (pocket, task, 32), "efficientnet_lite0": (lite0, task, pick(32, 4)),
            "minilm": (minilm, tweets, pick(8, 2))}  # fmt: skip
parts = {
    name: trade_offs.step_parts(network, own, five, size=size, repeats=pick(5, 1))
    for name, (network, own, size) in entrants.items()
}

# %% [markdown]
# **Predict first:** which of the three colours shrinks when only small modules are trained: forward,
# backward, or the update?

# %%
made, axes = figure("Where the time of a training step goes", width=8, height=3.2, columns=3)
colours = {"forward": "#bbbbbb", "backward": "#f0c27b", "optimizer": "#333333"}
for ax, (name, table) in zip(axes, parts.items(), strict=True):
    shown = [APPROACH_STYLE[approach].short for approach in table["approach"]]
    left = np.zeros(len(table))
    for part, colour in colours.items():
        ax.barh(shown, table[f"{part}_ms"], left=left, color=colour, label=part)
        left += table[f"{part}_ms"]
    ax.set(xlabel="milliseconds", title=name)
    if ax is not axes[0]:
        ax.set_yticklabels([])
made.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
made

# %% [markdown]
# As shares of a full step. `calls` counts the operations that PyTorch hands to its kernels.

# %%
lines = []
for name, table in parts.items():
    table = table.set_index("approach").drop(columns="trainable")
    share = (table / table.loc["full_fine_tuning"]).loc[["adapter", "lora"]]
    lines += [
        f"- {name}, *{APPROACH_STYLE[row.Index].label}*: {row.gflops:.0%} of the FLOPs in "
        f"{row.calls:.0%} of the calls; forward {row.forward_ms:.0%}, backward "
        f"{row.backward_ms:.0%}, update {row.optimizer_ms:.0%}, together **{row.step_ms:.0%}**"
        for row in share.itertuples()
    ]
Markdown("\n".join(lines))

# %% [markdown]
# What the numbers are made of:
#
# - **Forward: the same network, and more.** Nothing is left out of it. Each LoRA layer adds two
#   thin products, each adapter two and a ReLU. A call has a price that does not depend on how little
#   it computes, so on a small network the extra calls weigh most.
# - **Backward: one of two products is saved.** A layer's backward pass computes a gradient for its
#   input and one for its weight. A frozen weight needs no second one, but the first must be carried on
#   down to the lowest module. The thin matrices bring gradients of their own.
# - **Update: this does shrink**, with the trained parameters. It was the smallest part to begin with.
#
# Partial fine-tuning and the probe save in another way: below the cut nothing is run at all. At scale
# the balance tips, since wide products dwarf the calls: in
# [Raschka's runs](https://github.com/rasbt/LLMs-from-scratch/tree/main/ch06/02_bonus_additional-experiments)
# LoRA was slower than full fine-tuning on GPT-2 with 124 million weights and faster at 1.5 billion.
# What LoRA saves at any size is storage and the optimizer's memory ([notebook 04](04_adapters_and_lora.ipynb)).
#
# A GPU changes the rates, not the counts: FLOPs stay what they are, a kernel call costs more beside
# the arithmetic that it starts, and cached features may wait for the disk. We have not measured one
# here, so read ratios of seconds as ratios on CPUs.
#
# ## 5. Who pays later: latency
#
# Training is paid once, latency with every request. Frozen, partly or fully tuned, from scratch:
# the same network answers. LoRA's matrices can be added to the weights (*merged*), and then it is
# that network too. An adapter stays in the path. Live, one picture at a time, the smallest of several
# medians taken in turns:

# %%

rows = []
for name in ("pocket", "minilm"):
    network = entrants[name][0]
    models = {kind: get_approach(kind).build(clone(network), 5, get_approach(kind).options())
              for kind in ("full_fine_tuning", "lora", "adapter")}  # fmt: skip
    models["lora, merged"] = merge_lora(clone(models["lora"]))
    raw = first_step(network, entrants[name][1], "full_fine_tuning", 1)[1]
    taken = {kind: [] for kind in models}
    for _ in range(pick(7, 2)):
        for kind, model in models.items():
            taken[kind].append(latency_ms(model, raw, repeats=pick(10, 3)))
    rows += [(name, k, min(t), min(t) / min(taken["full_fine_tuning"])) for k, t in taken.items()]
live = pd.DataFrame(rows, columns=["network", "served as", "latency (ms)", "× plain network"])
live.round(2)

# %% [markdown]
# And in the records, as a median over all runs that serve the same network:

# %%
plain = bill[bill["approach"] == "full_fine_tuning"].drop_duplicates(["race"]).set_index("race")
rows = []
for kind, column in (("lora", "latency_unmerged_ms"), ("lora", "latency_ms"),
                     ("adapter", "latency_ms")):  # fmt: skip
    own = bill[bill["approach"] == kind].drop_duplicates("race").set_index("race")
    ratio = (own[column] / plain["latency_ms"]).dropna()
    ratio = ratio.groupby([race.partition(" on ")[0] for race in ratio.index])
    merged = ", unmerged" if "unmerged" in column else ", merged" if kind == "lora" else ""
    rows += [
        (network, kind + merged, trade_offs.typical(r), r.min(), r.max()) for network, r in ratio
    ]
names = ["backbone", "served as", "× plain, typical", "least", "most"]
pd.DataFrame(rows, columns=names).sort_values(["backbone", "served as"]).round(2)

# %% [markdown]
# Merged LoRA is one by construction: a graph with the same operations, so its runs are counted with
# those of the plain network. The ledger on the whole sentence about latency:

# %%
Markdown(f"- {claims.in_words(ledger[10])}")

# %% [markdown]
# ## Try it: your budget
#
# You have so many minutes of one core to train, and may take so many milliseconds to answer. For each
# task the filled marker is the best approach that fits, the hollow ring the best without a budget.
#
# - Start at the right and take minutes away. Who falls first, and how much accuracy goes with it?
# - Now tighten the latency. Does it sort approaches, or rather networks?
# - At 50 examples, do you need minutes at all?


# %%
def draw_budget(minutes, latency, n):
    chosen = trade_offs.within_budget(bill[bill["n_train"] == n], 60 * minutes, latency)
    if chosen.empty:
        return f"Nothing with {n:,} examples has been recorded yet."
    return trade_offs.plot_budget(chosen)


# %% [markdown]
# The milliseconds are those of the recorded machine; one picture or text at a time.

# %%
explore(
    draw_budget,
    minutes=[0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
    latency=[0.5, 0.8, 1, 2, 5, 10, 20, 50, 100],
    n=[50, 200, 1000],
    labels={"latency": "latency (ms)", "n": "training examples"},
    start={"minutes": 0.1, "latency": 100, "n": 200},
)

# %% [markdown]
# Means decide here, and many a "best" is too close to call. The cheaper one is then the better bet,
# and how often that costs anything is the subject of [notebook 10](10_decision_rule.ipynb).

# %% [markdown]
# ## What to remember
#
# - Name the currency before you say *cheap*: seconds, FLOPs, memory, megabytes for each task and
#   milliseconds for each answer rank the approaches differently.
# - Freezing is cheap because of the cache. Its lead grows with epochs and with the frozen part, and it
#   shrinks to about that of a forward pass against a training step when pictures are augmented afresh.
# - LoRA and adapters save storage, not passes. Time them on your network before you call them cheap.
# - Merge LoRA where one task is served; adapters stay in the path.
# - Ask for seconds *per clear point*. Where no gain is clear, no price is fair.

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
# **08.2** In the runs of the sweep `pocket` (`dial=0.0`, 200 examples): how many times the processor
# seconds of full fine-tuning did LoRA take, typically (the geometric mean over the tasks)?
# `trade_offs.cost_ratios` and `trade_offs.typical` do the work.

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
