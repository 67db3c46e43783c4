"""What all tests share: the fast profile, one thread each, and a tier for every test."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# A failed `assert` in what tests share says what it compared, as it does in a test.
pytest.register_assert_rewrite(*(file.stem for file in (ROOT / "tests" / "support").glob("*.py")))
TIERS = {"lint", "unit", "files", "notebooks", "browser"}


def pytest_configure(config: pytest.Config) -> None:
    """Set what the tests and the kernels that they start read from the environment."""
    os.environ.setdefault("TL_PROFILE", "fast")
    if "PYTEST_XDIST_WORKER" in os.environ:  # parallel tests that each use all cores crawl
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a test without a tier the tier `unit`, and an executed notebook `notebooks`."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker("notebooks")
        elif not TIERS & {mark.name for mark in item.iter_markers()}:
            item.add_marker("unit")


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository's folder."""
    return ROOT
