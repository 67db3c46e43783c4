"""A question that several notebooks answer has one answer in all of them, as they are committed."""

import re
from collections import defaultdict

import nbformat
import pytest

N = r"(?:\d[\d,.]*\d|\d)"
NAME = r"[a-z][a-z0-9_ ]*"  # of a network
WHO = r"\*(?P<one>[^*\n]+)\*"
# How each question is answered, wherever that stands: `one` and `two` are what it is asked of, `a`
# and `b` the answer.
QUESTIONS = {
    "duel": [
        rf"{WHO} was clearly ahead of \*(?P<two>[^*\n]+)\* in \*\*(?P<a>{N})\*\* and clearly "
        rf"behind in \*\*(?P<b>{N})\*\*",
        rf"with three seeds or more, (?P<one>full fine-tuning) is clearly ahead in (?P<a>{N}) and "
        rf"clearly behind in (?P<b>{N})",
    ],
    "shelf of a hundred tasks, LoRA": [
        rf"- (?P<one>{NAME}): a full copy takes .*?with their base \*\*(?P<a>{N}) times",
        rf"- \*\*(?P<one>{NAME})\*\*, base [\d.]+ MB: LoRA (?P<a>{N}) \(",
    ],
    "file of a full copy, LoRA's": [
        rf"- (?P<one>{NAME}): a full copy takes .*? MB, \*\*(?P<a>{N}) times\*\* less;",
        rf"- \*\*(?P<one>{NAME})\*\*, base [\d.]+ MB: LoRA {N} \(at most (?P<a>{N})\)",
    ],
    "seconds, LoRA over full": [
        rf"(?:over full fine-tuning: |, )(?P<one>{NAME}) (?P<a>{N}) \(dearer in \d+ of \d+\)"
        r"(?=[^\n]*\n- \*adapter\*)",
        rf"(?:the seconds of full fine-tuning: |, )(?P<a>\d\.\d\d) on (?P<one>{NAME})",
    ],
    "pixels": [
        rf"\*\*(?P<one>{N}) photos\.\*\* {N} pixels .*?\*\*\+(?P<a>{N}) points",
        rf"With (?P<one>{N}) photos, {N} pixels in place of {N} brought \*\*\+(?P<a>{N}) points",
        rf"Larger pictures gained more with (?P<one>{N}) photos: \+(?P<a>{N}) points",
    ],
    "moved weights at the smallest pictures": [
        rf"\*\*(?P<one>{N}) photos\.\*\*.*? gained most: \*\*\+(?P<a>{N}) points",
        rf"With (?P<one>{N}) photos.*?approach at {N} pixels, [^+]*\+(?P<a>{N}) points",
        rf"more with (?P<one>{N}) photos: .*?, \+(?P<a>{N}) by the best approach",
    ],
    "frozen BatchNorm, in one line and truly": [
        rf"After (?P<one>\d+) batches of [a-z ]+ in training mode.*?scored (?P<a>{N}) on its old "
        rf"task, the real one (?P<b>{N})",
        rf"after (?P<one>\d+) batches of [^:]*:\s+- `requires_grad = False`: \*\*(?P<a>{N})\*\*"
        rf"\s+- `freeze\(\)`: \*\*(?P<b>{N})",
    ],
    "examples from scratch": [
        rf"(?P<one>\*From scratch\* matched \*[^*]+\*) with as few examples on \*\*(?P<a>{N}) of "
        rf"{N}\*\* curves, with more on \*\*(?P<b>{N})",
    ],
    "a claim": [
        r"> - (?P<one>[A-Z].*?\.\)?) \*\*(?P<a>[^*]+)\*\*:(?P<b>.*)",
    ],
    "a claim's verdict": [
        r"> - (?P<one>[A-Z].*?\.\)?) \*\*(?P<a>[^*]+)\*\*:",
        r"\| \d+ \| (?P<one>[A-Z].*?) \| \*\*(?P<a>[^*]+)\*\*",
    ],
    "an approach on the photos of the race": [
        rf"{WHO} on (?P<two>[\d,]+) of these photos at 128 pixels, recorded: \*\*(?P<a>{N})\*\*",
        rf"\*\*(?P<two>[\d,]+) photos\*\*: {WHO} at 128 pixels \((?P<a>{N}) for",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def shown(root):
    """What each notebook prints and computes in words, by its number."""
    texts = {}
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        parts = [
            out["data"]["text/markdown"]
            for cell in nbformat.read(path, as_version=4).cells
            if cell.cell_type == "code"
            for out in cell.outputs
            if "text/markdown" in out.get("data", {})
        ]
        texts[path.stem[:2]] = "\n\n".join(parts)
    return texts


def answers(texts, name):
    """Return {what is asked: {answer: the notebooks that give it}} for one of QUESTIONS."""
    found = defaultdict(lambda: defaultdict(set))
    for number, text in texts.items():
        for pattern in QUESTIONS[name]:
            for match in re.finditer(pattern, text):
                told = match.groupdict()
                asked = [told["one"].replace("_", " ").strip(), told.get("two") or ""]
                answer = [told["a"], told.get("b") or ""]
                if name == "duel":
                    asked[1] = asked[1] or "feature extraction"
                    if asked != sorted(asked):
                        asked, answer = asked[::-1], answer[::-1]
                found[tuple(asked)][tuple(answer)].add(number)
    return found


def contradictions(texts, name):
    return {asked: dict(told) for asked, told in answers(texts, name).items() if len(told) > 1}


@pytest.mark.parametrize("name", QUESTIONS)
def test_notebooks_do_not_contradict_each_other(shown, name):
    found = answers(shown, name)
    told_in = [set().union(*told.values()) for told in found.values()]
    assert max(map(len, told_in), default=0) > 1, "no two notebooks answer it: mend the pattern"
    assert contradictions(shown, name) == {}


@pytest.mark.parametrize("name", QUESTIONS)
def test_another_answer_is_seen(shown, name):
    """One answer of one notebook is altered at its end, and two no longer agree."""
    for number, text in shown.items():
        for pattern in QUESTIONS[name]:
            for match in re.finditer(pattern, text):
                last = match.end("a") - 1
                changed = text[:last] + ("1" if text[last] != "1" else "2") + text[last + 1 :]
                if contradictions(shown | {number: changed}, name):
                    return
    pytest.fail("an altered answer went unseen")
