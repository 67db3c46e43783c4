"""The verdict that a notebook begins with: claims, as the records judge them today."""

from __future__ import annotations

from helpers.lessons.claims.ledger import effect_in_words, judge_claims
from helpers.results.schema import PROVISIONAL


def verdict_box(*ids: int) -> str:
    """Return a Markdown quotation: each claim with its verdict, effect and what it rests on."""
    found = {verdict.id: verdict for verdict in judge_claims(ids=ids)}
    lines = ["**What the records say**", ""]
    for one in (found[number] for number in ids):
        effect = "" if one.effect is None else f" {effect_in_words(one)} {one.unit};"
        rests_on = f"{one.data_sets} data sets, {one.runs:,} runs"
        lines.append(f"- {one.claim} **{one.verdict}**:{effect} {rests_on}.")
    if PROVISIONAL:
        lines += ["", f"{PROVISIONAL[0].upper()}{PROVISIONAL[1:]}."]
    return "\n".join(f"> {line}".rstrip() for line in lines)
