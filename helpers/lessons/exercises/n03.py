"""Answers to notebook 03: partial and full fine-tuning."""

from collections.abc import Callable

import torch

from helpers.approaches import TransferModel
from helpers.backbones import load_backbone
from helpers.lessons.exercises.grading import Exercise, choice, function, number, recorded
from helpers.results.statistics import summarise
from helpers.vocabulary import FULL_FINE_TUNING, LP_FT, PARTIAL_FINE_TUNING


def top_share(top_stages: int) -> float:
    """Share of pocket's backbone parameters that lie in its top stages."""
    counts = [
        sum(p.numel() for p in stage.parameters()) for stage in load_backbone("pocket").stages
    ]
    return sum(counts[-top_stages:]) / sum(counts)


def keeps_statistics(reader: Callable) -> bool | str:
    """Try the reader's function on a model that forgets, and look at what moved."""
    model = TransferModel(load_backbone("pocket"), 5)
    model.train()
    reader(model)
    before = {name: value.clone() for name, value in model.named_buffers() if "running" in name}
    x = torch.randint(0, 256, (8, 28, 28, 1), dtype=torch.uint8)
    said = model(x)
    said.sum().backward()
    after = dict(model.named_buffers())
    moved = [name for name, value in before.items() if not torch.equal(after[name], value)]
    if moved:
        return f"{len(moved)} running statistics still changed, such as {moved[0]}."
    if any(p.grad is None for p in model.parameters()):
        return "The statistics stay, but some weights no longer get a gradient."
    if not model.training:
        return "The statistics stay, but now the whole model is in evaluation mode."
    with torch.no_grad():
        gap = float((said - model.eval()(x)).abs().max())
    return gap < 1e-4 or (
        f"The statistics stay, but training uses others: outputs are up to {gap:.2g} from those of "
        "evaluation mode, since each batch is scaled by its own mean and variance."
    )


def trains_the_head_alone(reader: Callable) -> bool | str:
    """Run the reader's mended loop on `pocket`, and look at what moved."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TransferModel(load_backbone("pocket"), 5)
        X = torch.randint(0, 256, (16, 28, 28, 1), dtype=torch.uint8)
        y = torch.arange(16) % 5
        model.eval()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        loss = float(torch.nn.functional.cross_entropy(model(X), y).detach())
        reader(model, X, y, 20)
        model.eval()
        after = float(torch.nn.functional.cross_entropy(model(X), y).detach())
    moved = [n for n, value in model.state_dict().items() if not torch.equal(value, before[n])]
    weights = {name for name, _ in model.named_parameters() if name.startswith("backbone")}
    if wrong := [name for name in moved if name in weights]:
        return f"{len(wrong)} weights of the backbone moved, such as {wrong[0]}."
    if not {"head.weight", "head.bias"} <= set(moved):
        return "The backbone's weights stay, but the head did not learn."
    if wrong := [name for name in moved if not name.startswith("head")]:
        return f"{len(wrong)} numbers that are no weights moved, such as {wrong[0]}."
    return after < loss or "Only the head moved, but its loss did not fall."


def most_kept() -> str:
    """The approach that overwrites the base and kept most of the source task, from the records."""
    movers = [PARTIAL_FINE_TUNING, FULL_FINE_TUNING, LP_FT]
    table = summarise(recorded(backbone="pocket", task="textile", n_train=200), by=("approach",))
    kept = table.set_index("approach")["source_accuracy_after"]
    return kept[movers].idxmax()


ANSWERS = {
    "03.1": Exercise(
        number(lambda: top_share(3), within=0.02),
        hints=(
            "Which three stages are the top ones?",
            "Add the last three numbers of the column `pocket`.",
        ),
        praise="Three stages of five, and nearly all of the weights.",
    ),
    "03.2": Exercise(
        function("train_head", trains_the_head_alone),
        hints=(
            "Compare model.state_dict() before and after: what moved, and what did not?",
            "Whose parameters does the optimizer hold? And in which mode is the backbone?",
            "SGD(model.head.parameters(), ...), and model.backbone.eval() after model.train().",
        ),
        praise="Both mistakes run, and the loss falls. Only a comparison of tensors finds them.",
        points=2,
    ),
    "03.3": Exercise(
        function("keep_statistics", keeps_statistics),
        hints=(
            "Which module holds the running statistics, and which mode stops it updating them?",
            "Go over model.modules() and look for torch.nn.BatchNorm2d.",
            "for m in model.modules(): if isinstance(m, torch.nn.BatchNorm2d): m.eval()",
        ),
        praise="Scale and shift of each BatchNorm still learn; only its statistics stay.",
    ),
    "03.4": Exercise(
        choice(most_kept),
        hints=(
            "Ask the records for these three, and leave out what does not overwrite the base.",
            "Filter `tested` by task, n_train and approach, then call summarise.",
        ),
        praise="Now look at what that approach reached on the new task: was the rest worth it?",
    ),
}
