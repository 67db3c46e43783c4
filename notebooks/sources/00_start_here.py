# %% [markdown]
# # Freeze, tune, adapt or start over: which should you try first?
#
# **Try the cheapest first, and pay for more only when a measurement says that more buys something.**
# Start without a network: that takes a second and is the mark to beat. Then train a new head on a frozen
# pretrained network, then let part of the network move, and look at what each step gains.
#
# Which approach wins depends on how many examples you have, how far they lie from what the network was
# trained on, and what you can afford to run and store. So begin with a race on real photos, on your own
# machine.
#
# **Needs:** this clone and EfficientNet-Lite0 (fetched by `make lab`).

# %%
from IPython.display import Markdown

from helpers.display import explore, image_grid, log_axis, looks, plot_approaches, plot_race
from helpers.lessons import check, photos, pick
from helpers.lessons.claims import verdict_box
from helpers.lessons.race import with_seconds
from helpers.results import comparable, coverage, load_runs, summarise
from helpers.tasks import load_task
from helpers.vocabulary import label_of

# %% [markdown]
# The verdicts below come from recorded runs on many data sets; notebook 15 has all 28. Brackets are 95 %
# intervals over data sets, a hundredth of accuracy is one point. **Holds** and **fails**: the interval lies
# on one side of the claim's margin; **undecided**: it spans it. *Where that is highest* names the
# situation with the largest value, without a bracket; below zero, none has a gain.

# %%
Markdown(verdict_box(22, 26, 25, 28))

# %% [markdown]
# ## A way through
#
# Each notebook builds on those before it. You need not read them all:
#
# | if you want to … | read | minutes |
# |---|---|---|
# | decide today, without code | this one to "What the winner costs", then [10](10_decision_rule.ipynb) | {minutes 00 10} |
# | use a pretrained network well | this one, then [01](01_inside_a_pretrained_network.ipynb) to [04](04_adapters_and_lora.ipynb) | {minutes 00 01 02 03 04} |
# | know the price of each approach | [05](05_from_scratch.ipynb), [08](08_compute_and_latency.ipynb), [09](09_maintenance.ipynb) | {minutes 05 08 09} |
# | know when rules of thumb fail | [06](06_dataset_size.ipynb), [07](07_domain_distance.ipynb), [10](10_decision_rule.ipynb), [11](11_when_it_flips.ipynb) | {minutes 06 07 10 11} |
# | follow one case from start to end | [12](12_worked_comparison.ipynb) for photos, [13](13_language_models.ipynb) for texts | {minutes 12 13} |
# | apply it to your own data | [14](14_your_own_data.ipynb), and the checklist in [15](15_questions_and_checklist.ipynb) | {minutes 14 15} |
#
# Minutes are for reading and running. On a first reading, skip the exercises and what stands below "Try
# it". With only ten minutes, run this notebook to the end of the race.
#
# ## Who takes part
#
# A pretrained network is a stack of stages, the **backbone**, with a classifier on top, which a new
# **head** for your classes replaces. The approaches differ in what may move. A head trained on frozen
# features is also called a **probe**.

# %%
plot_approaches()

# %% [markdown]
# ## The photos
#
# Ten kinds of clothing, photographed by volunteers; we train on 200 photos. The network,
# EfficientNet-Lite0, was trained on a million photos of ImageNet. The first line printed says which photos
# are here.

# %%
n_train = pick(full=200, fast=60)
task = load_task("clothing", n_train=n_train, image_size=128)
print(task)
first = [(task.train.labels == label).nonzero()[0][0] for label in range(10)]
image_grid(task.train.inputs[first], task.classes, title="One photo of each class", columns=10)

# %% [markdown]
# ## The race
#
# Four entrants run live:
#
# - *no network*: logistic regression on the pixels, shrunk to 28 × 28;
# - *random weights*: the same network before any training, frozen, with a probe;
# - *feature extraction*: the pretrained network, frozen, with the same probe;
# - *partial fine-tuning*: the top third of its stages trains too.
#
# Whatever the second reaches has nothing to do with ImageNet. Each entrant runs three times with other
# random seeds, which draw other training photos.
#
# **Predict first.** Which is most accurate, and by how many points? Write the name of your favourite.

# %%
bet = "feature_extraction"
{name: look.label for name, look in looks(photos.entrants()).items()}

# %% [markdown]
# The first race takes a minute or so; what the frozen stages return for each photo is then kept on disk.

# %%
rows = photos.live_race(n_train=n_train, **pick(full={}, fast={"seeds": (0, 1), "epochs": 1}))
table = photos.standings(rows)

# %% [markdown]
# Up is more accurate, left is cheaper. A bar is a 95 % interval for the mean over seeds. *Guessing* names
# the largest class of the test photos each time.

# %%
style = looks(table.approach)
winner, second = table.approach[:2]
clear = photos.lead(rows, winner, second)[1] > 0
told = "clearly ahead" if clear else "highest mean, not clearly ahead"
plot_race(
    table,
    "seconds",
    title=f"{n_train} photos of clothing: {style[winner].label}, {told}",
    xlabel="features and training (processor seconds, log scale)",
    chance=photos.guessing(task.test.labels),
)

# %% [markdown]
# In words, and where your bet came in. Differences are taken seed by seed, because entrants of one seed
# share their training photos; that finds gains that overlapping bars would hide.

# %%
frozen, partial = "feature_extraction", "partial_fine_tuning"
pairs = [(frozen, "classical"), (frozen, photos.RANDOM), (partial, frozen)]
place = table.index[table.approach == bet][0] + 1
Markdown(
    f"Your bet, *{style[bet].label}*, came in at place **{place} of {len(table)}**.\n\n"
    + "\n".join(f"- {photos.lead_in_words(rows, *pair)}" for pair in pairs)
)

# %% [markdown]
# The first line is what the network is worth in all. The second is what its *pretraining* is worth, since
# architecture and probe are the same. The third is what freezing leaves on the table, which you don't see
# unless you measure the alternative.
#
# ### What the pixels are worth alone
#
# *No network* costs a second. On easy, centred pictures it comes close to a pretrained network ("Try it"
# below, `pocket on products near`), and then transfer buys little. So run it first.
#
# Tuning *every* weight is missing, because on two cores it takes too long to wait for. Recorded runs
# trained longer than yours; compare what moving the top gained there:

# %%
Markdown(photos.recorded_beside(200, partial, "full_fine_tuning"))

# %% [markdown]
# ## What the winner costs
#
# Look for two entrants that lie close together in accuracy and far apart in seconds.

# %%
bill = table.assign(approach=[style[name].label for name in table.approach])
bill.columns = ["approach", "accuracy", "low", "high", "seeds", "processor seconds"]
bill.round({"accuracy": 3, "low": 3, "high": 3, "processor seconds": 1})

# %% [markdown]
# Storage is the other half of the bill: a head takes a few kilobytes for each task, a tuned network all
# its megabytes again. For one model that hardly matters; for two hundred shops with a model each it
# decides ([09](09_maintenance.ipynb)).
#
# **Your own track.** `photos.live_race("your_task", "your_network", n_train=100)` runs the same race
# on whatever you register, and an approach of yours joins the race above
# ([how](../CONTRIBUTING.md#a-task-a-backbone-an-approach)).
#
# ## Try it
#
# These races were recorded, by the recipe above. `pocket` is a small network of our own, whose
# pretraining data we know exactly.
#
# - Take `pocket on digits` and move the slider from 200 examples to 1,000. Who climbs most, and how high?
# - Now `pocket on textile`, simulated fabric, far from pocket's pictures. Which one does not rise at all?
# - Find a race where the frozen network is behind no network, and one where it is far ahead.

# %%
runs = comparable(load_runs(modality="image", dial=0.0))
runs = runs[runs.seed < 3]  # close races have more seeds; these are the draws that all raced on
curves = with_seconds(summarise(runs))
curves.loc[curves.runs < 3, ["low", "high"]] = None  # two seeds bound next to nothing
names = curves.backbone.map(label_of) + " on " + curves.task.map(label_of)
curves["race"] = names + ", " + curves.image_size.astype(str) + " px"
races = sorted(curves.race.unique(), key=lambda name: "near" not in name) or ["none recorded"]
print(coverage(runs))

# %% [markdown]
# A point has a bar where three seeds were recorded.


# %%
def draw(n_train, race):
    every = curves[curves.race == race]  # limits hold still while the slider moves
    shown = every[every.n_train == n_train]
    if shown.empty:
        sizes = ", ".join(f"{n:,}" for n in sorted(every.n_train.unique()))
        return f"{race}: no run with {n_train:,} examples. Recorded: {sizes} examples."
    made = plot_race(shown, "seconds", title=f"{race}, {n_train:,} examples")
    bottom, top = every[["mean", "low"]].min().min(), every[["mean", "high"]].max().max()
    made.axes[0].set(xlim=(every.seconds.min() / 2, every.seconds.max() * 2),
                     ylim=(bottom - 0.03, top + 0.03), xlabel="processor seconds (log scale)")  # fmt: skip
    log_axis(made.axes[0])
    return made


sizes = sorted(int(n) for n in curves.n_train.unique())
words = {"n_train": "training examples", "race": "network and task"}
explore(draw, n_train=sizes, race=races, labels=words, start={"n_train": 200})

# %% [markdown]
# ## What to remember
#
# Three habits of the collection: test pictures are read once, after every choice; a claim comes with an
# interval; numbers in the text are written by code, so when you run a notebook they are *yours*. From
# this one:

# %%
Markdown(
    f"- {photos.lead_in_words(rows, frozen, photos.RANDOM)} That is what pretraining is worth here.\n"
    f"- {photos.beside_records(photos.lead(rows, partial, frozen))} Live it took "
    f"{table.set_index('approach').seconds[partial] / table.set_index('approach').seconds[frozen]:.1f}"
    " times the processor time.\n"
    "- Run no network and the frozen network first. Pay for more when it gains more than it costs.\n"
    "- Among approaches too close to call, take the one that is cheapest in what you are short of:\n"
    "  training time, storage for each task, or latency."
)

# %% [markdown]
# ## Exercises
#
# Replace `...`, run the cell, and it tells you whether you are right. Worked answers lie in
# `solutions/00_start_here.py`.
#
# **00.1** A classifier is right on about `0.85` of the pictures. How many test pictures does it take
# until a 95 % interval reaches no more than `0.01` to either side? Use the textbook half width,
# $1.96\sqrt{p(1-p)/n}$.

# %%
answer = ...
check("00.1", answer)

# %% [markdown]
# **00.2** In the race `"pocket on products near, 28 px"` with 200 examples: how many times as
# long as feature extraction did full fine-tuning take? (`curves` has both rows; use `seconds`.)

# %%
answer = ...
check("00.2", answer)

# %% [markdown]
# **00.3** A colleague always chooses feature extraction. `helpers.results.regret(curves)` adds a column
# `regret`: what each approach gives up against the best one in the same situation. How many percentage
# points does your colleague give up, on average over the races of `pocket` with 200 examples?

# %%
answer = ...
check("00.3", answer)
