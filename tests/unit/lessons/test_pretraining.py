"""Continued pretraining without labels: its losses, what moves, what stays, and bad input."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_task
from torch import nn

from helpers.approaches.model import freeze
from helpers.backbones import Backbone, Recipe, load_backbone
from helpers.errors import UserError
from helpers.lessons import unlabelled_data as pretraining
from helpers.lessons.unlabelled_data import PretextConfig
from tools.measure import masked_words

QUICK = PretextConfig(steps=3, batch_size=16)


@pytest.fixture(scope="module")
def pocket():
    return load_backbone("pocket")


@pytest.fixture(scope="module")
def images():
    return tiny_task(64).train.inputs


class TinyEmbeddings(nn.Module):
    def __init__(self, words=50, width=8):
        super().__init__()
        self.word_embeddings = nn.Embedding(words, width, padding_idx=0)

    def forward(self, input_ids):
        return self.word_embeddings(input_ids)


class TinyStage(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = TinyEmbeddings()

    def forward(self, ids):
        return self.embeddings(input_ids=ids), ids != 0


class TinyLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix, self.drop = nn.Linear(8, 8), nn.Dropout(0.1)

    def forward(self, state):
        hidden, mask = state
        return hidden + self.drop(self.mix(hidden)), mask


def tiny_encoder(tokens=None):
    """A text backbone of 50 words: 1 begins, 2 ends, 3 is the mask."""

    def encode(texts, longest):
        rows = [[1, 3, 2] if text == "[MASK]" else [1, *(int(w) for w in text.split()), 2]
                for text in texts]  # fmt: skip
        ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int32)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
        return ids

    torch.manual_seed(0)
    stages = [TinyStage(), TinyLayer()]
    return Backbone(
        "tiny", "text", stages, nn.Identity(), 8, Recipe(16), tokenizer=tokens or encode
    )


def test_nt_xent_equals_its_definition():
    first, second = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    views, terms = [*first, *second], []
    for i in range(10):
        partner = (i + 5) % 10
        sims = [float(F.cosine_similarity(views[i], other, dim=0)) / 0.3 for other in views]
        others = [np.exp(s) for k, s in enumerate(sims) if k != i]
        terms.append(-np.log(np.exp(sims[partner]) / sum(others)))
    assert float(pretraining.nt_xent(first, second, 0.3)) == pytest.approx(np.mean(terms), rel=1e-5)


def test_nt_xent_is_low_for_partners_that_agree_and_log_of_the_rest_for_none():
    apart = torch.eye(6)
    assert float(pretraining.nt_xent(apart, apart, 0.05)) < 1e-6
    same = torch.ones(4, 3)
    assert float(pretraining.nt_xent(same, same, 0.2)) == pytest.approx(np.log(7), rel=1e-5)


def test_contrast_moves_a_copy_and_leaves_the_original(pocket, images):
    before = {name: value.clone() for name, value in pocket.state_dict().items()}
    made = pretraining.contrast(pocket, images, QUICK)
    assert all(torch.equal(before[name], value) for name, value in pocket.state_dict().items())
    moved = [
        n for n, value in made.backbone.state_dict().items() if not torch.equal(before[n], value)
    ]
    assert {name.split(".")[1] for name in moved} == {str(i) for i in range(pocket.n_stages)}
    assert any("running_mean" in name for name in moved)
    assert len(made.losses) == 3
    assert made.examples_seen == 48
    assert made.cpu_seconds > 0
    assert not any(part.training for part in made.backbone.modules())


def test_contrast_repeats_with_its_seed_and_differs_with_another(pocket, images):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = pretraining.contrast(pocket, images, QUICK)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(6)
    again = pretraining.contrast(pocket, images, QUICK)
    other = pretraining.contrast(pocket, images, PretextConfig(steps=3, batch_size=16, seed=1))
    assert first.losses == again.losses != other.losses
    pairs = zip(first.backbone.parameters(), again.backbone.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_contrast_lowers_its_loss(pocket, images):
    made = pretraining.contrast(pocket, images, PretextConfig(steps=24, batch_size=16))
    assert np.mean(made.losses[-5:]) < np.mean(made.losses[:5])


def test_a_frozen_backbone_goes_in_frozen_and_comes_out_free(images):
    pocket = freeze(load_backbone("pocket"))
    made = pretraining.contrast(pocket, images, QUICK)
    assert not any(p.requires_grad for p in pocket.parameters())
    assert all(p.requires_grad for p in made.backbone.parameters())
    assert not any(getattr(part, "is_frozen", False) for part in made.backbone.modules())


def test_refreshed_statistics_are_those_of_the_pictures_and_no_weight_moves(pocket, images):
    made = pretraining.refresh_statistics(pocket, images, PretextConfig(batch_size=64))
    for (name, old), new in zip(pocket.named_parameters(), made.backbone.parameters(), strict=True):
        assert torch.equal(old, new), name
    convolution, norm = made.backbone.stages[0][:2]
    with torch.no_grad():
        seen = convolution(made.backbone.prepare(torch.from_numpy(np.array(images))))
    assert torch.allclose(norm.running_mean, seen.mean((0, 2, 3)), atol=1e-5)
    assert norm.momentum == pocket.stages[0][1].momentum
    assert made.losses == []


def test_views_differ_keep_their_shape_and_repeat():
    images = torch.randn(8, 1, 28, 28)
    first = pretraining.random_view(images, np.random.default_rng(0))
    assert first.shape == images.shape
    assert torch.equal(first, pretraining.random_view(images, np.random.default_rng(0)))
    assert not torch.equal(first, pretraining.random_view(images, np.random.default_rng(1)))
    assert 0.2 < float((first == 0).float().mean()) < 0.4


def test_masks_spare_padding_and_special_words():
    ids = torch.tensor([[1, *range(10, 40), 2, 0, 0]]).repeat(200, 1)
    shown, chosen = masked_words.mask_words(ids, np.random.default_rng(0), 3, (1, 2), 50)
    assert not chosen[:, [0, 31, 32, 33]].any()
    assert torch.equal(shown[~chosen], ids[~chosen])
    assert float(chosen[:, 1:31].float().mean()) == pytest.approx(0.15, abs=0.02)
    assert float((shown[chosen] == 3).float().mean()) == pytest.approx(0.8, abs=0.05)
    assert float((shown[chosen] == ids[chosen]).float().mean()) == pytest.approx(0.1, abs=0.05)


def test_predict_words_moves_the_layers_and_not_the_embeddings():
    encoder = tiny_encoder()
    texts = ["10 11 12 13", "20 21 22", "10 11 12", "30 31"] * 8
    config = PretextConfig(batch_size=8, lr=1e-2)
    made = masked_words.predict_words(encoder, texts, replace(config, steps=60))
    assert torch.equal(
        encoder.stages[0].embeddings.word_embeddings.weight,
        made.backbone.stages[0].embeddings.word_embeddings.weight,
    )
    assert not torch.equal(encoder.stages[1].mix.weight, made.backbone.stages[1].mix.weight)
    assert all(p.requires_grad for p in made.backbone.parameters())
    assert np.mean(made.losses[-10:]) < 0.7 * np.mean(made.losses[:10])
    again = masked_words.predict_words(encoder, texts, replace(config, steps=2))
    assert again.losses == made.losses[:2] or len(again.losses) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"steps": 0}, "steps"), ({"lr": -1.0}, "lr"), ({"temperature": 0.0}, "temperature"),
     ({"batch_size": 1}, "batch_size")],
)  # fmt: skip
def test_bad_settings_are_refused(changes, words):
    with pytest.raises(UserError, match=words):
        PretextConfig(**changes)


def test_bad_inputs_are_refused(pocket, images):
    with pytest.raises(UserError, match="reads images; this pretext is for texts"):
        masked_words.predict_words(pocket, ["a", "b"], QUICK)
    with pytest.raises(UserError, match="2 inputs or more"):
        pretraining.contrast(pocket, images[:1], QUICK)
    with pytest.raises(UserError, match="uint8"):
        pretraining.contrast(pocket, images.astype(float), QUICK)
    blind = tiny_encoder(lambda texts, longest: np.ones((len(texts), 5), dtype=np.int32))
    with pytest.raises(UserError, match=r"\[MASK\]"):
        masked_words.predict_words(blind, ["1 2", "3"], QUICK)
