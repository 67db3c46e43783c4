"""Answers to notebook 02: freezing everything."""

from typing import Any

from helpers.backbones import load_backbone
from helpers.lessons.exercises.grading import Exercise, choice, number, points, recorded
from helpers.results.statistics import paired_gain
from helpers.vocabulary import FEATURE_EXTRACTION, FULL_FINE_TUNING


def recorded_gain() -> float:
    """Points that full fine-tuning gains on the probe, digits, 200 examples, from the records."""
    runs = recorded(backbone="pocket", task="digits", n_train=200)
    return 100 * paired_gain(runs, FULL_FINE_TUNING, FEATURE_EXTRACTION)["mean"].iloc[0]


def all_statistics(names: Any) -> bool | str:
    """Accept every BatchNorm buffer of `pocket` and nothing else."""
    if not isinstance(names, (list, tuple, set)) or not all(isinstance(n, str) for n in names):
        return "A list of names is wanted."
    expected = {n for n, _ in load_backbone("pocket").named_buffers()}
    if set(names) - expected:
        return f"{sorted(set(names) - expected)[0]} should not be among them."
    missing = expected - set(names)
    return f"{len(missing)} more changed." if missing else True


ANSWERS = {
    "02.1": Exercise(
        number(1280 * 2 + 2),
        hints=(
            "One weight for each pair of feature and class; what else?",
            "Each class also has a bias: features × classes + classes.",
        ),
        praise="A few kilobytes: that is all you store for a further task.",
    ),
    "02.2": Exercise(
        choice("b"),
        hints=(
            "Change one thing only: what pretraining gave.",
            "Keep architecture, examples and head; replace the pretrained weights.",
        ),
        praise="Random convolutions are a surprisingly good start; transfer is what comes on top.",
    ),
    "02.3": Exercise(
        all_statistics,
        hints=(
            "Clone every tensor first: state_dict() hands out the living ones.",
            "`[name for name, value in after.items() if not torch.equal(value, before[name])]`",
            "Every BatchNorm layer has running_mean, running_var, num_batches_tracked.",
        ),
        praise="Statistics only, and no weight: that is the trap.",
    ),
    "02.4": Exercise(
        points(recorded_gain, within=0.02),
        hints=(
            "`paired_gain` takes the runs and two names of approaches.",
            "Keep the rows of digits with 200 examples, then "
            "`paired_gain(runs, 'full_fine_tuning', 'feature_extraction')`; its `mean`, times 100.",
        ),
        praise="Digits are far from products: here the frozen base leaves much unseen.",
    ),
}
