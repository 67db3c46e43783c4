"""Pre-flight checks. A new one is an entry of `CHECKS` in the module of its family."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from helpers.advisor.checks import duplicates, inputs, label_errors, leakage, sizes, text_leakage
from helpers.advisor.checks.context import Check, Context
from helpers.advisor.checks.label_errors import Suspects, label_suspects, suspects_from
from helpers.advisor.checks.sizes import examples_to_see, visible_difference
from helpers.advisor.data import SEVERITIES, Finding, OwnData
from helpers.advisor.task import OwnTask, remembered
from helpers.errors import UserError

__all__ = [
    "CHECKS",
    "Check",
    "Context",
    "Suspects",
    "check_own",
    "examples_to_see",
    "label_suspects",
    "run_checks",
    "suspects_from",
    "visible_difference",
]

CHECKS: tuple[Check, ...] = (
    *sizes.CHECKS,
    *inputs.CHECKS,
    *duplicates.CHECKS,
    *leakage.CHECKS,
    *text_leakage.CHECKS,
    *label_errors.CHECKS,
)


def check_own(
    own: OwnTask, features: np.ndarray, size: int, decoded: tuple[int | None, int]
) -> tuple[Finding, ...]:
    """Findings of reading and of every check, worst first; kept while the files stay as they are.

    features: float32 (N, F), frozen ones. size: of the backbone's input, in pixels or tokens.
    decoded: side and channels that pictures are decoded at. Raises UserError where a check
    refuses: no answer on such data can be trusted.
    """
    data = own.data
    findings = remembered(
        own.name,
        f"checks-{_stamp(data)}",
        lambda: run_checks(data, features=features, side=size, decoded=decoded, progress=True),
        read=lambda rows: [Finding(**row | {"examples": tuple(row["examples"])}) for row in rows],
        write=lambda findings: [asdict(finding) for finding in findings],
    )
    for finding in findings:
        if finding.severity == "refused":
            raise UserError(f"{data.root}: {finding.found} {finding.mend}".strip())
    return tuple(findings)


def _stamp(data: OwnData) -> str:
    """Names, sizes and times of the files, with what the data says of them."""
    digest = hashlib.blake2b(repr([check.name for check in CHECKS]).encode(), digest_size=6)
    for array in (data.labels, data.splits, data.groups):
        digest.update(repr(None if array is None else array.tolist()).encode("utf-8"))
    digest.update(repr([asdict(finding) for finding in data.findings]).encode("utf-8"))
    for item in data.items:
        if data.modality == "image":
            with contextlib.suppress(OSError):
                status = Path(item).stat()
                item = f"{item} {status.st_size} {status.st_mtime_ns}"
        digest.update(str(item).encode("utf-8", "replace") + b"\0")
    return digest.hexdigest()


def run_checks(
    data: OwnData,
    *,
    features: np.ndarray | None = None,
    side: int | None = None,
    channels: int = 3,
    progress: bool = False,
    decoded: tuple[int | None, int] | None = None,
) -> list[Finding]:
    """Run every check that fits the data; return what reading and each check found, worst first.

    data: as `with_splits` returns it, without pictures that cannot be read and its copies known.
    features: float (N, F) of a frozen backbone in the order of the data, for label suspects.
    side, channels: the backbone's input: pixels and 1 or 3 for pictures, tokens for texts.
    decoded: side and channels that pictures are decoded at, where these differ.

    A check that found nothing returns one finding that passed.
    """
    if features is not None and len(features) != len(data):
        raise UserError(f"{len(features)} features for {len(data)} examples; give one row for each")
    context = Context(data, features, side, channels, progress, decoded)
    fitting = [check for check in CHECKS if data.modality in check.modalities]
    findings = list(data.findings)
    for check in tqdm(
        fitting, desc="checking", unit="checks", leave=False, disable=None if progress else True
    ):
        result = check.run(context)
        if result is not None:
            findings += list(result) or [Finding(check.name, "passed", check.passed)]
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
