# %% [markdown]
# # Can a few small matrices do the work of a whole network?
#
# For storage yes, and the wider the network, the more they save. For accuracy mostly: LoRA more than
# adapters in our records, less in published ones on large networks. For the time and memory of training
# much less than the word *efficient* promises. LoRA and
# adapters leave every pretrained weight as it is and train small matrices beside or behind the layers. A
# task becomes a small file, and without it the base is bit for bit what it was.
#
# **Needs:** this clone, EfficientNet-Lite0, and MiniLM for the sizes in section 4 (fetched by `make lab`).

# %%
import copy
import io

import timm
import torch
from IPython.display import Markdown
from peft import LoraConfig, get_peft_model
from torch import nn

from helpers.backbones import load_backbone, load_lite_weights
from helpers.display import explore, plot_low_rank
from helpers.experiments import count_parameters
from helpers.lessons import check, crossings, photos, pick, small_modules
from helpers.lessons.claims import verdict_box
from helpers.results import recipe_in_words
from helpers.tasks import load_task

# %% [markdown]
# On all data sets together:

# %%
Markdown(verdict_box(7, 11))

# %% [markdown]
# ## 1. LoRA, in ten lines
#
# Fine-tuning replaces a weight matrix $W$ by $W + \Delta$. LoRA (Hu et al. 2021,
# [arXiv 2106.09685](https://arxiv.org/abs/2106.09685)) assumes that a product of two thin matrices is
# enough for $\Delta$: $A$ squeezes the input into $r$ numbers, $B$ spreads these over the outputs.

# %%
plot_low_rank()

# %% [markdown]
# A convolution is a matrix too, applied at every position: $A$ keeps its kernel and stride, and $B$ is
# 1×1. **Predict first:** $B$ starts at zero. What does the
# layer return before training?


# %%
class LowRank(nn.Module):
    def __init__(self, base, r=8, alpha=16):
        super().__init__()
        self.base, self.scale = base, alpha / r
        shape = base.kernel_size, base.stride, base.padding
        self.A = nn.Conv2d(base.in_channels, r, *shape, bias=False)
        self.B = nn.Conv2d(r, base.out_channels, 1, bias=False)
        nn.init.zeros_(self.B.weight)

    def forward(self, x):
        return self.base(x) + self.scale * self.B(self.A(x))


# %% [markdown]
# Now put one around every convolution of a frozen network but the depthwise ones, whose channels have a
# filter each, so that there is no rank to lower.


# %%
def swap(net, wanted, made):
    for parent in list(net.modules()):
        for name, layer in list(parent.named_children()):
            if wanted(layer):
                setattr(parent, name, made(layer))
    return net


def with_lora(net):
    net.requires_grad_(False)
    swap(net, lambda layer: type(layer) is nn.Conv2d and layer.groups == 1, LowRank)
    net.classifier.requires_grad_(True)
    return net


# %% [markdown]
# Network and photos are those of notebooks 02 and 03.


# %%
def pretrained_network(n_classes):
    net = timm.create_model("tf_efficientnet_lite0")  # elsewhere: pretrained=True
    load_lite_weights(net, "efficientnet_lite0")  # here: the weights that pip brought
    net.classifier = nn.Linear(net.num_features, n_classes)
    return net.eval()


task = load_task("clothing", n_train=pick(200, 40), image_size=128, n_test=pick(100, 40))
print(task)
lite = load_backbone("efficientnet_lite0", size=128)
X, unseen = (lite.prepare(torch.tensor(part.inputs)) for part in (task.train, task.test))
y, truth = torch.tensor(task.train.labels), torch.tensor(task.test.labels)
torch.manual_seed(0)
plain = pretrained_network(10)
net = with_lora(copy.deepcopy(plain))

# %% [markdown]
# How much moves, and what do the new layers change before any training?

# %%
moving, total = count_parameters(net)
Markdown(
    f"**{moving:,}** of {total:,} numbers move, {moving / total:.1%}. Before training the outputs "
    f"differ from the plain network's by **{small_modules.difference(plain, net, X[:8])}**."
)

# %% [markdown]
# So training starts from the pretrained network itself. ($A$ must not be zero as well, or neither would
# ever get a gradient.) Train it:

# %%
optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=3e-3)
for _ in range(pick(full=3, fast=1)):
    for rows in torch.randperm(len(X)).split(16):
        nn.functional.cross_entropy(net(X[rows]), y[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
with torch.inference_mode():
    right = (net(unseen).argmax(1) == truth).float().mean()
frozen = photos.linear_model().fit(photos.features(lite, task.train).arrays[0], task.train.labels)
probe = frozen.score(photos.features(lite, task.test).arrays[0], task.test.labels)
Markdown(f"Right on **{right:.0%}** of {len(truth)} test photos; a probe is on {probe:.0%}.")

# %% [markdown]
# That it trains is all that one draw can say. Section 3 asks who is better.
#
# **Two settings.** The rank $r$ says how many directions an update has, and `alpha / r` how strongly it
# counts. Keep `alpha` at twice the rank, as everywhere here, and that factor stays 2. With `alpha` fixed,
# as in the paper, twice the rank halves the factor, and a larger rank hardly learns more. *rsLoRA*
# divides by $\sqrt r$ for that reason (Kalajdzievski 2023,
# [arXiv 2312.03732](https://arxiv.org/abs/2312.03732); in `peft`, `use_rslora=True`).
#
# How large a rank? On the paper's language tasks one or two did nearly as well as 64, and a small rank in
# many layers better than a large one in few (Hu et al. 2021). Start with 8 in all layers, and spend your
# trials on the learning rate.
#
# ## 2. In practice, and adapters
#
# In a project `peft` wraps any PyTorch module when you name the layers. Are its LoRA, the ten lines above
# and the collection's `get_approach("lora")` the same?

# %%
config = LoraConfig(
    r=8,
    lora_alpha=16,
    target_modules=["conv_pw", "conv_pwl", "conv_head"],
    modules_to_save=["classifier"],
)
library = get_peft_model(pretrained_network(10), config)
Markdown(small_modules.with_the_same_matrices(net, library))

# %% [markdown]
# An **adapter** (Houlsby et al. 2019, [arXiv 1902.00751](https://arxiv.org/abs/1902.00751)) stands behind
# a block, not beside a layer: down to a few channels, a ReLU, up again, added to what came in. It too
# starts at zero.


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
# One behind each block; the last BatchNorm of a block knows how wide it is.


# %%
def with_adapters(net):
    net.requires_grad_(False)
    for stage in net.blocks:
        for place, block in enumerate(stage):
            width = [m for m in block.modules() if isinstance(m, nn.BatchNorm2d)][-1].num_features
            stage[place] = nn.Sequential(block, Bottleneck(width, max(4, width // 8)))
    net.classifier.requires_grad_(True)
    return net


adapted = with_adapters(copy.deepcopy(plain))
print(f"{count_parameters(adapted)[0]:,} numbers move")

# %% [markdown]
# A test compares both with the collection's own approaches.
#
# ## 3. Do they learn as well?
#
# Each square is a recorded situation: LoRA minus full fine-tuning, in points, paired by seed. It is
# coloured where one is clearly ahead.
#
# **Predict first:** what share is coloured?

# %%
runs = crossings.recorded()
full = "full_fine_tuning"
against = {name: crossings.duels(runs, name, full) for name in ("lora", "adapter")}
crossings.plot_duels(against["lora"], "lora", full, "LoRA against full fine-tuning")

# %% [markdown]
# Counted, adapters too:

# %%
counted = [crossings.duels_in_words(against[name], name, full) for name in against]
Markdown("\n\n".join([*counted, recipe_in_words()]))

# %% [markdown]
# A lead may come from a full fine-tuning that was tuned badly. An earlier round of runs on pictures
# gave it fewer updates, three rates and running statistics. **Predict:** how large was LoRA's lead
# then? Published figures disagree too; V-PETL Bench
# ([Xin et al. 2024](https://github.com/synbol/Parameter-Efficient-Transfer-Learning-Benchmark)) has a
# transformer on sets of two sizes:

# %%
rounds = crossings.rounds_in_words(against["lora"], "lora", full)
Markdown(f"{rounds}\n\n{small_modules.published_in_words()}")

# %% [markdown]
# ## 4. One base, many tasks
#
# Save what was trained, load it into a fresh copy, and take it out again:

# %%
trained = {name for name, weight in net.named_parameters() if weight.requires_grad}
file = io.BytesIO()
torch.save({name: net.state_dict()[name] for name in trained}, file)
file.seek(0)
fresh = with_lora(pretrained_network(10))
fresh.load_state_dict(torch.load(file), strict=False)
bare = swap(copy.deepcopy(fresh), lambda layer: isinstance(layer, LowRank), lambda one: one.base)
base = {name: v for name, v in plain.state_dict().items() if not name.startswith("classifier")}
same = all(torch.equal(bare.state_dict()[name], value) for name, value in base.items())
Markdown(
    f"The file has **{file.getbuffer().nbytes / 1e6:.2f} MB**. Loaded into a fresh network, outputs differ "
    f"by {small_modules.difference(net, fresh, X[:8])}. Unplugged, all {len(base)} tensors of the base "
    f"are bit-equal to the original: **{same}**."
)

# %% [markdown]
# A shelf of many tasks needs the base as well, once. So the first task costs *more* than a full copy, and
# each further one less. **Predict first:** on MiniLM, how many times smaller is the shelf with a hundred
# tasks? Then choose `pocket`, a small network of our own, two tasks, and raise the rank: **when does LoRA
# stop paying?**

# %%
networks = ["minilm", "efficientnet_lite0", "pocket"]
explore(
    small_modules.plot_shelf,
    network=networks,
    tasks=list(small_modules.TASKS),
    rank=list(small_modules.RANKS),
    start={"tasks": 100, "rank": 8},
)

# %% [markdown]
# A layer has $m \cdot n$ weights and its update $r\,(m + n)$, so the saving grows with the width of the
# layers. How such a shelf is kept, versioned and repaired is in [notebook 09](09_maintenance.ipynb).
#
# ## 5. What does inference cost?
#
# An unmerged update adds two thin products to each layer. But $W x + s\,B A x = (W + s\,B A)\,x$: add the
# product to the weight, once, and it costs nothing. An adapter can't be merged, because its ReLU stands
# between the two matrices.
#
# **Predict first:** which is slowest on a single photo?

# %%
merged = copy.deepcopy(library).merge_and_unload()
served = {"plain": plain, "plain again": plain, "LoRA": net, "LoRA, merged": merged,
          "adapters": adapted}  # fmt: skip
repeats = pick(full=15, fast=3)
speed = small_modules.latencies(served, X[:1], repeats).round(2)
speed

# %% [markdown]
# Merged LoRA *is* the plain network with other numbers. What the plain rows differ by is noise, and
# [08](08_compute_and_latency.ipynb) has seen more. Does it answer as the unmerged one does?

# %%
gap = small_modules.difference(library, merged, unseen)
with torch.inference_mode():
    changed = int((library(unseen).argmax(1) != merged(unseen).argmax(1)).sum())
Markdown(
    f"Merged against unmerged: outputs differ by at most **{gap:.0e}**, and {changed} of "
    f"{len(unseen)} predictions."
)

# %% [markdown]
# At a larger scale, GPT-2 medium took 19.8 ms for a sentence with LoRA merged, and 23.9 or 25.8 ms with
# two kinds of adapters (Hu et al. 2021). Merging can't be undone exactly, since subtracting rounds; keep
# base and file, and merge copies. Leave LoRA unmerged to serve many tasks from one base: the base runs
# once for a mixed batch, and each row gets its own thin update.
#
# ## 6. What they don't save
#
# Few trained numbers do not make a short or small training step: the gradient has to reach the lowest
# module, and each layer on the way must remember what passed. Partial fine-tuning trains far more and
# needs less, since its gradient stops early:

# %%
Markdown(small_modules.published_memory_in_words())

# %% [markdown]
# [Notebook 08](08_compute_and_latency.ipynb) takes a step apart, and
# [notebook 13](13_language_models.ipynb) one of a language model, where the saving is large.
#
# ## What to remember
#
# - LoRA adds $B A$ to a frozen weight, an adapter a bottleneck behind a frozen block. Both start as the
#   base, and both come out again.
# - LoRA merges into the weights and then costs nothing to run. An adapter stays.
# - When you change the rank, change `alpha` with it, and sweep the learning rate.
#
# In numbers, from the records and from the shapes of the networks:

# %%
Markdown("\n".join(f"- {told}" for told in counted) + f"\n{small_modules.files_in_words(networks)}")

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
# **04.3** Write `merge(conv, A, B, scale)` for a convolution: it returns the merged *weight*. A has the
# shape rank × in × 3 × 3 and B out × rank × 1 × 1, as in `LowRank`. Change nothing in place. Hand in the
# function.

# %%
answer = ...
check("04.3", answer)

# %% [markdown]
# **04.4** Adapters everywhere send the gradient through everything. Build a `TransferModel` of `pocket`
# for 5 classes with adapters behind the blocks of its *top two* stages only (Rücklé et al. 2021 call it
# AdapterDrop) and nothing else trainable but the head. `add_adapters` and `freeze` of
# `helpers.approaches` help. Hand in the model; the check measures the memory of its training step.

# %%
answer = ...
check("04.4", answer)
