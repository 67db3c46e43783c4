"""What a published figure is: sources, data sets, metrics, and the columns of `data/published/`.

One file lists the sources, one the data sets, and each source has a file of its figures. A number
stands as it was printed; what it means here (our approach, domain, distance) is our reading of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from helpers.results.schema import Column
from helpers.vocabulary import DistanceWord

# How a source was read; only the last may stand for a paper that nobody here has read.
GRADES = {
    "A": "read by machine from the authors' own files",
    "B": "typed off the text of the paper",
    "B*": "typed off a picture of a table, checked against its averages",
    "C": "numbers as a third party quotes them",
}
# Why figures stand here as context and are left out of every comparison.
REASONS = {
    "insensitive": "the metric hardly moves, whatever is done",
    "odd features": "features that were not made for telling classes apart, by their pretraining",
    "other objective": "trained for another objective than the fine-tuning of the others",
    "other start": "started from a network that was tuned on another task before",
    "said twice": "the same runs stand in another table",
    "swapped columns": "two columns look swapped in the source",
    "unnamed network": "the network is not named, and nothing else was run on these sizes",
    "weak full": "full fine-tuning was tried at learning rates far above the usual ones alone",
}
# What data sets are about: VTAB-1k's three groups as VTAB names them, the others by content.
DOMAINS = {
    "ImageNet": "the pictures of the pretraining, or of its classes",
    "seen labels": "photos of things that ImageNet has among its classes",
    "natural": "photos of objects, scenes and textures",
    "fine-grained": "kinds of one thing: birds, cars, aircraft, flowers, dishes",
    "specialised": "pictures from satellites and of tissue",
    "structured": "counts, positions and angles in rendered or driving scenes",
    "medical": "scans, X-rays and tissue",
    "shifted": "tested on other pictures than it was trained for",
    "dense": "boxes and outlines in photos",
    "video": "clips of actions",
    "one subject": "pictures made of one thing from a few photos of it",
    "sentences": "classes of sentences, posts and reviews, and pairs of them",
    "generation": "tables, dialogues and questions turned into text",
    "mathematics": "problems in words, and text about mathematics",
    "code": "programs",
    "instructions": "answers to instructions",
    "proteins": "properties of proteins",
}
MODALITIES = ("image", "text", "protein", "video", "image-generation")
COMPARE, CONTEXT = "compare", "context"


@dataclass(frozen=True)
class Metric:
    """A measure and the values it can have.

    role: `score` of the task (one a run, the one that cases compare), `second` score of the same
    runs, `kept` of what the network could before, or `cost`. points: the score is in hundredths of
    its whole, so that differences are points.
    """

    title: str
    low: float
    high: float
    role: str = "score"
    points: bool = False


def _hundredths(title: str, low: float = 0, role: str = "score") -> Metric:
    return Metric(title, low, 100, role, points=role == "score")


def _cost(title: str) -> Metric:
    return Metric(title, 0, float("inf"), "cost")


METRICS: dict[str, Metric] = {
    "accuracy": _hundredths("accuracy, %"),
    "f1": _hundredths("F1, %"),
    "auc": _hundredths("area under the ROC curve, %"),
    "average_precision": _hundredths("mean average precision, %"),
    "pass_at_1": _hundredths("programs right at the first try, %"),
    "mean_iou": _hundredths("mean intersection over union, %"),
    "box_ap": _hundredths("average precision of boxes, %"),
    "mask_ap": _hundredths("average precision of outlines, %", role="second"),
    "correlation": _hundredths("correlation, hundredths", low=-100),
    "matthews": _hundredths("Matthews correlation, hundredths", low=-100),
    "bleu": Metric("BLEU", 0, 100),
    "rouge_1": Metric("ROUGE-1", 0, 100),
    "rouge_l": Metric("ROUGE-L", 0, 100, "second"),
    "meteor": Metric("METEOR", 0, 100, "second"),
    "nist": Metric("NIST", 0, 20, "second"),
    "cider": Metric("CIDEr", 0, 10, "second"),
    "mt_bench": Metric("MT-Bench, 1 to 10", 1, 10, "second"),
    "similarity": Metric("likeness of made pictures, -1 to 1", -1, 1),
    "source_score": _hundredths("mean score on what it could before, %", role="kept"),
    "forgetting": Metric("forgetting, more is worse", 0, float("inf"), "kept"),
    "drift": Metric("drift of other pictures, more is worse", 0, float("inf"), "kept"),
    "train_seconds": _cost("training, s"),
    "train_minutes": _cost("training, min"),
    "minutes_per_1k_steps": _cost("1,000 steps, min"),
    "relative_speed": _cost("training speed, more is faster"),
    "peak_memory_gb": _cost("peak memory, GB"),
    "train_memory_mb": _cost("training memory, MB"),
    "stored_mb": _cost("stored for a task, MB"),
}


def _one_of(names: object) -> str:
    """A pattern for any of these names, whole."""
    return "|".join(str(name).replace("*", r"\*") for name in names)


def _text(name: str, pattern: str = ".+") -> Column:
    return Column(name, "text", pattern=pattern)


def _number(name: str, low: float = 0, *, whole: bool = False) -> Column:
    return Column(name, "integer" if whole else "number", False, low)


SOURCE_COLUMNS: tuple[Column, ...] = (
    _text("key", "[a-z0-9_]+"),
    _text("title"),
    _text("citation"),
    _text("link", r"https://\S+"),
    _text("licence"),
    _text("grade", _one_of(GRADES)),
    _text("read_from"),
    _text("how_read"),
    _text("caveat"),
)
DATA_SET_COLUMNS: tuple[Column, ...] = (
    _text("data_set"),
    _text("modality", _one_of(MODALITIES)),
    _text("domain", _one_of(DOMAINS)),
    # From what is commonly pretrained on, judged by us; empty where we don't judge.
    _text("distance", f"({_one_of(DistanceWord)})?"),
)
FIGURE_COLUMNS: tuple[Column, ...] = (
    _text("source"),
    _text("table"),  # where it stands in the source
    _text("comparison"),  # the set of runs within which figures may be compared
    _text("data_set"),
    _text("network"),
    _number("params_m"),  # millions of parameters
    _text("pretraining", ".*"),  # "none": from random weights; empty: not stated
    _text("llm", "yes|no"),  # a generative language model of a billion parameters or more
    _number("n_train", 1, whole=True),
    _number("n_classes", 2, whole=True),
    _text("metric"),
    _text("tested_on", ".*"),  # empty: the test split, or not stated
    _text("approach", ".*"),  # ours; empty: none of ours
    _text("printed"),  # the approach as the source calls it
    _number("value", float("-inf")),
    _number("spread"),
    _text("spread_kind", ".*"),
    _number("seeds", 1, whole=True),
    _number("trainable_m"),  # millions of trained parameters
    _number("image_size", 1, whole=True),  # pixels a side
    _text("use", f"{COMPARE}|{CONTEXT}"),
    _text("reason", f"({_one_of(REASONS)})?"),  # why not to be compared
    _text("note", ".*"),
    _text("file", ".*"),  # within the source's repository
)
# Figures that agree in these are one figure.
IDENTITY = (
    "source", "table", "comparison", "data_set", "network", "pretraining", "n_train", "metric",
    "tested_on", "printed", "trainable_m", "note",
)  # fmt: skip
# A case: rows that differ in the approach alone.
CASE = (
    "source", "comparison", "data_set", "network", "pretraining", "n_train", "metric", "tested_on",
)  # fmt: skip
