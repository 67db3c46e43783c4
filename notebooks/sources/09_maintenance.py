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
# Three bills come after the first training: disks for every version of every task, computing for every
# retraining, and people who check each release. People are nearly all of the sum. Small files around one
# shared base save disks, and how much depends on the network. A new base sends each of them back to
# training and to the people, unless the old base is kept for them. So ask first how often you will
# retrain, and how you would notice that you must.
#
# **Needs:** this clone, and the digits and fabric sets (fetched by `make lab`).

# %%
import torch
from IPython.display import Markdown

from helpers import paths
from helpers.approaches import freeze, get_approach
from helpers.backbones import clone, load_backbone
from helpers.display import explore
from helpers.lessons import check, drift, maintenance, pick
from helpers.lessons.adapter_library import Library, Server
from helpers.lessons.claims import verdict_box
from helpers.tasks import load_task

# %% [markdown]
# What the records say of storage:

# %%
Markdown(verdict_box(11))

# %% [markdown]
# The whole bill of a team with many tasks. Sizes and seconds are recorded, prices are yours to set.

# %%
costs = maintenance.recorded_costs()
lite = costs[costs["backbone"] == "efficientnet_lite0"]
plan, prices = maintenance.Plan(tasks=50, retrainings=4, upgrades=2), maintenance.Prices()
Markdown(maintenance.bill_in_words(lite, plan, prices))

# %% [markdown]
# ## 1. Three years on one page
#
# Each task is trained again whenever its data have drifted, and a person checks each version before its
# release. We assume that small files move to a new base at once, each trained again, and that full copies
# never move to it: they gain nothing from the better base.

# %%
maintenance.plot_years(plan, prices)

# %% [markdown]
# **Predict first:** how short would the check of a release have to be for disks and computing to
# matter?
#
# When do the files decide?


# %%
def draw_bill(wage, seconds, retrainings):
    mine = maintenance.Prices(wage=wage, minutes=seconds / 60)
    drifting = maintenance.Plan(plan.tasks, retrainings, upgrades=plan.upgrades)
    return maintenance.plot_costs(lite, drifting, mine)


explore(
    draw_bill,
    wage=[0, 15, 30, 60, 120],
    seconds=[0, 1, 2, 5, 15, 60, 300, 1_200, 3_600],
    retrainings=[0, 1, 2, 4, 12, 52],
    labels={"wage": "euros an hour", "seconds": "seconds a release",
            "retrainings": "drift: retrainings a year"},
    start={"wage": 60, "seconds": 1_200, "retrainings": 4},
)  # fmt: skip

# %% [markdown]
# Without people, files and seconds decide, but then the whole bill is small. A small file does not always
# mean a short training, since each step runs the whole network:

# %%
check_told = maintenance.check_in_words(lite, plan, prices)
Markdown(f"{check_told}\n\n{maintenance.seconds_in_words()}")

# %% [markdown]
# ## 2. A hundred times less storage?
#
# Small files keep storage and versions in hand across dozens of tasks, while a one-off project can live
# with a full copy. How much less do they store, with the base that they need?
#
# **Predict first:** does LoRA reach a hundred times on any of these networks?

# %%
maintenance.plot_times_less(costs)

# %% [markdown]
# The curves bend towards the ratio of the files and stay below it. All three kinds of small files:

# %%
Markdown(maintenance.files_in_words(costs))

# %% [markdown]
# So the saving depends on the network as well as the method. The wider the network, the more LoRA saves
# ([04](04_adapters_and_lora.ipynb) shows why, and varies the rank).
#
# ## 3. A library of tasks on one base
#
# A `Library` is a folder with a small file for each task. It says which task and classes it is for, how
# it was trained and scored, and holds a hash of its base and a digest of all its bytes. We train LoRA
# on three unlike tasks.

# %%
base, folder = load_backbone("pocket"), paths.cache_dir() / "notebook_09"
n_train, epochs = pick(full=200, fast=50), pick(full=None, fast=2)
tasks = {name: load_task(name, n_train=n_train, image_size=28, n_test=pick(500, 100))
         for name in ("digits", "products_near", "textile")}  # fmt: skip
print(*tasks.values(), sep="\n")


def fit(name, approach="lora", network=base):
    entry = get_approach(approach)
    config = entry.config("image", n_train, epochs=epochs)
    return entry.fit(clone(network), tasks[name], config)


# %% [markdown]
# Version control of models in one line a task:

# %%
for old in folder.glob("*.safetensors"):
    old.unlink()
library = Library(folder, base)
for name, task in tasks.items():
    tuned = fit(name)
    library.add(tuned, task, scores={"accuracy": tuned.accuracy(task.test)})
shown = ["task", "approach", "settings", "classes", "accuracy", "kB", "base"]
library.list()[shown].round(3).astype({"kB": int})

# %% [markdown]
# `library.use(name)` returns the live model with that task plugged in: only the small matrices beside
# the base's layers change. We swap through all tasks and back.
#
# **Predict first:** will a task answer exactly as before, or only nearly?


# %%
def accuracy(model, task):
    said = model(torch.tensor(task.test.inputs)).argmax(1).numpy()
    return float((said == task.test.labels).mean())


swaps = [accuracy(library.use(name), tasks[name]) - library.entry(name).scores["accuracy"]
         for name in [*tasks, *reversed(tasks)]]  # fmt: skip
same = sum(abs(gap) < 1e-6 for gap in swaps)
Markdown(f"The accuracy was the recorded one in **{same} of {len(swaps)}** swaps.")

# %% [markdown]
# What that costs a server:

# %%
Markdown(maintenance.served_in_words())

# %% [markdown]
# Matrices fit any base of their shape, the wrong ones too. So the library checks what people would
# forget. We try a base with one weight moved by a millionth, a file with one bit flipped, and a name
# that isn't there.


# %%
def refusal(shelf, network, name):
    try:
        Library(shelf, network).use(name)
    except ValueError as error:
        return f"- {error}".replace(str(shelf), "tasks")


moved, bad = clone(base), folder / "bad"
next(moved.parameters()).data.view(-1)[0] += 1e-6
bad.mkdir(exist_ok=True)
data = bytearray((folder / "digits.safetensors").read_bytes())
data[len(data) // 2] ^= 1
(bad / "digits.safetensors").write_bytes(data)
asked = [(folder, moved, "digits"), (bad, base, "digits"), (folder, base, "digit")]
Markdown("\n".join(refusal(*one) for one in asked))

# %% [markdown]
# The digest finds damage. It is no protection against forgery.
#
# ## 4. When the base changes
#
# We make a new base as a provider would, by training the old one further. Its name and shapes are the
# same. The library refuses all files, and we force them onto it.
#
# **Predict first:** what is a LoRA file of the old base worth on the new one?

# %%
newer = freeze(fit("products_near", "full_fine_tuning").model.backbone)
forced = Server(newer)
for name in tasks:
    forced.plug_in(name, library.load(name))
lost = {name: accuracy(library.use(name), task) - accuracy(forced.use(name), task)
        for name, task in tasks.items()}  # fmt: skip
again = fit("digits", network=newer).accuracy(tasks["digits"].test)
refused = (Library(folder, newer).list()["problem"] != "").sum()
Markdown(f"The library refused **{refused} of {len(tasks)}**. Forced, they lost "
         + ", ".join(f"{100 * gap:.1f} points ({name})" for name, gap in lost.items())
         + f". Trained again, the digits reach {again:.3f}.")  # fmt: skip

# %% [markdown]
# A file that loses a few points goes on answering, and nobody notices. So each upgrade costs a training
# and a check of *every* task. Keep a base as long as its files, and upgrade when the gain is worth
# that.
#
# ## 5. When the world changes
#
# Who says that a task must be retrained? Here a camera's lens gathers dust: week by week a thicker
# white veil lies over the pictures. A probe on the frozen base answers. The trigger needs no labels: it
# fires when the probe is less sure of a week's pictures than of held-out examples, by more than chance
# explains. Then that week is labelled and the probe retrained.
#
# **Predict first:** will the trigger fire before or after accuracy has fallen, and will a calendar do
# as well?

# %%
weeks = drift.watched(photos=pick(60, 30))
drift.plot_drift(weeks)

# %% [markdown]
# The lower panel is all that the trigger sees. What each policy reached, and the labels it took:

# %%
Markdown(drift.drift_in_words(weeks))

# %% [markdown]
# This is one run of one kind of drift, with few pictures a week. Where a network stays sure of wrong
# answers, or the trigger was set anew on pictures that it is unsure of, it is blind. So label a few
# pictures every month all the same. Keep the old version, to roll back.
#
# ## What to remember
#
# - Count people first: their checks cost more than any format of file saves. A trigger without labels
#   doesn't replace a few labels every month.
# - Small files are bound to their base. Store its hash with them, and let the machine refuse another.
# - Compare the sizes of two files before you promise a factor.
#
# In numbers, at the prices above:

# %%
Markdown(maintenance.findings())

# %% [markdown]
# **Not measured here:** how long people really take, and tuning a learning rate again for a new base.
#
# ## Exercises
#
# **09.1** A base of 400 MB, a LoRA file of 2 MB, a full copy of 400 MB. From how many tasks on is the
# shelf with LoRA at least a hundred times smaller (one version of each task)?

# %%
answer = ...
check("09.1", answer)

# %% [markdown]
# **09.2** One low week may be luck. Write `retrain_after(confidence, limit)`: given the mean confidence
# of each week, return the first week (the first of all is 0) that is the second *in a row* below the
# limit, and `None` where there is none.

# %%
answer = ...
check("09.2", answer)

# %% [markdown]
# **09.3** After an upgrade, what is to be done? Write `to_train(library)`: it takes a `Library` on the
# new base and returns the sorted names of all tasks that must be trained again.

# %%
answer = ...
check("09.3", answer)
