"""Backbones: right weights, right preprocessing, stages that add up to the whole model."""

import copy
import json

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import backbones
from helpers.approaches import TransferModel
from helpers.assets import asset_path
from helpers.backbones import Recipe, load_backbone, prepare_images, weights_hash
from helpers.errors import UserError
from helpers.examples import Examples
from helpers.paths import weights_dir
from helpers.tasks import load_task
from helpers.training import predict


@pytest.fixture(scope="module")
def photos() -> tuple[np.ndarray, torch.Tensor]:
    """Twenty ImageNet pictures (uint8 N,224,224,3) and their labels; resize 256, crop 224."""
    paths = sorted(asset_path("imagenet_samples").rglob("imagenet_*.jpg"))
    images, labels = [], []
    for path in paths:
        image = Image.open(path).convert("RGB")
        scale = 256 / min(image.size)
        size = [round(side * scale) for side in image.size]
        image = image.resize(size, Image.Resampling.BICUBIC)
        left, top = (image.width - 224) // 2, (image.height - 224) // 2
        images.append(np.asarray(image.crop((left, top, left + 224, top + 224))))
        labels.append(int(path.stem.rsplit("_", 1)[1]))
    assert len(images) == 20
    return np.stack(images), torch.tensor(labels)


def imagenet_logits(backbone, images: np.ndarray, recipe: Recipe | None = None) -> torch.Tensor:
    """Logits of the backbone under the classifier it was pretrained with."""
    (head,) = backbone.source_head
    with torch.inference_mode():
        x = prepare_images(torch.from_numpy(images), recipe or backbone.recipe)
        return head(backbone.pool(backbone(x)))


def truth_log_probability(logits: torch.Tensor, labels: torch.Tensor) -> float:
    return float(logits.log_softmax(1)[torch.arange(len(labels)), labels].mean())


def test_lite0_knows_imagenet_and_wrong_preprocessing_shows(photos):
    images, labels = photos
    lite = load_backbone("efficientnet_lite0", size=224)
    right = imagenet_logits(lite, images)
    assert float((right.argmax(1) == labels).float().mean()) >= 0.85
    wrong_recipes = {
        "ImageNet's usual mean and std": Recipe(
            224, 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        ),
        "no centring": Recipe(224, 3, (0.0,) * 3, (1.0,) * 3),
    }
    for name, recipe in wrong_recipes.items():
        wrong = imagenet_logits(lite, images, recipe)
        loss = truth_log_probability(right, labels) - truth_log_probability(wrong, labels)
        assert loss > 0.1, f"{name} should cost log-probability, and cost {loss:.3f}"


def test_lite0_tensors_in_another_order_are_useless(photos, monkeypatch):
    """Swap equal-shaped neighbours in the file: nothing complains but the pictures."""
    images, labels = photos
    real = torch.load

    def swapped(*args, **kwargs):
        stored = real(*args, **kwargs)
        keys = list(stored)
        for first, second in zip(keys, keys[1:], strict=False):
            if stored[first].shape == stored[second].shape and stored[first].ndim == 1:
                stored[first], stored[second] = stored[second], stored[first]
        return stored

    monkeypatch.setattr(torch, "load", swapped)
    lite = load_backbone("efficientnet_lite0", size=224)
    assert float((imagenet_logits(lite, images).argmax(1) == labels).float().mean()) <= 0.3


def test_lite0_refuses_a_file_of_another_model(monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *a, **k: {"only": torch.zeros(3)})
    with pytest.raises(UserError, match="1 tensors, the model 296"):
        load_backbone("efficientnet_lite0")


def test_lite0_stages_equal_timm(photos):
    import timm

    from helpers.backbones.efficientnet import load_lite0_weights

    whole = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    load_lite0_weights(whole)
    lite = load_backbone("efficientnet_lite0", size=224)
    with torch.inference_mode():
        x = lite.prepare(torch.from_numpy(photos[0][:4]))
        assert torch.allclose(lite(x), whole.forward_features(x), atol=1e-5)
        half = lite(lite(x, stop=3), start=3)
        assert torch.allclose(half, lite(x), atol=1e-5)
    assert lite.n_stages == 9


def test_pocket_is_small_and_as_accurate_as_its_facts_say():
    path = weights_dir() / "pocket.safetensors"
    facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert path.stat().st_size <= 2_000_000
    pocket = load_backbone("pocket")
    assert sum(p.numel() for p in pocket.parameters()) == facts["parameters"]
    task = load_task("products_source")
    (head,) = pocket.source_head
    model = TransferModel(pocket, head.out_features)
    model.head = head
    logits = predict(model, Examples.raw(task.test.inputs, task.test.labels))
    predicted = logits[:, : len(task.classes)].argmax(1).numpy()
    accuracy = (predicted == task.test.labels).mean()
    spread = 4 * np.sqrt(0.05 * 0.95 / len(task.test))
    assert abs(accuracy - facts["product_accuracy"]) < max(spread, 0.002)


def test_minilm_equals_transformers_and_padding_changes_nothing():
    from transformers import AutoModel

    minilm = load_backbone("minilm")
    texts = ["a short text", "a rather longer text about solar cells and their many defects"]
    ids = torch.from_numpy(minilm.encode(texts))
    path = next(asset_path("minilm").rglob("config.json")).parent
    whole = AutoModel.from_pretrained(path).eval()
    with torch.inference_mode():
        hidden, mask = minilm(minilm.prepare(ids))
        expected = whole(input_ids=ids.long(), attention_mask=(ids != 0).long()).last_hidden_state
        assert torch.allclose(hidden[mask], expected[mask], atol=1e-5)
        alone = minilm.pool(minilm(minilm.prepare(ids[:1])))
        together = minilm.pool((hidden, mask))[:1]
        assert torch.allclose(alone, together, atol=1e-5)
    assert minilm.n_stages == 7


def test_images_are_converted_to_what_the_backbone_reads():
    grey = np.full((2, 28, 28, 1), 128, dtype=np.uint8)
    colour = np.repeat(grey, 3, axis=3)
    recipe3, recipe1 = Recipe(56, 3, (0.5,) * 3, (0.5,) * 3), Recipe(28, 1, (0.5,), (0.5,))
    enlarged = prepare_images(torch.from_numpy(grey), recipe3)
    assert enlarged.shape == (2, 3, 56, 56)
    assert torch.allclose(enlarged, torch.full_like(enlarged, 128 / 255 * 2 - 1), atol=1e-5)
    reduced = prepare_images(torch.from_numpy(colour), recipe1)
    assert reduced.shape == (2, 1, 28, 28)
    assert torch.allclose(reduced, prepare_images(torch.from_numpy(grey), recipe1), atol=1e-5)


@pytest.mark.parametrize(
    "name", ["timm:resnet18", "timm:convnext_atto", "timm:vit_tiny_patch16_224"]
)
def test_timm_models_cut_into_stages_equal_the_whole(name):
    backbone = load_backbone(name, pretrained=False, seed=1)
    assert backbone.n_stages >= 4
    images = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), dtype=np.uint8)
    with torch.inference_mode():
        state = backbone(backbone.prepare(torch.from_numpy(images)))
        assert backbone.pool(state).shape == (2, backbone.feature_size)


def test_vit_stages_equal_timm():
    import timm

    name = "vit_tiny_patch16_224"
    backbone = load_backbone(f"timm:{name}", pretrained=False, seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        whole = timm.create_model(name, pretrained=False, num_classes=0).eval()
    x = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        assert torch.allclose(backbone(x), whole.forward_features(x), atol=1e-4)
    expected = sum(p.numel() for p in whole.parameters())
    assert sum(p.numel() for p in backbone.parameters()) == expected


@pytest.mark.parametrize("name", ["torchvision:resnet18", "torchvision:mobilenet_v3_small"])
def test_torchvision_models_cut_into_stages(name):
    backbone = load_backbone(name, pretrained=False, size=64)
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert backbone.pool(backbone(x)).shape == (2, backbone.feature_size)
    assert backbone.n_stages >= 4


def test_weights_out_of_reach_give_one_sentence(monkeypatch):
    # Read once at import, so the variable alone would come too late: no waiting for the network.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("timm:resnet10t", "hf:nobody/no-such-model"):
        with pytest.raises(UserError, match="weights could not be loaded") as caught:
            load_backbone(name)
        assert "\n" not in str(caught.value)


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(UserError, match="did you mean 'pocket'"):
        load_backbone("poket")
    with pytest.raises(UserError, match="no timm model"):
        load_backbone("timm:resnet1888")


def test_a_missing_pocket_file_says_how_to_make_it(monkeypatch, tmp_path):
    monkeypatch.setattr(backbones.pocket, "weights_dir", lambda: tmp_path)
    with pytest.raises(UserError, match="pretrain_pocket"):
        load_backbone("pocket")


def test_loading_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_backbone("pocket", pretrained=False, seed=5)
    assert torch.equal(torch.rand(1), expected)


def test_texts_for_an_image_model_are_refused():
    with pytest.raises(UserError, match="reads images"):
        load_backbone("pocket", pretrained=False).encode(["a text"])
    with pytest.raises(UserError, match="reads texts"):
        load_backbone("minilm").encode(np.zeros((1, 28, 28, 1), np.uint8))


def test_texts_are_tokenised_once_and_what_is_kept_stays_as_it_was(monkeypatch):
    minilm = load_backbone("minilm", size=8)
    texts = ["one cat", "two dogs and a bird that sings all day long"]
    first = minilm.encode(texts)
    wanted = first.copy()
    first[:] = 7  # whoever got the ids may write into them
    import transformers

    def never(*_, **__):
        raise AssertionError("tokenised again")

    with monkeypatch.context() as patched:
        patched.setattr(transformers.PreTrainedTokenizerBase, "__call__", never)
        assert np.array_equal(minilm.encode(list(texts)), wanted)
        assert np.array_equal(copy.deepcopy(minilm).encode(texts), wanted)  # clones share them
        for other in (texts[:1], [texts[1], texts[0]], [*texts, ""], ["one ", "cat" + texts[1]]):
            with pytest.raises(AssertionError, match="again"):
                minilm.encode(other)
    for number in range(20):  # more lists than are kept
        minilm.encode([f"text {number}"])
    assert np.array_equal(minilm.encode(texts), wanted)
    assert not np.array_equal(minilm.tokenizer(texts, 4), wanted)


def test_equal_weights_have_equal_hashes():
    state = load_backbone("pocket").state_dict()
    turned = dict(reversed([(name, value.clone()) for name, value in state.items()]))
    assert weights_hash(state) == weights_hash(turned) != weights_hash(state, "another recipe")
    name = next(iter(state))
    turned[name] = turned[name].reshape(-1)  # the same bytes in another shape
    assert weights_hash(state) != weights_hash(turned)
