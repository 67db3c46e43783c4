"""The profile changes sizes only."""

import pytest

from helpers.errors import UserError
from helpers.lessons.profile import pick, profile


def test_full_is_the_default(monkeypatch):
    monkeypatch.delenv("TL_PROFILE", raising=False)
    assert profile() == "full"
    assert pick(full=2_000, fast=20) == 2_000


def test_fast_picks_the_small_size(monkeypatch):
    monkeypatch.setenv("TL_PROFILE", "fast")
    assert pick(full=2_000, fast=20) == 20


def test_another_name_is_refused(monkeypatch):
    monkeypatch.setenv("TL_PROFILE", "quick")
    with pytest.raises(UserError, match="quick"):
        profile()
