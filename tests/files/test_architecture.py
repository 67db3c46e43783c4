"""How the package hangs together: one direction, no effects at import, short modules."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "helpers").rglob("*.py"))
TOOLS = sorted((ROOT / "tools").rglob("*.py"))
LONGEST_MODULE, LONGEST_FUNCTION = 400, 40
# Lowest first. A module imports from lower rows only, or from its own package.
LAYERS = (
    {"errors"},
    {"registry", "vocabulary"},
    {
        "allocator",
        "paths",
        "profile",
        "schema",
        "pictures",
        "examples",
        "augment",
        "situations",
        "durable",
        "linear",
    },
    {
        "assets",
        "images",
        "summaries",
        "cost_model",
        "maintenance",
        "plots",
        "answers",
        "distance",
        "decision",
    },
    {"records", "comparisons", "races", "tasks", "backbones", "checks"},
    {"curves", "grids"},
    {
        "pooling",
        "curves_plots",
        "flips_plots",
        "break_even_plots",
        "text_plots",
        "pitfalls",
        "scenarios",
    },
    {"training", "evidence", "claim_tests"},
    {"lattice"},
    {"features", "storage", "rules", "flips"},
    {"pools"},
    {"approaches"},
    {
        "costs",
        "plugs",
        "task_files",
        "pretext",
        "embedding_service",
        "peft_methods",
        "text_lab",
        "decoders",
    },
    {"stacks"},
    {"serving"},
    {"library"},
    {"counting", "embedding_client", "causal_lm", "memory_formula"},
    {"causal_tuning", "break_even", "break_even_records", "decoder_records"},
    {"decoder_evidence", "decoder_live"},
    {"claims"},
    {"entry_sweeps", "experiments", "inspection", "prices", "steps"},
    {"measured_distances", "tradeoffs", "tracks"},
    {"workers"},
    {"sweeps"},
    {"widgets", "exercises"},
    {"page", "live", "still"},
    {"explorer"},
    {"advisor"},
    {"cli"},
)
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}
# What may not be loaded by importing a module, because it is slow or because it is not its job.
LIGHT = {
    "records": {"torch", "matplotlib"},
    "plots": {"torch", "matplotlib.pyplot"},
    "widgets": {"torch", "matplotlib.pyplot"},
    "checks": {"torch", "pandas", "matplotlib"},
    "assets": {"torch", "pandas", "matplotlib"},
    "tasks": {"torch", "matplotlib"},
    "cli": {"torch", "pandas", "matplotlib"},
    "decision": {"torch", "numpy", "pandas", "matplotlib"},
    "vocabulary": {"torch", "numpy", "pandas", "matplotlib"},
    "grids": {"torch", "matplotlib"},
    "curves": {"torch", "matplotlib"},
    "evidence": {"torch", "matplotlib"},
}
FORBIDDEN = {
    r"\bTODO\b|\bFIXME\b|NotImplementedError": "unfinished",
    r"except\s*:": "bare except",
    r"\bpickle\b|weights_only\s*=\s*False": "pickle",
    r"sys\.path\b": "sys.path",
}
EFFECTS = """
import json, socket, sys
import matplotlib, numpy, torch
def forbid(*_, **__): raise AssertionError("the network was asked at import")
socket.socket.connect = forbid
def state():
    keys = [key for key in matplotlib.rcParams if key != "backend"]
    return {
        "numpy": hash(str(numpy.random.get_state())),
        "torch": torch.initial_seed(),
        "threads": torch.get_num_threads(),
        "dtype": str(torch.get_default_dtype()),
        "grad": torch.is_grad_enabled(),
        "cuda": torch.cuda.is_initialized(),
        "plots": hash(str([matplotlib.rcParams[key] for key in keys])),
    }
before = state()
for name in sys.argv[1:]:
    __import__(name)
after = state()
print(json.dumps([key for key in before if before[key] != after[key]]))
"""


def dotted(path):
    """Return the name that a file of the package is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def component(module):
    """Return the row entry that a dotted module name belongs to."""
    parts = module.split(".")
    if re.fullmatch(r"helpers\.answers\.n\d\d", module):
        return "exercises"
    return parts[1] if len(parts) > 1 else ""


def own_imports(path):
    """Yield the modules of this package that a file imports, wherever in it."""
    known = {dotted(one) for one in MODULES}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in full)


def by_name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=by_name)
def test_a_module_imports_from_below(path):
    here = component(dotted(path))
    if here in ("", "__main__"):
        return
    assert here in HEIGHT, f"{here} is new: give it a row in LAYERS"
    for name in own_imports(path):
        there = component(name) if name.startswith("helpers.") else here
        assert there == here or HEIGHT[there] < HEIGHT[here], f"{path} imports {name}"


def loaded(module, names):
    """Import a module in a new process; return which of `names` that loaded."""
    code = (
        f"import json, sys, {module}\n"
        f"print(json.dumps([name for name in {sorted(names)!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", LIGHT)
def test_a_light_module_stays_light(name):
    assert loaded(f"helpers.{name}", LIGHT[name]) == []


def test_importing_everything_has_no_effect(tmp_path):
    names = [dotted(path) for path in MODULES if path.stem != "__main__"]
    done = subprocess.run(
        [sys.executable, "-W", "error:::helpers", "-c", EFFECTS, *names],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [*MODULES, *TOOLS], ids=by_name)
def test_modules_and_functions_stay_short(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = node.end_lineno - node.lineno + 1 - docstring_lines(node)
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"


def docstring_lines(node):
    """Return how many lines the docstring of a function takes."""
    if ast.get_docstring(node, clean=False) is None:
        return 0
    return node.body[0].end_lineno - node.body[0].lineno + 1


@pytest.mark.parametrize("path", [*MODULES, *TOOLS], ids=by_name)
def test_what_is_public_is_documented_and_nothing_forbidden_is_used(path):
    text = path.read_text(encoding="utf-8")
    if path.name != "notebook_rules.py":  # it names what it forbids
        for pattern, what in FORBIDDEN.items():
            assert not re.search(pattern, text), what
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


@pytest.mark.parametrize("path", [*MODULES, *TOOLS], ids=by_name)
def test_text_files_name_their_encoding(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        given = {keyword.arg for keyword in node.keywords}
        if node.func.attr in ("read_text", "write_text"):
            assert "encoding" in given, f"line {node.lineno}"
        mode = node.args[0] if node.args else ast.Constant("r")
        if node.func.attr == "open" and isinstance(mode, ast.Constant):
            text_mode = re.fullmatch(r"[rwax]\+?", str(mode.value))
            assert "encoding" in given or not text_mode, f"line {node.lineno}"


def test_every_approach_has_its_look():
    from helpers.approaches import APPROACHES
    from helpers.vocabulary import APPROACH_STYLE

    assert set(APPROACHES) >= set(APPROACH_STYLE)  # a new one is drawn with a look of its own
