# %% [markdown]
# # Freeze, tune, adapt or start over: which should you try first?
#
# **Try the cheapest first, and pay for more only when a measurement says that more buys something.**
# No network at all comes first: it costs a fraction of a second and is the mark to beat. Then a
# frozen pretrained network with a new head: seconds, and it can't spoil anything. Then, if the
# accuracy is worth it, one of the approaches that change the network.
#
# Which one wins depends on how many examples you have, how far your pictures lie from those the
# network grew up with, and what you can afford to run and store. Rules of thumb exist, and some of
# them fail. So this notebook begins with a race that your own machine runs, now.
#
# > **Provisional.** The recorded runs below are a first round that undersold fine-tuning: BatchNorm's
# > statistics ran on small batches, learning-rate grids were short, texts got a dozen updates, photos
# > 64 pixels. A second round is being measured; `python -m helpers audit` says how far it is. Until it
# > stands, learn the methods here and decide nothing by the accuracies.
#
# **Needs:** this clone.

# %%
import pandas as pd
from IPython.display import Markdown
from tqdm import tqdm

from helpers.approaches import APPROACHES
from helpers.display import explore, image_grid, looks, plot_race, text_figure
from helpers.experiments import RunConfig, run
from helpers.lessons import check, pick
from helpers.lessons.race import race_in_words, race_table, recorded_race, with_seconds
from helpers.lessons.tracks import live_tracks, plot_tracks, race_tracks
from helpers.results import coverage, load_runs, summarise
from helpers.tasks import load_task

# %% [markdown]
# ## Who takes part
#
# Six approaches, one recipe that joins two of them (probe, then fine-tune), and an anchor that uses
# no network at all. They differ in one thing: **what is allowed to move**. The table is read from
# the registry that every notebook loops over, so an approach that you add joins each race by itself.

# %%
lines = [f"| {entry.title} | {entry.summary} |" for entry in APPROACHES.values()]
Markdown("\n".join(["| approach | what it does |", "|---|---|", *lines]))

# %% [markdown]
# "Backbone" is the pretrained network without its classifier, "head" the new last layer that knows
# your classes, and a "probe" is the same as feature extraction: a linear head on frozen features.

# %% [markdown]
# ## The track
#
# Five kinds of product, 28 × 28 grey pixels each, a few hundred labelled examples: a size
# of problem that many teams have. The pretrained network is `pocket`, a small residual network
# that was trained on five *other* products (bags, coats, sandals, trousers, T-shirts) and has never
# seen any of these.

# %%
n_train = pick(full=500, fast=40)
task = load_task("products_near", n_train=n_train)
print(task)

# %% [markdown]
# The line above also says whether this machine holds the full data or the smaller sample that comes
# with the clone. Both work; with the sample the test is smaller, so the intervals are wider.
#
# Two pictures of each class follow. Which two classes would *you* mix up?

# %%
rows = [row for label in range(5) for row in (task.train.labels == label).nonzero()[0][:2]]
names = [task.classes[task.train.labels[row]] for row in rows]
image_grid(
    task.train.inputs[rows],
    names,
    title="Five products that pocket never saw: two examples of each",
    columns=10,
)

# %% [markdown]
# ## The race
#
# **Predict first.** Which approach will be most accurate on the test pictures? Put its name in the
# next cell (any name from the list it prints). Common advice for a small data set that is close to
# the pretraining data says: `feature_extraction`.

# %%
bet = "feature_extraction"
print(", ".join(APPROACHES))

# %% [markdown]
# One line of code is one whole run: load the network, train, pick the best epoch on validation,
# read the test pictures once, and measure every cost. All entrants get the same examples and the
# same seed; each uses its own default learning rate. Watch how long the progress bar
# stays on each: that is the other half of the result.

# %%
entrants = tqdm(APPROACHES)
n_test = pick(full=None, fast=200)
rows = [
    run(RunConfig("products_near", "pocket", name, n_train), n_test=n_test) for name in entrants
]
race = race_table(rows)

# %% [markdown]
# Up is more accurate, left is faster; note that each step along the bottom axis is ten times the
# one before. Guessing would be right once in five. A bar is a 95 % confidence interval for the
# accuracy, from the number of test pictures. Look first at what is highest, then at **how far left
# you can go before you drop out of the winner's bar**.

# %%
style = looks(APPROACHES)
winner = style[race.approach[0]].label
plot_race(race, "seconds", title=f"{n_train} examples, pocket: {winner} comes first")

# %% [markdown]
# Where two bars overlap, one race can't tell the two apart. (And a bar holds only the luck of the
# test pictures. Other training examples could reorder close entrants too; the recorded races below
# repeat everything with other seeds for that reason.) In words:

# %%
Markdown(race_in_words(race))

# %% [markdown]
# And your bet?

# %%
place = race.index[race.approach == bet][0]
behind = 100 * (race["mean"][0] - race["mean"][place])
label = style[bet].label
Markdown(
    f"You bet on *{label}*: place **{place + 1} of {len(race)}**, "
    f"**{behind:.1f} points** behind the first."
)

# %% [markdown]
# ## What the winner costs
#
# Accuracy is one column of the bill. `stored (MB)` is what you keep for *each further task* that
# shares the backbone; `latency` is one picture through the finished model. Look for two approaches
# with nearly the same accuracy and very different rows.

# %%
bill = pd.DataFrame(
    {
        "approach": [style[name].label for name in race.approach],
        "test accuracy": race["mean"].round(3),
        "training (s)": race.seconds.round(2),
        "trained parameters": race.trainable_params,
        "stored (MB)": race.stored_mb.round(3),
        "latency (ms)": race.latency_ms.round(2),
    }
)
bill.index += 1
bill

# %% [markdown]
# Set against the frozen network, which is the natural first try with a pretrained model:

# %%
best, frozen = race.iloc[0], race.set_index("approach").loc["feature_extraction"]
Markdown(
    f"Going from *feature extraction* to *{winner}* bought "
    f"**{100 * (best['mean'] - frozen['mean']):.1f} points** of accuracy for "
    f"**{best.seconds / frozen.seconds:.1f} times** the training time and "
    f"**{best.stored_mb / frozen.stored_mb:,.0f} times** the storage."
)

# %% [markdown]
# Whether that is a bargain is not for statistics to say. For one model that sorts parcels all day
# it may be. For two hundred shops with a model each, the last column but one decides.
#
# ### The finding that nobody puts on a slide
#
# Two entrants never touch the pretrained weights: logistic regression on raw pixels, and the same
# architecture trained from scratch. **Predict:** will either of them beat the frozen pretrained
# network?

# %%
outsiders = race[[not APPROACHES[name].uses_pretrained for name in race.approach]]
ahead = outsiders[outsiders["mean"] > frozen["mean"]]
scores = ", ".join(
    f"*{style[row.approach].label}* {row['mean']:.3f}" for _, row in outsiders.iterrows()
)
Markdown(
    f"**{len(ahead)} of {len(outsiders)}** did: {scores}, against {frozen['mean']:.3f} "
    "for the frozen network."
)

# %% [markdown]
# If the count is not zero, don't explain it away. These pictures are tiny, centred and grey, so raw
# pixels already say a lot; and a small network that studied five products has no reason to hold
# every feature that five others need. Transfer is not free accuracy: it pays when the network knows
# something that your examples alone can't teach. The anchor tells you, in less than a second.

# %% [markdown]
# ## Other tracks, and yours
#
# One race is one track. The registries know more tasks and more networks, and each pair that is
# small enough to wait for runs here: no network, frozen, and all of it tuned, on a hundred examples.
# Nothing below names a task or a network, so **a task or a network that you add
# is on the next picture when you run this again** (`CONTRIBUTING.md` shows each in 15 lines).
#
# **Predict first:** is the order of the three the same on every track?

# %%
three = ["classical", "feature_extraction", "full_fine_tuning"]
laps, missing = race_tracks(tqdm(live_tracks()), three, pick(full=100, fast=20), n_test=n_test)
print("\n".join([f"{laps.track.nunique()} tracks raced", *missing]))

# %% [markdown]
# Compare *within* a row, never between rows: tracks differ in how hard they are and in how
# many classes one guesses among (the grey stroke).

# %%
plot_tracks(laps, f"The same three entrants on {laps.track.nunique()} tracks")

# %% [markdown]
# Who came first, counted, so that you need not trust your eyes:

# %%
firsts = laps.loc[laps.groupby("track")["mean"].idxmax(), "approach"].value_counts()
Markdown(", ".join(f"*{style[name].label}* first on **{n}**" for name, n in firsts.items()) + ".")

# %% [markdown]
# ## The same race with a network that saw a million photos
#
# Now the other extreme: EfficientNet-Lite0, pretrained on ImageNet, on real photos of clothing in
# ten classes. That takes too long to run while you wait, so these runs were **recorded** with the
# very same `run`. The cell prints how many there are and what the bars mean.
#
# **Predict first.** From scratch held its own above, or it didn't. Where will it land here?

# %%
runs = load_runs(sweep="clothing", dial=0.0, settings="")
photos, bars = recorded_race(runs)
print(coverage(runs))
print(bars)

# %% [markdown]
# Read it like the first picture, and compare the *gaps*: between the frozen network and the best,
# and between the best and those who know nothing of ImageNet.

# %%
title = f"{photos.n_train.max()} photos of clothing, ImageNet backbone (recorded)"
plot_race(photos, "seconds", title=title, chance=0.1) if len(photos) else text_figure(
    "The races on clothing photos have not been recorded yet."
)

# %% [markdown]
# In words, and with the two outsiders again:

# %%
outside = photos[photos.approach.isin(outsiders.approach)]
scores = ", ".join(f"*{style[r.approach].label}* {r['mean']:.3f}" for _, r in outside.iterrows())
Markdown(f"{race_in_words(photos)} Without ImageNet: {scores or 'nothing recorded yet'}.")

# %% [markdown]
# Same approaches, same code; another network and other pictures. Hold the two orders side by side:
# whatever changed its place is why this collection exists. **"Which approach is best?" has no answer
# until you say for how many examples, how far from the pretraining data, and at what price.**
#
# ## Try it
#
# Every race below was run and recorded: a backbone and a task, four sizes of data, several seeds.
# Nothing is interpolated or made up; a combination that nobody has run says so.
#
# - Take `pocket on products_near` and move the slider from few examples to many. Who climbs most?
# - Now `pocket on textile`, a task far from pocket's pictures. Which approaches lift off at all?
# - Find a race where the frozen network is among the best, and one where it is last.

# %%
runs = load_runs(sweep=["pocket", "clothing"], dial=0.0, settings="")
curves = with_seconds(summarise(runs))
curves.loc[curves.runs < 3, ["low", "high"]] = None  # two seeds bound next to nothing
curves["race"] = curves.backbone + " on " + curves.task
races = sorted(curves.race.unique(), key=lambda name: "near" not in name) or ["none recorded"]
print(coverage(runs))

# %% [markdown]
# The axes stay put while you move the slider, so what moves is the result. A point has a bar where
# three seeds or more were recorded.


# %%
def draw(n_train, race):
    shown = curves[(curves.n_train == n_train) & (curves.race == race)]
    if shown.empty:
        sizes = sorted(curves.n_train[curves.race == race].unique())
        return f"{race}: no run with {n_train:,} examples. Recorded: {sizes} examples."
    made = plot_race(shown, "seconds", title=f"{race}, {n_train:,} examples")
    made.axes[0].set(xlim=(0.005, 3_000), ylim=(0.2, 1.0))
    return made


explore(
    draw,
    n_train=[50, 200, 1_000, 5_000],
    race=races,
    labels={"n_train": "training examples", "race": "backbone and task"},
)

# %% [markdown]
# ## How to read this collection
#
# Each notebook is one question. It answers first, then shows the measurement, lets you predict,
# gives you a slider, and ends with exercises that check themselves. Go in order, or start at the
# question that is yours:
#
# | your question | notebook |
# |---|---|
# | What is in such a network, and which part can I reuse? | [01](01_inside_a_pretrained_network.ipynb) |
# | How far do I get if I freeze all of it? | [02](02_feature_extraction.ipynb) |
# | What do I gain, and risk, when I let it move? | [03](03_fine_tuning.ipynb) |
# | Can a few thousand new numbers do the work of millions? | [04](04_adapters_and_lora.ipynb) |
# | What would it cost to start over? | [05](05_from_scratch.ipynb) |
#
# Three habits run through all of them. Test pictures are read once, after every choice is made. A
# claim comes with an interval, and where intervals overlap the text says "too close to call". And
# numbers in the text are written by code from runs, so when you run a notebook they become *yours*.
#
# ## What to remember
#
# - Start with the anchor (no network) and the frozen network. Together they take seconds and tell
#   whether pretrained features carry any weight on your task.
# - An accuracy without its interval and its price is half a result. Compare approaches as points in
#   a plane, not as a list.
# - Among approaches that are too close to call, take the cheapest, in the currency that is short in
#   your case: training time, storage for each task, or latency.
# - The order changes with data size, distance and backbone. Measure it near your own situation.
#
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
# **00.2** In the recorded races of `pocket on products_near` with 200 examples: how many times as
# long as feature extraction did full fine-tuning take? (`curves` has a row for each; use `seconds`.)

# %%
answer = ...
check("00.2", answer)

# %% [markdown]
# **00.3** A colleague always chooses feature extraction. `regret(curves)` adds a column
# `regret`: what each approach gives up against the best one in the same situation. How many
# percentage points does your colleague give up, on average over the races of `pocket` with 200
# examples?

# %%
answer = ...
check("00.3", answer)
