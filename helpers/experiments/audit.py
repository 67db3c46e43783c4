"""What a sceptic asks of the records: do the open sweeps' runs keep to the protocol?

Each check counts what it finds in `data/results/runs.csv` and has a limit. What is not measured
yet is told as missing and breaks nothing.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from helpers.approaches import get_approach
from helpers.approaches.base import UPDATES
from helpers.experiments import sweeps
from helpers.experiments.grids import SWEEPS, TUNING
from helpers.experiments.sweeps import MOST_TRIALS, Search, Tuning
from helpers.results import runs as records
from helpers.results import schema
from helpers.results.statistics import trains_by_gradient
from helpers.vocabulary import KINDS

MOST_EDGES = 0.05  # share of searches that end at an edge of what was tried; one always may
MOST_LATE = 0.10  # share of runs whose best epoch lies in the last tenth; one always may
LATE = 0.1  # share of a run's updates, at its end
ROUNDING = 1e-6  # of the accuracies in the file
EXCLUDED = (
    "Core hours: processor time of preparing and training, as each row has it. Loading, measuring\n"
    "of costs and failed runs are not in them; features that several runs share count for each."
)


def audit(runs: pd.DataFrame) -> dict[str, Any]:
    """Audit recorded runs of all recipes; the keys are those that `audit --json` prints.

    broken: a line for each limit that is broken. missing: one for each block that is not whole.
    """
    own = runs[runs["schema"] == schema.SCHEMA]
    searches = list(_searches(own))
    blocks = [_block(name, own) for name in SWEEPS]
    results = [own.head(0), *(sweeps.recorded_runs(block["name"], own) for block in blocks)]
    made = {
        "rows": len(runs),
        "rows_of_this_recipe": len(own),
        "rehashed": _rehashed(runs),
        "comparison": _comparison(runs),
        "blocks": blocks,
        "edges": _edges(searches),
        "late_best": _late(pd.concat(results).drop_duplicates("run_id"))
        | {"share_with_trials": _late(own)["share"]},
        "updates": _updates(own),
        "trials": _trials(searches, own),
        "below_probe": _below_probe(own),
    }
    missing = [
        f"{block['name']}: {block['declared'] - block['done']} of {block['declared']} runs"
        for block in blocks
        if not block["whole"]
    ]
    broken = list(_broken(made))
    return {"ok": not broken, "broken": broken, "missing": missing, **made}


def audit_command(*, as_json: bool = False) -> int:
    """Print the audit of the recorded runs; returns 1 where a limit is broken, else 0."""
    made = audit(records.load_runs(schema=None))
    print(json.dumps(made, indent=2, allow_nan=False) if as_json else report(made))
    return int(not made["ok"])


def _rehashed(runs: pd.DataFrame) -> dict[str, Any]:
    """Rows whose id is the hash of what they answer, and those where it is not."""
    rows = runs.to_dict("records")
    wrong = [row["run_id"] for row in rows if records.run_id(row) != row["run_id"]]
    twice = sorted(runs.loc[runs["run_id"].duplicated(), "run_id"])
    return {"right": len(runs) - len(wrong), "wrong": wrong, "twice": twice}


def _comparison(runs: pd.DataFrame) -> dict[str, Any]:
    """How many rows figures, rules and verdicts read, and why they don't read the others."""
    sample = runs["origin"] != "full"
    compared = runs["modality"].map(schema.COMPARED).astype(int)
    new = (runs["created"] > records.admitted_until()) & ~sample
    wanted = (runs["schema"] == compared) & ~sample & ~new
    own, timed = records.machines(runs[wanted])
    read = wanted & timed.reindex(runs.index, fill_value=False)
    left_out = {"a sample of the data": int(sample.sum())}
    left_out["measured since the last scoring"] = int(new.sum())
    left_out["timed on another machine alone"] = int((~timed).sum())
    others = runs.assign(later=runs["schema"] == schema.SCHEMA)[~sample & ~new & ~wanted]
    for (recipe, later), rows in others.groupby(["schema", "later"]):
        why = "not whole yet" if later else "given up for a later one"
        left_out[f"recipe {recipe}, {why}"] = len(rows)
    return {
        "schema": dict(schema.COMPARED),
        "read": int(read.sum()),
        "trials_among_them": int(runs.loc[read, "sweep"].str.endswith(TUNING).sum()),
        "without_times": int((timed & ~own).sum()),
        "left_out": {why: count for why, count in left_out.items() if count},
    }


def _block(name: str, own: pd.DataFrame) -> dict[str, Any]:
    """A sweep with its trials. Runs are declared as far as the records tell which are wanted.

    One that diverged is done.
    """
    steps = sweeps.steps_of(name)
    asked = {sweeps.identity(config) for step in steps for config in sweeps.cells(step, own)}
    done = asked & {*own["run_id"], *records.diverged()}
    rows = own[own["sweep"].isin(steps)]
    waited = rows["prepare_seconds"] + rows["train_seconds"]
    on_cpu = rows["device"].str.startswith("cpu")
    return {
        "name": name,
        "about": SWEEPS[name].about,
        "rows": len(rows),
        "core_hours": round(
            float((rows["train_cpu_seconds"] * rows["threads"])[on_cpu].sum()) / 3600, 2
        ),
        "gpu_hours": round(float(waited[~on_cpu].sum()) / 3600, 2),
        "done": len(done),
        "declared": len(asked),
        "whole": done == asked,
    }


def _searches(own: pd.DataFrame) -> Iterator[tuple[str, Tuning, Search]]:
    """Every search for a learning rate once, with the sweep that asks for it first."""
    scores, seen, diverged = sweeps.scores_of(own), set(), records.diverged()
    for name in SWEEPS:
        for block in SWEEPS[name].blocks:
            for part in [] if block.rates else sweeps.tunings(block):
                found = sweeps.search(part, scores, diverged)
                first = min(found.trials)
                if first not in seen:
                    seen.add(first)
                    yield name, part, found


def _edges(searches: list[tuple[str, Tuning, Search]]) -> dict[str, Any]:
    """Searches that ended, and those whose best rate is the lowest or highest that was tried."""
    ended = [one for one in searches if one[2].chosen is not None]
    listed = [
        {"sweep": name}
        | {key: part.group[key] for key in ("backbone", "task", "dial", "approach", "settings")}
        | {"n_train": part.size, "lr": found.chosen, "tried": len(found.trials)}
        for name, part, found in ended
        if found.at_edge
    ]
    return {
        "cells": len(ended),
        "cells_searching": len(searches) - len(ended),
        "at_edge": len(listed),
        "share": _share(len(listed), len(ended)),
        "limit": MOST_EDGES,
        "listed": listed,
    }


def _late(runs: pd.DataFrame) -> dict[str, Any]:
    """Runs by gradient whose best weights stood in the last tenth of the updates; the worst kind.

    A row that does not tell is late. Where that is often so, runs were cut off before they were
    done. Where accuracy no longer changes, one run in ten is late by luck: two of its 20 looks at
    validation lie there.
    """
    own = runs[trains_by_gradient(runs)]
    late = ~(own["updates"] - own["best_update"] >= LATE * own["updates"])
    table = late.groupby(own["approach"]).agg(share="mean", runs="size").reset_index()
    worst = table.sort_values(["share", "approach"], ascending=[False, True]).round(4)
    return {
        "runs": len(own),
        "late": int(late.sum()),
        "share": _share(int(late.sum()), len(own)),
        "limit": MOST_LATE,
        "worst": next(iter(worst.to_dict("records")), None),
    }


def _updates(own: pd.DataFrame) -> dict[str, Any]:
    """Fewest optimizer steps of a run by gradient; a row that does not tell them has none."""
    made = own[trains_by_gradient(own)]
    updates = made["updates"].fillna(0)
    return {
        "runs": len(made),
        "fewest": int(updates.min()) if len(made) else None,
        "limit": UPDATES,
        "below": list(made.loc[updates < UPDATES, "run_id"]),
    }


def _trials(searches: list[tuple[str, Tuning, Search]], own: pd.DataFrame) -> dict[str, Any]:
    """Rates tried by each approach in searches that ended, and trials that no search asked for."""
    tried = {name: [] for name in sorted({part.group["approach"] for _, part, _ in searches})}
    asked: set[str] = set()
    for _, part, found in searches:
        asked |= found.trials.keys()
        if found.chosen is not None:
            tried[part.group["approach"]].append(len(found.trials))
    # The most rates that an approach may have tried in one search.
    most = {name: map(len, get_approach(name).trials.values()) for name in tried}
    allowed = {name: max(MOST_TRIALS, *counts) for name, counts in most.items()}
    made = own.loc[own["sweep"].str.endswith(TUNING), "run_id"]
    return {
        "by_approach": {
            name: {
                "fewest": min(counts, default=None),
                "most": max(counts, default=None),
                "allowed": allowed[name],
            }
            for name, counts in tried.items()
        },
        "allowed_difference": max(allowed.values(), default=0) - min(allowed.values(), default=0),
        "not_asked_for": sorted(set(made) - asked),
    }


def _below_probe(own: pd.DataFrame) -> dict[str, Any]:
    """LP-FT below its own probe on validation, which epoch 0 rules out; or a probe not recorded."""
    tuned = own[own["approach"] == "lp_ft"]
    reached = tuned["val_accuracy"] >= tuned["probe_val_accuracy"] - ROUNDING
    return {"runs": len(tuned), "below": list(tuned.loc[~reached, "run_id"])}


def _share(count: int, of: int) -> float | None:
    return round(count / of, 4) if of else None


def _broken(made: Mapping[str, Any]) -> Iterator[str]:
    """A line for each limit that is broken."""
    edges, late, trials = made["edges"], made["late_best"], made["trials"]
    if edges["at_edge"] > max(1, MOST_EDGES * edges["cells"]):
        yield (
            f"{edges['at_edge']} of {edges['cells']} searches ended at an edge of what was tried, "
            f"and at most {100 * MOST_EDGES:.0f} % may"
        )
    if late["late"] > max(1, MOST_LATE * late["runs"]):
        yield (
            f"{late['late']} of {late['runs']} runs have their best epoch in the last tenth, and "
            f"at most {100 * MOST_LATE:.0f} % may"
        )
    if trials["allowed_difference"]:
        yield "approaches are allowed different numbers of trials, and all should have the same"
    for what, ids in (
        ("run ids that are not the hash of their row", made["rehashed"]["wrong"]),
        ("run ids that stand there twice", made["rehashed"]["twice"]),
        (f"runs with fewer than {UPDATES} updates", made["updates"]["below"]),
        ("trials that no search asked for", trials["not_asked_for"]),
        ("runs of lp_ft below their own probe on validation", made["below_probe"]["below"]),
    ):
        if ids:
            yield f"{what}: {len(ids)} ({', '.join(ids[:3])}{', …' if len(ids) > 3 else ''})"


def report(made: Mapping[str, Any]) -> str:
    """The audit in words, at most 100 columns wide."""
    return "\n".join([*_block_lines(made), "", *_check_lines(made), "", *_verdict_lines(made)])


def _block_lines(made: Mapping[str, Any]) -> Iterator[str]:
    keys = ("rows", "done", "declared", "core_hours", "gpu_hours")
    sums = {key: math.fsum(block[key] for block in made["blocks"]) for key in keys}
    yield f"{'sweep':20}{'rows':>7}{'done':>7}{'declared':>10}{'core h':>9}{'GPU h':>8}  part"
    for row in [*made["blocks"], {"name": "in all", "about": "", **sums}]:
        numbers = "{:7.0f}{:7.0f}{:10.0f}{:9.2f}{:8.2f}".format(*(row[key] for key in keys))
        yield f"{row['name']:20}{numbers}  {row['about'].partition(':')[0]}".rstrip()
    yield EXCLUDED


def _check_lines(made: Mapping[str, Any]) -> Iterator[str]:
    edges, late, updates = made["edges"], made["late_best"], made["updates"]
    trials, probe, held = made["trials"], made["below_probe"], made["comparison"]
    hashed = made["rehashed"]
    yield f"{'check':36}{'found':44}limit"
    for check, found, limit in (
        ("best rate at an edge", _part(edges["at_edge"], edges["cells"], "searches"), "5 %"),
        ("best epoch in the last tenth", _part(late["late"], late["runs"], "runs"), "10 %"),
        ("fewest updates", f"{updates['fewest']} ({updates['runs']} runs)", str(UPDATES)),
        ("difference in trials allowed", trials["allowed_difference"], "0"),
        ("trials that no search asked for", len(trials["not_asked_for"]), "0"),
        ("lp_ft below its own probe", _part(len(probe["below"]), probe["runs"], "runs"), "0"),
        ("ids that are wrong, or there twice", len(hashed["wrong"] + hashed["twice"]), "0"),
    ):
        yield f"{check:36}{found!s:44}{limit}"
    yield ""
    for name, count in trials["by_approach"].items():
        tried = "none ended" if count["most"] is None else f"{count['fewest']} to {count['most']}"
        yield f"trials of {name:26}{tried}, {count['allowed']} allowed"
    if late["worst"]:
        worst = late["worst"]
        yield f"best epoch latest with {worst['approach']}: {100 * worst['share']:.0f} % of runs"
    for cell in edges["listed"]:
        dial = f" dial {cell['dial']:.2f}" if cell["dial"] else ""
        yield (
            f"at an edge: {cell['approach']} on {cell['task']}{dial}, {cell['backbone']}, "
            f"n={cell['n_train']}: {cell['lr']:g} of {cell['tried']}"
        )
    read, trials_read = held["read"], held["trials_among_them"]
    recipes = ", ".join(f"{recipe} for {KINDS[kind]}" for kind, recipe in held["schema"].items())
    yield f"compared: {read} rows of recipe {recipes}, of them {trials_read} trials"
    if lent := held["without_times"]:
        yield f"of them {lent} rows without their times, which are another machine's"
    yield from (f"not compared: {n} rows, {why}" for why, n in held["left_out"].items())


def _part(count: int, of: int, what: str) -> str:
    return f"{count} of {of} {what} ({100 * count / of:.1f} %)" if of else f"no {what} yet"


def _verdict_lines(made: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"missing: {line}" for line in made["missing"])
    yield from (f"BROKEN: {line}" for line in made["broken"])
    if made["ok"]:
        yield f"All limits are kept by the {made['rows_of_this_recipe']} rows that are there."
