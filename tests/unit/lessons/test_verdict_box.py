"""The box that a notebook begins with says what the ledger says, and only for the claims asked."""

from helpers.lessons import claims
from helpers.lessons.claims import ledger


def test_the_box_has_the_ledgers_words(monkeypatch):
    (judged,) = claims.judge_claims(ids=[22])
    told = claims.verdict_box(22)
    assert judged.claim in told and f"**{judged.verdict}**" in told
    assert claims.effect_in_words(judged) in told and f"{judged.runs:,} runs" in told
    assert all(line.startswith(">") for line in told.splitlines())
    monkeypatch.setattr(ledger, "PROVISIONAL", "early: wait")
    assert claims.verdict_box(22).endswith("> Early: wait.")
    monkeypatch.setattr(ledger, "PROVISIONAL", "")
    assert "Early" not in claims.verdict_box(22)
