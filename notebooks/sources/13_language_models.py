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
# The rule says so: a large language model, any number of examples, LoRA. Three different promises
# hide in it, and they have to be looked at one by one. **Storage** it keeps at every size. **Memory
# and time** depend on how large the model is, so section 5 measures from which size on LoRA is ahead
# of full fine-tuning, on decoders of six sizes. **Accuracy** is nothing that a method owes you:
# section 1 sets LoRA beside seven other approaches on a sentence encoder, and beside word counts that
# need no network at all; section 4 asks what a decoder learns from new text and what it forgets of
# the old. No language model with billions of weights was trained here. At that size, section 6 counts
# exactly and says where counting ends.
#
# **Needs:** this clone; for the live parts of sections 2, 3 and 7 the weights of MiniLM and the text
# sets (fetched by `make lab`). Where they are out of reach the records stand alone, and the cells say so.

# %% [markdown]
# ## Set-up
#
# The encoder is MiniLM (22 million weights), which reads a text and returns 384 numbers. The decoder
# is our own, of a million weights, and ships with this clone; it predicts the next token.

# %%
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from torch.nn import functional as F

from helpers import (
    break_even_records,
    counting,
    decoder_evidence,
    decoder_records,
    paths,
    peft_methods,
    text_lab,
)
from helpers.approaches import get_approach, merge_lora
from helpers.backbones import clone, load_backbone
from helpers.causal_lm import load_causal_lm, read, sample
from helpers.causal_tuning import TuneConfig, adapt
from helpers.checks import check
from helpers.claims import judge_claims
from helpers.comparisons import coverage, paired_gain
from helpers.errors import UserError
from helpers.examples import Examples
from helpers.library import Library
from helpers.plots import APPROACH_STYLE, figure, looks, plot_curves
from helpers.profile import pick
from helpers.records import summarise
from helpers.sweeps import recorded as recorded_runs
from helpers.tasks import load_task
from helpers.training import predict
from helpers.widgets import explore

# %% [markdown]
# Three tasks: newsgroup posts of twenty groups, news of eight topics, and tweets of two candidates.

# %%
names = ["newsgroups", "reuters8", "tweets"]
try:
    minilm = load_backbone("minilm", size=32)
    texts = {name: load_task(name, n_train=pick(200, 40), n_test=pick(200, 40)) for name in names}
    said = [f"{name}: {task.train.inputs[0][:60]} …" for name, task in texts.items()]
except UserError as error:
    minilm, texts, said = None, {}, [f"Records only. {error}"]
print(*said, sep="\n")

# %% [markdown]
# ## 1. Eight approaches and one that counts words
#
# Every approach was run on these tasks with MiniLM at 32 tokens, three draws of training texts for
# each size. The grey line is **no network**: TF-IDF, which counts words and pairs of words and makes
# rare ones weigh more, with logistic regression on top. It trains in a second. What does not beat it
# is not worth a network.
#
# **Predict first:** with 50 texts, which is further ahead of the grey line: LoRA, or a probe on
# frozen features? And with more texts?

# %%
runs = recorded_runs("minilm")
table = summarise(runs)
sizes = sorted(int(n) for n in table["n_train"].unique())
order = [name for name in APPROACH_STYLE if name in set(table["approach"])][::-1]
Markdown(coverage(runs))

# %% [markdown]
# Each mark is a mean over three draws, each bar its 95 % interval.


# %%
def draw_texts(n_train):
    made, axes = figure(f"{n_train:,} training texts", width=8, height=3.6, columns=3, sharey=True)
    for ax, name in zip(axes, names, strict=True):
        own = table[(table["task"] == name) & (table["n_train"] == n_train)]
        for row in own.itertuples():
            look, half = APPROACH_STYLE[row.approach], np.nan_to_num(row.high - row.mean)
            ax.errorbar(row.mean, order.index(row.approach), xerr=half, fmt=look.marker,
                        color=look.colour, ms=7, capsize=3)  # fmt: skip
            if row.approach == "classical":
                ax.axvline(row.mean, color=look.colour, lw=2, alpha=0.5, zorder=0)
        ax.set(title=name, xlabel="test accuracy", ylim=(-0.7, len(order) - 0.3))
        ax.set_yticks(range(len(order)), [APPROACH_STYLE[a].label for a in order])
    return made


explore(
    draw_texts, n_train=sizes, labels={"n_train": "texts"}, start={"n_train": min(200, sizes[-1])}
)

# %% [markdown]
# Move the slider: who passes the grey line, and where? The question that decides whether a network
# was worth it: for each task, at the largest size at which every approach is recorded, take the
# approach that *validation* prefers. What does it gain over word counts, draw by draw?

# %%
best = text_lab.best_against_anchor(runs)
best["gain (95 %)"] = [f"{r.mean:+.3f} ({r.low:+.3f} to {r.high:+.3f})" for r in best.itertuples()]
columns = ["task", "n_train", "best", "accuracy", "anchor", "gain (95 %)"]
best[columns].rename(columns={"anchor": "word counts"}).round(3)

# %% [markdown]
# In words, and for LoRA alone:

# %%
ahead, behind = best[best["mean"] >= 0]["task"], best[best["mean"] < 0]["task"]
lora = pd.concat([paired_gain(runs, "lora", other) for other in ("classical", "feature_extraction")],
                 keys=["word counts", "a frozen probe"])  # fmt: skip
counts = [
    f"against {name}, LoRA is clearly ahead in {(own['low'] > 0).sum()}, clearly behind in "
    f"{(own['high'] < 0).sum()} of {len(own)} situations"
    for name, own in lora.groupby(level=0, sort=False)
]
Markdown(
    f"The best approach is on average at least as good as word counts on {len(ahead)} of {len(best)} "
    f"tasks ({', '.join(ahead) or 'none'}"
    + (f"; not on {', '.join(behind)}, which section 2 looks into" if len(behind) else "")
    + f"). {'; '.join(counts)}."
)

# %% [markdown]
# Two warnings before you read a law out of this. Every approach ran at its **default learning rate**
# and what trains through the whole network got six epochs: on 50 texts that is a dozen steps, which is
# little for matrices that begin at zero. And 32 tokens are few. The next two sections take these apart:
# the tokens first, then the learning rate.
#
# ## 2. What word counts see and the network does not
#
# Word counts read the whole post; the network was given its first 32 tokens. So we let both read the
# same: the first tokens of every post, and more and more of them. The network is a frozen probe, since
# that is quick; both get the same training texts, one draw.
#
# **Predict first:** which of the two gains more from longer texts?

# %%
n_train, lengths = pick(500, 40), pick([16, 32, 64, 128], [8, 16])
if minilm:
    posts = load_task("newsgroups", n_train=n_train, n_test=pick(300, 40))
    read = text_lab.accuracy_by_length(posts, lengths)
    share = text_lab.share_read(minilm, posts.test.inputs, lengths[1])
    curve = read[read["tokens"] > 0]
    made = plot_curves(curve, x="tokens", y="accuracy", log_x=True, xlabel="tokens read (log scale)",
                       title=f"newsgroups, {n_train} posts: both read the same words")  # fmt: skip
    whole = read[read["tokens"] == 0]["accuracy"].iloc[0]
    made.axes[0].axhline(whole, color=APPROACH_STYLE["classical"].colour, ls=":")
    made.axes[0].annotate("no network, the whole post", (lengths[0], whole), (0, 3),
                          textcoords="offset points", fontsize="small")  # fmt: skip
made if minilm else Markdown("MiniLM or the posts are out of reach here, so this stays undrawn.")

# %% [markdown]
# The bands are what the number of test posts leaves open. What the figure says:

# %%
if minilm:
    at = curve.pivot_table(index="tokens", columns="approach", values="accuracy")
    probe, words = at["feature_extraction"], at["classical"]
    side = "behind" if words[lengths[1]] < probe[lengths[1]] else "still ahead of"
    said = (
        f"{lengths[1]} tokens are **{share:.0%}** of a post's words. Given only these, word counts "
        f"fall from {whole:.3f} to **{words[lengths[1]]:.3f}**, {side} the probe's "
        f"{probe[lengths[1]]:.3f}. Given {lengths[-1]}, the probe rises by "
        f"{probe[lengths[-1]] - probe[lengths[1]]:+.3f} to **{probe[lengths[-1]]:.3f}**, and word "
        f"counts by {words[lengths[-1]] - words[lengths[1]]:+.3f} to {words[lengths[-1]]:.3f}."
    )
Markdown(said if minilm else "Nothing was computed.")

# %% [markdown]
# The second reason is what the topics are made of. The words that speak most for a group, as the
# word counts have learned them:

# %%
if minilm:
    classical = get_approach("classical")
    fitted = classical.fit(None, posts, classical.config("text", n_train))
    topics = text_lab.topic_words(fitted, posts.classes, top=5)
    some = ["comp.windows.x", "rec.motorcycles", "sci.crypt", "sci.space", "talk.politics.mideast"]
    said = "\n".join(f"- **{name}**: {', '.join(topics.get(name, []))}" for name in some)
Markdown(said if minilm else "Nothing was computed.")

# %% [markdown]
# Names of things give a group away, and counting is made for names. Averaged over a text into 384
# numbers they have to share room with everything else, and the posts of this set are lower-cased and
# stripped of punctuation, which is not how the network met English. So on long texts whose topics have
# names of their own an anchor of word counts is hard to beat with few labels, and any claim about
# language models that lacks it is half a claim.
#
# ## 3. LoRA by hand, by `peft`, and two relatives
#
# Notebook 04 wrote LoRA in ten lines. The same on a whole network: our LoRA in all linear layers of
# MiniLM, `peft`'s beside it, the same random matrices in both, one loss. What to look for: rounding.

# %%
if minilm:
    by_hand, by_peft = get_approach("lora"), peft_methods.PeftApproach("lora")
    pair = [a.build(clone(minilm), 8, a.options()).eval() for a in (by_hand, by_peft)]
    for name, parameter in pair[0].named_parameters():
        if name.endswith(".B"):
            torch.nn.init.normal_(parameter, std=0.05)
    layers = peft_methods.copy_lora(pair[0].backbone, pair[1].backbone)
    pair[1].head.load_state_dict(pair[0].head.state_dict())
    news = texts["reuters8"].train
    ids, labels = (
        torch.from_numpy(minilm.encode(news.inputs[:16])),
        torch.from_numpy(news.labels[:16]),
    )
    outputs = [model(ids) for model in pair]
    for logits in outputs:
        F.cross_entropy(logits, labels).backward()

# %% [markdown]
# Then both are merged: the update is added to the weights, and nothing is left beside them.

# %%
if minilm:
    gradients = zip(*(peft_methods.lora_gradients(model) for model in pair), strict=True)
    gaps = {"outputs": outputs[0] - outputs[1]}
    gaps["gradients"] = torch.cat([(mine - theirs).flatten() for mine, theirs in gradients])
    with torch.no_grad():
        gaps["merged, ours"] = merge_lora(pair[0])(ids) - outputs[0]
        gaps["merged, peft's"] = peft_methods.merge_peft(pair[1])(ids) - outputs[1]
    largest = {name: f"{float(gap.detach().abs().max()):.0e}" for name, gap in gaps.items()}
    said = f"{layers} layers. Largest differences: " + ", ".join(
        f"{k} {v}" for k, v in largest.items()
    )
Markdown(f"{said}." if minilm else "Nothing was computed.")

# %% [markdown]
# So from here on it does not matter whose LoRA it is. `peft` has relatives that train still less:
# **IA³** (Liu et al. 2022, [arXiv 2205.05638](https://arxiv.org/abs/2205.05638)) stretches keys, values
# and feed-forward activations by one trained number each, and **LayerNorm tuning** trains the scale and
# shift that are in the network already. Both were trained by the same loop on the same 200 texts as
# the approaches of section 1. Each method of `peft` had three learning rates, tried on one task and
# picked by validation; our own rows kept their default. So `lora` and `peft: lora` differ in their
# learning rate alone, unless the default was picked.

# %%
trained = peft_methods.load()
beside = peft_methods.beside(trained, runs)
wanted = ["classical", "feature_extraction", "full_fine_tuning", "lora", "peft: lora", "peft: ia3",
          "peft: ln_tuning"]  # fmt: skip
wide = beside.pivot_table(index="method", columns="task", values="mean").round(3)
costs = beside.groupby("method")[["trainable", "file_mb"]].median()
wide["trained"] = [f"{n:,.0f}" for n in costs["trainable"]]
wide["file (MB)"] = costs["file_mb"].round(2)
wide.reindex([name for name in wanted if name in wide.index])

# %% [markdown]
# The rates that were tried, and what they did:

# %%
trials = trained[(trained["task"] == peft_methods.TRIAL) & (trained["seed"] == 0)]
tried = trials.pivot_table(index="method", columns="lr", values="val_accuracy")
spread = {m: (own.min(), own.max(), own.idxmax()) for m, own in tried.iterrows()}
said = [
    f"**{m}** from {low:.2f} to {high:.2f}, best at {lr:g}" for m, (low, high, lr) in spread.items()
]
Markdown(
    f"Validation accuracy on {peft_methods.TRIAL} over the rates tried: {'; '.join(said)}. "
    "A learning rate that nobody tuned can cost more than the choice of method gains."
    if said else "No method of peft is recorded yet."
)  # fmt: skip

# %% [markdown]
# ## 4. A decoder: what it learns, and what it forgets
#
# `tiny` is a decoder of four layers that was pretrained on newsgroup posts; it foresees the next piece
# of a word. We now have it read news for a moment, once with all weights moving and once with LoRA,
# and watch two texts that are held out: news, which it is learning, and posts, which it knew. The
# measure is **bits per byte**: how many bits each letter of the text would cost if the model had to
# write it down (0 would be perfect foresight, 8 none at all).
#
# A real model works in the same cells: `load_causal_lm("hf:HuggingFaceTB/SmolLM2-135M")` where there is
# a network, with fewer steps and more patience.
#
# **Predict first:** which of the two learns more in the same number of steps? Which forgets more?

# %%
lm, steps, histories, after = load_causal_lm("tiny"), pick(80, 4), [], {"before": None}
rates = {"full_fine_tuning": 1e-3, "lora": 3e-3}
if texts:
    new, old = texts["reuters8"], texts["newsgroups"]
    reading = read(lm, new.train.inputs)
    held = {"news (new)": read(lm, new.validation.inputs, pick(6_000, 500)),
            "posts (old)": read(lm, old.validation.inputs, pick(6_000, 500))}  # fmt: skip
    for approach, lr in rates.items():
        stops = tuple(range(0, steps, max(1, steps // 5)))
        config = TuneConfig(approach, lr=lr, steps=steps, measured_at=stops)
        tuned_lm = adapt(lm, reading, held, config)
        histories.append(tuned_lm.history.assign(approach=approach))
        after[approach] = tuned_lm.lm
print(f"tiny was pretrained on: {lm.pretrained_on}")

# %% [markdown]
# Left what is learned, right what is forgotten; lower is better in both.

# %%
if histories:
    live = pd.concat(histories)
    made, axes = figure(f"One run each, {steps} steps", width=8, height=3.2, columns=2)
    for ax, (corpus, own) in zip(axes, live.groupby("corpus", sort=False), strict=True):
        plot_curves(own, x="step", y="bits_per_byte", ax=ax, xlabel="step", ylabel="bits per byte")
        ax.set_title(corpus)
made if histories else Markdown("The texts are out of reach here; the records below stand alone.")

# %% [markdown]
# What does it write? The same beginning, the same dice, before and after.

# %%
beginning = "the company said"
said = [
    f"- **{name.replace('_', ' ')}**: {beginning}{sample(one or lm, beginning, tokens=40, seed=1)}"
    for name, one in after.items()
]
Markdown("\n".join(said))

# %% [markdown]
# (A model of a million weights writes no sense. Look for the words that each of them reaches for.)
#
# One run with a rate that nobody tuned shows how it is done, and no more than that. On record are
# several seeds, three learning rates for each approach, the best of them by the new domain's
# validation text, and test texts that were read once.

# %%
recorded = decoder_records.load()
tally = decoder_records.tally(decoder_records.learned_and_forgotten(recorded))
held = tally.assign(trained=[f"{n:,}" for n in tally["trainable_params"]])
columns = ["domain", "arm", "lr", "learned", "forgotten", "trained", "runs"]
held[columns].head(12).round({"learned": 3, "forgotten": 3}) if len(held) else Markdown(
    "Not recorded yet."
)

# %% [markdown]
# As a picture: to the right is learned more, upward is forgotten more. The best corner is the lower
# right one.


# %%
def draw_forgetting(domain):
    own = tally[tally["domain"] == domain]
    made, ax = figure(f"Adapted to {domain}: bits per byte on test texts", height=3.6)
    for arm, look in looks(own["arm"]).items():
        row = own[own["arm"] == arm].iloc[0]
        reach = [np.nan_to_num([[row[k] - row[f"{k}_low"]], [row[f"{k}_high"] - row[k]]])
                 for k in ("learned", "forgotten")]  # fmt: skip
        ax.errorbar(row["learned"], row["forgotten"], xerr=reach[0], yerr=reach[1], label=arm,
                    fmt=look.marker, color=look.colour, ms=8, capsize=3)  # fmt: skip
    ax.axhline(0, color="#999999", lw=1)
    ax.set(xlabel="learned: bits per byte saved on the new domain (95 % bars)", ylabel="forgotten")
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return made


domains = sorted(tally["domain"].unique())
shown = explore(draw_forgetting, domain=domains) if domains else Markdown("Not recorded yet.")
shown

# %% [markdown]
# The verdict in words, from the intervals alone:

# %%
said = [
    decoder_evidence.in_words(row) for row in decoder_evidence.lora_less_full().to_dict("records")
]
Markdown("\n".join(f"- {line}" for line in said) or "Not recorded yet.")

# %% [markdown]
# ## 5. From which size on does it pay?
#
# A step of training costs time and memory. Decoders of six sizes were built with random weights (what
# they know does not matter to either), and every method took its steps on the same weights in turns.
# Each ratio is against full fine-tuning in the same turn: below 1, the method is cheaper.
#
# **Predict first:** LoRA trains a hundredth of the weights. Is its step a hundred times faster?

# %%
steps_taken = break_even_records.load()
times = break_even_records.ratios(steps_taken, "step_ms")
peaks = break_even_records.ratios(steps_taken, "peak_bytes")
loads = sorted({(int(b), int(s)) for b, s in times[["batch", "seq"]].to_numpy()})
Markdown(f"{len(steps_taken)} recorded steps: {steps_taken['model'].nunique()} models, "
         f"{steps_taken['method'].nunique()} methods; texts and tokens a step: "
         f"{', '.join(f'{b} × {s}' for b, s in loads)}.")  # fmt: skip


# %% [markdown]
# Left time, right memory, both against the size of the model. **Choose the longer texts: which of the
# two panels changes, and why?**


# %%
def draw_ratios(tokens):
    made, axes = figure(
        f"Against full fine-tuning, {tokens} tokens a step", width=8, height=4, columns=2
    )
    for ax, (title, ratios) in zip(
        axes, {"time": times, "peak memory": peaks}.items(), strict=True
    ):
        own = ratios[ratios["batch"] * ratios["seq"] == tokens]
        for method, look in looks(own["method"].unique()).items():
            line = own[own["method"] == method].sort_values("base_params")
            ax.plot(
                line["base_params"],
                line["mean"],
                f"{look.marker}-",
                color=look.colour,
                label=method,
            )
            ax.fill_between(
                line["base_params"], line["low"], line["high"], color=look.colour, alpha=0.2
            )
        ax.axhline(1, color="#333333", ls="--", lw=1)
        ax.set(title=title, xscale="log", xlabel="parameters of the model", ylim=(0, None))
    axes[0].set_ylabel("ratio (bands: 95 %)")
    made.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small"
    )
    return made


totals = sorted({batch * seq for batch, seq in loads})
shown = explore(draw_ratios, tokens=totals) if totals else Markdown("Not recorded yet.")
shown

# %% [markdown]
# Where the lines cross 1, in words:

# %%
lines = break_even_records.told(break_even_records.break_even(times), "a step is faster")
lines += break_even_records.told(break_even_records.break_even(peaks), "a step needs less memory")
Markdown("\n".join(f"- {line}" for line in lines) or "Not recorded yet.")

# %% [markdown]
# Time saves little because the forward pass and the way back through the activations stay; what falls
# away is one of the three products of each layer, its weight's gradient, and the optimizer's step.
# Memory saves more the larger the model, because AdamW keeps two numbers for every trained weight and
# the backward pass a third. **Move the slider:** when do the activations matter more than the model?


# %%
def draw_memory(millions):
    gap = (summed["base_params"] / 1e6 / millions - 1).abs()
    own = summed[(gap == gap.min()) & (summed["batch"] * summed["seq"] == totals[0])]
    made, ax = figure(f"Memory of a training step, {millions:,} M weights", width=8, height=3.2)
    start = np.zeros(len(own))
    for part, colour in parts.items():
        ax.barh(own["method"], own[part] / 1e9, left=start, color=colour, label=part.split("_")[0])
        start += own[part].to_numpy() / 1e9
    ax.plot(own["peak_bytes"] / 1e9, own["method"], "k|", ms=16, label="peak as counted")
    ax.set_xlabel("gigabytes (passing: gradients and activations at the worst moment)")
    ax.legend(fontsize="small")
    return made


summed = break_even_records.summary(steps_taken)
parts = {"weight_bytes": "#0072b2", "optimizer_bytes": "#d55e00", "passing_bytes": "#e69f00"}
millions = sorted({round(n / 1e6) for n in summed["base_params"]})
shown = explore(draw_memory, millions=millions) if millions else Markdown("Not recorded yet.")
shown

# %% [markdown]
# The parts are worked out by formula (`helpers.memory_formula`, written from the operations of a
# layer, nothing fitted); the mark is what was counted while a step ran. So how good is the formula?

# %%
worst = summed["formula_error"].abs().max()
Markdown(
    f"Over {len(summed)} measured steps the formula is off by **{worst:.1%}** at most."
    if len(summed) else "Not recorded yet."
)  # fmt: skip

# %% [markdown]
# ## 6. Where no laptop goes: counting
#
# A model on PyTorch's *meta* device has shapes and no numbers, so one of seventy billion weights fits
# anywhere. The architectures are written out from their papers; LoRA goes in as it would for real, and
# then everything is counted. Memory follows by the bill of one step: in full fine-tuning two bytes for
# the weight, and for a trained one its gradient and AdamW's two moments in 32 bits.

# %%
rows = []
for model in counting.ARCHITECTURES:
    trained_count, total = counting.count_lora(model, rank=8)
    state = 4 + 8  # bytes of a gradient and two moments
    full_gb, lora_gb = (2 + state) * total / 1e9, (2 * total + (2 + state) * trained_count) / 1e9
    rows.append((model.name, total / 1e9, trained_count / 1e6, total / trained_count, full_gb, lora_gb,
                 2 * total / 1e9, 2 * trained_count / 1e6))  # fmt: skip
columns = ["model", "weights (B)", "trained (M)", "times fewer", "full: GB to train", "LoRA: GB to train",
           "GB of a copy", "MB of a LoRA file"]  # fmt: skip
scale = pd.DataFrame(rows, columns=columns).set_index("model")
scale.round(1)

# %% [markdown]
# (Rank 8 on query and value, files in 16 bits; activations come on top and are alike for both.) What
# counting can't tell is accuracy. It can tell what a shelf of tasks weighs.
#
# ### Try it: a shelf of tasks
#
# **From how many tasks on is the library a hundred times smaller than the copies? Does the rank move
# that?**


# %%
def draw_shelf(tasks, rank):
    made, ax = figure(f"{tasks:,} tasks at rank {rank}", width=7.5, height=3.2)
    copies = tasks * scale["GB of a copy"]
    shelf_gb = scale["GB of a copy"] + tasks * scale["MB of a LoRA file"] * rank / 8 / 1e3
    place = np.arange(len(scale))
    ax.barh(
        place + 0.2, copies, 0.36, color=APPROACH_STYLE["full_fine_tuning"].colour, label="copies"
    )
    ax.barh(
        place - 0.2, shelf_gb, 0.36, color=APPROACH_STYLE["lora"].colour, label="one base and LoRA"
    )
    for i, times in enumerate(copies / shelf_gb):
        ax.annotate(
            f"{times:.0f} times", (shelf_gb.iloc[i], i - 0.2), (4, -4), textcoords="offset points"
        )
    ax.set(xscale="log", xlabel="gigabytes (log scale)", xlim=(1, 4e5))
    ax.set_yticks(place, scale.index)
    ax.legend(loc="lower right", fontsize="small")
    return made


explore(draw_shelf, tasks=[1, 10, 100, 1000], rank=[1, 8, 64], start={"tasks": 100, "rank": 8})

# %% [markdown]
# ## 7. A library of tasks on one MiniLM
#
# Storage is where small methods have no rival, and it is worth doing properly: one base in memory, a
# file for each task that says what it is, and a refusal for every file that does not belong. Three
# tasks, LoRA, trained for a moment on short texts.

# %%
shelf, tuned = paths.cache_dir() / "notebook_13", {}
for old in shelf.glob("*.safetensors"):
    old.unlink()
if minilm:
    base, lora = load_backbone("minilm", size=16), get_approach("lora")
    library = Library(shelf, base)
    for name, task in texts.items():
        config = lora.config("text", len(task.train), lr=3e-3, epochs=pick(4, 1))
        tuned[name] = lora.fit(clone(base), task, config)
        library.add(
            tuned[name], task, bits=16, scores={"test_accuracy": tuned[name].accuracy(task.test)}
        )
    shown = library.list()[
        ["task", "approach", "settings", "classes", "test_accuracy", "bits", "kB", "base"]
    ]
shown.round(3) if minilm else Markdown("Nothing was computed.")

# %% [markdown]
# `bits=16` rounds each number of the file to three digits and halves it. The scores are those of the
# model as it was trained. **Predict first:** is it as accurate after the rounding, after the swap, and
# after the swap back?

# %%
rows = []
for name in [*tuned, *reversed(tuned)]:
    task, recorded = texts[name], library.entry(name).scores["test_accuracy"]
    logits = predict(
        library.use(name), Examples.raw(base.encode(task.test.inputs), task.test.labels)
    )
    now = float((logits.argmax(1).numpy() == task.test.labels).mean())
    moved = int((logits.argmax(1) != tuned[name].predict(task.test).argmax(1)).sum())
    rows.append((name, recorded, now, moved, len(task.test)))
columns = ["task", "as trained", "after the swap", "answers that changed", "of"]
pd.DataFrame(rows, columns=columns).round(3) if rows else Markdown("Nothing was computed.")

# %% [markdown]
# What rounding cost on whole test sets is on record as well, for LoRA files of all three tasks:

# %%
halved = trained.dropna(subset=["half_accuracy"])
change = (halved["half_accuracy"] - halved["test_accuracy"]).abs()
Markdown(
    f"Over {len(halved)} LoRA files the largest change of test accuracy by rounding is "
    f"**{change.max():.4f}**, {change.max() * halved['n_test'].median():.0f} texts of "
    f"{halved['n_test'].median():,.0f}."
    if len(halved) else "Not recorded yet."
)  # fmt: skip

# %% [markdown]
# Requests of all tasks in one batch: every row takes its own task's matrices at every layer, as two
# batched products over stacked matrices. And files that do not belong are told so in one sentence.


# %%
def told_by(ask):
    try:
        ask()
    except ValueError as error:
        return str(error).replace(str(shelf), "tasks")
    return "nothing was refused"


if minilm:
    asked = list(tuned) * 4
    lines = [texts[name].test.inputs[i] for i, name in enumerate(asked)]
    mixed, ids = library.predict(lines, asked), torch.from_numpy(base.encode(lines))
    single = [library.use(name)(ids[i : i + 1])[0] for i, name in enumerate(asked)]
    gap = max(float((a - b).abs().max()) for a, b in zip(mixed, single, strict=True))
    said = f"{len(asked)} texts of {len(tuned)} tasks at once: logits differ by {gap:.0e} from one by one"
Markdown(f"{said}." if minilm else "Nothing was computed.")

# %% [markdown]
# Now damage: one bit of a file flipped; a file cut short; a file under another name; and a base of
# which one weight has moved by a millionth.

# %%
if minilm:
    bad, moved = shelf / "bad", clone(base)
    bad.mkdir(exist_ok=True)
    data = bytearray((shelf / "tweets.safetensors").read_bytes())
    (bad / "reuters8.safetensors").write_bytes(data)
    (bad / "short.safetensors").write_bytes(data[:-100])
    data[len(data) // 2] ^= 1
    (bad / "tweets.safetensors").write_bytes(data)
    moved.stages[1].layer.output.dense.weight.data[0, 0] += 1e-6
    cases = [
        (base, bad, "tweets"),
        (base, bad, "short"),
        (base, bad, "reuters8"),
        (moved, shelf, "tweets"),
    ]
    said = [f"- {told_by(lambda c=case: Library(c[1], c[0]).use(c[2]))}" for case in cases]
Markdown("\n".join(said) if minilm else "Nothing was computed.")

# %% [markdown]
# What it costs, measured apart on twenty tasks (`make bench`):

# %%
benches = pd.read_csv(paths.results_dir() / "bench.csv").set_index("name")
asked = ["task_file_ratio", "adapter_swap_ms", "mixed_batch_throughput", "library_memory"]
said = [
    f"- **{benches.loc[name, 'ratio']:.3g}**: {benches.loc[name, 'what']}"
    for name in asked
    if name in benches.index
]
Markdown("\n".join(said))

# %% [markdown]
# ## 8. What the claims say now
#
# The claims of this notebook, each judged by its query over the records, with effect and interval:

# %%
about = {
    7: "keeps the gain",
    10: "latency",
    11: "storage",
    13: "rule R2",
    18: "library",
    24: "count",
}
ruled = {verdict.id: verdict for verdict in judge_claims() if verdict.id in about}
said = [f"- **{ruled[i].verdict}**: {ruled[i].claim} *({ruled[i].note})*" for i in about]
Markdown("\n".join(said))

# %% [markdown]
# ## What to remember
#
# - **Three promises, three tests.** Small files: always. Less memory: from a size on, and you can
#   compute it. As accurate: ask your data, with an anchor and a tuned learning rate.
# - **Word counts first.** A second of TF-IDF tells whether a network has anything to add.
# - **LoRA is not free of settings.** It wants a higher rate than fine-tuning, and its default can lose
#   more than the method gains.
# - **Learning and forgetting come together.** Watch a text of the old domain while you adapt, whatever
#   the method.
# - **A step with LoRA still runs through the whole network.** What it saves is memory for gradients and
#   moments, and that grows with the model.
# - **Past the size that fits here, everything about accuracy is somebody else's measurement.** Counts
#   are exact, and they are not accuracy.
# - **A task's file must say what it belongs to,** and whoever loads it must be able to refuse.
#
# ## Exercises
#
# **13.1** How many weights does LoRA train on the 7 B model at rank 16, on query and value? Work it out
# by hand from the widths in `counting.ARCHITECTURES`, or have it counted.

# %%
answer = ...
check("13.1", answer)

# %% [markdown]
# **13.2** How many gigabytes (10⁹ bytes) do AdamW's two moments alone take when all weights of the 7 B
# model are trained, in 32 bits?

# %%
answer = ...
check("13.2", answer)

# %% [markdown]
# **13.3** On which of the three tasks do word counts stand highest above LoRA (mean test accuracy over
# draws, 200 texts, sweep `minilm`)? Answer with the task's name.

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
