"""Ranges, tested versions and the conda environment agree, and every import is declared."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.files


def requirements(lines):
    """Return requirements by their canonical name."""
    parsed = [Requirement(line) for line in lines]
    return {canonicalize_name(one.name): one for one in parsed}


@pytest.fixture(scope="module")
def project(root):
    """Return the project's table, where an extra that names another of ours has its lines."""
    found = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras, own = found["optional-dependencies"], f"{found['name']}["
    for name, lines in extras.items():
        named = [Requirement(line) for line in lines if line.startswith(own)]
        extras[name] = [line for line in lines if not line.startswith(own)]
        extras[name] += [line for one in named for extra in one.extras for line in extras[extra]]
    return found


@pytest.fixture(scope="module")
def pins(root):
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return requirements(line for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def conda(root):
    text = (root / "environment.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["dependencies"]


def test_constraints_are_exact_sorted_and_single(root, pins):
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert len(lines) == len(pins)
    assert lines == sorted(lines, key=lambda line: line.lower().replace("_", "-"))
    for name, pin in pins.items():
        assert [one.operator for one in pin.specifier] == ["=="], name


def test_every_dependency_is_pinned_inside_its_range(project, pins):
    extras = project["optional-dependencies"]
    for group in (project["dependencies"], *extras.values()):
        for name, wanted in requirements(group).items():
            (pin,) = pins[name].specifier
            assert wanted.specifier.contains(pin.version), f"{wanted} and {pin}"


def test_the_lock_has_a_hash_for_every_package_and_names_no_host(root, project, pins):
    text = (root / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text and "--index" not in text and "--find" not in text
    lines = "".join(line for line in text.splitlines(True) if not line.startswith("#"))
    entries = lines.replace(" \\\n", " ").strip().splitlines()
    held = {}
    for entry in entries:
        wanted, *hashes = entry.split(" --hash=sha256:")
        assert hashes and all(len(one.strip()) == 64 for one in hashes), wanted
        one = Requirement(wanted.strip())
        assert [part.operator for part in one.specifier] == ["=="], wanted
        held[canonicalize_name(one.name)] = one
    for name in held.keys() & pins.keys():
        assert held[name].specifier == pins[name].specifier
    needed = requirements([*project["dependencies"], *project["optional-dependencies"]["dev"]])
    assert needed.keys() | {"setuptools"} <= held.keys()


def is_pinned(action):
    return re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action) is not None


def test_actions_are_pinned_by_commit(root):
    text = "".join(f.read_text(encoding="utf-8") for f in root.glob(".github/workflows/*.y*ml"))
    used = re.findall(r"uses: *(\S+)", text)
    assert used and all(map(is_pinned, used))


@pytest.mark.parametrize("name", ["v4", "main", "11bd719", "v4.2.2-" + "0" * 40, ""])
def test_a_tag_a_branch_or_a_short_hash_pins_no_action(name):
    assert is_pinned("actions/checkout@" + "0" * 40)
    assert not is_pinned(f"actions/checkout@{name}") and not is_pinned("actions/checkout")


def test_conda_has_the_same_versions(project, pins, conda):
    listed = next(part["pip"] for part in conda if isinstance(part, dict))
    options = [line for line in listed if line.startswith("-")]
    assert options == ["-c constraints.txt", "-e ."]
    have = requirements(line for line in listed if not line.startswith("-"))
    want = requirements([*project["dependencies"], *project["optional-dependencies"]["dev"]])
    assert set(have) == set(want)
    assert have == {name: pins[name] for name in have}


def test_conda_has_a_python_that_the_package_takes(project, conda):
    python = next(part for part in conda if str(part).startswith("python="))
    version = python.partition("=")[2]
    assert Requirement(f"python{project['requires-python']}").specifier.contains(version)


def imports(path):
    """Yield the top-level names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


def test_every_import_is_declared(root, project):
    core = set(requirements(project["dependencies"]))
    extras = project["optional-dependencies"]
    beside = core | set(requirements([*extras["bench"], *extras["distributed"], *extras["onnx"]]))
    every = beside | set(requirements([*extras["dev"], *extras["classroom"]]))
    files = [*(root / "tools").rglob("*.py"), *(root / "tests").rglob("*.py")]
    own = {"helpers", "tools", *(path.stem for path in files)}
    providers = packages_distributions()
    allowances = {"notebooks": core, "helpers": beside, "tools": every, "tests": every}
    for folder, allowed in allowances.items():
        for path in sorted((root / folder).rglob("*.py")):
            for name in set(imports(path)) - own - set(sys.stdlib_module_names):
                found = {canonicalize_name(one) for one in providers.get(name, [name])}
                assert found & allowed, f"{path.relative_to(root)} imports {name}: declare it"
