# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # A language model: is LoRA always the answer?
#
# No, though the rule says so. To name classes, count words, ask in a prompt or fit a probe first: of
# SmolLM2 nothing dearer is recorded yet. To write in another manner, LoRA learned not clearly less than
# all weights moved, with less memory. To learn something new from much text, others found it behind. The
# records are of SmolLM2, 135 million weights; what others measured has 3 to 175 billion.
#
# **Needs:** SmolLM2 and the text sets (fetched by `make lab`). Where they are out of reach the records
# stand alone.

# %%
import torch
from IPython.display import Markdown

from helpers.display import explore
from helpers.lessons import check, claims, pick
from helpers.lessons.language_models import (
    break_even,
    causal_lm,
    counting,
    decoder,
    forgetting,
    plots,
    published_scale,
    smollm2_records,
    tuning,
)

# %% [markdown]
# What the article says of language models, as the records judge it:

# %%
Markdown(claims.verdict_box(7, 11, 13, 24))

# %% [markdown]
# ## 1. Live: SmolLM2 reads tweets
#
# SmolLM2 was trained on two trillion tokens and then taught to follow instructions. Every number of it
# here comes from **the 4-bit weights of a published file, multiplied out again, not from the
# originals.**

# %%
lm, tweets, said = tuning.reachable()
Markdown(said)

# %% [markdown]
# **Write a question of your own and run from here.**

# %%
question = "What do you think about the election?"
before = tuning.answer(lm, question, tokens=40, seed=1)
print(before)

# %% [markdown]
# Now we show it tweets by two candidates of 2016. This is all of LoRA training on a language model:
# `plug` freezes every weight and adds two small matrices to every linear layer
# ([04](04_adapters_and_lora.ipynb) writes them out), and the loss asks for the next token. The learning
# rate was not tuned: this only shows how it is done.
#
# **Predict first:** after so few updates, will the model have learned words, or a manner?

# %%
steps, losses, adapted = pick(full=30, fast=2), [], causal_lm.copied(lm)
trained = decoder.plug(adapted.model, "lora", rank=8)
moving = [p for p in trained.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(moving, lr=2e-3)
if tweets:
    read = causal_lm.read(lm, tweets.train.inputs, 2 * lm.context * (steps + 1))
    rows, _ = causal_lm.rows_of(read, lm.context)
    for batch in rows[: 2 * steps].split(2):
        loss = trained(input_ids=batch, labels=batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
print(f"{len(losses)} updates moved {sum(p.numel() for p in moving):,} weights")

# %% [markdown]
# The same question and random seed, after training:

# %%
after = tuning.answer(adapted, question, tokens=40, seed=1)
print(f"after {len(losses)} updates:\n{after}")

# %% [markdown]
# One answer proves nothing. **Bits per byte** measure how well the model foresees a text: 8 are no
# foresight, 0 perfect foresight.

# %%
said = "Not computed, for want of the tweets."
if tweets:
    held = causal_lm.read(lm, tweets.validation.inputs, pick(full=1_000, fast=100))
    bits = [causal_lm.perplexity(one, held).bits_per_byte for one in (lm, adapted)]
    few = "" if len(losses) > 10 else " So few updates are a trial run of the cells, and no result."
    said = f"Bits per byte on unread tweets: {bits[0]:.3f} before, **{bits[1]:.3f}** after.{few}"
Markdown(said)

# %% [markdown]
# ## 2. What is learned, and what is forgotten?
#
# A model that reads tweets may lose something of what it knew. So each way to adapt it is judged on
# three texts: unread tweets, which it should *learn*, and newsgroup posts and excerpts of books, which
# it should *keep*. All start from the dequantised weights and see the same batches, and rates are tried
# until the best on validation tweets is at neither end.
#
# **Predict first:** which forgets more, LoRA or moving all weights?

# %%
smollm2_records.adapted_shown()

# %% [markdown]
# Learned: bits per byte saved. Forgotten: bits per byte lost. Brackets are 95 % intervals over seeds.
# LoRA beside full fine-tuning, and what the table lacks:

# %%
Markdown(smollm2_records.adapted_in_words())

# %% [markdown]
# The same on a decoder of a million weights, pretrained on newsgroup posts, with three seeds for every
# line:

# %%
Markdown(forgetting.told())

# %% [markdown]
# Published figures (section 5) need not agree. Look for what learns as much *and* forgets less.
#
# ## 3. Do you have to train at all?
#
# Suppose you want classes, not text: the mood of a review, the author of a tweet, the subject of a
# message. Below LoRA there are cheaper rungs: ask in words (no training, no labels), show a few
# examples in the prompt, fit a linear probe on frozen features (of the dequantised SmolLM2, or of
# MiniLM, a sentence encoder of 22 million weights), or count words, without a network.
#
# **Predict first:** with 200 labelled texts, which is ahead: a prompt, word counts, or a probe?


# %%
def draw_ways(n_train):
    return plots.plot_ways(
        smollm2_records.at_size(n_train), f"{n_train:,} labelled texts; dotted: the highest"
    )


explore(draw_ways, n_train=list(smollm2_records.SIZES), labels={"n_train": "labelled texts"})

# %% [markdown]
# Bars are 95 % intervals, over seeds or, with fewer than three runs, from the number of test texts.
# SmolLM2 answers 400 test texts, the others all. What each costs:

# %%
smollm2_records.classified_shown(200)

# %% [markdown]
# "Labels" includes those that chose a rate or a prompt. In words, with what is missing:

# %%
Markdown(smollm2_records.classified_in_words())

# %% [markdown]
# A prompt asks for what the model can already name. Ours were written once and not improved; another
# wording may do better or worse. And a model trained on the web may have read these very texts.
#
# Where answers have to come from your own documents, *retrieval* is the rung before training: put the
# passages nearest to the question into the prompt (Lewis et al. 2020,
# [arXiv 2005.11401](https://arxiv.org/abs/2005.11401)). A changed document then needs no training. We
# have not measured it.
#
# ## 4. Memory and seconds: LoRA, and LoRA on four bits
#
# A LoRA step runs through the whole network, but keeps no gradients or AdamW moments of frozen weights.
# From which size on does that pay? Decoders of growing size took steps with LoRA and in full, in turns:

# %%
Markdown(break_even.lora_in_words())

# %% [markdown]
# What is left in memory is mostly the frozen base. **QLoRA** (Dettmers et al. 2023, [arXiv
# 2305.14314](https://arxiv.org/abs/2305.14314)) keeps it in 4 bits and multiplies each matrix out when
# it is used. **Predict first:** what does a step pay for that?

# %%
smollm2_records.four_bit_table()

# %% [markdown]
# The file that we load is in 4 bits already, so both rows train the same model:

# %%
Markdown(f"{smollm2_records.four_bit_in_words()}\n\n{published_scale.four_bits()}")

# %% [markdown]
# So 4 bits are paid for in time, on a graphics card too. For models that no laptop trains, memory can
# be counted. Gigabytes hold weights, gradients and moments; LoRA of rank 8 sits on query and value, as
# in its paper; "full" and "LoRA" train in *mixed precision*: 16-bit numbers are multiplied, and 32-bit
# copies of what trains take updates that 16 bits would round away. Activations come on top, fewer with
# LoRA.

# %%
counting.scale_shown()

# %% [markdown]
# The files grow apart with the model. That LoRA stores a hundred times less *fails* above because it is
# judged on the small networks that were trained here; counted for billions it holds.

# %%
Markdown(counting.files_in_words())

# %% [markdown]
# ## 5. Three billion weights and more: what others measured
#
# The authors of `peft` taught Llama-3.2-3B school mathematics, each method for as many steps, with one
# seed. *Forgetting* is how much its loss on other text grew. DoRA gives each column of a matrix a trained
# length beside LoRA's direction, IA³ scales activations, prompt tuning trains vectors put before the text.
#
# **Predict first:** how much of the range between methods is a matter of learning rate and start?

# %%
published_scale.three_billion()

# %% [markdown]
# The original paper ([arXiv 2106.09685](https://arxiv.org/abs/2106.09685)) did it with GPT-3 (scores in
# per cent; SAMSum is ROUGE-1):

# %%
published_scale.gpt3()

# %% [markdown]
# Both are short trainings on a task near what the model knows. Others trained long, on text that
# teaches something new:

# %%
Markdown(published_scale.large_models())

# %% [markdown]
# ## 6. When LoRA, when full fine-tuning, when neither
#
# - **Neither**, while word counts, a prompt or a probe does what you need. They train in seconds or not at
#   all, though a prompt is the slowest to answer, and show what training has to beat.
# - **LoRA**, when the model must write in your manner, the task lies near what it knows, and memory or
#   many tasks on one base count. Tune its rate: it wants a higher one than full fine-tuning.
# - **QLoRA**, when the base does not fit otherwise and you can wait.
# - **Full fine-tuning**, when the model must learn something new from much text, such as a programming
#   language, and you can pay for the memory. Measure what it forgets on a text of the old domain.
#
# ## What to remember
#
# From the records and the published tables:

# %%
Markdown(smollm2_records.findings())

# %% [markdown]
# ## Exercises
#
# **13.1** How many weights does LoRA train on the 7 B model at rank 16, on query and value? Work it out
# from the widths in `counting.ARCHITECTURES`, or have it counted.

# %%
answer = ...
check("13.1", answer)

# %% [markdown]
# **13.2** How many gigabytes (10⁹ bytes) do AdamW's two moments alone take when all weights of the 7 B
# model are trained, at 32 bits each?

# %%
answer = ...
check("13.2", answer)

# %% [markdown]
# **13.3** Write `fits(weights, trained, gigabytes)`: what trains on a card? `weights` are those of the
# model, `trained` those of LoRA. A trained weight takes 16 bytes; a frozen one takes 2, or 5 bits when
# it is kept in blocks. Return the first of `"full"`, `"lora"`, `"qlora"` that needs at most so many
# gigabytes (10⁹ bytes), and `None` when none does. Activations are left out.

# %%
answer = ...
check("13.3", answer)

# %% [markdown]
# **13.4** Write a function that takes the natural logarithms of the probabilities that a model gave to
# the tokens that came, and the number of bytes they stand for, and returns (perplexity per token, bits
# per byte).

# %%
answer = ...
check("13.4", answer)
