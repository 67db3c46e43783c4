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
# # Can a rule choose for me, and what does it cost when it is wrong?
#
# A rule can choose before anything is trained, and be scored like any other prediction. Where all
# approaches were tried, its **regret** is what its choice gives up against the best, in points of
# accuracy. Here one constant for each kind of data was enough: LoRA for pictures, full fine-tuning for
# texts. Size and distance changed nothing that shows, and full fine-tuning everywhere does as well.
#
# **Needs:** this clone.

# %%
import pandas as pd
from IPython.display import Markdown

from helpers.decision import Situation, decide
from helpers.display import explore
from helpers.display.explorer import explorer
from helpers.lessons import check, rule_thresholds, rule_trial
from helpers.lessons.exercises import scenarios
from helpers.results import both_answers
from helpers.vocabulary import phrase_of

pd.set_option("display.max_colwidth", None)  # tables in full

# %% [markdown]
# Two bodies of evidence, never pooled, judge the rules: runs recorded here, and tables that others
# published.

# %%
Markdown(rule_trial.verdict_box())

# %% [markdown]
# ## A rule is a function
#
# Four rules of an article on transfer learning, in order:
#
# - **R1:** a small data set and a close domain: freeze.
# - **R2:** a large language model: LoRA.
# - **R3:** a moderate data set and a distant domain: tune the upper layers.
# - **R4:** a large data set, a very distant domain and accuracy above all: tune everything.
#
# `decide` takes what is known beforehand and returns an approach with its reasons. **Predict first:** 800
# product photos from a distant domain. What will it say?

# %%
told = decide(Situation(examples=800, distance="distant"))
print(phrase_of(told.approach), told.rule, sep=" · ")
Markdown("\n".join(f"- {reason}" for reason in told.reasons))

# %% [markdown]
# "Fallback": no rule covers the situation, so the answer is ours. Size and distance change it:

# %%
sizes = {"small (500)": 500, "moderate (20,000)": 20_000, "large (500,000)": 500_000}
words = ("close", "distant", "very distant")
boxes = {size: {w: decide(Situation(n, w)) for w in words} for size, n in sizes.items()}
pd.DataFrame(boxes).map(lambda made: f"{made.rule}: {made.approach.replace('_', ' ')}")

# %% [markdown]
# ## Each rule by itself
#
# Each rule is scored where it matches literally. Where none does, two fallbacks stand in: the cheapest
# credible approach, which `decide` takes, and LoRA or an adapter. "Constant" is the regret of one approach
# for each kind of data, learned on the other data sets.
#
# **Predict first:** which of the four rules is worse than that constant?

# %%
rule_trial.rule_by_rule()

# %% [markdown]
# Where cells are empty nobody tried what the rule names. Where the constant's first choice was not tried,
# it takes the next best.
#
# ## The rivals
#
# Every rule answers for data sets that it has not seen. The advisor's default is the constant, or a
# cheaper approach expected to do as well. On published cases it knows only what was measured here, the
# other learners only other published data sets. "Thresholds refitted" takes them from the other data
# sets; "the 2×2 rule" looks at size and distance alone. Lines are 95 % intervals over data sets; a mark
# is hollow where fewer than half of the cases tried what the rule names.
#
# **Predict first:** will what was learned here hold on published cases?

# %%
rule_trial.plot_trial()

# %% [markdown]
# Published networks are larger, and sources rarely tried every approach. If your network and recipe are
# like theirs, take what published tables would choose:

# %%
names = {"own": "measured here", "published": "published"}
chosen = {title: rule_trial.constants(where).map(phrase_of) for where, title in names.items()}
pd.DataFrame(chosen).fillna("")

# %% [markdown]
# ## Are the thresholds in the right place?
#
# The rule turns at 5,000 examples, at a distance of one third, and at 100,000 examples. **Predict
# first:** does the lowest curve change at the dashed line?

# %%
explore(rule_thresholds.plot_threshold, threshold=list(rule_thresholds.THRESHOLDS))

# %% [markdown]
# Each data set counts once here. What each body of evidence would choose on either side, where the rule
# speaks:

# %%
rule_thresholds.at_the_thresholds()

# %% [markdown]
# How often is that what the rule says? Sides that hold the same situations count once.

# %%
Markdown(rule_thresholds.threshold_sentence())

# %% [markdown]
# ## Your own situation
#
# The nearest recorded curves say what was reached and whether the best is clear.

# %%
made = both_answers(Situation(examples=300, distance="distant"))
print(f"rule: {phrase_of(made['approach'])} ({made['rule']}); measured: {made['verdict']}")
Markdown("\n".join(f"- {reason}" for reason in made["reasons"]))

# %% [markdown]
# Move one slider at a time. Which changes the rule's answer, and which
# the records'? The button trains the chosen point here and now.

# %%
explorer()

# %% [markdown]
# At "rule only" nothing is recorded. At the other stops:

# %%
Markdown(rule_trial.explorer_sentence())

# %% [markdown]
# ## What to remember
#
# - Score a rule before you trust it, on data sets that it has not seen, beside a constant.
# - Score its parts apart, and what fills its gaps.
# - "Too close to call" is an answer: take the cheaper one and measure.

# %%
Markdown(f"- {rule_trial.own_sentence()}\n- {rule_trial.published_sentence()}")

# %% [markdown]
# ## Exercises
#
# **10.1** Write `regret(accuracies, pick)`: how many points of accuracy a pick gives up.
# `accuracies` is a dict such as `{"lora": 0.81, "adapter": 0.79}`.

# %%
answer = ...
check("10.1", answer)

# %% [markdown]
# **10.2** Write `choose(table, unseen)`: the approach that gives up least on all data sets but
# `unseen`. The table has the columns `data_set`, `approach` and `regret`, and several rows for a data
# set. Each data set counts once, however many rows it has.

# %%
answer = ...
check("10.2", answer)

# %% [markdown]
# **10.3** Write a rule of your own: a function of the number of examples and the distance that
# returns an approach's name. On the situations of `rule_trial.evidence()["own"]` it has to give up
# less than every constant does. Where what it names was not run, it gives up as much as the worst.

# %%
answer = ...
check("10.3", answer)

# %% [markdown]
# **10.4 Choose.** Five situations, told as they are brought to you. For each one name the approach
# that you would take: `classical`, `feature_extraction`, `partial_fine_tuning`, `full_fine_tuning`,
# `lora`, `adapter`, `from_scratch` or `lp_ft`. The check looks up what your choice would have cost in
# points of accuracy and in minutes.

# %%
Markdown(scenarios.tell())

# %% [markdown]
# Replace the dots one by one.

# %%
answer = {
    "fabric": ...,
    "scrambled": ...,
    "shops": ...,
    "letters": ...,
    "nightly": ...,
}
check("10.4", answer)
