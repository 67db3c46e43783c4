"""Pretrain the decoder `tiny` and write data/weights/decoder.safetensors, .json and its tokenizer.

Source: the training posts of `newsgroups` (20 Newsgroups; letters only, lower case). A byte-level
BPE tokenizer of 1,024 entries is learned on them, so that any text can be read; the decoder (four
layers, 128 wide, word vectors shared with the output) then predicts the next token. Weights are
stored in half precision and read back in full: what is measured is what ships.

Run: python -m tools.assets.pretrain_decoder   (about five minutes on one free core, seed 0)
"""

from __future__ import annotations

import argparse
import json
import time

import torch
from safetensors.torch import save_file
from tokenizers import ByteLevelBPETokenizer

from helpers.lessons.language_models.causal_lm import (
    END,
    TINY,
    CausalLM,
    load_causal_lm,
    perplexity,
    read,
    untrained_tiny,
)
from helpers.paths import weights_dir
from helpers.tasks import load_task
from tools.measure.adapting import TuneConfig, adapt

TEST_TOKENS = 100_000
STORED = torch.float16


def learn_tokenizer(texts: list[str]) -> None:
    """Learn byte pairs from texts and write the tokenizer's file."""
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        texts, vocab_size=TINY.vocabulary, special_tokens=[END], show_progress=False
    )
    weights_dir().mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(weights_dir() / "decoder_tokenizer.json"), pretty=False)


def save(lm: CausalLM) -> None:
    """Write the weights in half precision; the output shares the word vectors and is left out."""
    state = lm.model.state_dict()
    del state["lm_head.weight"]
    halves = {key: value.to(STORED).contiguous() for key, value in state.items()}
    save_file(halves, weights_dir() / "decoder.safetensors")


def main() -> None:
    """Learn the tokenizer, train, write weights, measure what was written, write facts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1100, help="batches of 16 rows of 128 tokens")
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    task = load_task("newsgroups")
    learn_tokenizer(task.train.inputs)
    lm = untrained_tiny(seed=0)
    train, held = read(lm, task.train.inputs), read(lm, task.validation.inputs, 20_000)
    config = TuneConfig("full_fine_tuning", lr=4e-3, steps=steps, batch_size=16,
                        measured_at=tuple(range(0, steps, 400)))  # fmt: skip
    started = time.perf_counter()
    made = adapt(lm, train, {"validation": held}, config)
    save(made.lm)
    facts = {
        "source": "newsgroup posts (20 Newsgroups, training split; letters only, lower case)",
        "texts": len(task.train),
        "tokens": len(train.ids),
        "tokens_seen": made.tokens_seen,
        "steps": steps,
        "lr": config.lr,
        "parameters": made.total_params,
        "cpu_seconds": round(made.cpu_seconds),
        "seconds": round(time.perf_counter() - started),
    }
    write_facts(facts)
    shipped = load_causal_lm("tiny")
    got = perplexity(shipped, read(shipped, task.test.inputs, TEST_TOKENS))
    facts["test_bits_per_byte"] = round(got.bits_per_byte, 4)
    facts["test_perplexity_per_word"] = round(got.per_word, 1)
    write_facts(facts)
    print(made.history.to_string(), json.dumps(facts, indent=2), sep="\n")


def write_facts(facts: dict[str, object]) -> None:
    """Write what is known of the weights beside them."""
    text = json.dumps(facts, indent=2) + "\n"
    (weights_dir() / "decoder.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
