"""data/README.md tells the second round's recipe: its numbers are those of the code."""

from __future__ import annotations

import pytest

from helpers.approaches import get_approach
from helpers.approaches.base import LOOKS, PASSES, UPDATES
from helpers.training.loop import TrainConfig

pytestmark = pytest.mark.files


def test_the_recipe_that_is_written_down_is_the_one_that_runs(root):
    text = (root / "data" / "README.md").read_text(encoding="utf-8")
    told = " ".join(text.split("## The second round's recipe")[1].split("\n## ")[0].split())
    config, lora = TrainConfig(), get_approach("lora").options()
    full, partial = get_approach("full_fine_tuning"), get_approach("partial_fine_tuning")
    assert f"weight decay {config.weight_decay:g} " in told
    assert f"batches of {config.batch_size}; at least {UPDATES} updates" in told
    assert f"and {PASSES['image']} passes" in told and PASSES["image"] == PASSES["text"]
    assert f"a norm of {config.clip_norm:g}; {LOOKS} looks" in told and config.warmup == 0.1
    assert full.head_lr_scale == partial.head_lr_scale == 10 and "ten times that" in told
    assert get_approach("lp_ft").head_lr_scale == get_approach("lora").head_lr_scale == 1
    assert f"{full.options().layer_decay:g} of the one above" in told
    assert f"rank {lora.rank}, alpha {lora.alpha:g}" in told
    assert get_approach("adapter").options().reduction == 8 and "an eighth of the width" in told
