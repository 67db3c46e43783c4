"""Decoders built from a `transformers` configuration, and what each approach trains in them.

A decoder is a stack of layers that predicts the next token (Llama's layout, Touvron et al. 2023,
arXiv 2302.13971). `plug` readies one for an approach in place.
"""

from dataclasses import dataclass

import torch
from torch import nn

from helpers.approaches.adapter import Adapted, Adapter
from helpers.approaches.lora import add_lora
from helpers.approaches.model import freeze, unfreeze
from helpers.errors import UserError
from helpers.registry import unknown_name
from helpers.vocabulary import ADAPTER, FULL_FINE_TUNING, LORA, PARTIAL_FINE_TUNING

IA3, PROMPT_TUNING = "ia3", "prompt_tuning"  # of the `peft` library
APPROACHES = (FULL_FINE_TUNING, PARTIAL_FINE_TUNING, LORA, ADAPTER, IA3, PROMPT_TUNING)
TOP = 3  # partial fine-tuning moves the top third of the layers


@dataclass(frozen=True)
class Shape:
    """Widths and layers of a decoder. Word vectors are shared with the output unless untied."""

    width: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int = 8192
    key_value_heads: int = 0  # 0: as many as heads
    tied: bool = True
    context: int = 1024  # positions


def build_decoder(shape: Shape, *, seed: int | None = 0, device: str = "cpu") -> nn.Module:
    """A `LlamaForCausalLM` with random weights in evaluation mode.

    seed: None draws from the global generator. device: "meta" takes no memory at all.
    Raises UserError where the heads do not divide the width.
    """
    if shape.width % shape.heads:
        raise UserError(f"{shape.heads} heads do not divide a width of {shape.width}")
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads or shape.heads,
        intermediate_size=shape.feed_forward,
        vocab_size=shape.vocabulary,
        tie_word_embeddings=shape.tied,
        max_position_embeddings=shape.context,
        use_cache=False,
        pad_token_id=None,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng(devices=[]), torch.device(device):
        if seed is not None:
            torch.manual_seed(seed)
        return LlamaForCausalLM(config).eval()


def plug(
    model: nn.Module,
    approach: str,
    *,
    rank: int = 8,
    targets: tuple[str, ...] = (),
    reduction: int = 8,
    embeddings: bool = False,
) -> nn.Module:
    """The model with what `approach` trains made trainable and inserted, in place.

    lora: in the layers whose names end in `targets` (empty: every linear layer of the body, so
    not the output, which may share its weight with the word vectors), with alpha = 2 · rank.
    adapter: bottlenecks behind each attention and feed-forward output, width / reduction wide.
    partial_fine_tuning: the top third of the layers and the last normalisation.
    ia3: keys, values and feed-forward activations, stretched by a trained number each (Liu et al.
        2022, arXiv 2205.05638).
    prompt_tuning: `rank` word vectors before every text, which begin as those of random words
        (Lester et al. 2021, arXiv 2104.08691). What is returned is a wrapper of the model.
    embeddings: the word vectors move too, and with them an output that shares their weight.

    Raises UserError for another approach, or a model without such layers.
    """
    if approach not in APPROACHES:
        raise unknown_name("approach for a decoder", approach, APPROACHES)
    if approach == FULL_FINE_TUNING:
        return unfreeze(model)
    freeze(model)
    body = model.base_model
    if approach == LORA:
        add_lora(body, rank, 2.0 * rank, targets)
    elif approach == ADAPTER:
        _add_adapters(body, reduction)
    elif approach in (IA3, PROMPT_TUNING):
        model = _with_peft(model, approach, rank)
    else:
        for layer in body.layers[-max(1, len(body.layers) // TOP) :]:
            unfreeze(layer)
        unfreeze(body.norm)
    if embeddings:
        unfreeze(model.get_input_embeddings())
    return model


def _with_peft(model: nn.Module, approach: str, rank: int) -> nn.Module:
    import peft

    if approach == IA3:
        sites = ["k_proj", "v_proj", "down_proj"]
        config = peft.IA3Config(target_modules=sites, feedforward_modules=sites[-1:])
        return peft.inject_adapter_in_model(config, model)
    config = peft.PromptTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=rank, prompt_tuning_init="SAMPLE_VOCAB"
    )
    return peft.get_peft_model(model, config)


def _add_adapters(body: nn.Module, reduction: int) -> None:
    if reduction < 1:
        raise UserError(f"an adapter's reduction must be at least 1; got {reduction}")
    # What is added to the residual sum: two outputs in each layer.
    sites = [
        (parent, key, getattr(parent, key))
        for parent in body.modules()
        for key in ("o_proj", "down_proj")
        if isinstance(getattr(parent, key, None), nn.Linear)
    ]
    if not sites:
        raise UserError(f"{type(body).__name__} has no o_proj and down_proj to put adapters behind")
    for parent, key, layer in sites:
        setattr(parent, key, Adapted(layer, Adapter(layer.out_features, reduction, False)))
