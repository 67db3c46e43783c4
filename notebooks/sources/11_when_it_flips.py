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
# # When does the rule not apply?
#
# When something counts that its four axes do not see: a heap of pictures without labels, data that must
# not leave, or dozens of similar tasks. The first helps on some tasks and hurts on others, and can need
# far fewer pictures than the rule asks for. For the second, a small network that is tuned here was clearly
# ahead of a larger one that you may only ask as rarely as behind. The third is a question of storage.
#
# **Needs:** this clone; digits and EfficientNet-Lite0 (fetched by `make lab`).

# %%
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown

from helpers.backbones import load_backbone
from helpers.decision import TITLES, Situation, decide
from helpers.display import explore, image_grid
from helpers.lessons import check, crossings, flips, flips_live, pick, unlabelled_data
from helpers.lessons.claims import verdict_box
from helpers.lessons.hosted_model import hosted
from helpers.tasks import load_task

# %% [markdown]
# What the records say of the three:

# %%
Markdown(verdict_box(16, 17, 18))

# %% [markdown]
# ## 1. What the rule says, with and without
#
# One situation, and three that differ from it in one condition each.
#
# **Predict first:** which of the three changes the approach, and which only puts a step before it?

# %%
conditions = {
    "as it is": {},
    "10,000 unlabelled": {"unlabelled": 10_000},
    "local only": {"local_only": True},
    "20 similar tasks": {"tasks": 20},
}
said = {name: decide(Situation(200, "very distant", **more)) for name, more in conditions.items()}
rows = [(name, made.rule, made.first or "-", TITLES[made.approach]) for name, made in said.items()]
pd.DataFrame(rows, columns=["200 examples, very distant", "rule", "first", "then"])

# %% [markdown]
# ## 2. Flip one: many pictures without labels
#
# Suppose that only 50 digits are labelled. A **pretext task** makes its labels from the pictures
# themselves, so that pretraining can continue on your own data before you fine-tune. SimCLR (Chen et
# al. 2020, [arXiv 2002.05709](https://arxiv.org/abs/2002.05709)) shows the network two random views of
# each picture and asks which two belong together.

# %%
pocket = load_backbone("pocket")
unlabelled = load_task("digits", n_test=1).train.inputs  # no label is read
rng = np.random.default_rng(0)
shown = pocket.prepare(torch.tensor(unlabelled[:4]))
views = [shown, unlabelled_data.random_view(shown, rng), unlabelled_data.random_view(shown, rng)]
tiles = [(view[i, 0].numpy() - shown.min().item()) / 4 for view in views for i in range(4)]
titles = [name for name in ("picture", "one view", "another") for _ in range(4)]
image_grid([tile.clip(0, 1) for tile in tiles], titles, title="What must be matched", columns=4)

# %% [markdown]
# Matching views pays where your classes survive turning, moving, other brightness and dropped pixels,
# and hurts where these tell the classes apart. The loss is a cross-entropy without labels; the right answer for
# each view is its partner.


# %%
def match_loss(first, second, temperature):
    nn = torch.nn.functional
    views = nn.normalize(torch.cat([first, second]), dim=1)
    alike = views @ views.T / temperature
    alike.fill_diagonal_(-torch.inf)  # a view is not its own partner
    partners = torch.arange(len(views)).roll(len(first))
    return nn.cross_entropy(alike, partners)


first, second = torch.randn(2, 32, 64, generator=torch.Generator().manual_seed(0))
gap = float((match_loss(first, second, 0.2) - unlabelled_data.nt_xent(first, second, 0.2)).abs())
print(f"largest difference to the loss that trains below: {gap:.1e}")

# %% [markdown]
# `pocket` goes on learning from more and more of the pictures, as many steps each time. Then a probe
# learns from few labels, over several draws. As a control, BatchNorm statistics are renewed and nothing
# is learned.
#
# **Predict first:** how many unlabelled pictures does it take before the probe gains?

# %%
config = unlabelled_data.PretextConfig(steps=pick(60, 4), batch_size=pick(128, 32))
networks = flips_live.continued(pocket, unlabelled, [100, 500, len(unlabelled)], config)
scores = flips_live.probes(networks, "digits", pick([50, 200], [50]), draws=pick(6, 2))
flips_live.plot_unlabelled(scores)

# %% [markdown]
# In words, with the control:

# %%
Markdown(flips_live.surprise(scores))

# %% [markdown]
# What was gained before the rule says a word?


# %%
def draw_rule(labelled, unlabelled):
    return flips_live.rule_and_gain(scores, labelled, unlabelled)


explore(draw_rule, labelled=[50, 200], unlabelled=[100, 500, len(unlabelled)])

# %% [markdown]
# So a threshold in thousands is no reason to wait. But digits are the best case. Recorded with three
# draws, tuned rates and the whole test split: digits, textile, products at the far end of the dial (pixels
# shuffled) and tweets, where the pretext is to guess left-out words. Each marker compares with the same training
# without continued pretraining. Brown is what you would ship: validation picks between both.
#
# **Predict first:** in how many places does the whole bar lie right of zero?

# %%
title = f"What continued pretraining adds{flips.early('unlabelled')}"
flips.plot_gains(flips.continued_gains(), title)

# %% [markdown]
# How clear that is, and its price:

# %%
Markdown(flips.unlabelled_in_words())

# %% [markdown]
# Nothing here says how this scales: SimCLR proper takes batches of thousands, and a base that has seen a
# billion sentences has less to learn from a few thousand more.
#
# ## 3. Flip two: the data must not leave
#
# A hosted model is larger than what you could run, but you only get its embeddings: it is a frozen
# network behind a door. `hosted` is such a door, a small HTTP server on this machine. The network
# behind it isn't large, and reads 64 pixels, not 224.

# %%
one = load_task("digits", n_train=50, n_test=1).train.inputs[:1]
with hosted(load_backbone(flips_live.LARGER, size=64)) as client:
    width, spent = client.embed(one).shape[1], client.latency_ms(one, repeats=10)
    sent = client.bytes_sent // client.requests
print(f"{sent:,} bytes leave for a picture, {width:,} numbers return in {spent:.1f} ms")

# %% [markdown]
# On these vectors a head is all you can train. Your own small network you may probe, adapt with LoRA or
# tune in full. And between training and use the provider feeds its network larger pictures: same
# address, same width of vectors.
#
# **Predict first:** which of the three beats the hosted probe, and what does the change do to it?

# %%
duel = flips_live.duel("digits", 50, draws=pick(3, 2), sides=(64, 80), epochs=pick(100, 3))
change = flips_live.change_in_words(duel)
Markdown(f"{flips_live.duel_in_words(duel)}\n\nBetween training and use: {change}")

# %% [markdown]
# No error told of the change. So keep a few pictures with their embeddings, ask for them again every
# day, and compare (exercise 11.3). Recorded on four tasks, the larger network at its own 260 pixels:

# %%
title = f"Small and here, minus a probe on larger and hosted{flips.early('local')}"
flips.plot_gains(flips.local_gains(), title)

# %% [markdown]
# In words, with the time of an answer and what leaves:

# %%
Markdown(flips.local_in_words())

# %% [markdown]
# Where data must not leave, the constraint outranks all of this; the numbers tell its cost, or its
# gain. Before you let data leave, have it in writing: who may read what is sent, and how long is it
# kept? Does it train their next model? In which country does it lie? Which version answers, and how
# long before a change are you told? What happens to the price? And for a model at home: does the
# licence of its weights allow your use?
#
# ## 4. Flip three: many similar tasks
#
# One base and a library of small files are easier to keep than dozens of full copies, if they are as
# accurate. [09](09_maintenance.ipynb) has the storage. What do small files give up?
#
# **Predict first:** adapters or LoRA, which is clearly behind full copies more often?

# %%
runs, full = crossings.recorded(), "full_fine_tuning"
against = {name: crossings.duels(runs, name, full) for name in ("adapter", "lora")}
both = against["adapter"][["curve", "n_train"]]  # where adapters and LoRA were tried
behind = {name: sum(lost.merge(both)["ahead"] == full) for name, lost in against.items()}
Markdown(
    f"Of {len(both)} situations with both, clearly behind full copies: adapters in "
    f"**{behind['adapter']}**, LoRA in **{behind['lora']}**."
)

# %% [markdown]
# And the base has to stay in place as long as any of its tasks.
#
# ## What to remember
#
# - Test a flip on your own data, draw by draw.
# - Count continued pretraining into the bill, and compare it with fresh BatchNorm statistics alone.
# - "Local only" may cost little: tune the small network, and measure.
# - A hosted model may change. Keep pictures whose answers you know.
#
# In numbers, from the records:

# %%
Markdown(flips.findings())

# %% [markdown]
# **Not measured:** hosted models of the size that is sold today, real connections, and long
# pretraining.

# %% [markdown]
# ## Exercises
#
# **11.1** A network gives every view the same projection. What is the contrastive loss then, for a batch
# of 16 pictures?

# %%
answer = ...
check("11.1", answer)

# %% [markdown]
# **11.2** In the records (`flips.load("unlabelled")`): by how much does continued pretraining raise the
# mean test accuracy of the probe on digits with 50 labels? (`flips.paired`)

# %%
answer = ...
check("11.2", answer)

# %% [markdown]
# **11.3** Write `changed(before, today, least)`: both arrays (pictures, width) hold embeddings of the same
# pictures. Return the positions, as a list, of those whose cosine similarity has fallen below `least`.

# %%
answer = ...
check("11.3", answer)
