"""Exercises of notebook 01, worked out from the networks themselves."""

import numpy as np
import torch

from helpers.backbones import load_backbone
from helpers.lessons.exercises.grading import Exercise, number, signed
from helpers.lessons.network_inspection import imagenet_samples, stage_table

LITE = "efficientnet_lite0"


def moving_statistics() -> int:
    """Running means and variances of pocket."""
    buffers = load_backbone("pocket").named_buffers()
    return sum(buffer.numel() for name, buffer in buffers if "running" in name)


def upside_down() -> float:
    """Change of the mean log-probability of the truth when pictures stand on their head."""
    images, labels = imagenet_samples()
    judge = load_backbone(LITE, size=224)
    (classifier,) = judge.source_head
    means = []
    for shown in (images, images[:, ::-1].copy()):
        with torch.inference_mode():
            features = judge.pool(judge(judge.prepare(torch.from_numpy(shown))))
            scores = classifier(features).log_softmax(1).numpy()
        means.append(scores[np.arange(len(labels)), labels].mean())
    return float(means[1] - means[0])


ANSWERS = {
    "01.1": Exercise(
        number(lambda: 7 * (load_backbone(LITE).feature_size + 1)),
        hints=("One weight for each feature and class.", "7 × features, and 7 biases."),
        praise="A few thousand numbers; the network below them has millions.",
    ),
    "01.2": Exercise(
        number(lambda: stage_table(load_backbone(LITE))["FLOPs (%)"][:6].sum(), within=0.02),
        hints=(
            'Add up the column "FLOPs (%)" of the first six stages.',
            'table["FLOPs (%)"][:6].sum()',
        ),
        praise="And nothing is propagated back through them either.",
    ),
    "01.3": Exercise(
        number(moving_statistics),
        hints=(
            "They are buffers: look at pocket.named_buffers().",
            'Count the numbers of those whose name holds "running".',
        ),
        praise="So a network frozen by requires_grad alone drifts. Notebook 03 shows the damage.",
    ),
    "01.4": Exercise(
        signed(upside_down, within=0.03),
        hints=(
            "Call log_probabilities twice and take the column of the right class for each picture.",
            "The mean over each of wrong[each, labels] − scores[each, labels].",
        ),
        praise="Nothing warned you: it is the same network on the same pictures.",
    ),
}
