"""The box that a notebook begins with says what the ledger says, and only for the claims asked."""

from helpers.lessons import boxes, claims
from helpers.lessons.claims import ledger


def test_the_box_has_the_ledgers_words(monkeypatch):
    (judged,) = claims.judge_claims(ids=[22])
    told = claims.verdict_box(22)
    assert judged.claim in told and f"**{judged.verdict}**" in told
    assert claims.effect_in_words(judged) in told and f"{judged.runs:,} runs" in told
    assert all(line.startswith(">") for line in told.splitlines())
    monkeypatch.setattr(boxes, "WITHHELD", "early: wait")
    assert claims.verdict_box(22).endswith("> Early: wait.")
    monkeypatch.setattr(boxes, "WITHHELD", "")
    assert "Early" not in claims.verdict_box(22)


def judged(**changes):
    return ledger.Verdict(**{
        "id": 1, "claim": "It is so.", "verdict": "holds", "effect": 2.0, "low": 1.0, "high": 3.0,
        "unit": "points", "data_sets": 4, "tasks": 4, "runs": 40, "note": "",
    } | changes)  # fmt: skip


def part(verdict, effect):
    figures = {"effect": effect, "low": None, "high": None, "unit": f"of {effect:g}"}
    return {"about": "x", "verdict": verdict, "data_sets": 3, "tasks": 3, "runs": 30} | figures


def box_of(monkeypatch, verdict):
    monkeypatch.setattr(ledger, "judge_claims", lambda ids: [verdict])
    return claims.verdict_box(1)


def test_every_part_is_shown_with_its_verdict_and_figures(monkeypatch):
    parts = (part("fails", 5.0), part("holds", 7.0))
    some = judged(verdict="holds for x (3 data sets)", parts=parts)
    told = box_of(monkeypatch, some).splitlines()
    assert told[2] == "> - It is so. **holds for x (3 data sets)**."
    assert told[3] == ">   - x: **fails**: 5.0 of 5; 3 data sets, 30 runs."
    assert told[4] == ">   - x: **holds**: 7.0 of 7; 3 data sets, 30 runs."
    table = claims.ledger_table([some])
    assert "x **fails**, 5.0 of 5; x **holds**, 7.0 of 7" in table


def test_figures_of_the_whole_beside_a_group_say_so(monkeypatch):
    told = box_of(monkeypatch, judged(verdict="holds for pocket (2 data sets)"))
    assert "points, all data sets together; 4 data sets, 40 runs." in told


def test_what_was_counted_rests_on_no_run(monkeypatch):
    told = box_of(monkeypatch, judged(data_sets=0, tasks=0, runs=0))
    assert told.splitlines()[2].endswith("points; counted.")


def test_a_ratios_low_end_is_not_rounded_to_nothing():
    told = ledger.effect_in_words(judged(effect=8.04, low=0.459, high=126.3))
    assert told == "8.0 (0.46 to 126)"
    assert ledger.effect_in_words(judged(effect=-0.0001, low=-0.03, high=0.0)) == (
        "0.000 (-0.030 to 0.000)"
    )
    assert ledger.effect_in_words(judged(effect=1_608.2, low=0.0, high=None)) == "1,608"
