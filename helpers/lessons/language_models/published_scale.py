"""What others measured on language models of 3, 7 and 175 billion weights: tables and sentences.

The figures are those of `data/published/`, whose `sources.csv` says how each was read.
"""

import pandas as pd

from helpers.results.published import load_published
from helpers.vocabulary import FULL_FINE_TUNING, LORA, label_of

PEFT, HU, BIDERMAN = "peft_metamathqa", "lora_hu2022", "biderman2024"
LITGPT, LLAMA = "litgpt_costs", "Llama 2"
# Of the comparison of `peft`: how it names a run -> how it is called here.
RUNS = {
    "full-finetuning llama-3.2-3B-lr_0.00001": "all weights",
    "lora llama-3.2-3B-rank32": "LoRA, rank 32",
    "lora llama-3.2-3B-rank64": "LoRA, rank 64",
    "lora llama-3.2-3B-rank64-rslora": "LoRA, rank 64, rsLoRA",
    "lora llama-3.2-3B-rank32-dora": "DoRA, rank 32",
    "ia3 llama-3.2-3B-lr_0.001": "IA³",
    "prompt_tuning llama-3.2-3B-default": "prompt tuning, rate 1e-4",
    "prompt_tuning llama-3.2-3B-sample_vocab-lr_0.001": "prompt tuning, rate 1e-3, from words",
}
COLUMNS = {
    "accuracy": "correct, %",
    "train_seconds": "seconds",
    "peak_memory_gb": "peak memory, GB",
    "stored_mb": "file, MB",
    "forgetting": "forgetting",
}
LONGEST = "20 billion tokens"  # how far Biderman et al. trained on code and mathematics


def _figures(source: str) -> pd.DataFrame:
    figures = load_published().compared
    return figures[figures["source"] == source]


def three_billion() -> pd.DataFrame:
    """Llama-3.2-3B taught school mathematics (MetaMathQA, asked GSM8K): one seed for each line."""
    wide = _figures(PEFT).pivot_table(index="printed", columns="metric", values="value")
    return wide.loc[list(RUNS), list(COLUMNS)].rename(index=RUNS, columns=COLUMNS).round(
        {"correct, %": 1, "seconds": 0, "peak memory, GB": 1, "file, MB": 1, "forgetting": 3}
    ).rename_axis(index=None, columns=None)  # fmt: skip


def gpt3() -> pd.DataFrame:
    """GPT-3, 175 billion weights, after Hu et al. 2022, Table 4: a line for each approach."""
    own = _figures(HU)
    own = own[own["table"].str.startswith("Table 4 (GPT-3") & (own["approach"] != "")]
    own = own.assign(way=own["approach"].map(label_of), task=own["data_set"])
    own["million trained"] = own["trainable_m"].map("{:,.1f}".format)
    wide = own.pivot_table(index=["way", "million trained"], columns="task", values="value",
                           sort=False)  # fmt: skip
    return wide.reset_index().rename_axis(columns=None)


def four_bits() -> str:
    """What LoRA on a base in 4 bits took beside one in 16, on one A100, after LitGPT's tables."""
    own = _figures(LITGPT)
    own = own[(own["network"] == LLAMA) & (own["approach"] == LORA)]
    wide = own.pivot_table(index="params_m", columns=["metric", "printed"], values="value")
    told = []
    for size, row in wide.iterrows():
        kinds = ("lora, quantisation none", "lora, quantisation bnb.nf4")
        whole, packed = (row.xs(kind, level="printed") for kind in kinds)
        share = packed / whole
        told.append(f"{size / 1000:g} billion weights {share['peak_memory_gb']:.0%} of the memory "
                    f"and **{share['minutes_per_1k_steps']:.1f} times** as long")  # fmt: skip
    link = load_published().sources.loc[LITGPT, "link"]
    return (
        f"Published for one A100 ([LitGPT]({link})), LoRA on {LLAMA} with its base in 4 bits in "
        f"place of 16: {'; '.join(told)}."
    )


def code_and_mathematics() -> pd.DataFrame:
    """Llama-2-7B after 20 billion tokens (Biderman et al. 2024): full, the best LoRA, the gap.

    Columns: taught, asked, full, lora (the rank that did best), points (lora - full).
    """
    own = _figures(BIDERMAN)
    own = own[own["comparison"].str.endswith(f", {LONGEST}") & (own["metric"] != "source_score")]
    best = own.pivot_table(
        index=["data_set", "tested_on"], columns="approach", values="value", aggfunc="max"
    )
    table = best[[FULL_FINE_TUNING, LORA]].set_axis(["full", "lora"], axis=1).reset_index()
    table = table.rename(columns={"data_set": "taught", "tested_on": "asked"})
    return table.assign(points=table["lora"] - table["full"]).rename_axis(columns=None)


def large_models() -> str:
    """What the three sources say of LoRA beside full fine-tuning, in sentences with their links."""
    table, links = three_billion(), load_published().sources["link"]
    full, lora = table.loc["all weights"], table.loc["LoRA, rank 32"]
    low, high = (table.loc[name, "correct, %"] for name in list(RUNS.values())[-2:])
    memory = lora["peak memory, GB"] / full["peak memory, GB"]
    gaps = [f"{-row.points:.1f} points ({row.taught}, asked {row.asked}: {row.lora:.1f} against "
            f"{row.full:.1f})" for row in code_and_mathematics().itertuples()]  # fmt: skip
    return "\n".join(
        (
            f"- **3 billion weights** ([peft]({links[PEFT]})): LoRA of rank 32 answers "
            f"{lora['correct, %']:.1f} % of the problems and full fine-tuning "
            f"{full['correct, %']:.1f} %, with {memory:.0%} of the memory and "
            f"{lora['seconds'] / full['seconds']:.0%} of the seconds. Prompt "
            f"tuning goes from {low:.1f} to {high:.1f} % by its rate and start.",
            f"- **7 billion weights, {LONGEST} of code or mathematics** "
            f"([Biderman et al.]({links[BIDERMAN]})): the best LoRA trails by "
            f"{' and '.join(gaps)}.",
        )
    )
