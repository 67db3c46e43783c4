"""The decoder: perplexity against what is exact, adaptation, sampling, the weights that ship."""

import json
import math

import pytest
import torch
from tiny import without_adapters

from helpers.approaches.lora import merge_lora, remove_lora
from helpers.errors import DataNotFound, UserError
from helpers.experiments.costs import count_parameters
from helpers.lessons.language_models import causal_lm, decoder
from helpers.lessons.language_models.causal_lm import (
    Corpus,
    load_causal_lm,
    perplexity,
    read,
    rows_of,
    sample,
)
from helpers.lessons.language_models.decoder import APPROACHES, IA3, PROMPT_TUNING, plug
from helpers.paths import weights_dir
from helpers.training.checkpoints import task_state
from helpers.training.loop import TrainingDiverged
from tools.measure.adapting import TuneConfig, adapt

TEXTS = ["the cat sat on the mat", "", "Größe: 5 € http://t.co/x", "the dog sat on the cat"] * 6


@pytest.fixture(scope="module")
def lm():
    return load_causal_lm("tiny")


@pytest.fixture(scope="module")
def small(lm):
    """The same tokenizer on a network of two narrow layers, to train in no time."""
    shape = decoder.Shape(width=32, layers=2, heads=2, feed_forward=48, vocabulary=1024)
    return causal_lm.CausalLM(
        "small", decoder.build_decoder(shape), lm.tokenizer, context=16, end=lm.end
    )


def tensors(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def test_any_text_survives_the_tokenizer_and_counts_are_those_of_the_text(lm):
    for text in TEXTS:
        assert lm.decode(lm.encode(text)) == text
    corpus = read(lm, TEXTS)
    kept = [text for text in TEXTS if text]
    assert corpus.words == sum(len(text.split()) for text in kept)
    assert corpus.bytes == sum(len(text.encode()) for text in kept)
    assert int((corpus.ids == lm.end).sum()) == len(kept)
    assert len(read(lm, TEXTS, tokens=5).ids) == 1 + len(lm.encode(TEXTS[0]))
    with pytest.raises(UserError, match="words in it"):
        read(lm, ["", " "])


def test_rows_ask_for_every_token_but_the_first_once():
    inputs, targets = rows_of(Corpus(torch.arange(10), words=1, bytes=1), context=4)
    assert inputs.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 0, 0, 0]]
    assert targets[targets != causal_lm.IGNORED].tolist() == list(range(1, 10))


def test_a_uniform_model_is_as_undecided_as_its_vocabulary_is_large(small):
    even = causal_lm.copied(small)
    with torch.no_grad():
        even.model.get_input_embeddings().weight.zero_()  # tied: every logit is zero
    got = perplexity(even, read(even, TEXTS))
    assert got.per_token == pytest.approx(1024, rel=1e-5)
    assert got.bits_per_byte == pytest.approx(10 * got.tokens / got.bytes, rel=1e-5)
    assert math.log(got.per_word) == pytest.approx(got.tokens * math.log(1024) / got.words)


def test_the_loss_is_that_of_transformers(lm):
    ids = torch.tensor([[lm.end, *lm.encode(" ".join(TEXTS))][: lm.context + 1]])
    with torch.inference_mode():
        theirs = float(lm.model(input_ids=ids[:, :-1], labels=ids[:, :-1]).loss)
    got = perplexity(lm, Corpus(ids[0, :-1], words=1, bytes=1))
    assert got.loss == pytest.approx(theirs, rel=1e-5)


OURS = [one for one in APPROACHES if one not in (IA3, PROMPT_TUNING)]


@pytest.mark.parametrize("approach", OURS)
def test_plugging_starts_where_the_base_was_and_leaves_no_trace(small, approach):
    model, ids = causal_lm.copied(small).model, torch.arange(8)[None]
    with torch.inference_mode():
        before, expected = tensors(model), model(input_ids=ids).logits
        plug(model, approach, rank=2)
        assert torch.equal(model(input_ids=ids).logits, expected)
    moving, total = count_parameters(model)
    assert 0 < moving <= total
    after = tensors(without_adapters(remove_lora(model)))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_unknown_approaches_and_shapes_are_refused(small):
    with pytest.raises(UserError, match="approach for a decoder"):
        plug(causal_lm.copied(small).model, "prayer")
    with pytest.raises(UserError, match="do not divide"):
        decoder.build_decoder(decoder.Shape(30, 1, 4, 8))


@pytest.mark.parametrize("approach", ["full_fine_tuning", "lora", "adapter"])
def test_adapting_moves_a_copy_and_only_what_is_trained(small, approach):
    before = tensors(small.model)
    corpus = read(small, TEXTS)
    config = TuneConfig(approach, lr=1e-2, steps=12, batch_size=4, measured_at=(5, 99))
    tuned = adapt(small, corpus, {"new": corpus, "old": read(small, ["zeal zero"])}, config)
    assert all(torch.equal(before[key], value) for key, value in tensors(small.model).items())
    assert tuned.history["step"].tolist() == [0, 0, 5, 5, 12, 12]
    new = tuned.history[tuned.history["corpus"] == "new"]["loss"].tolist()
    assert new[-1] < new[0] - 0.02
    after = tensors(without_adapters(remove_lora(tuned.lm.model)))
    same = [torch.equal(before[key], after[key]) for key in before]
    assert not any(same) if approach == "full_fine_tuning" else all(same)
    assert len(tuned.losses) == 12
    assert tuned.cpu_seconds > 0


@pytest.mark.parametrize(
    ("approach", "moving"), [(IA3, 2 * (32 + 32 + 48)), (PROMPT_TUNING, 3 * 32)]
)
def test_methods_of_peft_learn_and_leave_the_base_alone(small, approach, moving):
    corpus, config = read(small, TEXTS), TuneConfig(approach, rank=3, lr=0.1, steps=12)
    tuned = adapt(small, corpus, {"new": corpus}, config)
    assert tuned.trainable_params == moving
    assert sum(value.numel() for value in task_state(tuned.lm.model).values()) == moving
    new = tuned.history["loss"].tolist()
    assert new[-1] < new[0] - 0.005
    kept = {
        key.removeprefix("base_model."): value for key, value in tensors(tuned.lm.model).items()
    }
    for key, value in tensors(small.model).items():
        name = key if key in kept else key.replace(".weight", ".base_layer.weight")
        assert torch.equal(kept[name], value), name
    assert isinstance(sample(tuned.lm, "the cat", tokens=4, temperature=0), str)


def test_the_same_seed_gives_the_same_weights_and_merging_changes_no_answer(small):
    corpus = read(small, TEXTS)
    config = TuneConfig(lr=1e-2, steps=6, batch_size=4, rank=2)
    first, again = (adapt(small, corpus, {"new": corpus}, config) for _ in range(2))
    assert first.history.equals(again.history)
    unmerged = perplexity(first.lm, corpus).nats
    merge_lora(first.lm.model)
    assert perplexity(first.lm, corpus).nats == pytest.approx(unmerged, rel=1e-5)


def test_bad_settings_and_runaway_rates_are_refused(small):
    with pytest.raises(UserError, match="steps must be positive"):
        TuneConfig(steps=0)
    corpus = read(small, TEXTS)
    config = TuneConfig("full_fine_tuning", lr=math.inf, steps=3)
    with pytest.raises(TrainingDiverged, match="ten times lower"):
        adapt(small, corpus, {}, config)


def test_sampling_repeats_itself_and_leaves_the_global_generator_alone(lm):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    texts = [sample(lm, "the", tokens=12, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), state)
    assert texts[0] == texts[1] != texts[2]
    greedy = [sample(lm, "the", tokens=6, temperature=0, seed=seed) for seed in (0, 1)]
    assert greedy[0] == greedy[1]
    ids = [lm.end, *lm.encode("the")]
    with torch.inference_mode():
        likeliest = int(lm.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
    assert greedy[0].startswith(lm.decode([likeliest]))
    with pytest.raises(UserError, match="negative"):
        sample(lm, temperature=-1)
    with pytest.raises(UserError, match="tokens must be"):
        sample(lm, tokens=lm.context)


def test_names_that_lead_nowhere_get_one_sentence(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="language model 'huge'"):
        load_causal_lm("huge")
    monkeypatch.setattr(causal_lm, "weights_dir", lambda: tmp_path)
    with pytest.raises(DataNotFound, match="pretrain_decoder"):
        load_causal_lm("tiny")
    with pytest.raises(DataNotFound, match="pretrain_decoder"):
        causal_lm.untrained_tiny()


def test_the_shipped_weights_are_small_and_foresee_their_own_domain(lm):
    file = weights_dir() / "decoder.safetensors"
    assert file.stat().st_size <= 2_000_000
    facts = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert facts["parameters"] == count_parameters(lm.model)[1]
    assert facts["source"] == lm.pretrained_on
    posts = [
        "the space shuttle will be launched into orbit next year",
        "i think that you are wrong",
    ]
    fresh = causal_lm.untrained_tiny()
    trained, random = (perplexity(one, read(one, posts)) for one in (lm, fresh))
    assert trained.bits_per_byte < 0.75 * random.bits_per_byte
