"""A decoder in a GGUF file: its weights in blocks of a few bits, and multiplied out; its tokenizer.

GGUF is llama.cpp's format. A row of a quantised matrix is cut into blocks of 32 numbers, and a
number is stored as a small integer q:

    Q4_1   scale d, least value m (16 bits each), 32 q of 4 bits: 20 bytes     d · q + m
    Q8_0   scale d (16 bits), 32 q of 8 bits with a sign: 34 bytes             d · q
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from helpers.errors import UserError

if TYPE_CHECKING:
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

PADDING = 0  # <|endoftext|>, which no text holds
BLOCK = 32  # numbers
BLOCK_BYTES = {"Q4_1": 20, "Q8_0": 34}
CONTROL = 3  # GGUF's type of a token that stands for no text


def dequantised(stored: Tensor, kind: str) -> Tensor:
    """Rows (…, bytes) of uint8 in blocks of `kind`, multiplied out: float32 (…, numbers).

    kind: Q4_1, Q8_0, or F32, whose rows are numbers already.
    """
    if kind == "F32":
        return stored
    blocks = stored.unflatten(-1, (-1, BLOCK_BYTES[kind]))
    scale = blocks[..., :2].view(torch.float16).float()
    if kind == "Q8_0":
        return (blocks[..., 2:].view(torch.int8) * scale).flatten(-2)
    least = blocks[..., 2:4].view(torch.float16).float()
    # The low halves of the sixteen bytes are a block's first numbers, the high ones its last.
    pairs = blocks[..., 4:]
    numbers = torch.cat([pairs & 15, pairs >> 4], dim=-1)
    return torch.addcmul(least, numbers, scale).flatten(-2)


class GGUFFile:
    """A file with a decoder as Llama's.

    stored: name in `LlamaForCausalLM` -> (rows as they are stored, kind), in transformers' order.
    Raises UserError where it is no such file, or one in other blocks.
    """

    def __init__(self, path: Path) -> None:
        import gguf

        try:
            reader = gguf.GGUFReader(path)
            self.fields = {name: field.contents() for name, field in reader.fields.items()}
            self.config = self._config("output.weight" not in [t.name for t in reader.tensors])
            names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, self.config.num_hidden_layers)
            wanted = empty_decoder(self.config).state_dict()
            theirs = {names.get_name(name, (".weight",)): name for name in wanted}
            self.stored = {theirs[one.name]: self._rows(one) for one in reader.tensors}
        except (ValueError, LookupError, OSError) as error:
            raise UserError(
                f"{path} holds no decoder like Llama's in blocks of Q4_1 or Q8_0 ({error}); get it "
                "again with `python -m helpers fetch smollm2`"
            ) from error

    def _rows(self, tensor) -> tuple[Tensor, str]:
        kind, rows = tensor.tensor_type.name, np.array(tensor.data)
        if kind not in ("F32", *BLOCK_BYTES):
            raise ValueError(f"{tensor.name} is stored as {kind}")
        # Query and key: whole rows change places, so that blocks stay as they are.
        if tensor.name.endswith("attn_q.weight"):
            rows = unpermuted(rows, self.config.num_attention_heads)
        elif tensor.name.endswith("attn_k.weight"):
            rows = unpermuted(rows, self.config.num_key_value_heads)
        return torch.from_numpy(rows), kind

    def _config(self, tied: bool) -> LlamaConfig:
        from transformers import LlamaConfig

        own = {name.removeprefix("llama."): value for name, value in self.fields.items()}
        return LlamaConfig(
            vocab_size=own["vocab_size"],
            hidden_size=own["embedding_length"],
            intermediate_size=own["feed_forward_length"],
            num_hidden_layers=own["block_count"],
            num_attention_heads=own["attention.head_count"],
            num_key_value_heads=own["attention.head_count_kv"],
            max_position_embeddings=own["context_length"],
            rms_norm_eps=own["attention.layer_norm_rms_epsilon"],
            rope_theta=own["rope.freq_base"],
            tie_word_embeddings=tied,
            bos_token_id=own["tokenizer.ggml.bos_token_id"],
            eos_token_id=own["tokenizer.ggml.eos_token_id"],
            pad_token_id=PADDING,
            use_cache=False,
        )

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The file's tokenizer: byte pairs as in GPT-2, digits one by one."""
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast

        own = {name.removeprefix("tokenizer."): value for name, value in self.fields.items()}
        words = own["ggml.tokens"]
        merges = [tuple(pair.split(" ")) for pair in own["ggml.merges"]]
        made = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, merges))
        digits = pre_tokenizers.Digits(individual_digits=True)
        in_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.pre_tokenizer = pre_tokenizers.Sequence([digits, in_bytes])
        made.decoder = decoders.ByteLevel()
        kinds = zip(words, own["ggml.token_type"], strict=True)
        special = [AddedToken(word, special=True) for word, kind in kinds if kind == CONTROL]
        made.add_special_tokens(special)
        return PreTrainedTokenizerFast(
            tokenizer_object=made,
            eos_token=words[own["ggml.eos_token_id"]],
            pad_token=words[PADDING],
            chat_template=own["chat_template"],
        )


def unpermuted(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows (heads · d, …) of query or key in the order that transformers rotates them in.

    Rotary positions turn pairs of a head's d numbers. GGUF has the two of a pair side by side,
    transformers has them d / 2 apart.
    """
    pairs = rows.reshape(heads, -1, 2, *rows.shape[1:])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def empty_decoder(config: LlamaConfig) -> LlamaForCausalLM:
    """The network in evaluation mode, its weights on the meta device: shapes without numbers."""
    from transformers import LlamaForCausalLM
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    with torch.device("meta"):
        decoder = LlamaForCausalLM(config).eval()
    decoder.model.rotary_emb = LlamaRotaryEmbedding(config)  # in no file: worked out
    return decoder


def load_decoder(file: GGUFFile) -> LlamaForCausalLM:
    """The decoder with its output, in float32 and in evaluation mode, its weights dequantised."""
    decoder = empty_decoder(file.config)
    weights = {name: dequantised(*stored) for name, stored in file.stored.items()}
    decoder.load_state_dict(weights, strict=False, assign=True)
    decoder.tie_weights()
    return decoder
