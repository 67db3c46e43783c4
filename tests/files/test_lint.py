"""ruff has nothing to say."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.lint


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")])
def test_ruff(root, arguments):
    command = [sys.executable, "-m", "ruff", *arguments, "."]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
