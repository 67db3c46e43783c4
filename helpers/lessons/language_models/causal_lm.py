"""A causal language model: its text, its perplexity, and what it writes.

`load_causal_lm("tiny")` is our own decoder of about a million parameters, pretrained on newsgroup
posts by `tools/assets/pretrain_decoder.py` and shipped in `data/weights/`. `smollm2` is one that
people use, SmolLM2-135M-Instruct, from the package index: its 4-bit weights, dequantised.
"""

import copy
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.backbones.gguf_file import PADDING, load_decoder
from helpers.backbones.smollm2 import PRETRAINED_ON, smollm2_file
from helpers.errors import DataNotFound, UserError
from helpers.lessons.language_models.decoder import Shape, build_decoder
from helpers.paths import weights_dir
from helpers.registry import unknown_name
from helpers.runtime import keep_freed_memory
from helpers.training.loop import autocast

TINY = Shape(width=128, layers=4, heads=4, feed_forward=384, vocabulary=1024, context=256)
TINY_CONTEXT = 128  # tokens it was trained to look back on
LARGE_CONTEXT = 128  # of a larger model: it could look farther, at a laptop's expense
END = "<|end|>"  # stands before every text
IGNORED = -100  # a target that no loss is asked for
EVALUATION_ROWS = 16


@dataclass(frozen=True)
class CausalLM:
    """A decoder with its tokenizer.

    context: tokens in one row. end: id of the token that stands before every text.
    """

    name: str
    model: nn.Module
    tokenizer: Any
    context: int
    end: int
    pretrained_on: str = ""

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without the token that ends it."""
        return self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        return self.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)


@dataclass(frozen=True)
class Corpus:
    """Texts as one row of token ids (N,), `end` before each, and how many words and bytes they are.

    Perplexity per token depends on the tokenizer; per word or byte of the same text it does not.
    """

    ids: Tensor
    words: int
    bytes: int


@dataclass(frozen=True)
class Perplexity:
    """Summed −log probability of a corpus in nats, and what it is a sum over."""

    nats: float
    tokens: int
    words: int
    bytes: int

    @property
    def loss(self) -> float:
        """Mean cross-entropy per token, as training sees it."""
        return self.nats / self.tokens

    @property
    def per_token(self) -> float:
        """As undecided as among so many tokens; a uniform model has its vocabulary's size."""
        return math.exp(self.loss)

    @property
    def per_word(self) -> float:
        """As undecided as among so many words; comparable between tokenizers."""
        return math.exp(self.nats / self.words)

    @property
    def bits_per_byte(self) -> float:
        """Bits that each byte of the text costs; comparable between tokenizers."""
        return self.nats / math.log(2) / self.bytes


def load_causal_lm(name: str = "tiny") -> CausalLM:
    """`tiny` or `smollm2`, to evaluate. Raises UserError for another name."""
    if name == "smollm2":
        file = smollm2_file()
        made = load_decoder(file), file.tokenizer(), LARGE_CONTEXT, PADDING, PRETRAINED_ON
        return CausalLM(name, *made)
    if name != "tiny":
        raise unknown_name("language model", name, ["tiny", "smollm2"])
    from safetensors.torch import load_file

    file = _shipped("decoder.safetensors")
    facts = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    lm = untrained_tiny()
    state = {key: value.float() for key, value in load_file(file).items()}
    lm.model.load_state_dict(state, strict=False)
    lm.model.tie_weights()
    return replace(lm, pretrained_on=facts["source"])


def untrained_tiny(seed: int = 0) -> CausalLM:
    """`tiny` before its pretraining: random weights, the tokenizer that ships."""
    from transformers import PreTrainedTokenizerFast

    file = _shipped("decoder_tokenizer.json")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(file), eos_token=END)
    end = tokenizer.convert_tokens_to_ids(END)
    return CausalLM("tiny", build_decoder(TINY, seed=seed), tokenizer, TINY_CONTEXT, end)


def _shipped(name: str) -> Path:
    file = weights_dir() / name
    if not file.is_file():
        raise DataNotFound(
            f"{file} is not there; take it back from git, or run tools/assets/pretrain_decoder.py"
        )
    return file


def copied(lm: CausalLM) -> CausalLM:
    """The same model with weights of its own; tokenizer and facts are shared."""
    return replace(lm, model=copy.deepcopy(lm.model))


def read(lm: CausalLM, texts: Sequence[str], tokens: int | None = None) -> Corpus:
    """Tokenise whole texts in their order, until there are at least `tokens` tokens (None: all).

    Raises UserError where no text is left, or none that has a word in it.
    """
    ids: list[int] = []
    words = size = 0
    for text in texts:
        if tokens is not None and len(ids) >= tokens:
            break
        if not text.strip():
            continue
        ids += [lm.end, *lm.encode(text)]
        words += len(text.split())
        size += len(text.encode("utf-8"))
    if not words:
        raise UserError("a corpus needs a text with words in it, and there is none; check the file")
    return Corpus(torch.tensor(ids), words, size)


def rows_of(corpus: Corpus, context: int) -> tuple[Tensor, Tensor]:
    """(inputs, targets), both (rows, context): every token but the first is asked for once.

    The last row is filled with zeros, whose targets are IGNORED.
    """
    inputs, targets = corpus.ids[:-1], corpus.ids[1:]
    missing = -len(inputs) % context
    inputs = F.pad(inputs, (0, missing)).view(-1, context)
    return inputs, F.pad(targets, (0, missing), value=IGNORED).view(-1, context)


def summed_loss(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Summed cross-entropy in nats of rows (N, L) with targets (N, L)."""
    logits = model(input_ids=inputs).logits[:, -inputs.shape[1] :]  # a trained prompt has some too
    return F.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )


@torch.inference_mode()
def perplexity(lm: CausalLM, corpus: Corpus, amp: bool | None = None) -> Perplexity:
    """How well the model foresees a corpus, in rows of `lm.context` tokens.

    A token sees at most the row's tokens before it, so longer rows would give a little less. amp:
    bfloat16, as in `helpers.training.loop`.
    """
    keep_freed_memory()
    lm.model.eval()
    inputs, targets = rows_of(corpus, lm.context)
    nats = 0.0
    for part, wanted in zip(
        inputs.split(EVALUATION_ROWS), targets.split(EVALUATION_ROWS), strict=True
    ):
        with autocast(part.device, amp):
            nats += float(summed_loss(lm.model, part, wanted))
    return Perplexity(nats, int((targets != IGNORED).sum()), corpus.words, corpus.bytes)


def sample(
    lm: CausalLM, prompt: str = "", *, tokens: int = 60, temperature: float = 0.8, seed: int = 0
) -> str:
    """What the model writes after `prompt`: the new text alone, up to `tokens` tokens.

    temperature: 0 always takes the likeliest token, 1 draws from the model's own probabilities.
    The same seed gives the same text. Raises UserError for a negative temperature, or more tokens
    than the model looks back on.
    """
    if temperature < 0:
        raise UserError(f"temperature can't be negative; got {temperature}")
    if not 0 < tokens < lm.context:
        raise UserError(f"tokens must be from 1 to {lm.context - 1}; got {tokens}")
    begin = [lm.end, *lm.encode(prompt)][-(lm.context - tokens) :]
    ids = torch.tensor([begin])
    drawn = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    how = drawn if temperature else {"do_sample": False}
    lm.model.eval()
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(seed)
        made = lm.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, use_cache=True,
            eos_token_id=lm.end, pad_token_id=lm.end, **how,
        )  # fmt: skip
    return lm.decode([one for one in made[0, len(begin) :].tolist() if one != lm.end])
