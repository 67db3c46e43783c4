"""Measure what `data/results/four_bit.csv` lacks: SmolLM2 under LoRA, its base dequantised or not.

Both bases get LoRA of the same random numbers and take their steps in turns, so that a busy moment
of the machine meets them alike. Columns:
`helpers.lessons.language_models.smollm2_records`. One thread.
"""

from __future__ import annotations

import argparse
import copy
import datetime
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from helpers.backbones.gguf_file import load_decoder
from helpers.backbones.smollm2 import smollm2_file
from helpers.experiments.timing import timed_ms
from helpers.lessons.language_models.decoder import Shape, plug
from helpers.lessons.language_models.smollm2_records import FOUR_BIT
from helpers.paths import commit
from helpers.vocabulary import LORA
from tools.measure import four_bit
from tools.measure.memory_formula import Method, step_memory
from tools.measure.step_costs import Variant, step_peak, token_ids

RANK, TURNS = 8, 3
LOADS = ((2, 64),)  # (texts, tokens) of a step


def variants() -> dict[str, Variant]:
    """LoRA on both bases, each ready to take steps."""
    bases = {"dequantised": load_decoder(smollm2_file()), "blocks": four_bit.load_in_blocks()}
    made = {}
    for name, base in bases.items():
        torch.manual_seed(0)
        model = plug(base, LORA, rank=RANK)
        for key, parameter in model.named_parameters():
            if key.endswith(".B"):
                nn.init.normal_(parameter, std=0.01)  # zeros would hide what LoRA adds
        made[name] = Variant(Method(LORA, RANK), model)
    return made


def shape_of(model: nn.Module) -> Shape:
    """The shape that the memory formula asks for."""
    config = model.config
    return Shape(
        config.hidden_size, config.num_hidden_layers, config.num_attention_heads,
        config.intermediate_size, config.vocab_size, config.num_key_value_heads,
        tied=config.tie_word_embeddings,
    )  # fmt: skip


@torch.inference_mode()
def gap(pair: dict[str, Variant], ids: Tensor) -> float:
    """The largest difference of the two models' logits."""
    first, second = (one.model.eval()(input_ids=ids).logits for one in pair.values())
    return float((first - second).abs().max())


def measure(pair: dict[str, Variant], batch: int, seq: int) -> Iterator[dict[str, object]]:
    """The rows of one load: every turn of both bases."""
    shape = shape_of(pair["blocks"].model)
    ids = token_ids(shape, batch, seq)
    difference = gap(pair, ids[:, :-1])
    formula = step_memory(shape, Method(LORA, RANK), batch, seq).peak
    fixed = {
        name: {
            "base_bytes": four_bit.base_bytes(one.model),
            "peak_bytes": step_peak(copy.copy(one), ids),
            "formula_bytes": formula,
            "gap": difference,
        }
        for name, one in pair.items()
    }
    for turn in range(TURNS):
        for name, one in pair.items():
            one.model.train()
            cpu, _ = timed_ms(lambda chosen=one: chosen.step(ids))
            place = {"base": name, "rank": RANK, "batch": batch, "seq": seq, "turn": turn}
            yield place | fixed[name] | {"step_ms": cpu}


def main() -> None:
    """Measure load by load and print each row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    torch.set_num_threads(1)
    held = FOUR_BIT.load()
    left = [one for one in LOADS if ((held["batch"] == one[0]) & (held["seq"] == one[1])).sum()
            < 2 * TURNS]  # fmt: skip
    pair = variants() if left else {}
    for batch, seq in left:
        for row in list(measure(pair, batch, seq)):
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            facts = {"threads": 1, "torch": torch.__version__, "created": now, "git": commit()}
            FOUR_BIT.append(row | facts)
            print({key: row[key] for key in row if key != "rank"}, flush=True)


if __name__ == "__main__":
    main()
