# %% [markdown]
# # What is inside a pretrained network, and what can be reused?
#
# **A stack of stages, a last layer that names the old classes, and two things that people forget to
# carry along.** Everything below the last layer can be reused: early stages answer to edges and
# colours, which nearly every picture has, and later ones to whatever told the old classes apart. The
# forgotten two are the input recipe and the statistics in BatchNorm. How much each stage helps
# *your* task is written nowhere: you measure it, with a probe, against the same network with random
# weights. Deeper is not always better.
#
# > **Provisional.** The recorded runs below are a first round that undersold fine-tuning: BatchNorm's
# > statistics ran on small batches, learning-rate grids were short, texts got a dozen updates, photos
# > 64 pixels. A second round is being measured; `python -m helpers audit` says how far it is. Until it
# > stands, learn the methods here and decide nothing by the accuracies.
#
# **Needs:** this clone and the fetched weights.

# %%
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.backbones import Recipe, load_backbone, prepare_images
from helpers.display import explore, figure, image_grid, plot_bars, plot_curves
from helpers.lessons import check, network_inspection, pick
from helpers.results import mean_interval
from helpers.tasks import load_task

# %% [markdown]
# ## Stages
#
# EfficientNet-Lite0 learned to tell a thousand kinds of thing apart on 1.28 million photos. Here it
# is, cut into the nine stages of its paper (Tan & Le 2019, arXiv 1905.11946). A picture enters as
# three colour planes; each stage makes the planes smaller and more numerous.
#
# **Predict first.** Where are most of the parameters: early, in the middle or late? And where is
# most of the computing done?

# %%
lite = load_backbone("efficientnet_lite0")
table = network_inspection.stage_table(lite)
table.round(1).set_index("stage")

# %% [markdown]
# The two columns on the right don't follow each other. Early stages slide few weights over many
# places; late ones have many weights and few places. **Look at** where the orange bars are and how
# much of the blue lies left of them.

# %%
made, ax = figure("Parameters crowd at the end, computing is spread over the depth")
share = 100 * table["parameters"] / table["parameters"].sum()
ax.bar(table["stage"] - 0.2, share, width=0.4, color="#d55e00", label="parameters")
ax.bar(table["stage"] + 0.2, table["FLOPs (%)"], width=0.4, color="#0072b2", label="FLOPs")
ax.set(xlabel="stage", ylabel="share of the network (%)", xticks=table["stage"])
ax.legend()
made

# %% [markdown]
# What that means for a network whose lower six stages are frozen:

# %%
Markdown(
    f"The first six of nine stages do **{table['FLOPs (%)'][:6].sum():.0f} %** of the computing and "
    f"hold **{share[:6].sum():.0f} %** of the parameters."
)

# %% [markdown]
# So freezing the bottom saves mostly *time*; what has to be stored for each task, when the top moves,
# is still most of the network. Time and storage are two currencies, and you meet both again.
#
# With this cut in hand, every approach in the collection is one line of intent. Feature extraction
# runs `stages[:9]` once and keeps the result. Partial fine-tuning keeps what `stages[:6]` return and
# trains the rest. Full fine-tuning lets all of them move. `backbone(state, start, stop)` is all the
# code that this takes:

# %%
picture = torch.zeros(1, 128, 128, 3, dtype=torch.uint8)
with torch.inference_mode():
    halfway = lite(lite.prepare(picture), stop=6)
    features = lite.pool(lite(halfway, start=6))
print(f"after six stages {tuple(halfway.shape)}, pooled at the end {tuple(features.shape)}")

# %% [markdown]
# ## What the first layer looks for
#
# The very first weights can be looked at: each filter is a patch of 3 × 3 pixels in colour. The top
# two rows are the filters as pretraining left them, the bottom two as they were before it, drawn at
# random. **Look for** stripes (edges of some direction) and for opposite colours.

# %%
fresh = load_backbone("efficientnet_lite0", pretrained=False)
filters = torch.cat([net.stages[0][0].weight.detach() for net in (lite, fresh)])
low, high = filters.amin((1, 2, 3), keepdim=True), filters.amax((1, 2, 3), keepdim=True)
patches = ((filters - low) / (high - low)).permute(0, 2, 3, 1).numpy()
image_grid(
    patches,
    title="First-layer filters: 32 pretrained above, 32 random below",
    columns=16,
)

# %% [markdown]
# Nothing in the pretrained filters speaks of dogs or trucks. Edges, spots and colour contrasts are
# what any photo is made of, which is why first layers of very different networks resemble each
# other (Yosinski et al. 2014, arXiv 1411.1792) and why they are nearly always worth keeping.
#
# ## Try it: one photo, stage by stage
#
# We send four pictures through and keep what each stage returns. If not all clothing photos are on
# this machine, the sample in this clone stands in; the line below says which you see.

# %%
photos = load_task("clothing", image_size=128, n_test=4)
state, activations = lite.prepare(torch.tensor(photos.test.inputs)), []
with torch.inference_mode():
    for stage in lite.stages:
        state = stage(state)
        activations.append(state.numpy())
print(photos)

# %% [markdown]
# The slider picks the stage; shown are the fifteen channels that vary most over the picture, bright
# where they answer.
#
# - At which stage could you no longer say what is on the photo?
# - Which channels of stage 1 are edges, which are brightness?
# - In the last stage, is *where* still known, or only *that* something is there?


# %%
def draw(stage, photo):
    maps = activations[stage - 1][photo - 1]
    maps = maps[maps.std((1, 2)).argsort()[::-1][:15]]
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    shown = [photos.test.inputs[photo - 1], *((maps - low) / (high - low + 1e-9))]
    side = maps.shape[-1]
    title = (
        f"After stage {stage}: fifteen of {len(activations[stage - 1][0])} maps, {side} × {side}"
    )
    return image_grid(shown, ["photo"], title=title)


explore(draw, stage=(1, 9, 1), photo=(1, 4, 1), start={"stage": 3})

# %% [markdown]
# Place is traded for meaning, step by step: many coarse maps at the end, each saying that *something*
# is there. Averaging each of the last maps to one number gives the features that a probe trains on.
#
# ## The classifier it came with
#
# A pretrained network is delivered with a last layer for its old classes. You will throw it away,
# but it is the best test there is of whether you *load and feed the network correctly*. Twenty
# pictures of ImageNet, whose classes we know, are enough for that. (Their terms allow research and
# teaching but not reprinting, so you see names only.)

# %%
images, labels = network_inspection.imagenet_samples()
judge = load_backbone("efficientnet_lite0", size=224)
(classifier,) = judge.source_head


def log_probabilities(images, recipe):
    with torch.inference_mode():
        state = judge(prepare_images(torch.tensor(images), recipe))
        return classifier(judge.pool(state)).log_softmax(1).numpy()


# %% [markdown]
# How sure is it, and where is it wrong, is it at least wrong in a sensible way?

# %%
scores = log_probabilities(images, judge.recipe)
answers = pd.DataFrame(
    {
        "right": network_inspection.imagenet_names(labels),
        "said": network_inspection.imagenet_names(scores.argmax(1)),
    }
)
answers["probability"] = np.exp(scores.max(1)).round(2)
print(f"{(scores.argmax(1) == labels).sum()} of {len(labels)} right; twelve of them:")
answers.head(12)

# %% [markdown]
# ### The recipe is part of the weights
#
# This network wants pixels scaled to −1…1. Most ImageNet networks want another mean and standard
# deviation, some libraries deliver blue first, and nothing ever complains: shapes fit, numbers come
# out. **Predict:** which of these four mistakes would you notice?

# %%
usual = Recipe(224, 3, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
uncentred = Recipe(224, 3, mean=(0.0,) * 3, std=(1.0,) * 3)
unscaled = Recipe(224, 3, mean=(0.0,) * 3, std=(1 / 255,) * 3)
mistakes = {
    "0…255, not scaled": log_probabilities(images, unscaled),
    "the usual mean and std": log_probabilities(images, usual),
    "0…1, not centred": log_probabilities(images, uncentred),
    "blue first": log_probabilities(images[..., ::-1].copy(), judge.recipe),
}

# %% [markdown]
# Accuracy on twenty pictures is a blunt tool, one picture is a twentieth of it. The log-probability
# of the right class is finer, and each picture can be compared with itself: the bars are means of
# twenty paired differences. A bar to the left means "less sure of the truth than with the right
# recipe".

# %%
rows, each = [], np.arange(len(labels))
for name, wrong in mistakes.items():
    lost = wrong[each, labels] - scores[each, labels]
    correct = (wrong.argmax(1) == labels).sum()
    rows.append((f"{name}\n({correct} of 20 right)", *mean_interval(lost)))
costs = pd.DataFrame(rows, columns=["recipe", "mean", "low", "high"])
plot_bars(
    costs,
    by="recipe",
    title="One mistake shouts, the others pass for bad luck",
    xlabel="change of log-probability",
)

# %% [markdown]
# How many of the bars can twenty pictures tell from zero?

# %%
clear = [name.partition("\n")[0] for name in costs.recipe[costs.high < 0]]
Markdown(
    f"Clear of zero: **{', '.join(clear) or 'none'}**. For the other {len(costs) - len(clear)}, "
    "twenty pictures are too few to tell the loss from luck."
)

# %% [markdown]
# The quiet mistakes are the dangerous ones: some accuracy gone, no error, and it would pass for
# "transfer does not work so well here". So a backbone in this collection carries its `recipe` as
# data, and a test feeds it these very pictures.
#
# ## What BatchNorm stores
#
# Besides weights, a network with BatchNorm holds two numbers for each channel that no gradient ever
# touches: the running mean and variance of what passed by **during pretraining**. They are buffers,
# not parameters.

# %%
pocket = load_backbone("pocket")
parameters = sum(p.numel() for p in pocket.parameters())
stored = [b for name, b in pocket.named_buffers() if "running" in name]
print(f"pocket: {parameters:,} parameters and {sum(b.numel() for b in stored):,} stored statistics")

# %% [markdown]
# So each layer remembers what pretraining pictures looked like from where it sits. We can ask how
# far *other* pictures are from that memory. `pocket` is our own network and we know exactly what it
# was trained on: five products (`products_source`). **Predict** the order of the other four tasks:
# five other products, digits, fabric, solar cells.

# %%
n_train = pick(full=500, fast=100)
far = []
for name in ("products_source", "products_near", "digits", "textile", "solar_cells"):
    inputs = load_task(name, n_train=n_train, image_size=28).train.inputs
    shifts = network_inspection.batchnorm_shift(pocket, inputs)
    far += [(name, layer, shift) for layer, shift in enumerate(shifts, start=1)]
far = pd.DataFrame(far, columns=["task", "layer", "shift"])

# %% [markdown]
# Zero means "as in pretraining", one means "a whole standard deviation off, on average over
# channels". Compare the lines at the first layers with those at the last.

# %%
plot_curves(
    far,
    "layer",
    "shift",
    by="task",
    title="How strange each task looks to pocket's BatchNorm layers",
    xlabel="BatchNorm layer, in the order they run",
    ylabel="shift of the mean (stored standard deviations)",
)

# %% [markdown]
# In words, with the mean over all layers:

# %%
order = far.groupby("task")["shift"].mean().sort_values()
Markdown("Nearest first: " + ", ".join(f"{task} {shift:.2f}" for task, shift in order.items()))

# %% [markdown]
# That is a first, cheap measure of **domain distance**: no labels, no training, one forward pass.
# (Even the source rises in the last layers: pretraining shifted and rotated its pictures, and these
# statistics remember that.) It also explains a trap that notebook 03 springs: set the network to
# training mode and these numbers drift to your pictures, with every parameter "frozen".
#
# ## Which stage separates *your* classes?
#
# Now the question that decides what to reuse. A **linear probe** on the pooled output of a stage
# says how well a straight cut separates the classes there. The honest control is the **same
# architecture with random weights**: its features are random filters, but it has the same widths,
# the same pooling and the same probe. Only what lies above that line was learned in pretraining.


# %%
def probe_each_stage(backbone, task):
    train, test = (
        network_inspection.pooled_stages(backbone, part.inputs) for part in (task.train, task.test)
    )
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    pairs = zip(train, test, strict=True)
    return [head.fit(x, task.train.labels).score(y, task.test.labels) for x, y in pairs]


# %% [markdown]
# One task near to the pretraining data and three that are far, several seeds; each seed draws other
# training examples and another random network.

# %%
near_and_far = ("products_near", "digits", "textile", "solar_cells")
rows = []
for seed in range(pick(full=5, fast=2)):
    for name in near_and_far:
        task = load_task(name, n_train=n_train, seed=seed, image_size=28, n_test=500)
        for weights in ("pretrained", "random"):
            net = load_backbone("pocket", pretrained=weights == "pretrained", seed=seed)
            for stage, accuracy in enumerate(probe_each_stage(net, task), start=1):
                rows.append((name, stage, seed, weights, accuracy))

# %% [markdown]
# Per seed we also take the difference of the two, `gain`: what pretraining added at that depth, on
# the same examples. Then means and 95 % intervals over seeds.

# %%
columns = ["task", "stage", "seed", "weights", "accuracy"]
wide = pd.DataFrame(rows, columns=columns).pivot(
    index=columns[:3], columns="weights", values="accuracy"
)
wide["gain"] = wide["pretrained"] - wide["random"]
grouped = wide.stack().groupby(["task", "stage", "weights"])
bands = grouped.apply(lambda values: pd.Series(mean_interval(values), ["mean", "low", "high"]))
bands = bands.unstack().reset_index()

# %% [markdown]
# **Predict first:** draw the line for the pretrained network on the near task in your head. Does it
# rise with every stage? And the random one?


# %%
def draw_probes(task):
    shown = bands[(bands.task == task) & (bands.weights != "gain")]
    made = plot_curves(
        shown,
        "stage",
        by="weights",
        title=f"{task}: a linear probe after each stage of pocket",
        ylabel="test accuracy of the probe",
    )
    made.axes[0].set(xticks=range(1, 6), ylim=(0.4, 1.0))
    return made


explore(draw_probes, task=list(near_and_far))

# %% [markdown]
# Choose the other tasks in the menu. Three shapes are possible, and each says what to do. *Rising to
# the end, far above random*: reuse everything, a frozen network goes a long way. *Rising, then
# falling*: the top stages have specialised in the old classes; cut them off, or let them move.
# *No better than random*: for these classes the pretraining taught nothing that a random projection
# does not have. Which one do you see where?

# %%
gains = bands[bands.weights == "gain"]
made = plot_curves(
    gains,
    "stage",
    by="task",
    title="What pretraining added, at each depth (paired by seed)",
    ylabel="accuracy: pretrained − random",
)
made.axes[0].axhline(0, color="#7f7f7f", lw=1)
made.axes[0].set_xticks(range(1, 6))
made

# %% [markdown]
# In words, for each task: the best stage to cut at, and whether the interval of the gain there lies
# above zero. (The best stage was picked after the fact, for four tasks: a gain that is barely clear
# is weak evidence.)

# %%
best = bands[bands.weights == "pretrained"].sort_values("mean").groupby("task").tail(1)
best = best.merge(gains, on=["task", "stage"], suffixes=("", "_gain"))
lines = [
    f"- **{row.task}**: best after stage {row.stage} of 5 with {row['mean']:.3f}; pretraining added "
    f"{100 * row.mean_gain:+.1f} points ({'clear' if row.low_gain > 0 else 'not clear of zero'})."
    for _, row in best.iterrows()
]
Markdown("\n".join(lines))

# %% [markdown]
# A probe's accuracy alone can mislead: a respectable number may come from the pixels and not from
# the pretraining. **Always ask what random weights give.**
#
# ## A transformer, in the same words
#
# Nothing above is about images alone. `minilm` is a sentence encoder: one stage of embeddings, then
# six layers. The shape now reads (words, width), and it never shrinks. The head's input is the mean
# over words.

# %%
minilm = load_backbone("minilm")
network_inspection.stage_table(minilm).round(1).set_index("stage")

# %% [markdown]
# Half of its parameters are a dictionary that costs no computing: one row for each piece of a word.
# What do the layers add to it? Five groups of three sentences test that. The second says what the
# first says in other words; the third shares a word with it that means something else.

# %%
groups = [
    "The bank raised its interest rates. | Borrowing got more expensive. | We sat on the bank of the river.",
    "He swung the bat and hit the ball. | The player struck it with his club. | A bat flew out of the cave.",
    "The spring in the mattress is broken. | A coil of the bed has snapped. | Flowers open early in spring.",
    "The bark of the oak is rough. | Old trees have a hard skin. | The bark of the dog woke us up.",
    "She lit the candle with a match. | He set fire to a piece of wax. | Our team lost the match on Sunday.",
]
sentences = [sentence for group in groups for sentence in group.split(" | ")]
rows = []
for stage, pooled in enumerate(network_inspection.pooled_stages(minilm, sentences), start=1):
    unit = (pooled / np.linalg.norm(pooled, axis=1, keepdims=True)).reshape(5, 3, -1)
    first, same, other = unit.transpose(1, 0, 2)
    rows += [(stage, "same meaning", c) for c in (first * same).sum(1)]
    rows += [(stage, "same word", c) for c in (first * other).sum(1)]

# %% [markdown]
# **Predict:** which pair lies closer in the dictionary of stage 1, and which after the last layer?

# %%
cosines = pd.DataFrame(rows, columns=["stage", "pair", "cosine"])
plot_curves(
    cosines.groupby(["pair", "stage"], as_index=False)["cosine"].mean(),
    "stage",
    "cosine",
    by="pair",
    title="MiniLM: the layers pull meaning and mere words apart",
    ylabel="cosine similarity of pooled sentences",
)

# %% [markdown]
# Only the gap between the lines counts; how high both lie differs from stage to stage for reasons of
# their own. Five groups are an illustration and no proof, so here is the plain count:

# %%
sides = [part["cosine"].to_numpy().reshape(7, 5) for _, part in cosines.groupby("pair")]
wins = (sides[0] > sides[1]).sum(1)
print("groups of five in which meaning beats the shared word, stages 1 to 7:", *wins)

# %% [markdown]
# ## What to remember
#
# - A backbone is a list of stages. Freezing, tuning and adapting differ in which stages move and in
#   what is put between them.
# - Parameters and computing sit in different stages, so storage and time are saved in different
#   places.
# - The input recipe and the BatchNorm statistics belong to the weights. Wrong ones raise no error.
# - Probe every stage before you choose where to cut, and hold it against random weights. The last
#   stage is not always the best one, and sometimes pretraining added nothing.
#
# ## Exercises
#
# Worked answers: `solutions/01_inside_a_pretrained_network.py`.
#
# **01.1** You put a new head for 7 classes on EfficientNet-Lite0. How many parameters does a probe
# train? (`lite.feature_size` helps; a linear layer has biases.)

# %%
answer = ...
check("01.1", answer)

# %% [markdown]
# **01.2** Partial fine-tuning keeps what the first six of the nine stages return and runs them once.
# Which share of the network's FLOPs, in percent, is then no longer paid in each epoch's forward pass?

# %%
answer = ...
check("01.2", answer)

# %% [markdown]
# **01.3** You set `requires_grad = False` on every parameter of `pocket`, put it in training mode and
# run one batch through. How many of its numbers change all the same? Count running means and
# variances only (each layer's batch counter moves too, leave it out).

# %%
answer = ...
check("01.3", answer)

# %% [markdown]
# **01.4** Feed the twenty ImageNet pictures **upside down** (`images[:, ::-1].copy()`) with the right
# recipe. By how much does the mean log-probability of the right class change?

# %%
answer = ...
check("01.4", answer)
