"""Words of a text in any script, and whether a text has any."""

import re
import unicodedata
from collections.abc import Sequence

# Thai, Lao, Burmese, Khmer, Japanese, Chinese: no spaces between words, so each letter is one.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003134f]"
)
_WORD = re.compile(r"\b\w\w+\b")  # what scikit-learn's vectorisers count
_PICTOGRAM = re.compile("[\u2600-\u27bf\U0001f000-\U0001faff]")
_LOOKED_AT, _READ = 500, 2_000  # texts, and characters of each: enough to tell a script by


def without_marks(text: str) -> str:
    """The text without signs that combine with a letter: Python's \\w takes words apart there."""
    if text.isascii():
        return text
    return "".join(letter for letter in text if unicodedata.category(letter)[0] != "M")


def spaced(text: str) -> str:
    """The text with spaces around each letter of a script that has none between words."""
    return UNSPACED.sub(r" \g<0> ", text)


def count_words(text: str) -> int:
    """How many words a text has; a letter of an unspaced script and a pictogram count as one."""
    return len(re.findall(r"\w+", spaced(without_marks(text)))) + len(_PICTOGRAM.findall(text))


def has_words(text: str) -> bool:
    """Whether words of two letters or more, set apart by spaces, make half of what is written."""
    written = len("".join(text.split()))
    return 2 * sum(map(len, _WORD.findall(UNSPACED.sub(" ", text)))) >= written


def lack_words(texts: Sequence[str]) -> bool:
    """Whether most texts have no words to count: unspaced scripts, emoji, single letters."""
    some = texts[:: max(1, len(texts) // _LOOKED_AT)]
    return 2 * sum(has_words(text[:_READ]) for text in some) < len(some)
