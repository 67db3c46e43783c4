"""A small decoder as llama.cpp would write it, and a passage of English."""

import gguf
import numpy as np
import pytest
import torch

from helpers.backbones import gguf_file
from helpers.backbones.smollm2 import smollm2_file
from helpers.errors import UserError
from helpers.lessons.language_models.decoder import Shape, build_decoder
from helpers.storage.assets import all_assets
from helpers.storage.install import find_asset

PASSAGE = (
    "The history of the city goes back more than two thousand years. It was founded by Roman "
    "soldiers who built a small fort on the bank of the river, and over the centuries it grew into "
    "an important center of trade. Merchants came from many countries to sell wool, salt, and wine "
    "in its markets. In the nineteenth century, railways connected it to the rest of the country, "
    "and factories were built along the water."
)
SHAPE = Shape(width=64, layers=2, heads=4, feed_forward=96, vocabulary=40, key_value_heads=2)
WORDS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    *"0123456789abcdefghijklmnopqrst",
    "Ġ",
    "ab",
]


def permuted(rows, heads):
    """What llama.cpp's converter does to query and key: the inverse, written on its own."""
    halves = rows.reshape(heads, 2, len(rows) // heads // 2, rows.shape[1])
    return np.concatenate([halves[:, 0, :, None], halves[:, 1, :, None]], 2).reshape(rows.shape)


def small_decoder():
    """A small decoder whose weights blocks hold exactly: sixteenths, between ends of -7 and 8."""
    model = build_decoder(SHAPE)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                cells = torch.randint(0, 16, (parameter.numel() // 32, 32), generator=draw)
                cells[:, 0], cells[:, 1] = 0, 15  # both ends, so that quantising is exact
                parameter.copy_(((cells - 7.0) / 16).reshape(parameter.shape))
            else:
                parameter.uniform_(0.5, 1.5, generator=draw)
    return model


def write(path, decoder, kind=gguf.GGMLQuantizationType.Q4_1):
    """Write a decoder of SHAPE, its matrices in blocks of `kind`."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(SHAPE.vocabulary)
    writer.add_embedding_length(SHAPE.width)
    writer.add_feed_forward_length(SHAPE.feed_forward)
    writer.add_block_count(SHAPE.layers)
    writer.add_head_count(SHAPE.heads)
    writer.add_head_count_kv(SHAPE.key_value_heads)
    writer.add_context_length(SHAPE.context)
    writer.add_layer_norm_rms_eps(decoder.config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(WORDS)
    writer.add_token_types([gguf_file.CONTROL] * 3 + [1] * (len(WORDS) - 3))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{{ messages }}")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, SHAPE.layers)
    for theirs, parameter in decoder.named_parameters():
        name, value = names.get_name(theirs, (".weight",)), parameter.detach().numpy()
        heads = {"q_proj": SHAPE.heads, "k_proj": SHAPE.key_value_heads}.get(theirs.split(".")[-2])
        value = permuted(value, heads) if heads else value
        if value.ndim > 1:
            writer.add_tensor(name, gguf.quantize(value, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def real_file():
    """SmolLM2's file, fetched where it is not there yet; the test is skipped without a network."""
    try:
        return smollm2_file()
    except UserError as error:
        if find_asset(all_assets()["smollm2"]) is not None:
            raise
        pytest.skip(str(error))
