"""`advise --html`: one page that needs nothing else, for a manager first and an engineer after.

It is made from what `advise --json` writes, so that the two can't differ.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from helpers.decision import title_of
from helpers.display.advice_charts import accuracy_figure, cost_figure
from helpers.display.svg_charts import duration, short, swatch
from helpers.display.theme import page_colours
from helpers.results.evidence import CLEAR, CLOSE, NONE
from helpers.vocabulary import APPROACH_STYLE, style_of

CHIPS = {CLEAR: ("clear", "●"), CLOSE: ("close", "◐"), NONE: ("none", "○")}
SEVERITY = {"refused": "✕", "warning": "▲", "note": "●", "passed": "✓"}


def report(told: Mapping[str, Any]) -> str:
    """Return the page. told: what `advise --json` writes."""
    title = _title(told["approach"])
    for row in told["candidates"]:
        style_of(row["approach"])  # the style sheet needs a colour for each
    parts = [
        _head(told, title),
        _why(told),
        _figures(told),
        _candidates(told),
        _race(told),
        _checks(told),
        _changes(told),
        _data(told),
        _origins(told),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}: advice for your data</title><style>{_sheet()}</style>"
        f'</head><body class="fta"><main>{"".join(parts)}</main></body></html>\n'
    )


def _sheet() -> str:
    text = (files("helpers.advisor.report") / "report.css").read_text(encoding="utf-8")
    looks = "".join(f".s-{name}{{--c:var(--c-{name})}}" for name in APPROACH_STYLE)
    return page_colours() + text + looks


def _head(told: Mapping[str, Any], title: str) -> str:
    kind, sign = CHIPS.get(told["verdict"], CHIPS[CLOSE])
    row = _taken(told)
    facts = []
    if row:
        where = "on test examples" if told.get("test") else "expected"
        facts = [
            (f"{row['accuracy']:.3f}", f"accuracy {where}, {row['low']:.3f} to {row['high']:.3f}"),
            (duration(row["train_seconds"]), "of training on this machine"),
            (f"{short(row['stored_mb'])} MB", "stored for this task"),
            (f"{short(row['latency_ms'])} ms", "for one prediction here"),
            (f"{short(row['memory_mb'])} MB", "of memory in a training step"),
        ]
    cards = "".join(f"<li><b>{a}</b><span>{html.escape(b)}</span></li>" for a, b in facts)
    place = html.escape(str(told["settings"].get("path", "")))
    made = html.escape(str(told["settings"].get("created", ""))[:10])
    return (
        f'<header><p class="kicker">Which approach for {place}? · {made}</p>'
        f"<h1>{swatch(told['approach'])} {html.escape(title)} "
        f'<span class="chip {kind}">{sign} {html.escape(told["verdict"])}</span></h1>'
        f"<p>{told['n_examples']:,} examples of {told['n_classes']} classes: "
        f"{told['n_train']:,} to train on, {told['n_validation']:,} to choose by, "
        f'{told["n_test"]:,} to test on.</p><ul class="facts">{cards}</ul></header>'
    )


def _taken(told: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((r for r in told["candidates"] if r["approach"] == told["approach"]), None)


def _why(told: Mapping[str, Any]) -> str:
    rule = _title(told["rule_approach"])
    said = [
        *told["headline"],
        f"The article's rule ({told['rule']}) says {rule[0].lower()}{rule[1:]}.",
    ]
    return f"<section><h2>Why</h2>{_list(said)}</section>"


def _figures(told: Mapping[str, Any]) -> str:
    rows = told["candidates"]
    if not rows:
        return ""
    note = (
        "Filled: measured on your data. Hollow: expected from your probe and from what was "
        "recorded on other tasks; those intervals are wide because tasks differ."
    )
    return (
        "<section><h2>What each approach reaches</h2><figure>"
        f"{accuracy_figure(rows, told['probe']['chance'], told['approach'])}"
        f"<figcaption>{note}</figcaption></figure></section>"
        "<section><h2>What accuracy costs here</h2><figure>"
        f"{cost_figure(rows, told['approach'])}<figcaption>Training seconds are predicted from a "
        "few timed steps on your own inputs.</figcaption></figure></section>"
    )


def _candidates(told: Mapping[str, Any]) -> str:
    heads = ("approach", "accuracy", "95 % interval", "training", "memory", "stored", "each",
             "learning rate", "epochs")  # fmt: skip
    rows = [
        (
            f"{swatch(r['approach'])}{html.escape(_title(r['approach']))}",
            f"{r['accuracy']:.3f}",
            f"{r['low']:.3f} to {r['high']:.3f}",
            duration(r["train_seconds"]),
            f"{short(r['memory_mb'])} MB",
            f"{short(r['stored_mb'])} MB",
            f"{short(r['latency_ms'])} ms",
            f"{r['lr']:g}",
            str(r["epochs"]),
        )
        for r in told["candidates"]
    ]
    names = [r["approach"] for r in told["candidates"]]
    origins = "".join(
        f"<dt>{html.escape(_title(r['approach']))}</dt><dd>accuracy: {html.escape(r['origin'])}; "
        f"learning rate: {html.escape(r['lr_origin'])}</dd>"
        for r in told["candidates"]
    )
    return (
        f"<section><h2>All candidates</h2>{_table(heads, rows, names, told['approach'])}"
        f"<details><summary>Where each number comes from</summary><dl>{origins}</dl></details>"
        "</section>"
    )


def _race(told: Mapping[str, Any]) -> str:
    if not told["measured"]:
        return ""
    heads = ("approach", "accuracy", "95 % interval", "trained on", "runs", "judged",
             "expected below best", "McNemar p", "seconds a run")  # fmt: skip
    rows = [
        (
            f"{swatch(r['approach'])}{html.escape(_title(r['approach']))}",
            f"{r['accuracy']:.3f}",
            f"{r['low']:.3f} to {r['high']:.3f}",
            f"{r['n_train']:,}",
            str(r["runs"]),
            f"{r['judged']:,}",
            f"{100 * r['expected_below_best']:.1f} points",
            f"{r['p_value']:.2g}",
            f"{r['seconds']:.1f}",
        )
        for r in told["measured"]
    ]
    names = [r["approach"] for r in told["measured"]]
    gone = "".join(
        f"<li>{html.escape(_title(name))}: {html.escape(why)}</li>"
        for name, why in (told.get("left_out") or {}).items()
    )
    gone = f'<h3>Left out on the way</h3><ul class="why">{gone}</ul>' if gone else ""
    spent = told.get("race_seconds") or 0
    return (
        f"<section><h2>Measured on your data in {duration(spent)}</h2>"
        "<p class='soft'>Held-out examples of training and validation, the same for all; the test "
        f"split was read once, by the approach that was chosen.</p>"
        f"{_table(heads, rows, names, told['approach'])}{gone}</section>"
    )


def _checks(told: Mapping[str, Any]) -> str:
    worse = [c for c in told["checks"] if c["severity"] != "passed"]
    passed = [c for c in told["checks"] if c["severity"] == "passed"]
    shown = "".join(_check(c) for c in worse) or "<p>Nothing was found.</p>"
    fine = "".join(f"<li>{html.escape(c['check'])}: {html.escape(c['found'])}</li>" for c in passed)
    fine = (
        f"<details><summary>{len(passed)} checks passed</summary><ul class='why'>{fine}</ul>"
        "</details>"
        if passed
        else ""
    )
    return f"<section><h2>Checks of the data</h2>{shown}{fine}</section>"


def _check(c: Mapping[str, Any]) -> str:
    examples = "".join(f"<li><code>{html.escape(str(one))}</code></li>" for one in c["examples"])
    listed = (
        f"<details><summary>{len(c['examples'])} to look at</summary><ul class='why'>{examples}"
        "</ul></details>"
        if examples
        else ""
    )
    mend = f"<p>{html.escape(c['mend'])}</p>" if c["mend"] else ""
    sign = SEVERITY.get(c["severity"], "●")
    return (
        f'<div class="check {c["severity"]}"><p><b>{sign} {html.escape(c["check"])}</b> '
        f"<small>{c['severity']}</small></p><p>{html.escape(c['found'])}</p>{mend}{listed}</div>"
    )


def _changes(told: Mapping[str, Any]) -> str:
    said = [told["next_measurement"]] if told["next_measurement"] else []
    said += [f"The article's rule, {flip['why']}" for flip in told["flips"] if not flip["applied"]]
    return f"<section><h2>What would change the answer</h2>{_list(said)}</section>" if said else ""


def _data(told: Mapping[str, Any]) -> str:
    rows = [
        (html.escape(c["name"]), f"{c['train']:,}", f"{c['validation']:,}", f"{c['test']:,}")
        for c in told["classes"]
    ]
    heads = ("class", "train", "validation", "test")
    table = _table(heads, rows, [""] * len(rows), "-")
    return (
        f"<section><h2>The data</h2><details><summary>{len(rows)} classes and their examples"
        f"</summary>{table}</details></section>"
    )


def _origins(told: Mapping[str, Any]) -> str:
    probe = told["probe"]
    facts = {
        "probe": f"{probe['accuracy']:.3f} ({probe['low']:.3f} to {probe['high']:.3f}) on "
        f"{probe['n']:,} examples, out of fold; {probe['verdict']}",
        "chance": f"{probe['chance']:.3f}, naming the largest class",
        "no network": f"{probe['classical']['accuracy']:.3f}, out of fold",
        "distance": f"{told['distance']} ({told['distance_how']})",
    }
    unset = (None, "", [])
    facts |= {k: str(v) for k, v in told["settings"].items() if v not in unset}
    listed = "".join(
        f"<dt>{html.escape(k.replace('_', ' '))}</dt><dd>{html.escape(v)}</dd>"
        for k, v in facts.items()
    )
    words = html.escape(json.dumps(dict(told), indent=1, ensure_ascii=False))
    return (
        f"<section><h2>How this was worked out</h2>{_list(told['reasons'])}"
        f"<h3>Settings and versions</h3><dl>{listed}</dl>"
        f"<details><summary>Everything, as JSON</summary><pre>{words}</pre></details></section>"
    )


def _table(
    heads: Iterable[str], rows: Iterable[tuple[str, ...]], names: list[str], taken: str
) -> str:
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = ""
    for name, (first, *rest) in zip(names, rows, strict=True):
        cells = "".join(f"<td>{cell}</td>" for cell in rest)
        mark = ' class="taken"' if name == taken else ""
        body += f'<tr{mark}><th scope="row">{first}</th>{cells}</tr>'
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _list(sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{html.escape(one)}</li>" for one in sentences)
    return f'<ul class="why">{items}</ul>'


def _title(name: str) -> str:
    words = title_of(name)
    return f"{words[0].upper()}{words[1:]}"
