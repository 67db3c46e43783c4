"""What adaptations of a decoder say of LoRA: ranks by validation, pairs by seed, honest words."""

import pandas as pd
import pytest

from helpers.lessons.claims import ledger
from helpers.lessons.language_models import forgetting
from helpers.lessons.language_models import forgetting as decoder_evidence


def adaptation(approach, rank, seed, learned, forgotten, validation, domain="news"):
    """The lines of one adaptation: validation and test texts, before and after."""
    facts = {"model": "tiny", "source": "posts", "domain": domain, "approach": approach,
             "rank": rank, "lr": 1e-3, "seed": seed, "role": "run", "steps": 100,
             "tokens_seen": 10, "trainable_params": 5, "cpu_seconds": 1.0,
             "embeddings": 0,
             "arm": f"LoRA rank {rank}" if rank else "full fine-tuning"}  # fmt: skip
    ends = {("new", 0): 3.0, ("new", 100): 3.0 - learned, ("old", 0): 2.0,
            ("old", 100): 2.0 + forgotten}  # fmt: skip
    rows = []
    for (corpus, step), bits in ends.items():
        for split in ("validation", "test"):
            loss = validation if (split, step) == ("validation", 100) else bits
            place = {"corpus": corpus, "split": split, "step": step, "loss": loss}
            rows.append(facts | place | {"bits_per_byte": bits, "per_token": 1.0, "per_word": 1.0})
    return rows


def records(domain="news"):
    """Three seeds of full fine-tuning and of LoRA at two ranks."""
    rows = []
    for seed in range(3):
        luck = seed / 1000
        rows += adaptation("full_fine_tuning", 0, seed, 0.9 + luck, 0.5 + luck, 1.0, domain)
        rows += adaptation("lora", 8, seed, 0.7 + luck, 0.2 + luck, 1.5, domain)
        rows += adaptation("lora", 64, seed, 0.8 + luck, 0.3, 1.2, domain)  # validation prefers it
    return pd.DataFrame(rows)


def test_a_rank_is_picked_by_validation_and_seeds_are_paired():
    table = decoder_evidence.compared(records()).set_index(["approach", "seed"])
    assert set(table["rank"]) == {0, 64} and len(table) == 6
    assert table.loc[("lora", 1), "learned"] == pytest.approx(0.801)
    assert table.loc[("lora", 1), "kept"] == pytest.approx(-0.3)
    (row,) = decoder_evidence.lora_less_full(records()).to_dict("records")
    assert row["learned"] == pytest.approx(-0.1) and row["learned_high"] < 0
    assert row["forgotten"] == pytest.approx(-0.201) and row["runs"] == 3
    words = decoder_evidence.in_words(row)
    assert "LoRA rank 64 learned clearly less, and forgot clearly less, than full" in words


def test_what_is_too_close_says_so_and_nothing_is_no_error():
    names = [name + end for name in decoder_evidence.CHANGES for end in ("", "_low", "_high")]
    row = dict.fromkeys(names, 0.1) | {"learned_low": -0.1, "runs": 3}
    words = decoder_evidence.in_words(row | {"domain": "news", "arm": "LoRA rank 8"})
    assert "learned neither clearly more nor less, and forgot clearly more, than full" in words
    assert decoder_evidence.compared(records().iloc[:0]).empty
    assert decoder_evidence.lora_less_full(records().iloc[:0]).empty


def test_the_rule_for_language_models_is_tested_on_the_decoder_too(monkeypatch):
    held = [records(domain=domain) for domain in ("news", "tweets", "films")]
    monkeypatch.setattr(forgetting, "load", lambda path=None: pd.concat(held))
    (claim,) = [one for one in ledger.load_claims() if one["id"] == 13]
    parts = {part["about"]: part for part in claim["parts"]}

    def tested(name):
        return ledger._tested(parts[name], ledger.tables_of(pd.DataFrame()))

    learned, kept = tested("what a decoder learns"), tested("what a decoder keeps")
    assert learned.measured.effect == pytest.approx(-0.1) and learned.verdict == "fails"
    assert kept.measured.effect == pytest.approx(0.201) and kept.verdict == "holds"
    held[1:] = []
    assert tested("what a decoder keeps").verdict == "undecided", "one domain is one data set"
    held[0] = held[0].iloc[:0]
    assert tested("what a decoder keeps").verdict == "not tested"


def test_a_tally_of_nothing_is_empty():
    none, some = (
        decoder_evidence.tally(decoder_evidence.learned_and_forgotten(rows))
        for rows in (records().iloc[:0], records())
    )
    assert none.empty
    assert set(some["arm"]) >= {"full fine-tuning", "LoRA rank 8"}
    assert decoder_evidence.told(records()).count("clearly less") == 2
    assert decoder_evidence.told(records().iloc[:0]) == "Not recorded yet."
