"""Weights of a decoder in blocks of bits: read as transformers reads them, and as they were."""

import gguf
import numpy as np
import pytest
import small_gguf
import torch

from helpers.backbones import gguf_file, load_backbone, smollm2
from helpers.backbones.gguf_file import GGUFFile, dequantised, load_decoder, unpermuted
from helpers.errors import UserError
from helpers.lessons.language_models.causal_lm import load_causal_lm, perplexity, read


@pytest.fixture(scope="module")
def decoder():
    return small_gguf.small_decoder()


@pytest.fixture(scope="module")
def file(decoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    small_gguf.write(path, decoder)
    return path


@pytest.mark.parametrize("kind", ["Q4_1", "Q8_0"])
def test_blocks_are_multiplied_out_as_by_gguf(kind):
    quantisation = gguf.GGMLQuantizationType[kind]
    numbers = np.random.default_rng(0).normal(size=(5, 96)).astype(np.float32)
    rows = gguf.quantize(numbers, quantisation)
    found = dequantised(torch.from_numpy(rows), kind)
    assert np.array_equal(found.numpy(), gguf.dequantize(rows, quantisation))
    assert np.abs(found.numpy() - numbers).max() < {"Q4_1": 0.25, "Q8_0": 0.02}[kind]
    assert rows.shape[1] == 3 * gguf_file.BLOCK_BYTES[kind]


def test_the_rotary_order_is_put_back():
    rows = np.arange(48).reshape(24, 2)
    assert not np.array_equal(small_gguf.permuted(rows, 3), rows)
    assert np.array_equal(unpermuted(small_gguf.permuted(rows, 3), 3), rows)
    # A head of four: the pairs (0, 2) and (1, 3) of transformers lie side by side in the file.
    assert unpermuted(np.array([[0], [2], [1], [3]]), 1).ravel().tolist() == [0, 1, 2, 3]


def test_a_file_gives_back_the_decoder_that_was_written(decoder, file):
    read_back = load_decoder(GGUFFile(file))
    ids = torch.arange(3, 30)[None]
    for name, value in read_back.state_dict().items():
        assert torch.equal(value, decoder.state_dict()[name]), name
    with torch.inference_mode():
        assert torch.equal(read_back(input_ids=ids).logits, decoder(input_ids=ids).logits)
    assert (
        not read_back.training and read_back.lm_head.weight is read_back.model.embed_tokens.weight
    )


def test_a_file_is_read_as_transformers_reads_it(file):
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    ).state_dict()
    for name, value in load_decoder(GGUFFile(file)).state_dict().items():
        assert torch.equal(value, theirs[name]), name


def test_the_tokenizer_is_the_files(file):
    tokenizer = GGUFFile(file).tokenizer()
    ids = tokenizer("ab 12<|im_end|>")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["ab", "Ġ", "1", "2", "<|im_end|>"]
    assert tokenizer.decode(ids[:-1]) == "ab 12" and tokenizer.eos_token_id == 2


def test_other_files_are_refused(decoder, tmp_path):
    path = tmp_path / "other.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(UserError, match=r"other.gguf holds no decoder.*fetch smollm2"):
        GGUFFile(path)
    small_gguf.write(path, decoder, gguf.GGMLQuantizationType.Q5_1)
    with pytest.raises(UserError, match="is stored as Q5_1"):
        GGUFFile(path)


# --- The real file, 93 MB -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lm():
    small_gguf.real_file()
    return load_causal_lm("smollm2")


def per_token(lm, text):
    return perplexity(lm, read(lm, [text])).per_token


def test_smollm2_foresees_english_and_a_wrong_order_shows(lm):
    shuffled = " ".join(np.random.default_rng(0).permutation(small_gguf.PASSAGE.split()))
    right = per_token(lm, small_gguf.PASSAGE)
    assert right < 13 and per_token(lm, shuffled) > 300
    original = {}
    for name, heads in (("q_proj", 9), ("k_proj", 3)):
        for layer in lm.model.model.layers:
            weight = getattr(layer.self_attn, name).weight
            original[weight] = weight.detach().clone()
            wrong = small_gguf.permuted(weight.detach().numpy(), heads)  # as the file has it
            weight.data = torch.from_numpy(wrong)
    assert per_token(lm, small_gguf.PASSAGE) > 4 * right  # 6.6 times
    for weight, value in original.items():
        weight.data = value
    assert sum(kind == "Q4_1" for _, kind in smollm2.smollm2_file().stored.values()) == 210


def test_smollm2_says_that_its_weights_are_the_rounded_ones(lm):
    assert "4-bit" in lm.pretrained_on and "not the original" in lm.pretrained_on
    assert sum(p.numel() for p in lm.model.parameters()) == 134_515_008


def test_smollm2_stages_equal_the_decoder_and_padding_changes_nothing(lm, monkeypatch):
    monkeypatch.setattr(smollm2, "load_decoder", lambda file: lm.model)
    backbone = load_backbone("smollm2")
    ids = torch.from_numpy(backbone.encode(["a short text", small_gguf.PASSAGE[:80]]))
    with torch.inference_mode():
        hidden, mask = backbone(backbone.prepare(ids))
        whole = lm.model.model(input_ids=ids[1:].long()).last_hidden_state
        assert torch.allclose(hidden[1:], whole, atol=1e-4)
        alone = backbone.pool(backbone(backbone.prepare(ids[:1])))
        assert torch.allclose(alone, backbone.pool((hidden, mask))[:1], atol=1e-4)
    assert backbone.n_stages == 32 and backbone.feature_size == 576
