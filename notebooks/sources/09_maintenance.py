# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # What will this cost me in three years?
#
# Three bills come after the first training: a file for every task and every version of it, computing
# for every retraining, and whatever a new base undoes. Full copies are dear in storage and do not
# notice when a base is replaced. Heads, adapters and LoRA are small files around one shared base, and
# a new base sends every one of them back to training. Which bill is larger depends on how many tasks
# you have, how often you retrain and how often the base changes; the last section computes where they
# cross. "A hundred times less storage" is no property of a method: it depends on the network, and
# section 3 says on which of three it holds.
#
# > **Provisional.** The recorded runs below are a first round that undersold fine-tuning: BatchNorm's
# > statistics ran on small batches, learning-rate grids were short, texts got a dozen updates, photos
# > 64 pixels. A second round is being measured; `python -m helpers audit` says how far it is. Until it
# > stands, learn the methods here and decide nothing by the accuracies.
#
# **Needs:** this clone, and the digits, fabric and solar-cell sets (fetched by `make lab`).

# %% [markdown]
# ## Set-up
#
# `pocket` trains in seconds, so everything about it is done live: files are written and weighed, and
# weights are swapped. For the two larger networks the recorded runs tell size and training time.

# %%
import time
import zlib

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown

from helpers import paths
from helpers.approaches import Fitted, freeze, get_approach
from helpers.backbones import clone, load_backbone
from helpers.display import APPROACH_STYLE, explore, figure, plot_curves
from helpers.experiments import RunConfig, recorded_runs, task_for
from helpers.lessons import check, maintenance, pick
from helpers.lessons.adapter_library import Library, Server
from helpers.results import coverage
from helpers.training import Examples, predict, task_bytes

# %% [markdown]
# Four tasks that have nothing in common but their size: handwritten digits, flaws in fabric, broken
# solar cells, and product photos.

# %%
base, folder = load_backbone("pocket"), paths.cache_dir() / "notebook_09"
n_train, epochs = pick(full=200, fast=50), pick(full=None, fast=2)
names = ["digits", "products_near", "solar_cells", "textile"]
questions = {name: RunConfig(name, "pocket", "lora", n_train).resolved() for name in names}
tasks = {name: task_for(question, pick(None, 200)) for name, question in questions.items()}
for name, task in tasks.items():
    print(f"{name}: {len(task.train)} to train on, {len(task.test)} to test, from {task.origin}")

# %% [markdown]
# Two small functions for the rest of the notebook: train, and ask a model.


# %%
def fit(task, name, network=base, seed=0):
    approach = get_approach(name)
    config = approach.config("image", n_train, epochs=epochs, seed=seed)
    return approach.fit(clone(network), task, config)


def accuracy(model, task):
    logits = predict(model, Examples.raw(task.test.inputs, task.test.labels))
    return float((logits.argmax(1) == torch.from_numpy(task.test.labels)).float().mean())


# %% [markdown]
# ## 1. A library of tasks on one base
#
# A `Library` is a folder with one small file for each task. Each file says what it is: the task and
# its classes, the approach and its settings, the scores, a hash of the base it was trained on, and a
# digest of all its bytes. We train LoRA on each task and put it on the shelf.

# %%
for old in folder.glob("*.safetensors"):
    old.unlink()
library, fitted = Library(folder, base), {}
for name, task in tasks.items():
    fitted[name] = fit(task, "lora")
    library.add(fitted[name], task, scores={"test_accuracy": fitted[name].accuracy(task.test)})
shown = ["task", "approach", "settings", "classes", "test_accuracy", "kB", "base"]
library.list()[shown].round(3)

# %% [markdown]
# `library.use(name)` returns the live model with that task plugged in. The base stays where it is;
# only the small matrices beside its layers are others. We swap twice through all the tasks, in two
# orders, and test after each swap.
#
# **Predict first:** will the accuracies be exactly the recorded ones, or only nearly?

# %%
rows = []
for name in [*names, *reversed(names)]:
    started = time.perf_counter()
    model = library.use(name)
    swap = 1000 * (time.perf_counter() - started)
    recorded = library.entry(name).scores["test_accuracy"]
    now = accuracy(model, tasks[name])
    rows.append((name, recorded, now, now == recorded, swap))
columns = ["task", "recorded", "after the swap", "equal", "swap (ms)"]
swaps = pd.DataFrame(rows, columns=columns)
swaps.round({"recorded": 4, "after the swap": 4, "swap (ms)": 2})

# %% [markdown]
# The first four swaps read and verify a file; in the second four the task is in memory.

# %%
Markdown(
    f"Equal to the recorded accuracy in **{swaps['equal'].sum()} of {len(swaps)}** swaps. Median "
    f"swap: {swaps['swap (ms)'][:4].median():.1f} ms from the disk, "
    f"{swaps['swap (ms)'][4:].median():.2f} ms from memory."
)

# %% [markdown]
# ### Requests of all tasks in one batch
#
# A server gets digits and solar cells as they come. All rows can still go through the frozen base
# together: at each layer every row then gets the low-rank update of its own task. Against that stands
# what full copies would have to do where memory holds one of them: load, answer, load the next.

# %%
rng = np.random.default_rng(0)
asked = rng.permutation(np.repeat(names, 8))
images = np.stack([tasks[name].test.inputs[i] for i, name in enumerate(asked)])
mixed = library.predict(images, asked)
single = [library.use(name)(torch.from_numpy(images[i : i + 1]))[0] for i, name in enumerate(asked)]
gap = max(float((one - other).abs().max()) for one, other in zip(mixed, single, strict=True))
same = np.mean([int(a.argmax() == b.argmax()) for a, b in zip(mixed, single, strict=True)])
Markdown(
    f"{len(asked)} requests of {len(names)} tasks: the largest difference between a logit of the "
    f"mixed batch and of one request alone is {gap:.0e}, and {same:.0%} of the answers are the same."
)

# %% [markdown]
# For the comparison each task gets a full copy on the same shelf. (Fine-tuned weights or others, the
# time is the same, so these copies are not trained.)

# %%
full = get_approach("full_fine_tuning")
copies = folder / "copies"
copies.mkdir(exist_ok=True)
shelf = Library(copies, base)
for task in tasks.values():
    untrained = full.build(clone(base), len(task.classes), full.options())
    shelf.add(Fitted(full, untrained, None), task, replace=True)

# %% [markdown]
# Three ways to answer the same requests:


# %%
def one_by_one(source, held):
    for i, name in enumerate(asked):
        if not held:
            source.server.plug_in(name, source.load(name))
        source.use(name)(torch.from_numpy(images[i : i + 1]))


ways = {"full copies, loaded in turn": lambda: one_by_one(shelf, held=False),
        "LoRA in memory, one by one": lambda: one_by_one(library, held=True),
        "LoRA in memory, one mixed batch": lambda: library.predict(images, asked)}  # fmt: skip

# %% [markdown]
# In turns, so that a busy moment of the machine meets all three.

# %%
seconds = {name: [] for name in ways}
for name in pick(full=9, fast=3) * list(ways):
    started = time.perf_counter()
    ways[name]()
    seconds[name].append(time.perf_counter() - started)

# %% [markdown]
# In requests per second, and what has to lie in memory for it:

# %%
speed = pd.Series({name: len(asked) / np.median(times) for name, times in seconds.items()})
memory = library.memory()
parts = sum(size for name, size in memory.items() if name != "base")
bench = pd.read_csv(paths.results_dir() / "bench.csv").set_index("name")
told = [f"{name}: {value:,.0f} requests per second" for name, value in speed.items()]
for name in ("adapter_swap_ms", "mixed_batch_throughput", "library_memory"):
    if name in bench.index:
        told.append(f"recorded, {name} {bench.loc[name, 'ratio']:.3g}: {bench.loc[name, 'what']}")
told.append(
    f"here the base takes {memory['base'] / 1e6:.2f} MB and {len(names)} tasks {parts / 1e6:.2f} MB"
)
print(*told, sep="\n")

# %% [markdown]
# The last line is a warning. The parts of twenty tasks are small beside a *large* base; on `pocket` a
# few LoRA tasks weigh as much as the base itself.
#
# ### Merging
#
# Who serves one task only can add the update to the weights and be rid of it. That is a full copy then,
# in size too.

# %%
merged = library.merge("digits")
test = Examples.raw(tasks["digits"].test.inputs, tasks["digits"].test.labels)
gap = float((predict(merged, test) - predict(library.use("digits"), test)).abs().max())
whole = sum(value.nbytes for value in merged.state_dict().values())
Markdown(
    f"Merged and unmerged logits differ by at most {gap:.0e} over {len(test):,} digits. Merged, the "
    f"task takes {whole / 1e3:,.0f} kB, unmerged {library.list().set_index('task')['kB']['digits']:,.0f}."
)

# %% [markdown]
# ### What the library refuses
#
# Matrices of the right shape fit any base of that shape, and give nonsense on all but one. So a wrong
# base must not be a matter of care. Nor must half a file.


# %%
def told_by(ask):
    try:
        ask()
    except ValueError as error:
        return str(error).replace(str(folder), "tasks")
    return "nothing was refused"


other, bad = clone(base), folder / "bad"
other.stages[0][0].weight.data[0, 0, 0, 0] += 1e-6
bad.mkdir(exist_ok=True)
data = bytearray((folder / "digits.safetensors").read_bytes())
(bad / "textile.safetensors").write_bytes(data)
data[len(data) // 2] ^= 1
(bad / "digits.safetensors").write_bytes(data)
cases = [(other, folder, "digits"), (base, bad, "digits"), (base, bad, "textile")]

# %% [markdown]
# One weight of the base moved by a millionth; one bit of a file flipped; a file under another name; a
# task that is not there:

# %%
refused = [told_by(lambda c=case: Library(c[1], c[0]).use(c[2])) for case in cases]
refused.append(told_by(lambda: library.use("digit")))
print(*refused, sep="\n\n")

# %% [markdown]
# (A digest tells damage, not forgery: whoever changes a file on purpose can compute it anew. Where
# that matters, note `library.entry(name).digest` elsewhere.)
#
# ## 2. A version is a file, and git does not shrink it
#
# Retrained on another draw of examples, a task gets a second version. We train each approach twice on
# the digits and keep both files.
#
# **Predict first:** of a second version, what share of the bytes is the same as in the first? Does
# compression help?

# %%
again = task_for(RunConfig("digits", "pocket", "lora", n_train, seed=1).resolved(), 200)
versions = {}
for name in maintenance.APPROACHES:
    pair = [fit(tasks["digits"], name), fit(again, name, seed=1)]
    versions[name] = [task_bytes(one.model) for one in pair]

# %% [markdown]
# Git stores every version of a file as a compressed blob (`zlib`). Beside it: the same compression of
# nothing but the differences (the second file XOR the first).

# %%
rows = []
for name, (first, second) in versions.items():
    one, two = (np.frombuffer(part, np.uint8) for part in (first, second))
    difference = zlib.compress((one ^ two).tobytes())
    rows.append((APPROACH_STYLE[name].label, len(first) / 1e3, len(zlib.compress(second)) / 1e3,
                 (one == two).mean(), len(difference) / 1e3))  # fmt: skip
columns = ["approach", "file (kB)", "as git keeps it (kB)", "equal bytes", "difference (kB)"]
kept = pd.DataFrame(rows, columns=columns)
kept.round({"file (kB)": 1, "as git keeps it (kB)": 1, "equal bytes": 2, "difference (kB)": 1})

# %% [markdown]
# In words, the whole shelf of twelve retrainings in git:

# %%
squeeze = kept["as git keeps it (kB)"] / kept["file (kB)"]
wide = kept.iloc[kept["file (kB)"].argmax()]
Markdown(
    f"Compression leaves {squeeze.min():.0%} to {squeeze.max():.0%} of a file: trained weights are "
    f"close to noise. Twelve more versions of {wide['approach']} add "
    f"**{12 * wide['as git keeps it (kB)'] / 1e3:.1f} MB** to the repository for good, of "
    f"{kept['approach'][0]} **{12 * kept['as git keeps it (kB)'][0]:.0f} kB**."
)

# %% [markdown]
# Does the arithmetic of the next sections agree with a disk? Here is a shelf, really written: four
# tasks, three versions of each, and the base where it is shared.

# %%
pool, weights = folder / "disk", (paths.weights_dir() / "pocket.safetensors").read_bytes()
pool.mkdir(exist_ok=True)


def written_mb(name):
    for old in pool.iterdir():
        old.unlink()
    if name != maintenance.FULL:
        (pool / "base").write_bytes(weights)
    for i in range(4 * 3):
        (pool / f"task-{i % 4}-version-{i // 4}").write_bytes(versions[name][i % 2])
    return sum(path.stat().st_size for path in pool.iterdir()) / 1e6


# %% [markdown]
# `maintenance.totals` is what the rest of the notebook counts with.

# %%
live = pd.DataFrame({"approach": list(versions), "cpu_seconds": np.nan})
live["file_mb"] = [len(pair[0]) / 1e6 for pair in versions.values()]
live["base_mb"] = [len(weights) / 1e6 * (name != maintenance.FULL) for name in versions]
disk = maintenance.totals(live, maintenance.Plan(tasks=4, retrainings=2, years=1))
disk["written_mb"] = [written_mb(name) for name in versions]
disk[["approach", "file_mb", "versions", "storage_mb", "written_mb"]].round(3)

# %% [markdown]
# The last two columns should be the same.
#
# ## 3. A hundred times less storage?
#
# Now the larger networks too. Sizes and times come from the recorded runs, at one size of training
# set, on tasks where all five approaches were run.

# %%
grids = ["pocket", "lite0", "minilm"]
runs = pd.concat([recorded_runs(name) for name in grids]).drop_duplicates("run_id")
runs = runs[(runs["dial"] == 0) & (runs["n_train"] == 200) & (runs["settings"] == "")]
costs = maintenance.unit_costs(runs)
print(coverage(runs))
costs.pivot(index="backbone", columns="approach", values="file_mb")[list(versions)].round(3)

# %% [markdown]
# Megabytes of one file. **Predict first:** for which networks and approaches is a shelf of a hundred
# tasks a hundred times smaller than a hundred full copies, with the base on it that the small files
# need?

# %%
networks, small = sorted(costs["backbone"].unique()), list(versions)[:-1]
made, axes = figure("How many times less storage than full copies, base included", width=8,
                    height=3.6, columns=max(1, len(networks)), sharey=True, squeeze=False)  # fmt: skip
counts = [1, 3, 10, 30, 100, 300, 1000]
for ax, network in zip(axes[0], networks, strict=True):
    less = maintenance.less_over(costs[costs["backbone"] == network], small, counts)
    plot_curves(less, "tasks", "times", ylabel="", log_x=True, ax=ax)
    ax.axhline(100, color="#333333", ls="--", lw=1)
    ax.set(yscale="log", title=network)
    ax.get_legend().remove()
axes[0][0].set_ylabel("times less (dashed: 100)")
axes[0][-1].legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
made

# %% [markdown]
# The curves bend towards the ratio of the files, and no number of tasks lifts them over it. In words:

# %%
told = []
for network in networks:
    own = costs[costs["backbone"] == network]
    at = {n: [maintenance.times_less(own, n, c) for c in (100, np.inf)] for n in small}
    ever = [APPROACH_STYLE[name].label for name, (_, limit) in at.items() if limit >= 100]
    words = ", ".join(
        f"{APPROACH_STYLE[n].short} {a:.1f} (at most {b:,.0f})" for n, (a, b) in at.items()
    )
    told.append(f"- **{network}**, base {own['base_mb'].max():.1f} MB: {words}. A hundred times, if there "
                f"are tasks enough: {', '.join(ever) or 'none'}.")  # fmt: skip
Markdown("Times less for a hundred tasks:\n\n" + "\n".join(told))

# %% [markdown]
# So it is no promise of a method, but of a method on a network. A weight matrix grows with the square
# of the width, a low-rank update of fixed rank with the width alone: LoRA's ratio is a matter of how
# wide the network is (`python -m helpers claims`, number 24, counts a model of 7 billion weights). The
# bottleneck of an adapter is a fixed share of the width here, so its ratio stays about where it is. A
# head is small everywhere, because it holds no part of the network at all.
#
# ## 4. What retraining takes
#
# Storage is one bill. The other is time: each retraining costs what the first training did. Processor
# seconds of one training, from the same records, preparation of cached features included:

# %%
costs.pivot(index="backbone", columns="approach", values="cpu_seconds")[list(versions)].round(1)

# %% [markdown]
# Fifty tasks, retrained four times a year for three years. **Predict first:** whose files are
# smallest, and who is done first? Is it the same approach?

# %%
plan = maintenance.Plan(tasks=50, retrainings=4, years=3)
bill = maintenance.totals(costs, plan)
wide = bill.pivot(index="approach", columns="backbone", values=["storage_mb", "cpu_hours"])
wide.loc[list(versions)].round(2)

# %% [markdown]
# How LoRA, the adapters and the heads stand to full copies:

# %%
told = []
for network, own in bill.groupby("backbone"):
    own = own.set_index("approach")
    ratio = (
        own.loc[maintenance.FULL, ["storage_mb", "cpu_hours"]] / own[["storage_mb", "cpu_hours"]]
    )
    parts = [
        f"{APPROACH_STYLE[name].label} {ratio.loc[name, 'storage_mb']:.1f} times less storage and "
        f"{ratio.loc[name, 'cpu_hours']:.1f} times less time"
        for name in ("lora", "adapter", "feature_extraction")
    ]
    told.append(f"- **{network}**: {'; '.join(parts)}.")
Markdown("Below one means more.\n\n" + "\n".join(told))

# %% [markdown]
# A factor below one is no slip: small files do not make training short, because each step still runs
# the whole network forward and back. And none of these numbers says what the files are worth, so here
# are the accuracies of the same runs, averaged over tasks and seeds.

# %%
costs.pivot(index="backbone", columns="approach", values="accuracy")[list(versions)].round(3)

# %% [markdown]
# ## 5. When the base changes
#
# One day there is a better base. We make one: the old one, trained on with product photos, as a
# provider would. It has the same name and the same shapes.
#
# **Predict first:** what is a LoRA file of the old base worth on the new one?

# %%
library.add(fit(tasks["digits"], maintenance.FULL), "digits_copy")
newer = freeze(fit(tasks["products_near"], maintenance.FULL).model.backbone)
upgraded = Library(folder, newer)
seen = upgraded.list()[["task", "approach", "kB", "whole", "problem"]]
seen["problem"] = seen["problem"].str.extract("was (trained on another base)").fillna("")
seen.round(1)

# %% [markdown]
# The library takes none of the parts; it takes the full copy, which holds all its weights itself. Was
# it right to be so strict? We go behind its back and plug the old parts into the new base all the same.

# %%
forced, rows = Server(newer), []
for name, task in tasks.items():
    forced.plug_in(name, library.load(name))
    right = library.entry(name).scores["test_accuracy"]
    rows.append((name, right, accuracy(forced.use(name), task), 1 / len(task.classes)))
columns = ["task", "on its own base", "forced onto the new one", "guessing"]
broken = pd.DataFrame(rows, columns=columns)
broken.round(3)

# %% [markdown]
# And the honest ways: train the parts again, or go on with the full copy.

# %%
redone = pick(names[:2], names[:1])
for name in redone:
    upgraded.add(fit(tasks[name], "lora", newer), tasks[name], replace=True)
again = {name: accuracy(upgraded.use(name), tasks[name]) for name in redone}
copy = {lib: accuracy(lib.use("digits_copy"), tasks["digits"]) for lib in (library, upgraded)}
lost = broken["on its own base"] - broken["forced onto the new one"]
Markdown(
    f"Forced, the parts lost {lost.min():+.3f} to {lost.max():+.3f} of accuracy. Trained again: "
    + ", ".join(f"{name} {value:.3f}" for name, value in again.items())
    + f". The full copy of the digits answers {copy[library]:.4f} on the old base and "
    f"{copy[upgraded]:.4f} on the new one, which it does not use."
)

# %% [markdown]
# The losses that are easy to see are not the dangerous ones. A part that loses a point on a new base
# goes on answering, and nobody has tested it there.
#
# So each upgrade costs one training of *every* task, where parts are shared out over one base. Full
# copies are left as they are, which is cheap and also means that no task gains from the better base.
# (Take them along, and they cost one training each as well; then the comparison of section 4 holds
# unchanged.)
#
# ### Where one beats the other
#
# Two crossings, for tasks retrained four times a year over three years. Storage: from how many tasks
# on do small files pay for the bases that they need? Time: at how many upgrades have they taken as
# much training as full copies that are left alone?


# %%
def crossings(plan):
    """For each network and approach: tasks from which storage is less, upgrades it can bear."""
    rows = [
        (network, APPROACH_STYLE[name].short, maintenance.tasks_to_pay(own, name, plan),
         maintenance.upgrades_to_lose(own, name, plan))
        for network, own in costs.groupby("backbone")
        for name in small
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["network", "approach", "tasks to pay", "upgrades it bears"])


crossings(maintenance.Plan(1, retrainings=4, years=3, upgrades=2)).round(1)

# %% [markdown]
# Below one task: it pays from the first. Nothing to bear (zero upgrades): one training takes longer
# than full fine-tuning anyway, so it loses on time whatever happens. And infinitely many tasks would
# say: never.
#
# ## Try it
#
# Your own three years. Storage is drawn over the number of tasks and time over the number of upgrades;
# your choice is the dotted line. **Start at `minilm` and move the upgrades up: who overtakes whom?
# Then take `pocket` and look for a number of tasks at which LoRA's files are no longer worth it.**


# %%
def draw_bills(network, tasks, retrainings, years, upgrades):
    own = costs[costs["backbone"] == network]
    plan = maintenance.Plan(tasks, retrainings, years, upgrades)
    made, axes = figure(width=8, height=4, columns=2)
    bills = [("tasks", counts[:-1], "storage_mb"), ("upgrades", [0, 2, 4, 6, 8, 10, 12], "cpu_hours")]  # fmt: skip
    for ax, (name, values, cost) in zip(axes, bills, strict=True):
        lines = maintenance.totals_over(own, plan, name, values)
        plot_curves(lines, name, cost, ylabel="", log_x=name == "tasks", ax=ax)
        ax.axvline(getattr(plan, name), color="#333333", ls=":", lw=1)
    axes[0].get_legend().remove()
    axes[0].set(yscale="log", ylabel="storage (MB, log scale)", title=storage_words(own, plan))
    axes[1].set(ylim=(0, None), ylabel="processor hours", title=time_words(own, plan))
    axes[1].set_xticks(bills[1][1])
    return made


# %% [markdown]
# The words above the panels say where LoRA's line crosses that of full copies.


# %%
def storage_words(own, plan):
    least = np.floor(maintenance.tasks_to_pay(own, "lora", plan)) + 1
    return f"LoRA stores less from task {least:.0f} on" if np.isfinite(least) else "LoRA never pays"


def time_words(own, plan):
    bears = maintenance.upgrades_to_lose(own, "lora", plan)
    return f"LoRA is ahead up to {bears:.1f} upgrades" if bears else "LoRA takes longer anyway"


first = {"network": "minilm", "tasks": 30, "retrainings": 4, "years": 3, "upgrades": 2}
explore(draw_bills, network=networks, tasks=counts[:-1], retrainings=(0, 12, 1), years=(1, 5, 1),
        upgrades=(0, 12, 1), labels={"retrainings": "retrainings a year"},
        start={name: value for name, value in first.items() if value in networks or name != "network"},
        alt="Storage over tasks and training hours over upgrades, for five approaches")  # fmt: skip

# %% [markdown]
# ## What to remember
#
# - Small files are bound to their base. Keep the base as long as you keep the files, store its hash with
#   them, and let the machine refuse the wrong one.
# - How much smaller they are depends on the network. Weigh two files before you promise a factor.
# - A small file is no short training: each step still runs the whole network forward and back. What
#   needs no backward pass (a head on frozen features) is the one to look at when both bills hurt.
# - Trained weights hardly compress. Count every version at its full size.
# - Ask how often the base will change. A full copy does not care, and does not gain either.
#
# **Not measured here:** people's time, which is what most of maintenance is, the price of testing and
# releasing each new version, and tuning a learning rate again after a change of base. One training
# is counted for each retraining.

# %% [markdown]
# ## Exercises
#
# **09.1** A base of 400 MB, a LoRA file of 2 MB, a full copy of 400 MB. From how many tasks on is the
# shelf with LoRA at least a hundred times smaller (one version of each task)?

# %%
answer = ...
check("09.1", answer)

# %% [markdown]
# **09.2** Full fine-tuning of a task takes 60 processor minutes, LoRA 40. Each task is trained once and
# retrained 11 times. At how many upgrades of the base has LoRA taken as much time as full copies that
# are left alone?

# %%
answer = ...
check("09.2", answer)

# %% [markdown]
# **09.3** After an upgrade, what is to be done? Write a function that takes a `Library` on the new base
# and returns the sorted names of all tasks that must be trained again.

# %%
answer = ...
check("09.3", answer)
