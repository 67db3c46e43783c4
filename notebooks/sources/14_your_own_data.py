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
# # Which approach should I take for my own data?
#
# Point the advisor at a folder of class folders, with pictures or texts in them, or at a table. It
# looks for what is wrong with the data, tries frozen features on them, and names an approach, what it
# would reach and cost here, and how sure that is. Where that is not sure enough it can measure. In a
# terminal: `python -m helpers advise PATH --measure --minutes 10 --html page.html`.
#
# **Needs:** this clone alone, for the example; your own data, if you have some.

# %%
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
from IPython.display import Markdown, display

from helpers.advisor import Request, advise, export_model, in_words, load_model
from helpers.display import Chooser, explore
from helpers.lessons import advisor_scores, check, example_data, pick
from helpers.paths import cache_dir
from helpers.vocabulary import wrapped

# %% [markdown]
# Can it be trusted? It was scored on recorded situations, with their data set held out from its
# records:

# %%
Markdown(advisor_scores.verdict_box())

# %% [markdown]
# ## 1. Some data, with faults planted in it
#
# The example is a folder as many teams have it: `train/`, `validation/` and `test/` with a folder for
# each class. Planted were a training photo that is also in the test split, a blank picture, and photos
# in the wrong class's folder.

# %%
planted = example_data.example_folder(cache_dir() / "example_data", n_train=pick(full=200, fast=60))
own_path = Path(os.path.relpath(planted.folder))  # put your own path here
print(f"{planted.copy[0]} is a copy of {planted.copy[1]}, {planted.blank} is blank")
for file, name in planted.mislabelled.items():
    print(f"{file} shows a product of the class {name}")

# %% [markdown]
# ## 2. Does it find them?
#
# **Predict first:** which fault will be hardest to find?
#
# One call does everything that trains no network. `exclude` keeps what was recorded on these photos out
# of the answer. For your own data leave out `backbone`, `image_size` and `exclude`.

# %%
request = Request(own_path, backbone="pocket", image_size=28, exclude=("products_near",))
advice = advise(request)
told = advice.as_dict()
found = pd.DataFrame(told["checks"]).query("severity != 'passed'")
Markdown(
    "\n".join(f"- **{one.check}** ({one.severity}): {one.found}" for one in found.itertuples())
)

# %% [markdown]
# Each check also has `examples`, the files, and `mend`, what to do. The probe can only doubt labels of
# classes that it can tell apart.

# %%
Markdown(planted.found(told["checks"]))

# %% [markdown]
# ## 3. The probe, and the answer
#
# Size and distance are measured, costs are timed, and what is kept (MB) is in the table. An accuracy that
# was not measured is the probe's, moved by what the approach gained in recorded tasks; its interval says
# how much tasks differ. The answer is the more accurate of what gave up least in recorded tasks and what
# was measured here, or one within half a point that is cheaper by a third in seconds.

# %%
print(in_words(advice))

# %% [markdown]
# *Out of fold*: by models that did not train on it. *AUC*: how well test is told from training, 0.5 by
# chance. "What to do next" names the most telling race.
#
# ## 4. Measure, where it matters
#
# A race judges what is cheap on every example. The others follow at two rates each, the most promising
# first. Then leader and next best meet on more held-out examples until the time is up. A stopped
# race can go on. The test split is read once, at the end. **Predict first:** will the answer stand?

# %%
raced = advise(replace(request, measure=True, minutes=pick(full=1.5, fast=0.3)))
measured = pd.DataFrame(raced.as_dict()["measured"])
columns = ["approach", "accuracy", "low", "high", "judged", "expected_below_best", "p_value"]
measured[[*columns, "seconds"]].round(3)

# %% [markdown]
# `p_value` is McNemar's, from the shared examples on which only one of the two is right. A large one
# can't tell them apart. The race takes the most accurate on these examples, or a
# clearly cheaper one within half a point of it. The probe's number differs from section 3's, whose
# folds train on more examples.

# %%
headline = raced.as_dict()["headline"][:3]
turned = advisor_scores.after_the_race(told, raced.as_dict())
Markdown("\n".join(f"- {sentence}" for sentence in (turned, *headline)))

# %% [markdown]
# Either answer can be unlucky: the first knows other data, the race a few hundred of your examples. How
# often races reversed an answer stands in the box at the top. If p is large and you can spare half a point, take
# the cheaper of the two (exercise 14.3).
#
# ## 5. The model, its card, and another runtime
#
# `--export` writes the trained model with a loader, a card and, where `onnx` is installed, an ONNX file
# for runtimes without Python. Does either answer as the model did?

# %%
folder = cache_dir() / "example_model"
print(wrapped(export_model(raced, folder).replace(str(folder), folder.name)))
model = load_model(folder)
print(f"the test, worked out again: {model.test_accuracy():.4f}")
Markdown(example_data.onnx_in_words(model, sorted(own_path.glob("test/*/*.png"))))

# %% [markdown]
# The card says what the model is for, what it reached, and its limits:

# %%
print(wrapped((folder / "README.md").read_text(encoding="utf-8")))

# %% [markdown]
# It names the licence of the weights; add the one of your data, and an owner. **Privacy:** a model can
# repeat what it was trained on, and the folder lists its test examples: paths of pictures, or the texts
# themselves. Keep it where the data may be, and delete it with them.
#
# ## 6. Beside choices that ask nothing
#
# Mean points given up against the best recorded approach. **Predict first:** where is a constant as
# good?

# %%
advisor_scores.beside_constants()

# %% [markdown]
# Worked out from the same scores:

# %%
Markdown(advisor_scores.bought_in_words())

# %% [markdown]
# ## Try it
#
# Drawn are approaches judged on the leader's examples. **From which size on do no bars overlap?**


# %%
def draw_test_size(n):
    return advisor_scores.plot_test_size(measured, n)


sizes = [50, 100, 200, 500, 1000, 2000, 5000, 10000]
explore(draw_test_size, n=sizes, labels={"n": "test examples"}, start={"n": 200})

# %% [markdown]
# Now your own: choose a folder or a table, and press the button.

# %%
chooser = Chooser(Path.home(), lambda path: in_words(advise(Request(path))))
display(Markdown("Run this cell in JupyterLab to choose a folder or table."), chooser.box)

# %% [markdown]
# ## What to remember
#
# - Mend the data first: no approach mends a test photo that was trained on.
# - Expected is not measured; the advisor says for every number which it is.
# - Where the data can't tell two approaches apart, look at the price before you choose.
#
# In numbers, from the scores:

# %%
Markdown(advisor_scores.findings())

# %% [markdown]
# ## Exercises
#
# **14.1 Repair, and run again.** `example_data.example_folder(cache_dir() / "to_mend", seed=1).folder`
# has the same kinds of fault, elsewhere. Run the advisor on it, mend on disk what it finds, run it again
# and hand in what `advise` returns.

# %%
answer = ...
check("14.1", answer)

# %% [markdown]
# **14.2 Count the misses.** `advisor_scores.looked()` has the points given up in each held-out situation, a
# column for each way to choose. In how many did *the first answer* give up more than
# `advisor_scores.WITHIN` points?

# %%
answer = ...
check("14.2", answer)

# %% [markdown]
# **14.3 Defend the choice.** Write `defended(measured)`: of a race's table, the name of the cheapest
# approach (`seconds`) whose `p_value` is `0.05` or more and whose `expected_below_best` (on shared
# examples) is at most `0.005`, half a point.

# %%
answer = ...
check("14.3", answer)
