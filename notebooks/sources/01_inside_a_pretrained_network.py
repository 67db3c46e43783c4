# %% [markdown]
# # What is inside a pretrained network, and what can be reused?
#
# **A stack of stages, a last layer that names the old classes, and two things that people forget to carry
# along: the input recipe and the statistics in BatchNorm.** Everything below the last layer can be
# reused: early stages answer to edges and colours, which nearly every picture has, and later ones to
# whatever told the old classes apart. How much each stage helps *your* task you measure, against the same
# network with random weights.
#
# **Needs:** this clone; EfficientNet-Lite0, MiniLM, twenty ImageNet pictures, digits, fabric and solar
# cells (fetched by `make lab`).

# %%
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from sklearn.manifold import TSNE

from helpers.backbones import Recipe, load_backbone, prepare_images
from helpers.display import explore, image_grid, plot_bars, plot_curves
from helpers.lessons import check, network_inspection, photos, pick
from helpers.tasks import load_task
from helpers.vocabulary import label_of

# %% [markdown]
# ## Stages
#
# EfficientNet-Lite0 learned to tell a thousand kinds of thing apart on 1.28 million photos (Tan & Le
# 2019, arXiv 1905.11946). A picture enters as three colour planes, which nine stages turn into many small
# ones. What freezing can save depends on where the weights and the work are:

# %%
lite = load_backbone("efficientnet_lite0")
table = network_inspection.stage_table(lite)
share = 100 * table["parameters"] / table["parameters"].sum()
Markdown(
    f"> The first six of nine stages do **{table['FLOPs (%)'][:6].sum():.0f} %** of the computing and "
    f"hold **{share[:6].sum():.0f} %** of the parameters."
)

# %% [markdown]
# So freezing the bottom saves mostly *time*; what a task stores when the top moves is still most of the
# network. **Predict first:** where in the table are the most parameters?

# %%
table.round(1).set_index("stage")

# %% [markdown]
# Early stages slide few weights over many places; late ones have many weights and few places.
#
# Freezing is a cut through this list. Feature extraction runs `stages[:9]` once and keeps the result.
# Partial fine-tuning keeps what `stages[:6]` return and trains the rest. `backbone(state, start, stop)`
# is all the code that this takes:

# %%
picture = torch.zeros(1, 128, 128, 3, dtype=torch.uint8)
with torch.inference_mode():
    halfway = lite(lite.prepare(picture), stop=6)
    features = lite.pool(lite(halfway, start=6))
print(f"after six stages {tuple(halfway.shape)}, pooled at the end {tuple(features.shape)}")

# %% [markdown]
# ## What the first layer looks for
#
# Each small picture is one filter's answer to the photo, bright where it answers. **Look for** filters
# that answer to edges of one direction only.

# %%
task = load_task("clothing", n_train=200, image_size=128, n_test=pick(full=None, fast=200))
fresh = load_backbone("efficientnet_lite0", pretrained=False)
maps = [network_inspection.loudest(net, task.test.inputs[:4], 1, 7) for net in (lite, fresh)]
shown = [part for own in maps for part in (task.test.inputs[0], *own[0])]
print(task)
image_grid(shown, title="First-layer answers: pretrained above, random below", columns=8)

# %% [markdown]
# Any photo is made of edges, spots and colour contrasts. So first layers of very different networks
# resemble each other (Yosinski et al. 2014, arXiv 1411.1792) and are nearly always worth keeping.
#
# ## Try it: one photo, stage by stage
#
# Shown are the fifteen channels that vary most over the picture.
#
# - At which stage could you no longer say what is on the photo?
# - In the last stage, is *where* still known, or only *that* something is there?

# %%
answers = [
    network_inspection.loudest(lite, task.test.inputs[:4], stage, 15) for stage in range(1, 10)
]


# %% [markdown]
# Many coarse maps stand at the end. Averaging each to one number gives the features that a probe trains
# on.


# %%
def draw(stage, photo):
    own = answers[stage - 1][photo - 1]
    title = f"After stage {stage}: fifteen maps, {own.shape[-1]} × {own.shape[-1]}"
    return image_grid([task.test.inputs[photo - 1], *own], ["photo"], title=title)


explore(draw, stage=(1, 9, 1), photo=(1, 4, 1), start={"stage": 3})

# %% [markdown]
# ## A map of the features
#
# Here are the test photos of clothing, placed so that those with like features lie near each other (t-SNE,
# which keeps neighbours and not distances). The network was never told these classes. **Predict** which
# form islands and which run into each other.

# %%
known = photos.features(lite, task.test).arrays[0]
places = TSNE(perplexity=20, init="pca", random_state=0).fit_transform(known)
network_inspection.plot_map(places, task.test.labels, task.classes)

# %% [markdown]
# Islands suggest classes that a straight cut separates. Overlap in two dimensions does not show overlap in
# all 1,280; a probe tells.
#
# ## The classifier it came with
#
# You will throw the last layer away, but it is the best test of whether you *load and feed the network
# correctly*. Twenty pictures of ImageNet are enough. (Their terms allow teaching but not reprinting, so
# you see names only.)

# %%
images, labels = network_inspection.imagenet_samples()
judge = load_backbone("efficientnet_lite0", size=224)
(classifier,) = judge.source_head


def log_probabilities(images, recipe):
    with torch.inference_mode():
        state = judge(prepare_images(torch.tensor(images), recipe))
        return classifier(judge.pool(state)).log_softmax(1).numpy()


scores = log_probabilities(images, judge.recipe)
print(f"{(scores.argmax(1) == labels).sum()} of {len(labels)} right")

# %% [markdown]
# Are its errors at least sensible?

# %%
answered = pd.DataFrame(
    {
        "right": network_inspection.imagenet_names(labels),
        "said": network_inspection.imagenet_names(scores.argmax(1)),
        "probability": np.exp(scores.max(1)).round(2),
    }
)
answered[answered.right != answered.said]

# %% [markdown]
# ### The recipe is part of the weights
#
# This network wants pixels scaled to −1…1. Most ImageNet networks want another mean and standard
# deviation, some libraries deliver blue first, and no error is raised. So we train a probe on 200
# clothing photos with the right recipe and feed it the test photos with a wrong one. **Predict:** which
# mistakes would you notice?

# %%
usual = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
wrong = {
    "blue first": (task.test.inputs[..., ::-1].copy(), lite.recipe),
    "the usual mean and std": (task.test.inputs, Recipe(128, 3, **usual)),
    "0…1, not centred": (task.test.inputs, Recipe(128, 3, (0.0,) * 3, (1.0,) * 3)),
    "0…255, not scaled": (task.test.inputs, Recipe(128, 3, (0.0,) * 3, (1 / 255,) * 3)),
}
probe = photos.linear_model().fit(photos.features(lite, task.train).arrays[0], task.train.labels)
costs = network_inspection.recipe_costs(lite, probe, known, task.test.labels, wrong)

# %% [markdown]
# Each test photo is compared with itself. A bar is the mean change of accuracy with its 95 % interval.

# %%
plot_bars(
    costs,
    by="recipe",
    title="Wrong recipes raise no error",
    xlabel="change of accuracy against the right recipe",
)

# %% [markdown]
# Which of them can this many photos tell from no change?

# %%
clear = costs.recipe[costs.high < 0]
hidden = (
    f"By {len(known)} photos {len(costs) - len(clear)} can't be told from no change, so they are"
)
Markdown(
    f"Clearly worse: **{', '.join(clear) or 'none'}** ({len(clear)} of {len(costs)}). "
    f"The worst loses {-100 * costs['mean'].min():.0f} points. {hidden} hard to notice."
)

# %% [markdown]
# A quiet loss passes for "transfer does not work so well here". So a backbone in this collection carries
# its `recipe` as data, and a test feeds it the twenty pictures.
#
# ## What BatchNorm stores
#
# Besides weights, each channel holds two numbers that no gradient ever touches, its *buffers*: the
# running mean and variance of what passed by **during pretraining**. So we can ask how far *other*
# pictures lie from what each layer remembers. **Predict** the order of clothing, digits, simulated fabric
# (`textile`) and solar cells.

# %%
far = []
for name in ("clothing", "digits", "textile", "solar_cells"):
    inputs = load_task(name, n_train=pick(full=60, fast=30), image_size=128).train.inputs
    shifts = network_inspection.batchnorm_shift(lite, inputs)
    far += [(name, layer, shift) for layer, shift in enumerate(shifts, start=1)]
shifts = network_inspection.batchnorm_shift(lite, images)
far += [("ImageNet", layer, shift) for layer, shift in enumerate(shifts, start=1)]
far = pd.DataFrame(far, columns=["task", "layer", "shift"])

# %% [markdown]
# Zero is "as in pretraining", one "a whole standard deviation off, on average over channels".

# %%
order = far.groupby("task")["shift"].mean().sort_values()
plot_curves(
    far,
    "layer",
    "shift",
    by="task",
    title="Nearest first: " + ", ".join(map(label_of, order.index)),
    xlabel="BatchNorm layer, in the order they run",
    ylabel="shift of the mean (stored standard deviations)",
)

# %% [markdown]
# That is a first, cheap measure of **domain distance**: no labels, no training, one forward pass. It also
# explains the trap of notebook 03: in training mode these numbers drift to your pictures, with every
# parameter "frozen".
#
# ## Which stage separates *your* classes?
#
# A **linear probe** on the pooled output of a stage says how well a straight cut separates the classes
# there. The control is the **same architecture with random weights**: only what lies above its line was
# learned in pretraining. (96 pixels and a ridge classifier, to be quick; three draws of the training
# photos.)
#
# **Predict first:** does the line of the pretrained network rise with every stage?

# %%
near_and_far = ("clothing", "textile", "digits")
sizes = pick(full={"n_train": 150, "n_test": 120}, fast={"n_train": 40, "n_test": 40, "draws": 2})
rows = network_inspection.probe_stages("efficientnet_lite0", near_and_far, size=96, **sizes)
bands = network_inspection.stage_bands(rows)


# %% [markdown]
# Choose the other tasks in the menu.


# %%
def draw_probes(task):
    shown = bands[(bands.task == task) & (bands.weights != "gain")]
    made = plot_curves(
        shown,
        "stage",
        by="weights",
        title=f"{task}: a linear probe after each stage",
        ylabel="test accuracy of the probe",
    )
    made.axes[0].set(xticks=range(1, 10), ylim=(0.0, 1.0))
    return made


explore(draw_probes, task=list(near_and_far))

# %% [markdown]
# Three shapes are possible. *Rising to the end, far above random*: reuse everything. *Rising, then
# falling*: the top has specialised in the old classes; cut it off, or let it move. *No better than
# random*: pretraining taught nothing for these classes.

# %%
best = network_inspection.best_stages(bands)
Markdown(network_inspection.best_in_words(best))

# %% [markdown]
# (The best stage is picked after the fact, so a gain that is barely clear is weak evidence.) A probe's
# accuracy may come from the pixels alone: **always ask what random weights give.**
#
# ## A transformer, in the same words
#
# `minilm` is a sentence encoder: a stage of embeddings, a dictionary with one row for each piece of a
# word, and then six layers. What do the layers add? Five groups of three sentences test that. The second
# says what the first says in other words; the third shares a word with the first that means something
# else.

# %%
groups = [
    "The bank raised its interest rates. | Borrowing got more expensive. | We sat on the bank of the river.",
    "He swung the bat and hit the ball. | The player struck it with his club. | A bat flew out of the cave.",
    "The spring in the mattress is broken. | A coil of the bed has snapped. | Flowers open early in spring.",
    "The bark of the oak is rough. | Old trees have a hard skin. | The bark of the dog woke us up.",
    "She lit the candle with a match. | He set fire to a piece of wax. | Our team lost the match on Sunday.",
]
cosines = network_inspection.meaning_or_word(load_backbone("minilm"), groups)

# %% [markdown]
# **Predict:** which pair lies closer in the dictionary of stage 1, and which after the last layer?

# %%
plot_curves(
    cosines.groupby(["pair", "stage"], as_index=False)["cosine"].mean(),
    "stage",
    "cosine",
    by="pair",
    title="MiniLM: the layers pull meaning and mere words apart",
    ylabel="cosine similarity of pooled sentences",
)

# %% [markdown]
# Only the gap between the lines counts. Five groups are an illustration and no proof.
#
# ## What to remember
#
# - A backbone is a list of stages. Freezing, tuning and adapting differ in which stages move and in
#   what is put between them.
# - The input recipe and the BatchNorm statistics belong to the weights. Wrong ones raise no error.
# - Probe against random weights before you choose where to cut.
#
# In numbers:

# %%
Markdown(
    f"{network_inspection.best_in_words(best)}\n"
    f"- Feeding the network wrongly cost up to {-100 * costs['mean'].min():.0f} points, without an error."
)

# %% [markdown]
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
# **01.3** You set `requires_grad = False` on every parameter of `load_backbone("pocket")`, put it in
# training mode and run one batch through. How many of its numbers change all the same? Count running
# means and variances only (each layer's batch counter moves too).

# %%
answer = ...
check("01.3", answer)

# %% [markdown]
# **01.4** Feed the twenty ImageNet pictures **upside down** (`images[:, ::-1].copy()`) to
# `log_probabilities` with `judge.recipe`. How much does the mean log-probability of the right class
# (`scores[range(20), labels]`) change? A fall is negative.

# %%
answer = ...
check("01.4", answer)
