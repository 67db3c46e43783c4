"""Sentences are for people: no program asks what is in one. Kinds and fields are asked instead."""

import ast
import re

import pytest
from test_architecture import MODULES, ROOT, TOOLS, by_name

from helpers.errors import UserError
from helpers.experiments import grids
from helpers.registry import closest_name, unknown_name

PHRASE = re.compile(r"[A-Za-z]{2,},? [A-Za-z]{2,}")
ASKING = {"startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition",
          "split", "rsplit", "find", "rfind", "index", "rindex", "count"}  # fmt: skip
# What may be asked for all the same, by the file that does: how each begins.
ALLOWED = {
    # Other programs' words, where they offer nothing else.
    "helpers/storage/install.py": (  # pip's
        "No module named pip",
        "No space left",
        "DO NOT MATCH THE HASHES",
        "No matching distribution",
        "retrying|connection|timed out",
    ),
    "helpers/experiments/single_run.py": ("model name",),  # of /proc/cpuinfo
    # HTML, patterns of code and of any sentence's end.
    "tools/site/site_tables.py": ("<table border=",),
    "tools/slides/slide_cells.py": ("(?<=[^.",),
    "tools/classroom/student_cells.py": ("^from helpers",),
}


def texts(node, named):
    """Yield the strings that an expression holds; `named`: constants of the module by name."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "x".join(part.value for part in node.values if isinstance(part, ast.Constant))
    elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        for one in node.elts:
            yield from texts(one, named)
    elif isinstance(node, ast.Name):
        yield from texts(named.get(node.id), {})


def asked_of(tree):
    """Yield (line, string) for every string that another one is compared with or searched for."""
    named = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        for part, known in _asked(node, named):
            yield from ((node.lineno, text) for text in texts(part, known))


def _asked(node, named):
    """Yield (expression, constants that it may name) for each that another string is asked for."""
    if isinstance(node, ast.Compare):
        # A value may be compared with a named constant; a text may not be searched for one.
        searched = isinstance(node.ops[0], (ast.In, ast.NotIn))
        yield node.left, named if searched else {}
        yield from ((one, {}) for one in node.comparators)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        module = isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
        if node.func.attr in ASKING or module:
            yield from ((one, named) for one in node.args[:1])
    elif isinstance(node, ast.MatchValue):
        yield node.value, {}


def sentences(path, tree):
    """Return the (line, phrase) that a module asks for and may not."""
    allowed = ALLOWED.get(path, ())
    return [
        (line, text)
        for line, text in asked_of(tree)
        if PHRASE.search(text) and not text.startswith(tuple(allowed))
    ]


@pytest.mark.parametrize("path", [*MODULES, *TOOLS], ids=by_name)
def test_no_program_looks_into_a_sentence(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert sentences(path.relative_to(ROOT).as_posix(), tree) == []


@pytest.mark.parametrize(
    "code",
    [
        'kind = "no" if "does not match" in reason else ""',
        'measured = not origin.startswith("your probe")',
        'LATE = "no time left"\nlate = why.startswith(LATE)',
        'LATE = "no time left"\nlate = LATE in why',
        'hint = str(error).partition("did you mean")[2]',
        'place = reason.index(" is damaged")\nplace = text.find(f"it is {word} there")',
        'good = re.search("there is no", str(error))',
        'close = verdict == "too close to call"',
        'close = verdict in ("clear", "too close to call")',
    ],
)
def test_a_look_into_a_sentence_is_seen(code):
    assert sentences("helpers/x.py", ast.parse(code))


@pytest.mark.parametrize(
    "code",
    [
        'CLOSE = "too close to call"\nclose = verdict == CLOSE',
        'large = size == "large"',
        'told = f"it takes {n:.0f} s and no time is left"',
        'many = name in ("lora", "full_fine_tuning")',
    ],
)
def test_values_and_sentences_that_are_only_told_are_free(code):
    assert sentences("helpers/x.py", ast.parse(code)) == []


def test_the_pages_script_looks_into_no_sentence():
    script = (ROOT / "tools" / "site" / "explorer" / "explorer.js").read_text(encoding="utf-8")
    asked = re.findall(
        r"""(?:includes|startsWith|endsWith|indexOf|match|===|!==)\W+["'](.+?)["']""", script
    )
    assert asked  # the pattern finds what is asked
    assert not [text for text in asked if PHRASE.search(text)]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("photo", f"did you mean 'photos'?; the open sweeps are: {', '.join(grids.SWEEPS)}"),
        ("zzzz", f"choose one of: {', '.join(sorted(grids.SWEEPS))}"),
        # A closed sweep is no suggestion: it would be refused.
        ("anchorr", f"choose one of: {', '.join(sorted(grids.SWEEPS))}"),
    ],
)
def test_a_sweep_that_is_not_there_is_suggested_or_listed(name, told):
    with pytest.raises(UserError) as raised:
        grids.get_sweep(name)
    assert str(raised.value) == f"there is no sweep {name!r}; {told}"


@pytest.mark.parametrize("name", ["photo", "zzzz"])
def test_whether_sweeps_are_listed_does_not_hang_on_words(name, monkeypatch):
    monkeypatch.setattr(grids, "unknown_name", lambda *_: UserError("choose; choose something"))
    with pytest.raises(UserError) as raised:
        grids.get_sweep(name)
    assert ("the open sweeps are:" in str(raised.value)) == (name == "photo")


def test_the_closest_name_is_the_one_that_is_suggested():
    known = ["textile", "digits"]
    assert closest_name("textil", known) == "textile" and closest_name(7, known) is None
    assert str(unknown_name("task", "textil", known)).endswith("did you mean 'textile'?")
    assert "choose one of: digits, textile" in str(unknown_name("task", "q", known))
