"""What each approach trains in a decoder: `plug` readies one for an approach in place."""

from torch import nn

from helpers.approaches.adapter import Adapted, Adapter
from helpers.approaches.lora import add_lora
from helpers.approaches.model import freeze, unfreeze
from helpers.errors import UserError
from helpers.lessons.language_models.decoder import IA3, PROMPT_TUNING
from helpers.registry import unknown_name
from helpers.vocabulary import ADAPTER, FULL_FINE_TUNING, LORA, PARTIAL_FINE_TUNING

APPROACHES = (FULL_FINE_TUNING, PARTIAL_FINE_TUNING, LORA, ADAPTER, IA3, PROMPT_TUNING)
TOP = 3  # partial fine-tuning moves the top third of the layers


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
