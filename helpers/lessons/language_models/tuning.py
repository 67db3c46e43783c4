"""The language model and the texts that notebook 13 tunes, and what the model answers."""

from helpers.backbones.smollm2 import ROUNDED
from helpers.errors import UserError
from helpers.lessons.language_models.causal_lm import CausalLM, load_causal_lm, sample
from helpers.tasks import Task, load_task
from helpers.vocabulary import wrapped


def reachable() -> tuple[CausalLM, Task | None, str]:
    """(SmolLM2, the tweets, a sentence on both).

    Where SmolLM2 is out of reach the decoder that ships stands in; without the tweets, None.
    """
    try:
        lm, told = load_causal_lm("smollm2"), f"SmolLM2-135M-Instruct is here: {ROUNDED}."
    except UserError as error:
        lm = load_causal_lm("tiny")
        told = f"SmolLM2 is out of reach, so a decoder of a million weights stands in: {error}"
    try:
        return lm, load_task("tweets"), told
    except UserError as error:
        return lm, None, f"{told} Nothing is trained here, for want of the tweets: {error}"


def answer(lm: CausalLM, question: str, *, tokens: int, seed: int) -> str:
    """What a model answers, or goes on with, in so many tokens at most, in lines to be printed."""
    return wrapped(sample(lm, asked(lm, question), tokens=tokens, seed=seed))


def asked(lm: CausalLM, question: str) -> str:
    """A question as SmolLM2 was taught to see it; another model just goes on with it."""
    if lm.name != "smollm2":
        return question
    return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
