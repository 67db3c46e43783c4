# %% [markdown]
# # When is it enough to freeze everything?
#
# When a *straight cut* through the features that the network already computes separates your classes well
# enough. Finding out is cheap: a linear head on frozen features, a **probe**, trains in a moment
# and leaves the base bit for bit what it was. The price may be a ceiling, because the features
# were made for another task and stay so. So always run the probe first, and compare it with more than
# guessing.
#
# **Needs:** this clone and EfficientNet-Lite0; fabric, digits and solar cells (fetched by `make lab`).

# %%
import numpy as np
import timm
import torch
from IPython.display import Markdown
from torch import nn

from helpers.backbones import load_backbone, load_lite_weights
from helpers.display import explore, figure, image_grid, mark_sizes
from helpers.experiments import count_parameters
from helpers.lessons import check, photos, pick
from helpers.lessons.claims import verdict_box
from helpers.tasks import load_task
from helpers.training import frozen_prefix

# %% [markdown]
# On all data sets together:

# %%
Markdown(verdict_box(3, 4, 23))

# %% [markdown]
# ## Freezing, in ten lines
#
# `timm` has the network, and freezing takes two calls. `requires_grad_(False)` takes the weights away
# from the optimizer. `eval()` stops BatchNorm, whose running averages move in training mode *without any
# gradient*, and switches dropout off.


# %%
def frozen_network(n_classes):
    net = timm.create_model("tf_efficientnet_lite0")  # elsewhere: pretrained=True
    load_lite_weights(net, "efficientnet_lite0")  # here: the weights that pip brought
    net.requires_grad_(False)  # no gradient, so no weight moves
    net.eval()  # and no statistic; call it again after every net.train()
    net.classifier = nn.Linear(net.num_features, n_classes)  # the new head, which trains
    return net


net = frozen_network(10)
trained, total = sum(p.numel() for p in net.classifier.parameters()), count_parameters(net)[1]
Markdown(f"**{trained:,}** of {total:,} numbers move.")

# %% [markdown]
# `get_approach("feature_extraction")` of this collection does the same, as a test makes sure. It also
# keeps what it froze in evaluation mode when somebody calls `model.train()`.
#
# ## Features that never change are computed once
#
# A frozen base returns the same 1,280 numbers for a photo in every epoch. So each photo goes through
# once, and the head trains on the rows that were kept.
#
# **Predict first:** a head takes 20 epochs. How many times faster is it on kept features?

# %%
n_train = pick(full=200, fast=60)
task = load_task("clothing", n_train=n_train, image_size=128)
base = load_backbone("efficientnet_lite0", size=128)
done = frozen_prefix(base, task.train.inputs, base.n_stages)
unseen = frozen_prefix(base, task.test.inputs, base.n_stages).arrays[0]
X, y = done.arrays[0], task.train.labels
print(f"{task}\n{len(X)} rows of {X.shape[1]} numbers")

# %% [markdown]
# `frozen_prefix` keeps the rows on disk, with what they cost:

# %%
fit = photos.timed_fit(X, y)
Markdown(
    f"One pass through the base took **{done.cpu_seconds:.1f}** processor seconds, fitting the head "
    f"{fit:.2f}. Twenty epochs that run the base each time would take 20 passes: "
    f"**{20 * done.cpu_seconds / (done.cpu_seconds + fit):.0f} times** as long in all."
)

# %% [markdown]
# Kept features also make ten penalties or five draws of the training photos cheap. Even augmentation
# works, at a pass for each view: cache a few changed views of each photo
# (`Options(augment="mirror", views=4)`) and train on them in turn.
#
# ## The probe, written out
#
# A probe is logistic regression: bring the features to one scale, fit one weight matrix. The problem is
# convex, so there is one best answer, and L-BFGS walks to it without a learning rate to tune. The
# `penalty` pulls the weights towards zero, which matters when examples are few.


# %%
def train_probe(X, y, n_classes, penalty):
    mean, std = X.mean(0), X.std(0).clip(min=1e-4)
    rows, labels = torch.from_numpy((X - mean) / std), torch.from_numpy(y)
    head = nn.Linear(X.shape[1], n_classes)
    nn.init.zeros_(head.weight)
    solver = torch.optim.LBFGS(head.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss():
        solver.zero_grad()
        value = (
            nn.functional.cross_entropy(head(rows), labels) + penalty * head.weight.square().sum()
        )
        value.backward()
        return value

    solver.step(loss)
    return lambda new: head(torch.from_numpy((new - mean) / std)).argmax(1).numpy()


# %% [markdown]
# scikit-learn's `LogisticRegression` solves the same problem faster, and is what we use below. Its `C`
# weighs the sum over $n$ examples, so the penalty is $1 / (2Cn)$.

# %%
C = 0.01
penalty = 1 / (2 * C * len(X))
said = train_probe(X, y, 10, penalty)(unseen)
model = photos.linear_model(C).fit(X, y)
Markdown(
    f"Test accuracy by hand, with a penalty of {penalty:g}, **{np.mean(said == task.test.labels):.3f}**, "
    f"with scikit-learn **{model.score(unseen, task.test.labels):.3f}**."
)

# %% [markdown]
# **Where is it wrong?** A *confusion matrix* has a row for each right class. **Predict** which two
# classes are taken for each other most often.

# %%
said = model.predict(unseen)
photos.plot_confusion(task.test.labels, said, task.classes)

# %% [markdown]
# The photos it was surest about, and wrong:

# %%
sure = model.predict_proba(unseen).max(1)
wrong = np.flatnonzero(said != task.test.labels)
worst = wrong[sure[wrong].argsort()[::-1][:8]]
named = [f"{task.classes[task.test.labels[i]]}, said {task.classes[said[i]]}" for i in worst]
image_grid(task.test.inputs[worst], named, title="Wrong, and sure of it", columns=4)

# %% [markdown]
# **Are the classes equally frequent?** Usually not. Then accuracy is mostly that of the common ones, and a
# mean over classes tells how the rare ones fare. Weights in the loss are to help them: do the common
# ones pay? Decide beforehand, with whoever pays for errors, which number counts.

# %%
photo_sets = (X, y), (unseen, task.test.labels)
Markdown(photos.balance_in_words(*photo_sets, task.classes))

# %% [markdown]
# ## "Well above chance" is too easy a test
#
# Common advice: train a probe; if it lands well above chance, the features transfer, so freeze. We try it
# on clothing, which is near to ImageNet, and on three tasks that are far from it: digits, simulated
# fabric with weaving faults, and solar cells that glow in the dark.
#
# The fair control is the **same network with random weights**, frozen as well: random filters already
# blur and pool, which helps by itself. Only what pretraining adds to that, and to raw pixels, is
# transfer.
#
# **Predict first:** on which of the four will the pretrained features beat both controls?

# %%
names = ("clothing", "digits", "textile", "solar_cells")
sizes = pick(full={"n_train": 150, "n_test": 150}, fast={"n_train": 40, "n_test": 60})
rows = photos.controls(names, **sizes)

# %% [markdown]
# Look at the distance from guessing to the blue circle, then at what lies between.

# %%
photos.plot_controls(rows, "Guessing, two controls, and the pretrained network")

# %% [markdown]
# Counted, draw by draw; "clearly" means that the whole 95 % interval of the difference is above zero.

# %%
told = photos.controls_in_words(rows)
Markdown(told)

# %% [markdown]
# In the records guessing does mislead: in `pocket on digits` of notebook 00 the probe is far above
# guessing and below raw pixels. So keep the probe, and change what it is compared with:
#
# - above guessing only: the *task* can be learned, which says nothing about the *features*;
# - above raw pixels and random weights: the *pretraining* has brought something;
# - above guessing and below raw pixels: the frozen base loses what you need. Let it move
#   ([03](03_fine_tuning.ipynb)), or do without it.
#
# ## The base can't be harmed
#
# That can be checked to the bit. Train the head of the `timm` network, and compare every tensor.

# %%
before = {name: value.clone() for name, value in net.state_dict().items()}
optimizer = torch.optim.AdamW(net.classifier.parameters(), lr=1e-3)
batch = base.prepare(torch.tensor(task.train.inputs[:32]))
for _ in range(3):
    nn.functional.cross_entropy(net(batch), torch.tensor(y[:32])).backward()
    optimizer.step()
moved = [name for name, value in net.state_dict().items() if not torch.equal(value, before[name])]
print(f"{len(moved)} of {len(before)} tensors moved: {', '.join(moved)}")

# %% [markdown]
# So any number of heads can share one base. Without `eval()` this no longer holds: section 4 of
# [notebook 03](03_fine_tuning.ipynb) shows the damage.
#
# ## Try it
#
# Move *training photos* to the right: where does the curve on **new** photos flatten? Then take few
# photos and a larger 1 / C. Does it close the gap between the curves, and does that help? Which class
# stays hard with all photos?

# %%
pool = load_task("clothing", n_train=pick(full=1_000, fast=60), image_size=128)
P = photos.features(base, pool.train).arrays[0]
SIZES = [n for n in (20, 50, 200, 1_000) if n <= len(P)]
fits = {
    (n, penalty): photos.linear_model(1 / penalty).fit(P[:n], pool.train.labels[:n])
    for n in SIZES
    for penalty in (10, 100, 1_000)  # 1 / C
}
seen = {key: m.score(P[: key[0]], pool.train.labels[: key[0]]) for key, m in fits.items()}
right = {key: m.predict(unseen) == task.test.labels for key, m in fits.items()}

# %% [markdown]
# Left, accuracy; right, how much of each class is found.


# %%
def draw(n_train, penalty):
    sizes = [n for n in SIZES if n <= n_train]
    made, (left, bars) = figure(f"A probe on {n_train:,} photos", width=8.0, height=3.4, columns=2)
    own = [seen[n, penalty] for n in sizes]
    left.plot(sizes, own, "s-", color="#333333", label="its own photos")
    new = [right[n, penalty].mean() for n in sizes]
    left.plot(sizes, new, "o-", color="#0072b2", label="new photos")
    left.set(xscale="log", xlim=(15, 1_400), ylim=(0.2, 1.02))
    mark_sizes(left, SIZES)
    left.set(xlabel="training photos (log scale)", ylabel="accuracy")
    left.legend(loc="center right")
    found = [right[n_train, penalty][task.test.labels == k].mean() for k in range(10)]
    bars.barh(task.classes, found, color="#0072b2")
    bars.set(xlabel="share of the class that is found", xlim=(0, 1))
    return made


# %% [markdown]
# The still shows the first state; run the notebook to move it.

# %%
explore(
    draw,
    n_train=SIZES,
    penalty=[10, 100, 1_000],
    labels={"n_train": "training photos", "penalty": "1 / C, the pull towards zero"},
    start={"n_train": SIZES[-1], "penalty": 100},
    alt="Accuracy of a probe by number of training photos, and by class",
)

# %% [markdown]
# ## What to remember
#
# - Freeze weights, BatchNorm statistics and dropout. Then any number of heads can share the base.
# - Frozen features are computed once. Every further head, penalty or draw is nearly free.
# - The probe is the cheapest credible network. How far below the best it lies, only measuring fine-tuning
#   on your task tells.

# %%
recorded = photos.recorded(200, task="digits", backbone="pocket", side=28)
behind = photos.lead_in_words(recorded, "feature_extraction", "classical")
Markdown(f"- {told}\n- Recorded, `pocket` on digits, 200 examples: {behind}")

# %% [markdown]
# ## Exercises
#
# **02.1** EfficientNet-Lite0 gives 1,280 features. How many numbers does a linear head for the
# two classes of the solar cells hold?

# %%
answer = ...
check("02.1", answer)

# %% [markdown]
# **02.2** Your probe on frozen features beats guessing by a wide margin. Which control tells
# whether the *pretraining* deserves the praise, and not the architecture? `"a"` the same probe
# with more examples, `"b"` the same probe on the same network with random weights, `"c"` a larger
# network.

# %%
answer = ...
check("02.2", answer)

# %% [markdown]
# **02.3** Pass one batch of solar cells through `load_backbone("pocket").train()`, which reads 28 pixels,
# and compare `state_dict()` before and after. Give the list of the names that changed.

# %%
answer = ...
check("02.3", answer)

# %% [markdown]
# **02.4** From the recorded runs (`comparable(load_runs(backbone="pocket", dial=0.0))`, both of
# `helpers.results`): how many points does full fine-tuning gain over the probe on `digits` with
# 200 examples, averaged over seeds that both have?

# %%
answer = ...
check("02.4", answer)
