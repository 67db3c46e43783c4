# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Can a few small matrices do the work of a whole network?
#
# For storage, always; for accuracy, often; for time and memory, less than the word *efficient*
# promises. LoRA and adapters leave every pretrained weight where it is and train small matrices
# beside or between the layers. A task is then a small file instead of a copy of the network, and
# taking it out gives the base back, bit for bit. Whether it is as accurate depends on the task, so
# section 3 counts where the small matrices won against full fine-tuning and where they lost. And a
# network with few trainable numbers still runs forward and backward from end to end, which is what
# time and most of the memory go into. You will see all of it on matrices you have written yourself.
#
# > **Provisional.** The recorded runs below are a first round that undersold fine-tuning: BatchNorm's
# > statistics ran on small batches, learning-rate grids were short, texts got a dozen updates, photos
# > 64 pixels. A second round is being measured; `python -m helpers audit` says how far it is. Until it
# > stands, learn the methods here and decide nothing by the accuracies.
#
# **Needs:** this clone, and the weights of MiniLM and EfficientNet-Lite0 with the text sets
# (fetched by `make lab`).

# %% [markdown]
# ## Set-up
#
# Three networks come along: `pocket`, which trains in seconds; EfficientNet-Lite0, an ImageNet
# network for phones; and MiniLM, a transformer that reads sentences. The live task is the one from
# notebook 03: five product classes that `pocket` never saw.

# %%
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from peft import LoraConfig, get_peft_model
from torch import nn

from helpers import approaches, paths, training
from helpers.backbones import clone, load_backbone
from helpers.display import APPROACH_STYLE, explore, figure, plot_curves, plot_race
from helpers.experiments import count_parameters, first_step, latency_ms, memory_parts, step_costs
from helpers.lessons import check, pick
from helpers.results import coverage, load_runs, paired_gain
from helpers.tasks import load_task

# %% [markdown]
# `names` holds the approaches that this notebook compares, cheapest first in trained parameters
# on most networks.

# %%
names = ["feature_extraction", "adapter", "lora", "partial_fine_tuning", "full_fine_tuning"]
n_train = pick(full=500, fast=100)
task = load_task("products_near", n_train=n_train, n_test=pick(full=None, fast=500))
networks = {name: load_backbone(name) for name in ("pocket", "efficientnet_lite0", "minilm")}
pocket, minilm = networks["pocket"], networks["minilm"]
for name, network in networks.items():
    print(f"{name}: {count_parameters(network)[1]:,} parameters, {network.n_stages} stages")

# %% [markdown]
# ## 1. Two small things to train, in twenty lines
#
# Fine-tuning replaces a weight matrix $W$ by $W + \Delta$. **LoRA** (Hu et al. 2021,
# [arXiv 2106.09685](https://arxiv.org/abs/2106.09685)) bets that $\Delta$ need not be any matrix: a
# product of two thin ones, $\Delta = B A$, will do. $A$ squeezes the input into `rank` numbers, $B$
# spreads these over the outputs. $W$ stays frozen. $A$ starts random and $B$ starts at zero.
#
# **Predict first:** what does such a layer return before the first training step?


# %%
class LowRank(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.A.T @ self.B.T)


# %% [markdown]
# Try it on a real layer, the one that makes the queries in MiniLM's first transformer layer.

# %%
query = minilm.stages[1].layer.attention.self.query
mine = LowRank(clone(query), rank=8, alpha=16)
x = torch.randn(32, query.in_features)
gap = float((mine(x) - query(x)).detach().abs().max())
thin, thick = mine.A.numel() + mine.B.numel(), query.weight.numel()
Markdown(
    f"Largest change of the output before training: **{gap}**. The layer has {thick:,} frozen "
    f"weights and **{thin:,}** trained ones, {thin / thick:.1%} of them."
)

# %% [markdown]
# With $B$ at zero the update is zero, so training starts from the pretrained network itself and not
# from a damaged one. ($A$ must then not be zero as well: if both were, neither would get a gradient.)
# The factor `alpha / rank` keeps the size of the update about the same when you change the rank, so
# that you need not search for a new learning rate each time.
#
# A convolution is a matrix too, one that is applied at every position. $A$ becomes a convolution
# with the same kernel and stride and only `rank` output channels, and $B$ a 1×1 convolution:


# %%
class LowRankConv(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base, self.scale = base.requires_grad_(False), alpha / rank
        wide = base.in_channels * base.kernel_size[0] * base.kernel_size[1]
        self.A = nn.Parameter(torch.randn(rank, base.in_channels, *base.kernel_size) / wide**0.5)
        self.B = nn.Parameter(torch.zeros(base.out_channels, rank, 1, 1))

    def forward(self, x):
        thin = nn.functional.conv2d(x, self.A, stride=self.base.stride, padding=self.base.padding)
        return self.base(x) + self.scale * nn.functional.conv2d(thin, self.B)


# %% [markdown]
# An **adapter** (Houlsby et al. 2019, [arXiv 1902.00751](https://arxiv.org/abs/1902.00751)) is not
# beside a layer but behind it: down to a few channels, a ReLU, up again, and added to what came in.
# Here too the last part starts at zero.


# %%
class Bottleneck(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.down, self.up = nn.Conv2d(width, hidden, 1), nn.Conv2d(hidden, width, 1)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x):
        return x + self.up(torch.relu(self.down(x)))


# %% [markdown]
# That is all there is. Now the proof: the same random $A$ and $B$ go into our layer, into the one in
# `helpers.approaches.lora` and into the one of [`peft`](https://huggingface.co/docs/peft), the library
# that most people use. $B$ is filled with noise first, because zeros would hide every mistake.


# %%
def gaps(mine, layer, x):
    """Largest differences between our layer's output and those of helpers and of peft."""
    nn.init.normal_(mine.B)
    kind = approaches.LoRALinear if isinstance(layer, nn.Linear) else approaches.LoRAConv2d
    ours = kind(clone(layer), rank=4, alpha=8)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["0"])
    library = get_peft_model(nn.Sequential(clone(layer)), config)
    theirs = library.base_model.model[0]
    pairs = [(ours.A, ours.B), (theirs.lora_A.default.weight, theirs.lora_B.default.weight)]
    with torch.no_grad():
        for A, B in pairs:
            A.copy_(mine.A)
            B.copy_(mine.B)
        return [float((mine(x) - other(x)).abs().max()) for other in (ours, library)]


# %% [markdown]
# The convolution is the one with stride 2 from `pocket`'s third stage. What to look for: rounding,
# and nothing more.

# %%
conv = pocket.stages[2].conv1
image = torch.randn(4, conv.in_channels, 14, 14)
rows = [("linear", *gaps(LowRank(clone(query), 4, 8), query, x))]
rows += [("convolution", *gaps(LowRankConv(clone(conv), 4, 8), conv, image))]
small, ours = Bottleneck(48, 6), approaches.Adapter(48, reduction=8, convolutional=True)
nn.init.normal_(small.up.weight)
ours.load_state_dict(small.state_dict())
image = torch.randn(4, 48, 7, 7)
rows += [("adapter", float((small(image) - ours(image)).detach().abs().max()), np.nan)]
pd.DataFrame(rows, columns=["layer", "difference to helpers", "difference to peft"]).round(7)

# %% [markdown]
# (`peft` ships no bottleneck adapters, hence the gap in the table; the `adapters` library of
# [AdapterHub](https://adapterhub.ml) does.) A test holds these equalities, gradients included.

# %% [markdown]
# ## 2. Where they go
#
# Which layers of a network can take a low-rank update? Here is what each of the three is made of,
# and what rank 8 would add.


# %%
def describe(layer, rank=8):
    """What a layer is, its weights, and the parameters of a low-rank update to it."""
    weight, groups = layer.weight, getattr(layer, "groups", 1)
    kind = "linear"
    if isinstance(layer, nn.Conv2d):
        kind = f"{weight.shape[2]}×{weight.shape[3]} " + ("depthwise" if groups > 1 else "conv")
    update = rank * (weight[0].numel() + len(weight)) if groups == 1 else 0
    return kind, 1, weight.numel(), update


# %% [markdown]
# The two sizes of an update are the inputs that one output reads, and the number of outputs.

# %%
rows = [
    (name, *describe(layer))
    for name, network in networks.items()
    for layer in network.stages.modules()
    if isinstance(layer, nn.Linear | nn.Conv2d)
]
table = pd.DataFrame(rows, columns=["network", "layers", "count", "weights", "LoRA at rank 8"])
table = table.groupby(["network", "layers"], sort=False).sum().reset_index()
table["LoRA / weights"] = (table["LoRA at rank 8"] / table["weights"]).round(2)
table

# %% [markdown]
# Three things to see.
#
# - **Depthwise convolutions get none.** There each channel has its own little filter and looks at
#   nothing else. Per channel the weights are one single row, whose rank is 1 already, so there is
#   nothing to make thinner. And an $A$ that mixes channels would give an update that no depthwise
#   layer can hold, so it could never be merged. The pointwise (1×1) convolutions around them hold
#   most of the weights anyway.
# - **The saving grows with width.** A layer has $m \cdot n$ weights and its update $r\,(m + n)$. On
#   wide matrices that is little; in `pocket`, with its few dozen channels, it is not.
# - **A stem saves next to nothing.** It reads one or three channels, so its weight is thin already.
#
# In the transformer every linear layer is a candidate: query, key, value and output of attention, and
# the two of the feed-forward part. The LoRA paper adapted query and value only; `helpers` and most
# recent practice take them all. Adapters go behind the attention output and behind the feed-forward
# output of each layer, before the residual sum; in the convolutional networks behind each residual
# block.
#
# **Predict first:** after we have put dozens of such parts into a network, by how much does its
# output change?


# %%
@torch.no_grad()
def change(network, insert):
    """Insert something into a copy: places, trainable parameters, largest change of features."""
    images = network.modality == "image"
    batch = network.encode(
        np.array(task.test.inputs[:2]) if images else ["I like this", "a second text"]
    )
    changed = approaches.freeze(clone(network))
    places = insert(changed)
    before, after = (b.pool(b(b.prepare(torch.from_numpy(batch)))) for b in (network, changed))
    return places, count_parameters(changed)[0], float((after - before).abs().max())


# %% [markdown]
# `add_lora` and `add_adapters` are the two functions of `helpers` that do the inserting.

# %%
columns = [
    "network",
    "inserted",
    "places",
    "trainable parameters",
    "largest change of the features",
]
rows = []
for name, network in networks.items():
    rows.append((name, "LoRA", *change(network, lambda b: approaches.add_lora(b.stages, 8, 16))))
    rows.append((name, "adapters", *change(network, approaches.add_adapters)))
pd.DataFrame(rows, columns=columns)

# %% [markdown]
# Not by a little: by nothing. Both begin as the base itself.

# %% [markdown]
# ## 3. Do they learn as well?
#
# Now live: five approaches, the same five hundred product photos, each at its default learning rate
# (they differ: matrices that start at zero want a higher one than weights that are already good). The
# trained model of each is kept, because we shall weigh and dissect them below.

# %%
fitted = {}
for name in names:
    approach = approaches.get_approach(name)
    config = approach.config("image", n_train, epochs=pick(full=None, fast=2))
    fitted[name] = approach.fit(clone(pocket), task, config)
    print(f"{approach.title}: {len(fitted[name].history.train_loss)} epochs")

# %% [markdown]
# `save_task` writes what a task adds to the base, and only that: trained weights, and BatchNorm
# statistics where these moved. The size is what lies on the disk.
#
# **Predict first:** sort the five by size of file. Now sort them by training time. Is it the same
# order?

# %%
folder = paths.cache_dir() / "notebook_04"
folder.mkdir(parents=True, exist_ok=True)
rows = []
for name, one in fitted.items():
    file_kb = training.save_task(one.model, folder / f"{name}.safetensors") / 1e3
    spent = one.history.cpu_seconds + one.prepare_cpu_seconds
    accuracy, trainable = one.accuracy(task.test), count_parameters(one.model.cpu())[0]
    rows.append((name, accuracy, spent, trainable, file_kb))
columns = ["approach", "test accuracy", "CPU seconds", "trainable parameters", "file (kB)"]
raced = pd.DataFrame(rows, columns=columns)
raced.round({"test accuracy": 3, "CPU seconds": 1, "file (kB)": 1})

# %% [markdown]
# The same as a picture: up is better, left is smaller. One seed is one draw of photos, so don't read
# a winner out of gaps of a point.

# %%
error = (0.25 / len(task.test)) ** 0.5
best = raced.loc[raced["test accuracy"].idxmax()]
lean = raced.set_index("approach")
ratio = lean["file (kB)"]["full_fine_tuning"] / lean["file (kB)"][["lora", "adapter"]]
made = plot_race(
    raced,
    x="file (kB)",
    y="test accuracy",
    title="What a task adds to the disk, and what it reached (one seed)",
    xlabel="file of the task (kB, log scale)",
)
made

# %% [markdown]
# In words, with the doubt that comes from the test set alone:

# %%
order = list(raced.sort_values("CPU seconds")["approach"])
Markdown(
    f"Best here: **{best['approach']}** at {best['test accuracy']:.3f} (the test set alone leaves "
    f"±{2 * error:.3f} of doubt). Against full fine-tuning's file, LoRA's is "
    f"**{ratio['lora']:.1f} times** smaller and the adapters' **{ratio['adapter']:.0f} times**. "
    f"From least CPU time to most: {', '.join(order)}."
)

# %% [markdown]
# What happens over several seeds, sizes and tasks is on record. Each cell is the gain over full
# fine-tuning, paired by seed, with its 95 % interval: above zero, the small matrices won.

# %%
runs = load_runs(sweep="pocket", dial=0.0, n_train=[50, 200, 1000])
print(coverage(runs))
gains = pd.concat([paired_gain(runs, name, "full_fine_tuning") for name in ("lora", "adapter")])
gains["gain"] = [f"{g.mean:+.3f} ({g.low:+.3f} to {g.high:+.3f})" for g in gains.itertuples()]
gains.loc[gains["runs"] < 2, "gain"] = "one seed only"
gains.pivot_table(index=["task", "n_train"], columns="approach", values="gain", aggfunc="first")

# %% [markdown]
# Counted, where there is more than one seed:

# %%
sure = gains[gains["runs"] > 1]
words = [
    f"{name}: clearly above in **{(part['low'] > 0).sum()}**, clearly below in "
    f"**{(part['high'] < 0).sum()}**, too close to call in "
    f"**{((part['low'] <= 0) & (part['high'] >= 0)).sum()}** of {len(part)} situations"
    for name, part in sure.groupby("approach")
]
Markdown(
    "Against full fine-tuning, " + "; ".join(words) + "." if words else "Nothing recorded yet."
)

# %% [markdown]
# Published tables disagree in the same way. On VTAB-1k, with 1,000 labels for each of 19 tasks, LoRA
# and adapters reached 72.3 and 71.4 on average and full fine-tuning 65.6. On five fine-grained sets
# with more data the order turned: full 88.5, adapters 85.7, LoRA 84.8
# ([V-PETL Bench](https://github.com/synbol/Parameter-Efficient-Transfer-Learning-Benchmark)).
#
# ### How many ranks?
#
# Rank 1 is the smallest update there is. We train `pocket` with a few ranks, with `alpha` at twice
# the rank so that the scale stays the same.

# %%
lora, by_rank = approaches.get_approach("lora"), {}
config = lora.config("image", n_train, epochs=pick(full=None, fast=2))
for rank in pick(full=[1, 2, 4, 16, 32], fast=[1, 16]):
    one = lora.fit(clone(pocket), task, config, lora.options(rank=rank, alpha=2 * rank))
    kb = training.save_task(one.model, folder / "rank.safetensors") / 1e3
    by_rank[rank] = (kb, one.accuracy(task.test))
by_rank[8] = (lean["file (kB)"]["lora"], lean["test accuracy"]["lora"])
ranks = sorted(by_rank)

# %% [markdown]
# **Move the slider to the right:** the file grows in proportion to the rank. Does accuracy?


# %%
def draw_rank(rank):
    made, ax = figure(f"LoRA at rank {rank}: a file of {by_rank[rank][0]:,.0f} kB")
    look = APPROACH_STYLE["lora"]
    ax.plot(*zip(*(by_rank[r] for r in ranks), strict=True), ".-", color=look.colour, alpha=0.5)
    ax.plot(*by_rank[rank], marker=look.marker, color=look.colour, ms=12, label=f"rank {rank}")
    for name in ("feature_extraction", "full_fine_tuning"):
        style, score = APPROACH_STYLE[name], lean["test accuracy"][name]
        ax.axhline(score, color=style.colour, ls="--", label=style.label)
    ax.axvline(lean["file (kB)"]["full_fine_tuning"], color="#7f7f7f", ls=":", label="full copy")
    ax.set(xlabel="file of the task (kB)", ylabel="test accuracy (one seed)")
    ax.legend(fontsize="small", loc="lower right")
    return made


explore(draw_rank, rank=ranks, start={"rank": 1})

# %% [markdown]
# Is the slope of that line more than noise?

# %%
scores = np.array([by_rank[rank][1] for rank in ranks])
Markdown(
    f"From rank {ranks[0]} to {ranks[-1]} the file grew {by_rank[ranks[-1]][0] / by_rank[1][0]:.0f} "
    f"times. Accuracies ranged over {scores.max() - scores.min():.3f}, the best at rank "
    f"{ranks[int(scores.argmax())]}; gaps under {2 * 2**0.5 * error:.3f} are within the doubt of "
    "the test set."
)

# %% [markdown]
# Where the spread is within the doubt, rank was not what limited this task. The LoRA paper saw the
# same on its language tasks: ranks of one or two did nearly as well as 64, and a small rank in more
# layers did better than a large one in few
# ([arXiv 2106.09685](https://arxiv.org/abs/2106.09685), tables 5 and 6).

# %% [markdown]
# ## 4. One base, many tasks
#
# A task is a file, then. Let's prove both halves: plugging it in gives the trained model again, and
# unplugging gives the base again, every bit of it.

# %%
fresh = lora.build(clone(pocket), len(task.classes), lora.options())
training.load_task_state(fresh, folder / "lora.safetensors")
test = training.Examples.raw(task.test.inputs, task.test.labels)
equal = torch.equal(training.predict(fresh, test), training.predict(fitted["lora"].model, test))
unplugged = approaches.remove_lora(clone(fitted["lora"].model.backbone).cpu())
state = pocket.state_dict()
restored = all(torch.equal(value, state[key]) for key, value in unplugged.state_dict().items())
Markdown(
    f"Plugged into a fresh copy of the base, the file gives the same outputs: **{equal}**. "
    f"Unplugged, all {len(state)} tensors of the base are bit-equal to the original: **{restored}**."
)

# %% [markdown]
# The file also carries a fingerprint of the base it belongs to. Loading it into another base is
# refused with a sentence; without that, the matrices would fit and the answers would be nonsense.
#
# What does that mean for a shelf of a hundred tasks? The size of a file depends on the shapes alone
# and not on training, so we can weigh real files for all three networks (ten classes each) without
# training anything.


# %%
def file_mb(network, name, **choices):
    approach = approaches.get_approach(name)
    model = approach.build(clone(network), 10, approach.options(**choices))
    return training.save_task(model, folder / "weighed.safetensors") / 1e6


weighed, rank_steps, task_counts = {}, [1, 2, 4, 8, 16, 32], [1, 2, 5, 10, 20, 50, 100]
for network_name, network in networks.items():
    for name in names:
        weighed[network_name, name] = file_mb(network, name)
    for rank in rank_steps:
        weighed[network_name, "lora", rank] = file_mb(network, "lora", rank=rank)

# %% [markdown]
# The cheap approaches need the base as well, once. So the first task costs *more* with LoRA than with
# a full copy, and every further one less.


# %%
def shelf(network, rank):
    """MB on the disk by approach and number of tasks, base included."""
    base, rows = weighed[network, "full_fine_tuning"], []
    for name in names:
        file = weighed[network, "lora", rank] if name == "lora" else weighed[network, name]
        shared = 0 if name == "full_fine_tuning" else base
        rows += [(name, tasks, shared + tasks * file) for tasks in task_counts]
    return pd.DataFrame(rows, columns=["approach", "tasks", "mb"])


# %% [markdown]
# **Predict first:** for MiniLM at rank 8, how many times smaller is the shelf with a hundred tasks?
# Then choose `pocket`, and raise the rank: **when does LoRA stop paying?**


# %%
def draw_shelf(network, tasks, rank):
    table = shelf(network, rank)
    now = table[table["tasks"] == tasks].set_index("approach")["mb"]
    ratio = now["full_fine_tuning"] / now["lora"]
    title = f"{network}, {tasks} tasks: full copies take {ratio:.1f} × LoRA at rank {rank}"
    made = plot_curves(table, "tasks", "mb", title=title, ylabel="MB with the base", log_x=True)
    made.axes[0].set_yscale("log")
    made.axes[0].axvline(tasks, color="#7f7f7f", ls=":")
    return made


menu = list(networks)[::-1]
first = {"tasks": 100, "rank": 8}
explore(draw_shelf, network=menu, tasks=task_counts, rank=rank_steps, start=first)

# %% [markdown]
# The same at rank 8 in numbers, once for a single file and once for the whole shelf.

# %%
rows = []
for name in networks:
    full, thin = weighed[name, "full_fine_tuning"], weighed[name, "lora", 8]
    rows.append((name, full, thin, full / thin, 100 * full / (full + 100 * thin)))
columns = ["network", "full copy (MB)", "LoRA file (MB)", "one file: × less", "100 tasks: × less"]
pd.DataFrame(rows, columns=columns).round(2)

# %% [markdown]
# So "PEFT stores a hundred times less" is a statement about wide networks, and about the file, not
# about the shelf: the base stays on it.

# %% [markdown]
# ## 5. What does a reader of the network pay?
#
# At inference an unmerged update is two more small products for each layer. But $W x + s\,B A x =
# (W + s\,B A)\,x$: add the product to the weight, once, and the update costs nothing. An adapter
# can't be merged, because its ReLU stands between the two matrices.

# %%
trained = fitted["lora"].model
merged = clone(trained)
approaches.merge_lora(merged)
left = sum(isinstance(m, approaches.LoRALinear | approaches.LoRAConv2d) for m in merged.modules())
a, b = training.predict(trained, test), training.predict(merged, test)
Markdown(
    f"Merged against unmerged: the logits differ by at most **{float((a - b).abs().max()):.0e}**, and "
    f"{int((a.argmax(1) != b.argmax(1)).sum())} of {len(test):,} predictions differ. "
    f"LoRA layers left after merging: {left}."
)

# %% [markdown]
# Merging is a one-way street, though. Subtracting the update again gives the base back only up to
# rounding, so keep the base and the file, and merge copies.
#
# Now the latency of one input at a time, on this machine. Each number is the best of several medians,
# taken in turns. **Predict first:** which of the three will be slower than the base, and on which
# network by more?


# %%
def variants(network):
    """The base with a head, and the same with LoRA, merged LoRA and adapters."""
    models = {"base": approaches.TransferModel(clone(network), 5)}
    for kind in ("lora", "adapter"):
        approach = approaches.get_approach(kind)
        models[kind] = approach.build(clone(network), 5, approach.options())
    return models | {"lora, merged": approaches.merge_lora(clone(models["lora"]))}


# %% [markdown]
# One photo, one short text.

# %%
rows = []
for name in ("pocket", "minilm"):
    inputs = ["A text of a dozen words, as short as most of them are."]
    raw = networks[name].encode(inputs if name == "minilm" else np.array(task.test.inputs[:1]))
    models = variants(networks[name])
    taken = {kind: [] for kind in models}
    for _ in range(pick(full=7, fast=2)):
        for kind, model in models.items():
            taken[kind].append(latency_ms(model, torch.from_numpy(raw), repeats=10))
    rows += [(name, kind, min(t), min(t) / min(taken["base"])) for kind, t in taken.items()]
columns = ["network", "model", "latency (ms)", "× base"]
pd.DataFrame(rows, columns=columns).round(2)

# %% [markdown]
# Merged LoRA *is* the base, with other numbers in it, so what it differs by is the noise of this
# measurement. Unmerged, each update adds two calls of the library for every layer; on a small network
# calls are what time goes into. The LoRA paper made the same point at a larger scale: 19.8 ms for
# GPT-2 medium with LoRA merged, 23.9 and 25.8 ms with two kinds of adapters, one sentence at a time
# ([arXiv 2106.09685](https://arxiv.org/abs/2106.09685)).
#
# Why leave LoRA unmerged, then? To serve many tasks from one base: the base runs once for a mixed
# batch, and each row gets its own thin update.

# %% [markdown]
# ## 6. What they don't save
#
# Training needs room for the weights, and for the two moments that AdamW keeps of each *trained*
# number. These stay. Gradients and activations come and go within a step: the forward pass piles up
# the activations that the backward pass will ask for, and the backward pass frees them while it fills
# in the gradients.
#
# We look at one training step of each approach on the same batch, for the two networks.
# **Predict first:** LoRA trains a small share of what full fine-tuning trains. Which share of its
# memory will it need? And of its time?

# %%
tweets = load_task("tweets", n_train=pick(full=300, fast=60), n_test=pick(full=400, fast=60))
size = pick(full=16, fast=4)
costs = {
    "pocket": step_costs(pocket, task, names, size=32, repeats=pick(full=20, fast=3)),
    "minilm": step_costs(minilm, tweets, names, size=size, repeats=pick(full=3, fast=1)),
}
for table in costs.values():
    table["memory_mb"] = table[["weights_mb", "moments_mb", "passing_mb"]].sum(axis=1)
print(f"pocket: a step on 32 images; minilm: on {size} tweets")

# %% [markdown]
# Look at the dark part first. Moments shrink with the trained parameters, and gradients with them. The
# light part holds these gradients and all activations: how much is left of it?

# %%
parts = {"weights": "#bbbbbb", "moments": "#333333", "passing": "#f0c27b"}
made, axes = figure("What fills memory in a training step", width=8, height=3.4, columns=2)
for ax, (name, table) in zip(axes, costs.items(), strict=True):
    left = np.zeros(len(table))
    shown = [APPROACH_STYLE[approach].short for approach in table["approach"]]
    for part, colour in parts.items():
        ax.barh(shown, table[f"{part}_mb"], left=left, color=colour)
        left += table[f"{part}_mb"]
    ax.set(xlabel="peak memory (MB)", title=name)
axes[1].legend(
    ["weights", "moments", "gradients and activations"], fontsize="small", loc="lower right"
)
made

# %% [markdown]
# And as shares of what full fine-tuning takes:

# %%
lines = []
for name, table in costs.items():
    table = table.set_index("approach")[["trainable", "memory_mb", "gflops", "step_ms"]]
    shares = (table / table.loc["full_fine_tuning"]).loc[["lora", "adapter", "partial_fine_tuning"]]
    lines += [
        f"- {name}, {APPROACH_STYLE[approach].label}: {row.trainable:.1%} of the trained parameters, "
        f"**{row.memory_mb:.0%}** of the memory, {row.gflops:.0%} of the FLOPs, "
        f"**{row.step_ms:.0%}** of the time"
        for approach, row in shares.iterrows()
    ]
Markdown("\n".join(lines))

# %% [markdown]
# **Why so little memory is saved.** To train an $A$ in the first layer, the gradient has to travel
# back through all the layers above it. Each of these must remember what its nonlinearity saw, and the
# thin path adds activations of its own. *Partial* fine-tuning trains far more parameters and still gets
# by with little, because its gradient stops early: below the stop nothing is remembered, and here it
# isn't even run. At scale it looks the same. For Swin-B on COCO, BitFit trains 0.20 million parameters in
# 13,657 MB, while *Partial-1* trains 12.60 million in 7,301 MB; full fine-tuning takes 17,061 MB
# ([V-PETL Bench](https://github.com/synbol/Parameter-Efficient-Transfer-Learning-Benchmark)).
#
# So it depends on the batch. Moments and gradients are the same for any batch, activations grow with it.
# Here `pocket` again, every bar measured:

# %%
by_batch = {}
for batch in pick(full=[4, 16, 64, 256], fast=[4, 64]):
    for name in names:
        model, inputs, labels = first_step(pocket, task, name, batch)
        by_batch[batch, name] = memory_parts(model, inputs, labels)

# %% [markdown]
# **Move the slider to the right:** at which batch does LoRA stop saving memory? Which approach doesn't
# care?


# %%
def draw_memory(batch):
    made, ax = figure(height=3.2)
    shown = [APPROACH_STYLE[name].short for name in names]
    left = np.zeros(len(names))
    for part, colour in parts.items():
        width = np.array([by_batch[batch, name][f"{part}_mb"] for name in names])
        ax.barh(shown, width, left=left, color=colour)
        left += width
    share = left[names.index("lora")] / left[names.index("full_fine_tuning")]
    ax.set_title(f"pocket, batches of {batch}: LoRA takes {share:.0%} of full fine-tuning's memory")
    ax.set(xlabel="peak memory of a training step (MB)")
    ax.legend(["weights", "moments", "gradients and activations"], fontsize="small")
    return made


explore(draw_memory, batch=sorted({batch for batch, _ in by_batch}))

# %% [markdown]
# Language models of billions of weights, trained in small batches, live at the left end of that slider,
# and there the saving is large. Small vision networks live at the right end.
#
# **Why LoRA can be slower than full fine-tuning.** Count the products for one layer. Full: forward,
# gradient for the input, gradient for the weight, three large ones. LoRA: two large ones, since the
# frozen weight needs no gradient, and then six thin ones for $A$ and $B$. On wide layers the thin ones
# are nearly free and a third of the work is gone. On narrow ones they are as many calls, with as many
# reads and writes of activations, as the thing they replace. The same flip is in
# [Raschka's runs](https://github.com/rasbt/LLMs-from-scratch/tree/main/ch06/02_bonus_additional-experiments)
# on an A100: GPT-2 with 124 million weights took 0.75 minutes with LoRA against 0.69 in full; with 1.5
# billion, 5.79 against 8.12.

# %%
table = pd.concat([table.assign(network=name) for name, table in costs.items()])
columns = ["network", "approach", "trainable", "memory_mb", "gflops", "step_ms"]
table[columns].round({"memory_mb": 1, "gflops": 2, "step_ms": 1}).reset_index(drop=True)

# %% [markdown]
# Compare LoRA with full fine-tuning in both networks, FLOPs first and milliseconds second. A FLOP is
# no unit of time.

# %% [markdown]
# ## 7. In practice: `peft` on MiniLM
#
# You won't write LoRA by hand for a real project. `peft` wraps any PyTorch module: say which layers
# (`target_modules`), which rank, and it freezes the rest. Here is whose tweet it is, Clinton's or
# Trump's, learned from a few hundred of them. First the two cheap opponents that every such number
# should be held against: a linear probe on frozen MiniLM, and no network at all (TF-IDF and logistic
# regression).

# %%
opponents = {}
for name in ("classical", "feature_extraction"):
    approach = approaches.get_approach(name)
    config = approach.config("text", len(tweets.train))
    opponents[name] = approach.fit(clone(minilm), tweets, config).accuracy(tweets.test)
    print(f"{APPROACH_STYLE[name].label}: {opponents[name]:.3f} on {len(tweets.test)} test tweets")

# %% [markdown]
# Now LoRA on query and value of all six layers, as in the paper. `get_peft_model` changes the modules
# in place, so the rest of our tools need not know about it: the loop is the one from notebook 03.

# %%
encoder = approaches.freeze(clone(minilm))
settings = LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"])
torch.manual_seed(0)
wrapped = get_peft_model(encoder.stages, settings)
model = approaches.TransferModel(encoder, len(tweets.classes))
moving, total = count_parameters(model)
print(f"{moving:,} of {total:,} parameters move ({moving / total:.2%})")

# %% [markdown]
# **Predict first:** how many points will it win over the probe? And over counting words? The rate is the
# highest of the three that `helpers` tries for LoRA on texts; with so few steps the others are slow.

# %%
splits = [tweets.train, tweets.validation, tweets.test]
parts = [training.Examples.raw(minilm.encode(part.inputs), part.labels) for part in splits]
config = training.TrainConfig(lr=3e-3, epochs=pick(full=4, fast=1))
history = training.train(model, parts[0], parts[1], config)
print(f"{history.seconds:.0f} s; validation accuracy {[round(a, 3) for a in history.val_accuracy]}")

# %% [markdown]
# And the verdict, with the doubt that so small a test set leaves.

# %%
opponents["lora"] = training.evaluate(model, parts[2])[1]
accuracy = pd.Series(opponents).sort_values(ascending=False)
doubt = 2 * (2 * accuracy.mean() * (1 - accuracy.mean()) / len(tweets.test)) ** 0.5
lead = accuracy.iloc[0] - accuracy.iloc[1]
first, second = (APPROACH_STYLE[name].label for name in accuracy.index[:2])
words = ", ".join(f"{APPROACH_STYLE[name].label} {value:.3f}" for name, value in accuracy.items())
Markdown(
    f"{words}. The lead of *{first}* over *{second}* is {lead:.3f}, and differences under about "
    f"{doubt:.3f} are within the doubt of {len(tweets.test)} test tweets: "
    + ("it **stands**." if lead > doubt else "**too close to call**, so take the cheaper one.")
)

# %% [markdown]
# One seed and one task. Note what the opponents cost: the probe a single forward pass over the texts,
# the word counts next to nothing. Whether LoRA pays is a question to ask each time, not a law.
#
# Last, the file that `peft` writes, and its own merging:

# %%
wrapped.save_pretrained(folder / "peft")
file = folder / "peft" / "adapter_model.safetensors"
a = training.predict(model, parts[2])
wrapped.merge_and_unload()
gap = float((training.predict(model, parts[2]) - a).abs().max())
full = weighed["minilm", "full_fine_tuning"]
Markdown(
    f"`peft`'s file: **{file.stat().st_size / 1e6:.2f} MB** (without the head) against {full:.0f} MB "
    f"for a copy of the network. Merged, its logits differ by at most {gap:.0e}."
)

# %% [markdown]
# ## What to remember
#
# - LoRA adds $B A$ to a frozen weight, an adapter adds a bottleneck behind a frozen block. Both start
#   as the base and are a dozen lines each.
# - What they save for certain is storage: a small file for each task, one base for all. How much
#   depends on the width of the layers. Unplugged, the base is what it was, bit for bit.
# - LoRA merges into the weights and then costs nothing to run; an adapter stays.
# - Few trainable parameters is not little memory and not little time. Activations rule, and the
#   gradient goes through the whole base. If memory is the problem, stop the gradient early.
# - Start with a small rank in all layers, and spend your trials on the learning rate.
# - Hold every result against a probe and a classical baseline before you believe that it was needed.

# %% [markdown]
# ## Exercises
#
# **04.1** A 3×3 convolution maps 80 channels to 80. How many parameters does LoRA of rank 8 add to it?

# %%
answer = ...
check("04.1", answer)

# %% [markdown]
# **04.2** MiniLM's feed-forward layer is a linear map from 384 to 1,536 numbers. What is the smallest
# rank at which a LoRA of it has at least as many parameters as its weight matrix?

# %%
answer = ...
check("04.2", answer)

# %% [markdown]
# **04.3** Write `merge(conv, A, B, scale)` for a convolution: it returns the merged *weight*, with the
# shapes of `LowRankConv` (A is rank × in × 3 × 3, B is out × rank × 1 × 1). Change nothing in place.
# Hand in the function.

# %%
answer = ...
check("04.3", answer)

# %% [markdown]
# **04.4** Adapters everywhere send the gradient through everything. Build a `TransferModel` of `pocket`
# for 5 classes with adapters behind the blocks of its *top two* stages only (Rücklé et al. 2021 call it
# AdapterDrop) and nothing else trainable but the head. Hand in the model; the check measures what
# its training step needs beside adapters everywhere.

# %%
answer = ...
check("04.4", answer)
