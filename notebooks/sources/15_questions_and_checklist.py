# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What do people ask, what goes wrong, and what should I check before I start?
#
# Is fine-tuning always better than a frozen network? Mostly, and it is dearer. Is my domain too distant?
# Compare with a control, not with chance. Why LoRA? It trains and stores little. From scratch? Never
# clearly ahead of LoRA here, so price it. What does it cost? See the bill. Seven
# mistakes raise no error and change such answers, so each is committed below, with its cost.
#
# **Needs:** this clone; the fabric images come through pip the first time.

# %%
import copy
import dataclasses

import numpy as np
import pandas as pd
from IPython.display import Markdown

from helpers.approaches import freeze, get_approach
from helpers.backbones import load_backbone
from helpers.display import explore
from helpers.experiments import source_accuracy
from helpers.lessons import check, claims, crossings, pick, pitfalls, questions
from helpers.results import recipe_in_words
from helpers.tasks import load_or_fallback, load_task
from helpers.training import extract_features

# %% [markdown]
# What the records say of the five answers:

# %%
Markdown(claims.verdict_box(22, 23, 24, 25, 26, 27))

# %% [markdown]
# ## 1. Five questions
#
# Asked of the recorded runs: approaches are compared seed by seed, and one is *clearly* ahead where the
# whole 95 % interval is on its side, which luck alone brings about once in twenty.
#
# ### Is fine-tuning always better than feature extraction?
#
# **Predict first:** in how many situations of ten is full fine-tuning clearly ahead of the frozen
# network, and in how many behind?

# %%
runs = crossings.recorded()
sides = ("full_fine_tuning", "feature_extraction")
by_kind = crossings.kinds_in_words(crossings.duels(runs, *sides), *sides)
print(recipe_in_words())
Markdown(f"{questions.duel(runs, *sides)}\n\n{by_kind}")

# %% [markdown]
# [06](06_dataset_size.ipynb) draws them. On shifted tests the frozen network is often ahead
# ([12](12_worked_comparison.ipynb)).
#
# ### How do I know whether my domain is too distant?
#
# The usual test: a probe on frozen features lies well above guessing. If that were enough, a high probe
# would leave little to gain, and the marks would fall to the right. **Predict first:** do they?

# %%
table = questions.beside_probe(runs)
questions.plot_beside_probe(table)

# %% [markdown]
# A perfect test has a rank correlation of minus one, a useless one zero.

# %%
Markdown(questions.probe_in_words(table))

# %% [markdown]
# So compare the probe with raw inputs and with the same network at random weights
# ([02](02_feature_extraction.ipynb)). What it gains over *them* is transfer.
#
# ### What is LoRA, and why is it so popular?
#
# A product of two thin matrices is added to each frozen weight matrix, and only these two are trained
# ([04](04_adapters_and_lora.ipynb) does it in ten lines). **Predict first:** how often does it lose
# clearly against moving every weight?

# %%
Markdown(questions.duel(runs, "lora", "full_fine_tuning"))

# %% [markdown]
# Its files are small, and a large language model is hard to fit into memory without it
# ([13](13_language_models.ipynb)).
#
# ### Should I ever train from scratch?
#
# LoRA stands for all that transfers. **Predict first:** is scratch ever clearly ahead?

# %%
Markdown(questions.duel(runs, "from_scratch", "lora"))

# %% [markdown]
# ### How much does the choice affect cost?
#
# Much, as the box's seconds show; [08](08_compute_and_latency.ipynb) has the
# money and the milliseconds.
#
# ## 2. Seven mistakes, each committed on purpose
#
# The stage: five kinds of product, and `pocket`, which never saw them.

# %%
n_train, n_test = pick(full=300, fast=100), pick(full=500, fast=200)
pocket = load_backbone("pocket")
task = load_task("products_near", n_train=n_train, n_test=n_test)
print(task)
X, y = extract_features(pocket, task.train.inputs), task.train.labels
X_test, y_test = extract_features(pocket, task.test.inputs), task.test.labels

# %% [markdown]
# ### Mistake 1: choosing on the test set
#
# Forty probes differ in the half of the features that they see and in their penalty. Pick the best *on
# the test set* and report its accuracy.


# %%
def one_probe(rng):
    half = rng.choice(X.shape[1], X.shape[1] // 2, replace=False)
    probe = pitfalls.linear_probe(10 ** rng.uniform(-3, 0)).fit(X[:, half], y)
    return probe.predict(X_test[:, half]) == y_test


rng = np.random.default_rng(0)
right = np.array([one_probe(rng) for _ in range(pick(full=40, fast=10))])
Markdown(pitfalls.optimism_in_words(right, n=100))

# %% [markdown]
# Nothing was trained on the test set, and still it no longer measures.
#
# ### Mistake 2: BatchNorm left running
#
# A network is "frozen" by `requires_grad = False` alone and shown batches of fabric, without loss or
# optimizer. How many pictures of its own classes does it still get right?

# %%
naive = copy.deepcopy(pocket).requires_grad_(False)
ways = {"requires_grad = False": naive, "freeze()": freeze(copy.deepcopy(pocket))}
size = {"n_train": pick(full=500, fast=100), "image_size": 28}
foreign = load_or_fallback("textile", "products_near", **size)
Markdown(pitfalls.after_training_mode(ways, foreign, pick(full=128, fast=16), n_test))

# %% [markdown]
# BatchNorm's running mean and variance are no parameters, and training mode moves them
# ([03](03_fine_tuning.ipynb)).
#
# ### Mistake 3: preprocessing of another network
#
# The same probe and test pictures, but whoever serves the model scales them by ImageNet's mean and
# spread.

# %%
probe = pitfalls.linear_probe().fit(X, y)
served = copy.deepcopy(pocket)
served.recipe = dataclasses.replace(pocket.recipe, mean=(0.485,), std=(0.229,))
own, other = (
    probe.score(extract_features(net, task.test.inputs), y_test) for net in (pocket, served)
)
Markdown(f"Its own preprocessing: **{own:.3f}**. Another network's: **{other:.3f}**.")

# %% [markdown]
# Nothing warns. Compare the accuracy in training with that of the served model on the same files.
#
# ### Mistake 4: one seed
#
# Each seed draws other training examples. **Predict first:** how often does a single seed name another
# winner than the average?

# %%
crowned = pitfalls.one_seed(runs)
Markdown(pitfalls.one_seed_in_words(crowned))

# %% [markdown]
# ### Mistake 5: no anchor
#
# "The pretrained network reaches this much" is no result until something without it was tried.

# %%
anchors = ("classical", "from_scratch")
Markdown("\n\n".join(questions.duel(runs, name, "feature_extraction") for name in anchors))

# %% [markdown]
# ### Mistake 6: a learning rate far too high
#
# Full fine-tuning at its default rate, and at one far too high. The last
# column shows what is left of the pretraining.

# %%
tuning, rows = get_approach("full_fine_tuning"), {}
for lr in (None, 0.1):
    config = tuning.config("image", n_train, lr=lr, epochs=pick(full=8, fast=2))
    fitted = tuning.fit(copy.deepcopy(pocket), task, config)
    kept = source_accuracy(fitted.model.backbone, pocket, n_test)
    rows[f"rate {config.lr:g}"] = {"own test": fitted.accuracy(task.test), "source": kept}
pd.DataFrame(rows).T.round(3)

# %% [markdown]
# ### Mistake 7: copies on both sides
#
# Sixty pictures become three hundred: each is shifted by up to a pixel, five times. Split *after* that,
# and copies of one picture lie on both sides. **Predict first:** which of the two validation accuracies
# will the untouched test confirm?

# %%
few, draws = pick(full=(60, 20), fast=(30, 3))
Markdown(pitfalls.leak_in_words(pocket, task, few, (X_test, y_test), draws))

# %% [markdown]
# The honest split misses by less; that is luck of few pictures, not copying. Frames of one video, photos
# of one product and scans of one patient are such copies. Split by video, product or patient, not by file.
#
# ## 3. Before you start: the checklist
#
# [The list as a page](../CHECKLIST.md), to print.

# %%
Markdown(questions.checklist())

# %% [markdown]
# Which difference does a test set of a given size show, in four tries of five?

# %%
sizes = (50, 100, 200, 500, 1_000, 5_000)
shown = {n: 100 * pitfalls.smallest_visible_gain(n, accuracy=0.8) for n in sizes}
pd.Series(shown, name="points").rename_axis("test examples").round(1).to_frame()

# %% [markdown]
# Two models judged on the same pictures, compared pair by pair, show smaller ones.
#
# ## 4. The ledger
#
# Every claim of the article, in our words, with the records' verdict. No verdict is typed.
#
# - **holds**, and its opposite **fails**: the 95 % interval over data sets lies on one side of the margin.
# - **holds for …**: so for a group or a part, corrected for having looked into several (Holm).
# - **undecided**: the interval spans the margin, or fewer than three data sets give none; with the
#   number of runs.
# - **not tested**: there is no run.
#
# **Can happen** says less: the claim holds in its clearest situation, corrected for all others.

# %%
judged = claims.judge_claims()
Markdown(f"{claims.counts_in_words(judged)}\n\n{claims.ledger_table(judged)}")

# %% [markdown]
# [A table](../data/claims_withdrawn.csv) has the withdrawn verdicts and why.
#
# ## Try it
#
# Mistake 1 again: test pictures on the slider, models tried along the axis. **Predict first:** what
# shrinks the optimism more, half as many models or twice the test pictures?


# %%
def draw(test_pictures):
    return pitfalls.plot_optimism(right, test_pictures)


sizes = [n for n in (25, 50, 100, 200, 400) if n < right.shape[1] - 50]
explore(draw, test_pictures=sizes, start={"test_pictures": sizes[2]})

# %% [markdown]
# The band holds nineteen teams of twenty.
#
# ## What to remember
#
# - All seven mistakes run without an error, and some change numbers by as much as approaches differ.
# - Controls find most of them: an anchor, random weights, a second seed, one accuracy in training and
#   in use.
# - Ask first what your test set can show.
#
# In numbers, from the records:

# %%
Markdown(questions.findings())

# %% [markdown]
# ## Exercises
#
# **15.1 Predict, then count.** Two models are at an accuracy of 0.9. How many test examples show a
# difference of two points in four tries of five? Answer with the smallest multiple of 100.
# (`pitfalls.smallest_visible_gain`)

# %%
answer = ...
check("15.1", answer)

# %% [markdown]
# **15.2 Fix the bug.** This split puts copies on both sides. Mend it: no value of `source` may appear
# on both, and about a fifth of the rows is to be held out.


# %%
def hold_out(source, seed):
    """Return a bool array like source: True for what is held out."""
    rng = np.random.default_rng(seed)
    return rng.permutation(len(source)) < len(source) // 5


answer = ...  # hold_out, once it is mended
check("15.2", answer)

# %% [markdown]
# **15.3 Choose.** A colleague reports that A beats B by three points on 150 test photos: one seed, the
# best of twelve settings by test accuracy, features computed once. What do you ask for *first*? "a" more
# epochs, "b" a larger network, "c" settings chosen on validation and three seeds, "d" the features
# computed anew.

# %%
answer = ...
check("15.3", answer)

# %% [markdown]
# **15.4 From the records.** Of the single seeds that named another winner, how many points did the worst
# one cost? (`crowned` is above.)

# %%
answer = ...
check("15.4", answer)
