"""The second round's recipe: the probe's optimum, epoch 0, BatchNorm, updates, augmentation."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny import tiny_task, tiny_text_task
from torch import nn

from helpers.advisor.race.runs import judged
from helpers.approaches import APPROACHES, get_approach, parse_options
from helpers.approaches.base import PASSES, UPDATES, protocol_updates
from helpers.approaches.feature_extraction import STRENGTHS, ProbeOptions, fit_probe
from helpers.approaches.fine_tuning import FullOptions, PartialOptions, ProbeFirstOptions
from helpers.backbones import load_backbone
from helpers.errors import UserError
from helpers.experiments.single_run import RunConfig
from helpers.experiments.sweeps import recipe_settings
from helpers.training import augmentations
from helpers.training.examples import Examples
from helpers.training.loop import TrainConfig, bfloat16_pays, look_steps, train

SOLVED = {"classical", "feature_extraction"}  # by a solver of their own
GRADIENT = sorted(set(APPROACHES) - SOLVED)
LBFGS = ProbeOptions(solver="lbfgs")


def pocket():
    return load_backbone("pocket", pretrained=False, seed=0)


# The probe -----------------------------------------------------------------------------------


def frozen_features(split) -> np.ndarray:
    """What the untouched backbone returns, (N, features) float64."""
    backbone = pocket().eval()
    with torch.inference_mode():
        states = backbone(backbone.prepare(torch.from_numpy(split.inputs)))
        return backbone.pool(states).double().numpy()


def probe(task, strength: float = 0.01, options: ProbeOptions = LBFGS):
    approach = get_approach("feature_extraction")
    return approach.fit(pocket(), task, approach.protocol("image", 64, lr=strength), options)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("strength", [0.001, 0.1])
def test_the_probe_is_scikit_learns_logistic_regression(n_classes, strength):
    task = tiny_task(60, n_classes)
    reference = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1_000))
    reference.fit(frozen_features(task.train), task.train.labels)
    expected = reference.predict_proba(frozen_features(task.test))
    fitted = probe(task, strength)
    found = F.softmax(fitted.predict(task.test).double(), 1).numpy()
    assert found == pytest.approx(expected, abs=1e-3)
    assert (found.argmax(1) == expected.argmax(1)).all()
    assert fitted.history.updates == 0 < fitted.history.steps < 1_000


def test_a_class_without_examples_is_never_predicted():
    task = tiny_task(60, 3)
    kept = np.flatnonzero(task.train.labels != 1)
    lacking = task.__class__(**{**vars(task), "train": task.train.take(kept)})
    assert set(probe(lacking).predict(task.test).argmax(1).tolist()) == {0, 2}


def test_several_views_weigh_as_one(monkeypatch):
    """With three equal views the probe is that of one, so C keeps its meaning."""
    monkeypatch.setitem(augmentations.AUGMENTATIONS, "still", lambda batch, rng: batch)
    task = tiny_task(60, 3)
    viewed = ProbeOptions(solver="lbfgs", augment="still", views=3)
    heads = probe(task), probe(task, options=viewed), probe(task, 0.01 / 3)
    one, three, weaker = (fitted.model.head.weight.detach() for fitted in heads)
    scale = float(one.abs().max())
    assert torch.allclose(one, three, atol=1e-3 * scale)
    assert not torch.allclose(one, weaker, atol=1e-2 * scale)


def test_the_strength_is_chosen_on_validation():
    task, approach = tiny_task(60, 5), get_approach("feature_extraction")
    config = approach.protocol("image", 60)
    alone = [probe(task, strength).history.best for strength in STRENGTHS]
    chosen = fit_probe(approach, pocket(), task, STRENGTHS, config, LBFGS).history
    assert chosen.best == pytest.approx(max(alone, key=lambda one: (one[0], -one[1])))
    assert len({loss for _, loss in alone}) == len(STRENGTHS), "the choice must matter"


def test_unknown_words_in_settings_are_named():
    with pytest.raises(UserError, match="solver is one of loop or lbfgs; got 'newton'"):
        parse_options(ProbeOptions, "solver=newton")
    with pytest.raises(UserError, match="norm is one of running or frozen; got 'batch'"):
        parse_options(FullOptions, "norm=batch")


# LP-FT ---------------------------------------------------------------------------------------


def probe_then_tune(lr: float, seed: int = 0, **changes):
    approach, task = get_approach("lp_ft"), tiny_task(64, 4)
    config = approach.protocol("image", 64, lr=lr, epochs=3, seed=seed, **changes)
    options = ProbeFirstOptions(solver="lbfgs", norm="frozen")
    return approach.fit(pocket(), task, config, options), task


@pytest.mark.parametrize("lr", [1e-4, 3e-3, 0.3])
@pytest.mark.parametrize("seed", [0, 1])
def test_lp_ft_is_never_below_its_probe(lr, seed):
    fitted, task = probe_then_tune(lr, seed)
    assert fitted.history.best[0] >= fitted.extra["probe_val_accuracy"]
    assert fitted.accuracy(task.validation) == pytest.approx(fitted.history.best[0])


def test_lp_ft_keeps_the_probe_where_training_ruins_it():
    fitted, task = probe_then_tune(1.0)
    assert fitted.history.best_epoch == 0
    assert max(fitted.history.val_accuracy) <= fitted.history.start[0]
    assert judged(fitted, task.validation, 0).mean() == pytest.approx(fitted.history.start[0])
    probing, config = get_approach("feature_extraction"), TrainConfig(lr=1.0)
    start = fit_probe(probing, pocket(), task, STRENGTHS, config, LBFGS).model.state_dict()
    kept = fitted.model.state_dict()
    assert all(torch.equal(start[key], kept[key]) for key in kept)


def test_without_an_offer_of_the_start_there_is_no_epoch_0():
    """As in the first round."""
    approach = get_approach("lp_ft")
    config = approach.config("image", 64, lr=1.0, epochs=2)
    fitted = approach.fit(pocket(), tiny_task(64, 4), config)
    assert fitted.history.start is None and fitted.history.best_epoch >= 1


# BatchNorm -----------------------------------------------------------------------------------

OPTIONS = {
    "partial_fine_tuning": PartialOptions,
    "full_fine_tuning": FullOptions,
    "lp_ft": ProbeFirstOptions,
}


def moved(name: str, norm: str, **changes) -> dict[str, bool]:
    """Whether each entry of the backbone's state has changed by the last epoch.

    That is before the best weights are restored, which may be those of an epoch without a change.
    """
    approach, backbone, states = get_approach(name), pocket(), []

    def keep(*_) -> None:
        states.append({key: value.clone() for key, value in backbone.state_dict().items()})

    keep()
    config = approach.config("image", 64, lr=1e-2, epochs=3, patience=9, **changes)
    approach.fit(backbone, tiny_task(), config, OPTIONS[name](norm=norm), on_epoch=keep)
    before, after = states[0], states[-1]
    return {key: not torch.equal(before[key], after[key]) for key in before}


def is_statistic(key: str) -> bool:
    return key.endswith(("running_mean", "running_var", "num_batches_tracked"))


@pytest.mark.parametrize("unfreeze_every", [0, 1])
@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_frozen_statistics_stay_to_the_bit_while_weights_move(name, unfreeze_every):
    changes = moved(name, "frozen", unfreeze_every=unfreeze_every)
    norms = {key.rpartition(".")[0] for key in changes if key.endswith("running_mean")}
    assert norms and not any(change for key, change in changes.items() if is_statistic(key))
    affine = [f"{norm}.{part}" for norm in norms for part in ("weight", "bias")]
    weights = changes.keys() - set(affine) - {key for key in changes if is_statistic(key)}
    assert any(changes[key] for key in affine) and any(changes[key] for key in weights)


@pytest.mark.parametrize("unfreeze_every", [0, 1])
@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_running_statistics_move(name, unfreeze_every):
    changes = moved(name, "running", unfreeze_every=unfreeze_every)
    assert any(change for key, change in changes.items() if is_statistic(key))


# Updates -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [50, 200, 1_000, 5_000])
@pytest.mark.parametrize("modality", ["image", "text"])
def test_every_gradient_approach_makes_the_same_updates_and_400_at_least(n, modality):
    steps = math.ceil(n / 32)
    made = {APPROACHES[name].protocol(modality, n).epochs * steps for name in GRADIENT}
    assert len(made) == 1
    (updates,) = made
    wanted = protocol_updates(modality, n)
    assert 400 == UPDATES <= wanted <= updates < wanted + steps
    assert updates >= PASSES[modality] * steps


@pytest.mark.parametrize("batch_size", [8, 32, 128])
def test_other_batch_sizes_make_as_many_updates(batch_size):
    steps = math.ceil(200 / batch_size)
    config = get_approach("lora").protocol("image", 200, batch_size=batch_size)
    assert config.epochs * steps >= UPDATES


@pytest.mark.parametrize("n", [50, 200])
def test_training_makes_the_updates_that_the_protocol_promises(n):
    """Though validation never gets better: nothing stops early."""
    rng = np.random.default_rng(0)
    data = Examples(((rng.normal(size=(n, 3)).astype(np.float32),),), np.arange(n) % 2)
    config = get_approach("lora").protocol("image", n, lr=1e-12)
    history = train(nn.Linear(3, 2), data, data, config)
    assert history.updates == config.epochs * math.ceil(n / 32) >= UPDATES
    assert len(history.train_loss) == config.epochs
    assert 20 <= len(history.val_accuracy) <= 40, "some twenty looks at validation"


def test_a_run_of_the_round_is_asked_with_the_protocols_numbers():
    asked = RunConfig("products_near", "pocket", "full_fine_tuning", 200, schema=2).resolved()
    assert (asked.epochs, asked.lr) == (58, 1e-3)
    assert RunConfig("products_near", "pocket", "full_fine_tuning", 200, schema=1).resolved() != (
        asked
    )


@pytest.mark.parametrize("name", sorted(APPROACHES))
def test_every_approach_is_allowed_as_many_rates_to_start_with(name):
    approach = APPROACHES[name]
    for modality in ("image", "text"):
        rates = approach.trials[modality]
        assert len(rates) == 3 and sorted(rates) == list(rates)
        assert approach.protocol(modality, 200).lr == rates[1]


@pytest.mark.parametrize("name", sorted(APPROACHES))
@pytest.mark.parametrize(("task", "kinds"), [("digits", "image"), ("tweets", "text")])
def test_the_recipes_settings_are_options_of_the_approach(name, task, kinds):
    approach = APPROACHES[name]
    names = "mirror+crop" if kinds == "image" else ""
    settings = recipe_settings({"task": task, "approach": name, "settings": ""}, names)
    options = parse_options(approach.options, settings)
    assert options.augment == (names if approach.augmentable else "")
    if hasattr(options, "norm"):  # of whatever moves the base
        assert options.norm == ("frozen" if kinds == "image" else "running")
    if name in ("feature_extraction", "lp_ft"):
        assert options.solver == "lbfgs"
    if name in ("classical", "from_scratch", "lora", "adapter"):
        assert settings == (f"augment={names}" if options.augment else "")


def test_a_blocks_own_settings_come_before_the_recipes():
    group = {"task": "digits", "approach": "lp_ft", "settings": "norm=running"}
    assert recipe_settings(group, "") == "norm=running;solver=lbfgs"


# Precision -----------------------------------------------------------------------------------


@pytest.mark.parametrize("supported", [True, False])
def test_bfloat16_is_for_texts_on_processors_with_units_for_it(supported, monkeypatch):
    # What torch calls supported is emulated where AMX is missing, and slower than float32.
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: supported)
    assert bfloat16_pays("text") is supported
    assert bfloat16_pays("image") is False
    lora = get_approach("lora")
    assert lora.protocol("text", 200).amp is (True if supported else None)
    assert lora.protocol("image", 200).amp is None
    assert lora.config("text", 200).amp is None, "the first round's precision stays"


def test_what_a_solver_fits_is_predicted_in_full_precision():
    task, approach = tiny_text_task(), get_approach("feature_extraction")
    fitted = approach.fit(
        load_backbone("minilm", size=16), task, approach.protocol("text", 24, amp=True), LBFGS
    )
    assert fitted.config.amp is False
    assert fitted.predict(task.test).dtype == torch.float32


def test_looks_at_validation_are_as_many_whatever_the_size():
    config = TrainConfig(epochs=8, looks=20)
    assert [len(look_steps(config, n)) for n in (200, 1_000, 3_068)] == [20, 20, 20]
    assert max(look_steps(config, 3_068)) == 8 * 96, "the last update has one"
    assert look_steps(TrainConfig(epochs=3), 64) == {2, 4, 6}, "one after each epoch"
    assert len(look_steps(TrainConfig(epochs=2, looks=20), 64)) == 4, "no more than updates"


# Augmentation --------------------------------------------------------------------------------


class Fixed:
    """A generator whose uniform draws are all the highest, or all the lowest, value."""

    def __init__(self, highest: bool) -> None:
        self.highest = highest

    def uniform(self, low, high, size):
        return np.full(size, high if self.highest else low)


def pictures(n: int = 16, side: int = 24, channels: int = 3) -> torch.Tensor:
    values = np.random.default_rng(0).integers(40, 200, (n, side, side, channels), dtype=np.uint8)
    return torch.from_numpy(values)


@pytest.mark.parametrize("channels", [1, 3])
def test_crop_keeps_shape_type_and_range(channels):
    before = pictures(channels=channels)
    after = augmentations.crop(before, np.random.default_rng(1))
    assert (after.shape, after.dtype) == (before.shape, torch.uint8)
    assert before.min() <= after.min() and after.max() <= before.max()
    assert all(not torch.equal(a, b) for a, b in zip(after, before, strict=True))
    again = augmentations.crop(before, np.random.default_rng(1))
    assert torch.equal(after, again)


def test_crop_at_full_scale_is_the_picture():
    assert torch.equal(augmentations.crop(pictures(), Fixed(highest=True)), pictures())


def test_the_smallest_crop_is_a_window_of_four_fifths():
    """At the upper left corner, so that a ramp starts where it did and ends at 80 %."""
    ramp = torch.arange(0, 200, 2, dtype=torch.uint8).repeat(100, 1)[None, :, :, None]
    window = augmentations.crop(ramp, Fixed(highest=False))[0, 50, :, 0].int()
    assert window[0] <= 1 and window[-1] == pytest.approx(0.8 * 198, abs=2)
    assert torch.equal(window, window.sort().values)


def test_mirror_and_crop_work_together():
    change = augmentations.get_augment("mirror+crop")
    after = change(pictures(), np.random.default_rng(0))
    assert (after.shape, after.dtype) == (pictures().shape, torch.uint8)
