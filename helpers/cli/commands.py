"""`python -m helpers COMMAND`: what a notebook does, for scripts and terminals.

A command imports its module when it runs, so `--help` and `decide` never load torch.
Exit status: 0 when done, 1 where runs failed or `audit` finds a limit broken, 2 for bad input (one
line on stderr), 130 when interrupted.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from helpers.errors import UserError, printable

Command = Callable[..., int | None]  # takes what its arguments say, by their names


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Leave with status 2 and one line that names the mend."""
        line = f"{self.prog}: {message}; see {self.prog} --help"
        self.exit(2, " ".join(line.split()) + "\n")


def build_parser() -> Parser:
    """Return the parser with every command."""
    parser = Parser(prog="python -m helpers", description="Freeze, tune, or adapt?")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, about, arguments, run in COMMANDS:
        command = commands.add_parser(name, help=about, description=about)
        arguments(command)
        command.set_defaults(run=run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status; a reader never sees a traceback."""
    try:
        given = vars(build_parser().parse_args(arguments))
        del given["command"]
        return given.pop("run")(**given) or 0
    except UserError as error:
        print(printable(" ".join(str(error).split())), file=sys.stderr)
        return 2
    except PermissionError as error:
        print(f"{error.filename} cannot be opened or written: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; what was finished is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _fetch_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="assets or tasks; all by default")


def _fetch(names: list[str]) -> None:
    from helpers.storage.assets import all_assets
    from helpers.storage.fetch import fetch
    from helpers.tasks import TASKS

    assets = all_assets()
    known = {*assets, *(task for asset in assets.values() for task in asset.tasks)}
    for name in (alone := [name for name in names if name in TASKS and name not in known]):
        print(f"{name}: its module brings the data, so there is nothing to fetch")
    if not names or len(alone) < len(names):
        fetch([name for name in names if name not in alone])


def _sweep_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        metavar="NAME",
        help="an open sweep, all, or a task, backbone or approach that no closed sweep is named as",
    )
    parser.add_argument("--workers", type=_count, default=1, metavar="N", help="processes (1)")
    parser.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="a Dask cluster's address")
    parser.add_argument("--limit", type=_count, metavar="N", help="at most so many runs of a sweep")


def _sweep(name: str, workers: int, scheduler: str | None, limit: int | None) -> int:
    from helpers.experiments.grids import SWEEPS
    from helpers.experiments.sweeps import sweep_command

    names = SWEEPS if name == "all" else [name]
    failed = [sweep_command(one, workers, scheduler, limit) for one in names]
    return int(any(failed))  # 1: some runs failed, which is not bad input


def _decide_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--examples", type=_count, required=True, metavar="N", help="labelled training examples")
    add("--distance", required=True, metavar="D", help="close, medium, far, or 0 to 1")
    add("--modality", choices=("image", "text"), required=True, help="what an example is")
    add("--llm", action="store_true", help="the model to adapt is a large language model")
    add("--budget-minutes", type=float, metavar="M", help="of training; left out: accuracy first")
    add("--latency-ms", type=float, metavar="L", help="at most, for one prediction")
    add("--tasks", type=_count, default=1, metavar="T", help="similar tasks to keep up (1)")
    add("--unlabelled", type=int, default=0, metavar="U", help="further examples without labels")
    add("--local-only", action="store_true", help="data must not leave this place")
    add("--json", action="store_true", dest="as_json", help="for programs")


def _advise_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "path",
        metavar="PATH",
        help="class folders of pictures or texts, a table, or a datasets folder",
    )
    add("--minutes", type=float, metavar="M", help="of training here; with --measure, of the race")
    add("--tasks", type=_count, default=1, metavar="T", help="similar tasks to keep up (1)")
    add("--measure", action="store_true", help="race the credible approaches on your data")
    add("--json", type=Path, metavar="FILE", dest="json_file", help="write the answer for programs")
    add("--html", type=Path, metavar="FILE", dest="html_file", help="write a page of its own")
    add("--hour-price", type=float, metavar="P", help="of this machine, to tell costs in money")
    add("--export", type=Path, metavar="DIR", help="write the recommended model, trained")
    add("--exclude", action="append", default=[], metavar="TASK", help="a recorded task to ignore")
    add("--backbone", metavar="NAME", help="efficientnet_lite0 for pictures, minilm for texts")
    add("--image-size", type=_count, metavar="N", help="pixels a side (128), or tokens (64)")
    for name in ("text", "label", "image", "group", "split"):
        none = "; none for no column" if name in ("group", "split") else ""
        add(f"--{name}-column", metavar="NAME", help=f"the table's column of the {name}{none}")
    add("--ignore-splits", action="store_true", help="draw splits anew, whatever the data bring")
    add("--scheduler", metavar="tcp://HOST:PORT", help="a Dask cluster that runs the race")
    add("--seed", type=int, default=0, metavar="S", help="of splits, folds and training (0)")
    parser.epilog = (
        "A race that is stopped (Ctrl-C, a kill) keeps its finished runs; the same command goes on "
        "from there. With --scheduler, workers need this package at the same version; for "
        "pictures, the same files at the same paths (texts travel with the runs); the backbone's "
        "weights, or a way to fetch them. Their cache (TRANSFER_CACHE) may be their own: models "
        "come back. Each worker runs one training at a time, on the threads it was given "
        "(dask worker ADDRESS --nworkers 2 --nthreads 1)."
    )


def _advise(**given: Any) -> int:
    from helpers.advisor.pipeline import Request, advise_command

    files = {key: given.pop(key) for key in ("json_file", "html_file", "export")}
    return advise_command(Request(**given), **files)


def _json_alone(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", dest="as_json", help="for programs")


def _published_arguments(parser: argparse.ArgumentParser) -> None:
    from helpers.results.published.schema import MODALITIES

    add = parser.add_argument
    add("--examples", type=_count, metavar="N", help="training examples, within a factor of 3")
    add("--modality", choices=MODALITIES, help="what an example is")
    add("--distance", metavar="D", help="close, medium, far, or 0 to 1, as we judge data sets")
    add("--llm", action="store_true", help="large language models alone")
    add("--domain", metavar="NAME", help="what the data set is about, such as medical")
    add("--data-set", metavar="NAME", help="one data set, such as CIFAR-100")
    add("--json", action="store_true", dest="as_json", help="for programs")


def _of(module: str, function: str) -> Command:
    """A command as a module has it, imported when it runs."""
    return lambda **given: getattr(importlib.import_module(module), function)(**given)


# name, one line of help, its arguments, what runs
COMMANDS: tuple[tuple[str, str, Callable[[argparse.ArgumentParser], None], Command], ...] = (
    ("fetch", "get weights and data sets, checked, with a progress bar", _fetch_arguments, _fetch),
    ("sweep", "measure the runs of a grid that the records lack", _sweep_arguments, _sweep),
    (
        "decide",
        "the rule's answer for a situation, beside what was measured near it",
        _decide_arguments,
        _of("helpers.results.evidence", "decide_command"),
    ),
    (
        "advise",
        "your own data: checks, a probe, and which approach to take",
        _advise_arguments,
        _advise,
    ),
    (
        "claims",
        "the article's claims, each with its verdict on the recorded runs",
        _json_alone,
        _of("helpers.lessons.claims.ledger", "claims_command"),
    ),
    (
        "published",
        "what others published: the sources, or what they say near a situation",
        _published_arguments,
        _of("helpers.results.published.command", "published_command"),
    ),
    (
        "audit",
        "whether the recorded runs keep to the protocol: what a sceptic asks of them",
        _json_alone,
        _of("helpers.experiments.audit", "audit_command"),
    ),
)
