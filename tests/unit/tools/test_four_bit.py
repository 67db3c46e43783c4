"""QLoRA: a base in blocks computes what the dequantised one does, in a part of its memory."""

import pytest
import small_gguf
import torch
import torch.nn.functional as F
from small_gguf import SHAPE

from helpers.approaches.lora import LoRALinear
from helpers.backbones.gguf_file import GGUFFile, load_decoder
from helpers.experiments.costs import TensorMemory, count_parameters
from helpers.lessons.language_models import counting
from helpers.lessons.language_models.decoder import Shape, plug
from helpers.training.loop import trainable
from tools.measure import four_bit


@pytest.fixture
def pair(tmp_path):
    """LoRA of the same random numbers on both bases: (dequantised, in blocks)."""
    small_gguf.write(tmp_path / "small.gguf", small_gguf.small_decoder())
    read = GGUFFile(tmp_path / "small.gguf")
    models = load_decoder(read), four_bit.load_in_blocks(read)
    for model in models:
        torch.manual_seed(0)
        plug(model, "lora", rank=4)
        for name, parameter in model.named_parameters():
            if name.endswith(".B"):
                torch.nn.init.normal_(parameter, std=0.1)  # zeros would hide every mistake
    return models


def loss_of(model, ids):
    return F.cross_entropy(model(input_ids=ids).logits.flatten(0, 1), ids.roll(-1, 1).flatten())


def test_outputs_and_gradients_are_those_of_the_dequantised_base(pair):
    ids = torch.randint(0, SHAPE.vocabulary, (3, 12))
    outputs = [model(input_ids=ids).logits for model in pair]
    assert torch.allclose(*outputs, atol=1e-5)
    for model in pair:
        loss_of(model, ids).backward()
    gradients = [[p.grad for p in trainable(model)] for model in pair]
    assert len(gradients[0]) == len(gradients[1]) == 2 * 7 * SHAPE.layers
    for mine, theirs in zip(*gradients, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6) and theirs.abs().max() > 0


def test_only_lora_is_trained_and_the_blocks_stay(pair):
    model = pair[1]
    wrapped = [part for part in model.modules() if isinstance(part, LoRALinear)]
    assert {type(part.base) for part in wrapped} == {four_bit.BlockLinear}
    blocks = {name: value.clone() for name, value in model.named_buffers()}
    optimizer = torch.optim.AdamW(trainable(model), lr=0.1)
    loss_of(model, torch.arange(12)[None]).backward()
    optimizer.step()
    for name, value in model.named_buffers():
        assert torch.equal(value, blocks[name]), name
    assert count_parameters(pair[0])[0] == count_parameters(model)[0]


def test_no_weight_outlives_its_product(pair):
    """What the forward pass keeps is the same on both bases; a kept weight would be added."""
    ids, kept = torch.arange(12)[None], []
    for model in pair:
        with TensorMemory(*model.parameters(), *model.buffers(), ids) as memory:
            before = memory.live
            loss = loss_of(model, ids)
            kept.append(memory.live - before)
        del loss
    assert kept[1] <= kept[0]


def test_merging_into_blocks_is_refused(pair):
    layer = next(part for part in pair[1].modules() if isinstance(part, LoRALinear))
    with pytest.raises(AttributeError):
        layer.merged()


def test_the_base_is_as_large_as_counted(pair):
    small = counting.block_bytes(SHAPE)
    rotary = sum(b.nbytes for n, b in pair[1].named_buffers() if "inv_freq" in n)
    # The small file has word vectors of 4 bits too, where the count expects 8.
    words = SHAPE.vocabulary * SHAPE.width * (34 - 20) // 32
    assert four_bit.base_bytes(pair[1]) - rotary == small - words
    smollm2 = Shape(576, 30, 9, 1536, 49_152, key_value_heads=3)
    assert counting.block_bytes(smollm2) / (4 * 134_515_008) < 0.2


def test_large_models_are_counted():
    table = counting.at_scale().set_index(["model", "approach"])
    seven = table.loc["7 B"]
    assert seven.loc["lora", "base_gb"] == pytest.approx(6_738_415_616 * 2 / 1e9)
    shares = table.xs("qlora", level=1)["base_gb"] / table.xs("lora", level=1)["base_gb"]
    assert shares.min() > 0.3 and shares.max() < 0.36
    for model in ("1.1 B", "7 B", "70 B"):
        assert table.loc[model]["training_gb"].is_monotonic_decreasing
        assert list(table.loc[model].index) == ["full_fine_tuning", "lora", "qlora"]


def test_smollm2_in_blocks_equals_the_dequantised_one():
    read = small_gguf.real_file()
    ids = torch.tensor([read.tokenizer()(small_gguf.PASSAGE)["input_ids"]])[:, :48]
    plain = load_decoder(read)
    with torch.inference_mode():
        wanted = plain(input_ids=ids).logits
    size = sum(p.nbytes for p in plain.parameters())
    del plain
    blocks = four_bit.load_in_blocks(read)
    with torch.inference_mode():
        assert (blocks(input_ids=ids).logits - wanted).abs().max() < 1e-3
    assert four_bit.base_bytes(blocks) <= 0.35 * size
