"""Records of SmolLM2 in tables and words: what is there, and what lacks."""

import math
import re
from itertools import product

import pandas as pd
import pytest

from helpers.errors import DataNotFound
from helpers.lessons.language_models import forgetting, published_scale, smollm2_records, tuning
from helpers.lessons.language_models.causal_lm import load_causal_lm
from helpers.lessons.language_models.smollm2_records import ADAPTED, CLASSIFIED, FOUR_BIT, NUMBERS
from helpers.storage.results_file import ResultsFile


def classified(approach, accuracies, task="tweets", n_train=200, model="smollm2", settings=""):
    """Runs of one way, a seed for each accuracy."""
    rows = [{"task": task, "model": model, "approach": approach, "settings": settings,
             "n_train": n_train, "seed": seed, "role": "run"} | dict.fromkeys(NUMBERS, 1.0)
            | {"test_accuracy": accuracy, "n_test": 400}
            for seed, accuracy in enumerate(accuracies)]  # fmt: skip
    return pd.DataFrame(rows, columns=CLASSIFIED.columns)


def adapted(approach, rank, seed, learned, forgotten):
    """The lines of one adaptation to tweets: three texts before and after."""
    cell = {"model": "smollm2", "source": "a+b", "domain": "tweets", "approach": approach,
            "rank": rank, "embeddings": 0, "lr": 1e-3, "seed": seed, "role": "run"}  # fmt: skip
    facts = dict.fromkeys(forgetting.FACTS, 1) | {"steps": 9, "peak_mb": 900.0}
    facts |= {"stored_bytes": 2_000_000, "arm": smollm2_records._arm(approach, rank)}
    for corpus, step in product(("new", *smollm2_records.OLD), (0, 9)):
        bits = 2.0 + (step > 0) * (-learned if corpus == "new" else forgotten)
        for split in ("validation", "test"):
            yield cell | facts | dict.fromkeys(forgetting.NUMBERS, bits) | {
                "corpus": corpus, "split": split, "step": step, "written": "",
            }  # fmt: skip


def test_ways_stand_in_their_order_and_a_missing_one_is_told():
    rows = pd.concat([
        classified("classical", [0.70, 0.72, 0.74], model="none"),
        classified("zero_shot", [0.5], n_train=0, settings="shots=0;calibrated=0"),
        classified("zero_shot", [0.6], n_train=0, settings="shots=0;calibrated=1"),
        classified("lora", [0.80, 0.81, 0.82]),
    ])  # fmt: skip
    table = smollm2_records.at_size(200, rows)
    assert table["way"].tolist() == ["word counts", "SmolLM2 asked, no example", "SmolLM2, LoRA"]
    assert table["mean"].tolist() == pytest.approx([0.72, 0.6, 0.81])
    shown = smollm2_records.classified_shown(200, rows)
    assert shown.loc["word counts", "tweets"].startswith("0.720 (0.")
    said = smollm2_records.classified_in_words(rows)
    assert "highest of these: tweets SmolLM2, LoRA (0.810)" in said
    assert "reaches tweets 0.600 (word counts 0.720)" in said
    assert re.search(r"Not recorded yet with 200: .*SmolLM2, probe \(all tasks\)", said)
    assert "word counts (product_reviews, reuters8)" in said
    assert "LoRA" not in said.partition("Not recorded yet with 1,000")[2]  # not asked there


def test_adaptations_are_told_beside_each_old_domain_and_lacking_arms_named():
    rows = [*adapted("full_fine_tuning", 0, 0, 0.5, 0.3), *adapted("lora", 8, 0, 0.4, 0.1)]
    for seed in (1, 2):
        rows += adapted("full_fine_tuning", 0, seed, 0.5 + seed / 100, 0.3)
        rows += adapted("lora", 8, seed, 0.4 + seed / 100, 0.1)
    rows = pd.DataFrame(rows)
    shown = smollm2_records.adapted_shown(rows)
    assert list(shown.index) == ["full fine-tuning", "LoRA rank 8"]
    assert shown.loc["LoRA rank 8", "forgotten of newsgroups"] == "0.100 (0.100 to 0.100)"
    assert shown["seeds"].tolist()[:2] == [3, 3] and shown["file MB"].tolist()[:2] == [2.0, 2.0]
    said = smollm2_records.adapted_in_words(rows)
    assert said.count("learned clearly less, and forgot clearly less, than full") == 2
    assert "Not recorded yet: prompt tuning, 16 tokens" in said and "IA³" in said


def test_the_memory_formula_lies_within_five_per_cent_of_the_recorded_peak():
    rows = smollm2_records.FOUR_BIT.load()
    plain = rows[rows["base"] == "dequantised"]
    assert len(plain) >= 3
    assert (plain["formula_bytes"] / plain["peak_bytes"] - 1).abs().max() < 0.05


def test_trials_alone_are_told_as_trials():
    rows = pd.DataFrame(adapted("full_fine_tuning", 0, 0, 0.5, 0.3)).assign(role="trial")
    said = smollm2_records.adapted_in_words(rows)
    assert (
        "full fine-tuning, tried so far" in said and "2.000 bits per byte to 1.500 at 0.001" in said
    )
    assert "Not recorded yet: full fine-tuning, LoRA rank 8" in said


def test_what_is_remembered_says_that_no_way_which_moves_weights_is_known(monkeypatch):
    known = [classified("classical", [0.7, 0.8], model="none")]
    monkeypatch.setattr(ResultsFile, "load", lambda self, path=None, held=ResultsFile.load: (
        pd.concat(known) if self is CLASSIFIED else held(self, path)))  # fmt: skip
    led = "tweets by word counts, 0.750 (0.705 to 0.790). SmolLM2 with LoRA"
    assert led in smollm2_records.findings()
    known.append(classified("lora", [0.8, 0.9]))
    told = smollm2_records.findings().splitlines()[0]
    assert "tweets by SmolLM2, LoRA, 0.850 (" in told and told.endswith(").")


def test_nothing_recorded_is_told_and_is_no_error(tmp_path):
    none = [file.load(tmp_path / "none.csv") for file in (ADAPTED, CLASSIFIED, FOUR_BIT)]
    held = smollm2_records.load_adapted(tmp_path / "no.csv")
    assert (smollm2_records.adapted_shown(held) == "not recorded").all(axis=None)
    assert smollm2_records.adapted_in_words(none[0].assign(arm="")).count("Not recorded yet") == 1
    assert smollm2_records.classified_in_words(none[1]).count("Not recorded yet") == 2
    assert "not recorded yet" in smollm2_records.four_bit_in_words(none[2])


def test_blocks_are_told_beside_the_dequantised_base():
    rows = [
        {
            "base": base,
            "base_bytes": size,
            "peak_bytes": 2 * size,
            "step_ms": ms,
            "gap": 0.0,
            "formula_bytes": 2 * size,
        }
        for base, size, ms in (("dequantised", 4e8, 500.0), ("blocks", 1e8, 1500.0))
    ]
    said = smollm2_records.four_bit_in_words(pd.DataFrame(rows))
    assert "**25%**" in said and "**3.0 times**" in said and "logits are the same" in said


def test_the_published_tables_are_those_of_their_sources():
    table = published_scale.three_billion()
    assert table.loc["LoRA, rank 32"].tolist() == [47.8, 942, 22.3, 36.7, 0.05]
    assert table.loc["all weights", "peak memory, GB"] == 38.9
    gpt3 = published_scale.gpt3().set_index(["way", "million trained"])
    assert gpt3.loc[("LoRA", "37.7"), "WikiSQL"] == 74.0 and len(gpt3) == 5
    gaps = published_scale.code_and_mathematics().set_index("taught")["points"]
    assert gaps["OpenWebMath"] == pytest.approx(-9.1)
    assert gaps["StarCoder-Python"] == pytest.approx(-3.9)
    assert not math.isnan(gaps.sum()) and "9.1 points" in published_scale.large_models()
    # LitGPT: 14.14 of 21.3 GB and 3.68 of 2.36 minutes for 7 billion weights.
    assert "7 billion weights 66% of the memory and **1.6 times**" in published_scale.four_bits()


def test_a_decoder_that_ships_stands_in_for_smollm2(monkeypatch):
    def out_of_reach(name="tiny"):
        if name == "smollm2":
            raise DataNotFound("no such file; fetch it")
        return load_causal_lm(name)

    monkeypatch.setattr(tuning, "load_causal_lm", out_of_reach)
    monkeypatch.setattr(tuning, "load_task", lambda name: None)
    lm, _, said = tuning.reachable()
    assert lm.name == "tiny" and "no such file; fetch it" in said
    assert tuning.asked(lm, "Who?") == "Who?"
