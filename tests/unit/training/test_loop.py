"""The loop: stops on NaN with a sentence, stops early, restores the best, repeats itself."""

import numpy as np
import pytest
import torch
from tiny import tiny_task
from torch import nn

from helpers.approaches import TransferModel, get_approach
from helpers.backbones import load_backbone
from helpers.errors import UserError
from helpers.runtime import pick_device
from helpers.training.examples import Examples, batches
from helpers.training.loop import TrainConfig, TrainingDiverged, evaluate, predict, train


def examples(split) -> Examples:
    return Examples.raw(split.inputs, split.labels)


def fresh_model(n_classes: int = 2) -> TransferModel:
    torch.manual_seed(0)
    backbone = load_backbone("pocket", pretrained=False, seed=0)
    return get_approach("full_fine_tuning").build(
        backbone, n_classes, get_approach("full_fine_tuning").options()
    )


def test_a_run_repeats_itself():
    task, losses = tiny_task(), []
    for _ in range(2):
        model = fresh_model()
        history = train(
            model, examples(task.train), examples(task.validation), TrainConfig(epochs=2, seed=4)
        )
        losses.append(history.train_loss)
    assert losses[0] == losses[1]
    assert losses[0][1] < losses[0][0]


def test_nan_stops_with_a_sentence():
    task, model = tiny_task(), fresh_model()
    with torch.no_grad():
        model.head.weight.fill_(float("nan"))
    with pytest.raises(TrainingDiverged, match="became nan in epoch 1 .* ten times lower"):
        train(model, examples(task.train), examples(task.validation), TrainConfig(epochs=2))


class Scripted(nn.Module):
    """A model whose validation accuracy follows a script: one entry an epoch."""

    def __init__(self, accuracies: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.accuracies, self.epoch = accuracies, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            return self.weight * torch.ones(len(x), 2)
        right = round(self.accuracies[self.epoch] * len(x))
        self.epoch += 1
        logits = torch.zeros(len(x), 2)
        logits[:right, 0] = logits[right:, 1] = 5.0
        return logits + 0 * self.weight


def test_early_stopping_restores_the_best_weights():
    inputs, labels = np.zeros((10, 3), np.float32), np.zeros(10, np.int64)
    data = Examples(((inputs,),), labels)
    seen = []
    model = Scripted([0.5, 0.9, 0.8, 0.7, 0.6, 0.9])
    history = train(
        model,
        data,
        data,
        TrainConfig(lr=0.1, epochs=6, patience=3, weight_decay=0.5),
        on_epoch=lambda epoch, h: seen.append(model.weight.detach().clone()),
    )
    assert history.best_epoch == 2
    assert len(history.train_loss) == 5
    assert torch.equal(model.weight.detach(), seen[1])


def test_equal_accuracy_is_decided_by_loss():
    class Sharper(Scripted):
        def forward(self, x):
            logits = super().forward(x)
            return logits if self.training else logits * self.epoch

    inputs, labels = np.zeros((10, 3), np.float32), np.zeros(10, np.int64)
    data = Examples(((inputs,),), labels)
    history = train(Sharper([1.0, 1.0, 1.0]), data, data, TrainConfig(epochs=3, patience=3))
    assert history.best_epoch == 3


def test_settings_are_checked_when_built():
    for bad in (
        {"lr": 0},
        {"epochs": 0},
        {"batch_size": -1},
        {"warmup": 1.0},
        {"lr": float("nan")},
    ):
        with pytest.raises(UserError, match=next(iter(bad))):
            TrainConfig(**bad)


def test_nothing_to_train_is_refused():
    task, model = tiny_task(), fresh_model()
    model.requires_grad_(False)
    with pytest.raises(UserError, match="nothing in the model is trainable"):
        train(model, examples(task.train), examples(task.validation), TrainConfig())


@pytest.mark.parametrize(
    ("n", "sizes"), [(33, [11, 11, 11]), (50, [13, 13, 12, 12]), (32, [16, 16]), (5, [5])]
)
@pytest.mark.parametrize("shuffled", [True, False])
def test_batches_cover_everything_once_and_are_of_equal_size(n, sizes, shuffled):
    """To within one example: a remainder of one would unsettle BatchNorm and the last step."""
    data = Examples.raw(np.zeros((n, 4, 4, 1), np.uint8), np.zeros(n, np.int64))
    parts = list(batches(data, 16, np.random.default_rng(0) if shuffled else None))
    assert sorted(np.concatenate(parts)) == list(range(n))
    assert [len(part) for part in parts] == sizes


def test_no_examples_give_no_batch():
    data = Examples.raw(np.zeros((0, 4, 4, 1), np.uint8), np.zeros(0, np.int64))
    assert list(batches(data, 16)) == []


def test_texts_of_like_length_share_a_batch():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 60, 512)
    ids = (np.arange(60)[None, :] < lengths[:, None]).astype(np.int32)
    data = Examples.raw(ids, np.zeros(512, np.int64))
    parts = list(batches(data, 16, np.random.default_rng(0)))
    padded = sum(len(part) * lengths[part].max() for part in parts)
    assert padded < 1.2 * lengths.sum()
    assert sorted(np.concatenate(parts)) == list(range(512))


def test_inputs_and_labels_must_agree():
    with pytest.raises(UserError, match="differ in length"):
        Examples.raw(np.zeros((3, 2)), np.zeros(4, np.int64))


def test_evaluate_equals_a_plain_computation():
    task, model = tiny_task(), fresh_model()
    logits = predict(model, examples(task.test), batch_size=7)
    loss, accuracy = evaluate(model, examples(task.test))
    labels = torch.from_numpy(task.test.labels)
    assert accuracy == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
    assert loss == pytest.approx(float(nn.functional.cross_entropy(logits, labels)), abs=1e-5)


def test_a_history_holds_what_each_validation_example_got():
    task = tiny_task()
    config = TrainConfig(epochs=3, seed=1, device="cpu")
    history = train(fresh_model(), examples(task.train), examples(task.validation), config)
    n = len(task.validation)
    assert [len(one) for one in history.example_right] == [n] * 3
    for right, losses, accuracy, loss in zip(
        history.example_right, history.example_losses, history.val_accuracy, history.val_loss,
        strict=True,
    ):  # fmt: skip
        assert right.mean() == pytest.approx(accuracy) and right.dtype == bool
        assert losses.mean() == pytest.approx(loss, rel=1e-5)


def test_bfloat16_trains_close_to_float32():
    task, results = tiny_task(), []
    for amp in (False, True):
        config = TrainConfig(epochs=3, seed=1, amp=amp, device="cpu")
        history = train(fresh_model(), examples(task.train), examples(task.validation), config)
        results.append(history.train_loss[-1])
    assert results[0] == pytest.approx(results[1], rel=0.2)


def test_missing_devices_are_named():
    for name, there in (
        ("cuda", torch.cuda.is_available()),
        ("mps", torch.backends.mps.is_available()),
    ):
        if there:
            assert pick_device(name).type == name
        else:
            with pytest.raises(UserError, match=name.upper()):
                pick_device(name)
