"""Small modules beside the registry's and peft's, their files and their latency."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from plain_torch import plain_torch

from helpers.lessons import small_modules


@pytest.fixture(scope="module")
def shown(root):
    """Return the notebooks' own functions and classes, by name."""
    return plain_torch(root)


@pytest.fixture(scope="module")
def trained(shown):
    """A network with the notebook's LoRA, as if it had been trained."""
    net = shown["with_lora"](shown["pretrained_network"](10))
    torch.manual_seed(0)
    with torch.no_grad():
        for layer in net.modules():
            if hasattr(layer, "B"):
                layer.B.weight.normal_(std=0.01)
    return net


def library(shown, *targets, **more):
    config = LoraConfig(
        r=8, lora_alpha=16, target_modules=list(targets), modules_to_save=["classifier"], **more
    )
    return get_peft_model(shown["pretrained_network"](10), config)


def gaps(told):
    return [float(part) for part in told.split("**")[1::2]]


def test_three_loras_are_one(shown, trained):
    theirs = library(shown, "conv_pw", "conv_pwl", "conv_head")
    assert max(gaps(small_modules.with_the_same_matrices(trained, theirs))) < 1e-3


def test_another_scale_is_seen(shown, trained):
    theirs = library(shown, "conv_pw", "conv_pwl", "conv_head", use_rslora=True)
    ours, peft = gaps(small_modules.with_the_same_matrices(trained, theirs))
    assert ours < 1e-3 < peft


def test_a_layer_that_is_missing_is_seen(shown, trained):
    with pytest.raises((RuntimeError, ValueError)):
        small_modules.with_the_same_matrices(trained, library(shown, "conv_pw", "conv_head"))


def test_files_grow_with_the_rank_and_full_copies_do_not():
    small, large = (small_modules.file_mb("pocket", "lora", rank) for rank in (1, 32))
    full = small_modules.file_mb("pocket", "full_fine_tuning")
    assert small < large and full == small_modules.file_mb("pocket", "full_fine_tuning", 32)
    assert f"{full:.1f} MB" in small_modules.files_in_words(["pocket"])


@pytest.mark.parametrize("tasks", [1, 100])
def test_the_shelf_holds_the_base_once(tasks):
    made = small_modules.plot_shelf("pocket", tasks, 32)
    lines = {line.get_label(): line.get_ydata() for line in made.axes[0].lines}
    full = small_modules.file_mb("pocket", "full_fine_tuning")
    thin = small_modules.file_mb("pocket", "lora", 32)
    assert lines["full fine-tuning"][-1] == pytest.approx(100 * full)
    assert lines["LoRA"][-1] == pytest.approx(full + 100 * thin)


def test_published_figures_are_marked_and_counted():
    told = small_modules.published_in_words().splitlines()
    assert told and all(line.startswith("- *published*") for line in told)
    assert any("19 data sets" in line for line in told)


def test_published_memory_is_a_share_of_full_fine_tuning():
    swin_b, swin_l = small_modules.published_memory_in_words().splitlines()
    assert "LoRA 3% of the trained weights in **70%**" in swin_b  # 3.03 of 86.75; 11,975 of 17,061
    assert swin_l.startswith("- *published*, Swin-L")


def test_latencies_are_beside_the_first():
    slow = torch.nn.Sequential(*[torch.nn.Linear(400, 400) for _ in range(20)])
    table = small_modules.latencies({"one": slow[0], "twenty": slow}, torch.ones(64, 400), 5)
    assert list(table["network"]) == ["one", "twenty"]
    assert table["times the first"].iloc[0] == 1 < table["times the first"].iloc[1]
