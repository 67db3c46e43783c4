"""Notebook 09: pictures that drift week by week, and who notices: nobody, a trigger, a calendar."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict

from helpers.backbones import load_backbone
from helpers.display.figures import Picture, figure, set_title
from helpers.lessons.photos import features, linear_model
from helpers.tasks import Split, load_task
from helpers.vocabulary import counted, looks

TASK, NETWORK = "products_near", "pocket"
NEVER, TRIGGER, CALENDAR = "never retrained", "retrained by the trigger", "every four weeks"
# Whether to label a week and retrain after it, from its number, confidence, and the limit.
POLICIES: dict[str, Callable[[int, float, float], bool]] = {
    NEVER: lambda week, sure, limit: False,
    TRIGGER: lambda week, sure, limit: sure < limit,
    # Not in the week in which the veil begins, which no calendar knows.
    CALENDAR: lambda week, sure, limit: week % 4 == 1,
}
STRONGEST, CALM = 0.5, 3  # share of white at the end, and weeks before the veil begins


def veiled(images: np.ndarray, share: float) -> np.ndarray:
    """Pictures (uint8) behind a veil: so much of every pixel is white."""
    return (images * (1 - share) + 255 * share).astype(np.uint8)


def stream(weeks: int, photos: int) -> list[Split]:
    """Pictures of a test split, at most so many a week; the veil grows after some calm weeks.

    The sample of a clone has fewer than the whole data set, and every week gets its share of them.
    """
    pool = load_task(TASK).test
    photos = min(photos, len(pool) // weeks)
    shares = STRONGEST * np.clip((np.arange(weeks) - CALM + 1) / (weeks - CALM), 0, 1)
    parts = [slice(i * photos, (i + 1) * photos) for i in range(weeks)]
    return [
        Split(veiled(pool.inputs[part], share), pool.labels[part])
        for part, share in zip(parts, shares, strict=True)
    ]


def watched(*, weeks: int = 12, photos: int = 60, n_train: int = 200) -> pd.DataFrame:
    """Run the stream past a probe under each of POLICIES.

    Columns: policy, week, accuracy, confidence (mean of the highest probability), limit (below it
    the trigger fires) and retrained (after this week, on all old and this week's labels).
    """
    base, first = load_backbone(NETWORK), load_task(TASK, n_train=n_train).train
    start = features(base, first).arrays[0], first.labels
    parts = stream(weeks, photos)
    photos = len(parts[0].labels)
    seen = [(features(base, week).arrays[0], week.labels) for week in parts]
    rows = []
    for policy, asks in POLICIES.items():
        (X, y), newest = start, n_train
        model, limit = _fitted(X, y, newest, photos)
        for week, (F, truth) in enumerate(seen):
            said = model.predict_proba(F)
            sure, right = float(said.max(1).mean()), float((said.argmax(1) == truth).mean())
            again = week + 1 < weeks and asks(week, sure, limit)  # the last can't raise any
            rows.append((policy, week, right, sure, limit, again))
            if again:
                X, y = np.concatenate([X, F]), np.concatenate([y, truth])
                model, limit = _fitted(X, y, len(truth), photos)
    names = ["policy", "week", "accuracy", "confidence", "limit", "retrained"]
    table = pd.DataFrame(rows, columns=names)
    table.attrs["photos"] = photos
    return table


def _fitted(X: np.ndarray, y: np.ndarray, newest: int, photos: int):
    """A probe, and the lowest mean confidence of a week that chance explains (two errors).

    It is worked out from the newest examples, as models that did not see them are sure of them.
    """
    model = linear_model()
    unseen = cross_val_predict(clone(model), X, y, cv=5, method="predict_proba")[-newest:].max(1)
    error = unseen.std() * math.sqrt(1 / newest + 1 / photos)
    return model.fit(X, y), float(unseen.mean() - 2 * error)


def plot_drift(rows: pd.DataFrame) -> Picture:
    """Accuracy by week under each policy, above what the trigger sees."""
    made, (top, low) = figure("Who notices the drift?", width=8, height=5, rows=2, sharex=True)
    for policy, look in looks(POLICIES).items():
        own = rows[rows["policy"] == policy]
        top.plot(own["week"], own["accuracy"], color=look.colour, label=policy)
        after = own[own["retrained"]]
        top.plot(after["week"], after["accuracy"], look.marker, color=look.colour, ms=9)
    own, look = rows[rows["policy"] == TRIGGER], looks(POLICIES)[TRIGGER]
    low.plot(own["week"], own["confidence"], color=look.colour, label="mean confidence")
    low.step(own["week"], own["limit"], color="#333333", ls="--", where="mid", label="limit")
    set_title(top, "accuracy, known once labelled (mark: retrained after this week)")
    set_title(low, "what the trigger sees, without a label")
    top.set_ylabel("accuracy")
    low.set(xlabel="week", ylabel="confidence")
    for ax in (top, low):
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return made


def drift_in_words(rows: pd.DataFrame) -> str:
    """Mean accuracy, retrainings and labels under each policy, and when the trigger first fired.

    Also whether accuracy had fallen by then, and how much better the trigger did than a calendar.
    """
    lines = []
    for policy, own in rows.groupby("policy", sort=False):
        times = int(own["retrained"].sum())
        lines.append(
            f"- *{policy}*: mean accuracy **{own['accuracy'].mean():.3f}**, in the last week "
            f"{own['accuracy'].iloc[-1]:.3f}; {counted(times, 'retraining')}, "
            f"{counted(times * rows.attrs['photos'], 'label')}"
        )
    wide = rows.pivot(index="week", columns="policy", values="accuracy")
    fired = rows[(rows["policy"] == TRIGGER) & rows["retrained"]]["week"]
    when, calm = "never", wide[TRIGGER][:CALM].mean()
    for week in fired.head(1):
        now = wide[TRIGGER][week]
        fallen = "before" if now >= calm else "after"
        when = f"first after week {week}, {fallen} accuracy fell from {calm:.3f} in calm weeks"
        when += f" to {now:.3f}" if now < calm else ""
    gain = 100 * (wide[TRIGGER] - wide[CALENDAR]).mean()
    return "\n".join([
        *lines,
        f"\nThe veil begins in week {CALM}; the trigger fired {when}. Over all weeks the trigger "
        f"less the calendar is {gain:+.1f} points, in this one run.",
    ])  # fmt: skip
