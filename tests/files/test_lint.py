"""ruff and import-linter have nothing to say."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.lint


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")])
def test_ruff(root, arguments):
    command = [sys.executable, "-m", "ruff", *arguments, "."]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


def test_imports_keep_their_order(root):
    """The contracts stand in pyproject.toml: packages in layers, no circles, what stays light."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", code, "--no-cache"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
