"""Pre-flight checks. A new one is an entry of `CHECKS` in the module of its family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from helpers.advisor.checks import duplicates, inputs, label_errors, leakage, shift
from helpers.advisor.checks.context import Check, Context
from helpers.advisor.data import SEVERITIES, Finding, OwnData
from helpers.advisor.task import Form, key_of
from helpers.errors import UserError
from helpers.storage.seals import digests

_VERSION = 6  # raise it when a check finds something else in the same data

CHECKS: tuple[Check, ...] = (
    *shift.CHECKS,
    *inputs.CHECKS,
    *duplicates.CHECKS,
    *leakage.CHECKS,
    *label_errors.CHECKS,
)

FINDINGS = Form(
    read=lambda rows: tuple(Finding(**row | {"examples": tuple(row["examples"])}) for row in rows),
    write=lambda findings: [asdict(finding) for finding in findings],
)


class RefusedData(UserError):
    """Data that no answer can be trusted on, with what was found in it."""

    def __init__(self, message: str, data: OwnData, findings: Sequence[Finding]) -> None:
        """message: what is refused, where and the mend."""
        super().__init__(message)
        self.data, self.findings = data, tuple(findings)


def refuse(data: OwnData, findings: Sequence[Finding]) -> None:
    """Raise RefusedData where a check refuses: no answer on such data can be trusted."""
    for finding in findings:
        if finding.severity == "refused":
            mend = finding.mend[:1].lower() + finding.mend[1:]
            message = f"{data.root}: {finding.found.rstrip('.')}; {mend}".rstrip("; .")
            raise RefusedData(message, data, findings)


def checks_key(data: OwnData, *looked_at: object) -> str:
    """What findings depend on, as the name of a file: they hold while the files stay as they are.

    It hashes the names of the checks, what the data says and where (which is how examples are
    named), which splits were drawn, names and content of its files, and what else they are
    `looked_at` with.
    """
    said = (data.labels, data.splits, data.groups, data.together)
    said = [None if array is None else array.tolist() for array in said]
    said += [data.where, data.drawn]
    files = digests(data.items) if data.modality == "image" else ()
    checks = [check.name for check in CHECKS]
    return key_of("checks", checks, said, data.findings, data.items, files, _VERSION, *looked_at)


def run_checks(data: OwnData, **known: Any) -> tuple[Finding, ...]:
    """Run every check that fits the data; return what reading and each check found, worst first.

    data: as `draw_splits` returns it, without pictures that cannot be read and its copies known.
    known: what else is known of it, by the fields of `Context`.

    A check that found nothing returns one finding that passed.
    """
    context = Context(data, **known)
    if context.features is not None and len(context.features) != len(data):
        raise UserError(
            f"{len(context.features)} features for {len(data)} examples; give one row for each"
        )
    fitting = [check for check in CHECKS if check.fits(context)]
    findings = list(data.findings)
    for check in tqdm(fitting, desc="checking", unit="checks", leave=False, disable=None):
        result = check.run(context)
        if result is not None:
            findings += list(result) or [Finding(check.name, "passed", check.passed)]
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))
