"""Install what `make lab` needs into the Python that runs this: .venv/bin/python tools/install.py

requirements.lock holds every package to the SHA-256 of its files. Where it can't fit, a sentence
says why, and the tested versions are installed without hashes. HASHES=yes insists, HASHES=no does
without.
"""

import os
import subprocess
import sys

LOCKED = ((3, 11, 5), (3, 15))  # Pythons that the file was made for: from, and before
LOCK, PINS = "requirements.lock", "constraints.txt"
OTHER_SOURCES = ("index-url", "extra-index-url", "find-links")  # as pip calls them


def misfit(version: tuple[int, ...], configured: str) -> str:
    """Why the hashes can't be held here, or ''. configured: what `pip config list` prints."""
    oldest, before = LOCKED
    if not oldest <= version < before:
        have = ".".join(map(str, version[:3]))
        return f"{LOCK} is for Python 3.11.5 to 3.14 and this is {have}"
    pairs = [line.partition("=") for line in configured.splitlines()]
    told = {key.rpartition(".")[2]: value.strip("'\"\r ") for key, _, value in pairs}
    for key in OTHER_SOURCES:
        if told.get(key):
            return f"pip is told of other packages here ({key}), whose files differ"
    return ""


def commands(with_hashes: bool) -> list[list[str]]:
    """What pip is asked, in order."""
    if not with_hashes:
        return [["-c", PINS, "-e", ".[dev]"]]
    # The clone itself has no hash, and its builder, setuptools, is one of the packages.
    return [["--require-hashes", "-r", LOCK], ["--no-deps", "--no-build-isolation", "-e", "."]]


def main() -> int:
    """Run pip; returns its exit status."""
    pip, wish = [sys.executable, "-m", "pip"], os.environ.get("HASHES", "auto")
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True)
    why = misfit(tuple(sys.version_info[:3]), listed.stdout)
    if wish == "auto" and why:
        print(f"{why}: the tested versions are installed without hashes (HASHES=yes insists)")
    for command in commands(wish == "yes" or (wish == "auto" and not why)):
        status = subprocess.run([*pip, "install", *command]).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
