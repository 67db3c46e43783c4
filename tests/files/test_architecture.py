"""How the package hangs together: one direction, no effects at import, short modules."""

import ast
import importlib
import inspect
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
# What may not be loaded by importing a module, because it is slow or because it is not its job.
LIGHT = {
    "cli": {"torch", "pandas", "matplotlib"},
    "cli.commands": {"torch", "pandas", "matplotlib"},
    "decision": {"torch", "numpy", "pandas", "matplotlib"},
    "display.plots": {"torch", "matplotlib.pyplot"},
    "display.sliders": {"torch", "matplotlib.pyplot"},
    "experiments.grids": {"torch", "matplotlib"},
    "lessons.exercises.check": {"torch", "pandas", "matplotlib"},
    "results.evidence": {"torch", "matplotlib"},
    "results.learning_curves": {"torch", "matplotlib"},
    "results.published.schema": {"torch", "pandas", "matplotlib"},
    "results.published.tables": {"torch", "matplotlib"},
    "results.runs": {"torch", "matplotlib"},
    "storage.fetch": {"torch", "pandas", "matplotlib"},
    "tasks": {"torch", "matplotlib"},
    "vocabulary": {"torch", "numpy", "pandas", "matplotlib"},
}
# Packages that import their members, which register when they are imported; other faces are lazy.
EAGER = ("tasks", "backbones", "approaches")
FACES = [path for path in MODULES if path.name == "__init__.py" and path.parent.name not in EAGER]
FORBIDDEN = {
    r"\bTODO\b|\bFIXME\b|NotImplementedError": "unfinished",
    r"except\s*:": "bare except",
    r"\bpickle\b|weights_only\s*=\s*False|allow_pickle\s*=\s*True": "pickle",
    # A network's own eval() takes nothing; `exec("")` runs nothing.
    r"\.query\(|\.eval\([^)]|(?<![\w.])eval\(|(?<![\w.])exec\((?!\"\"\))": "text that is run",
    r"shell\s*=\s*True|os\.system\(|os\.popen\(": "a shell",
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


def by_name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=by_name)
def test_imports_are_absolute(path):
    """Import-linter holds their order (`[tool.importlinter]`); this is what it does not ask."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"line {node.lineno}"


def test_the_package_has_few_files_and_folders():
    folders = {path.parent for path in MODULES if path.parent.parent == ROOT / "helpers"}
    assert len(folders) <= 11
    assert len([path for path in MODULES if path.parent == ROOT / "helpers"]) <= 8


@pytest.mark.parametrize("path", FACES, ids=by_name)
def test_a_face_offers_what_is_there_and_loads_it_when_asked(path):
    package = dotted(path)
    heavy = {"torch", "numpy", "pandas", "matplotlib"}
    assert loaded(package, heavy) == []
    face = importlib.import_module(package)
    members = {one.stem for one in path.parent.glob("*.py")} | {
        one.name for one in path.parent.iterdir() if one.is_dir()
    }
    for name in getattr(face, "__all__", []):
        offered = getattr(face, name)  # raises where it is not there
        assert inspect.ismodule(offered) or name not in members, f"{name} is a module, too"


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


@pytest.mark.parametrize(
    "line",
    ["rows.query(where)", "rows.eval(told)", "eval(where)", "exec(told)", "run(told, shell=True)",
     "os.system(told)", "np.load(file, allow_pickle=True)"],
)  # fmt: skip
def test_what_a_file_says_is_never_run(line):
    assert any(re.search(pattern, line) for pattern in FORBIDDEN)
    assert not any(re.search(pattern, "model.eval(); made.eval()(x)") for pattern in FORBIDDEN)


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
