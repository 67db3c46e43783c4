"""`python -m helpers advise PATH`: own data in, an answer with checks, costs and reasons out."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from helpers.advisor.answer import MEASURE_MINUTES, Answer, Looked, first_answer
from helpers.advisor.checks.catalogue import (
    FINDINGS,
    RefusedData,
    checks_key,
    refuse,
    run_checks,
)
from helpers.advisor.checks.copies import find_copies
from helpers.advisor.checks.pictures import picture_shape, readable
from helpers.advisor.costs import COSTS, costs_key, own_costs
from helpers.advisor.data import Finding, OwnData
from helpers.advisor.export import write_export
from helpers.advisor.hyperparameters import recipes
from helpers.advisor.model_folder import read_recipe
from helpers.advisor.network import (
    choose_backbone,
    cut_off,
    largest_size,
    letters_a_piece,
    native_backbone,
)
from helpers.advisor.probe import PROBING, frozen_features, probe_key, probe_own
from helpers.advisor.race.cluster import check_cluster
from helpers.advisor.race.rounds import RaceResult, measure_own
from helpers.advisor.race.runs import RaceFile, RaceRun
from helpers.advisor.race.standings import read_test
from helpers.advisor.read.any_format import read_data
from helpers.advisor.read.tables import NAMES as COLUMN_NAMES
from helpers.advisor.report.as_html import model_card, report
from helpers.advisor.report.as_json import as_json, refused_json
from helpers.advisor.report.as_text import in_words
from helpers.advisor.splits import draw_splits
from helpers.advisor.task import make_own_task, remembered
from helpers.backbones import BACKBONES, Backbone, load_backbone
from helpers.errors import UserError, printable
from helpers.experiments.single_run import environment
from helpers.paths import expanded
from helpers.registry import unknown_name
from helpers.results import runs as records
from helpers.runtime import pick_device
from helpers.storage.files import write_whole
from helpers.storage.upkeep import tidy
from helpers.tasks import family

_SEEDS = 2**31  # numpy takes 32 bits, and numbers are added to a seed


def export_model(advice: Advice, folder: Path) -> str:
    """Write the model of an advice; trains it first where no race has done so.

    Returns a sentence for the terminal. Raises UserError where the folder can't be written to.
    """
    looked = advice.looked
    race = RaceFile(looked.own, looked.backbone, looked.image_size)
    recipe = looked.recipes[advice.answer.approach]
    n_train = len(looked.own.task.train)
    job = RaceRun(recipe.approach, n_train, 0, recipe.lr, recipe.epochs, looked.seed)
    if advice.race is not None:
        job = advice.race.job
    with tqdm(desc=f"training {job.approach}", leave=False, disable=None, total=1) as bar:
        tested = asdict(read_test(race, job))
        bar.update()

    def write(kept: Path) -> str:
        card = model_card(advice.as_dict(), read_recipe(kept), tested)
        return write_export(kept, looked.own, tested, Path(folder), card)

    return race.use_model(job, write)


@dataclass(frozen=True)
class Request:
    """What was asked on the command line; `advise` takes the same.

    minutes: that training may take here; with `measure`, that the whole race may take.
    exclude: recorded tasks that are to have no say. image_size: pixels, or tokens of texts.
    ignore_splits: whether splits are drawn anew where the data bring some. hour_price: what an
        hour of this machine costs, in any currency; None: hours alone are told.
    scheduler: address of a Dask cluster that runs the race; `helpers.advisor.race.cluster` says
        what its workers must see.
    """

    path: Path
    minutes: float | None = None
    tasks: int = 1
    measure: bool = False
    exclude: tuple[str, ...] = ()
    backbone: str | None = None
    image_size: int | None = None
    text_column: str | None = None
    label_column: str | None = None
    image_column: str | None = None
    group_column: str | None = None
    split_column: str | None = None
    ignore_splits: bool = False
    hour_price: float | None = None
    scheduler: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", expanded(self.path))
        object.__setattr__(self, "exclude", tuple(self.exclude))
        for name, value in (("minutes", self.minutes), ("--hour-price", self.hour_price)):
            if value is not None and not 0 < value < float("inf"):
                raise UserError(f"{name} must be a number above 0, not {value!r}")
        if not 0 <= self.seed < _SEEDS:
            raise UserError(f"--seed must be from 0 to {_SEEDS - 1:,}, not {self.seed}")
        if self.scheduler is not None and not self.measure:
            raise UserError("a scheduler runs the race of --measure; add --measure")

    @property
    def reads(self) -> str | None:
        """What the named backbone reads; None where none is named, or no entry is for it."""
        return BACKBONES[self.backbone].modality if self.backbone in BACKBONES else None

    @property
    def columns(self) -> dict[str, str | None]:
        """The columns of a table that were named, by their roles."""
        return {role: getattr(self, f"{role}_column") for role in COLUMN_NAMES}


@dataclass(frozen=True)
class Advice:
    """The answer with everything it rests on. `race` is there where something was measured."""

    looked: Looked
    answer: Answer
    race: RaceResult | None = None

    def as_dict(self) -> dict[str, Any]:
        """What `advise --json` writes."""
        return as_json(self.looked, self.answer, None if self.race is None else self.race.as_dict())


def advise(request: Request) -> Advice:
    """Look at own data and answer; measure where that was asked for.

    Each stage takes what earlier ones returned, and returns a result of its own.
    Raises UserError for data that no answer can be trusted on.
    """
    started = time.monotonic()
    tidy()
    runs = records.load_runs()
    _check_excluded(request.exclude, runs["task"].unique())
    if request.scheduler is not None:
        check_cluster(request.scheduler)  # before looking, which may take minutes
    data = read_data(request.path, prefer=request.reads, columns=request.columns)
    if request.ignore_splits:
        data = replace(data, splits=np.full_like(data.splits, ""))
    backbone = choose_backbone(request.backbone, request.image_size, data)
    try:
        looked = look(request, runs, data, backbone)
    except UserError as error:
        if type(error) is not UserError:  # not about these data, or with evidence already
            raise
        refused = Finding("data that can be judged", "refused", str(error))
        raise RefusedData(str(error), data, (refused, *data.findings)) from error
    answer = first_answer(looked, runs)
    if not request.measure:
        return Advice(looked, answer)
    minutes = request.minutes or MEASURE_MINUTES
    if looked.image_size != backbone.recipe.size:
        backbone = load_backbone(backbone.name, size=looked.image_size)
    race = measure_own(looked, answer, backbone, minutes, started, scheduler=request.scheduler)
    return Advice(looked, race.answer, race)


def look(request: Request, runs: pd.DataFrame, data: OwnData, backbone: Backbone) -> Looked:
    """Decode, split, probe, check and price; nothing is trained but linear models."""
    seed = request.seed
    with tqdm(leave=False, disable=None, bar_format="{desc}") as bar:
        bar.set_description_str("decoding (1/4)")
        shape = picture_shape(data, request.image_size or largest_size(backbone))
        data = readable(data, *shape)
        data = draw_splits(data, find_copies(data, *shape), seed)
        own = make_own_task(data, *shape)
        kept = functools.partial(remembered, own.name)
        bar.set_description_str("frozen features and probe (2/4)")
        features = frozen_features(backbone, own)
        cut = cut_off(backbone, data)
        native = native_backbone(backbone, shape[0])
        probing = kept(
            probe_key(backbone, native, seed), PROBING,
            lambda: probe_own(backbone, own, features, seed, cut, native),
        )  # fmt: skip
        found = probing.sizes[0]
        taken = native if native and found.image_size == native.recipe.size else backbone
        bar.set_description_str("checks (3/4)")
        known = {"features": features, "side": backbone.recipe.size, "decoded": shape, "cut": cut}
        findings = kept(
            checks_key(data, backbone.name, backbone.recipe.size), FINDINGS,
            lambda: run_checks(
                data, **known, channels=backbone.recipe.channels,
                letters=letters_a_piece(backbone, data),
            ),
        )  # fmt: skip
        refuse(data, findings)
        bar.set_description_str("timing a few steps of each approach (4/4)")
        chosen = recipes(
            runs, backbone.name, data.modality, len(own.task.train), request.exclude, found.strength
        )
        costs = kept(
            costs_key(taken, chosen), COSTS, lambda: own_costs(taken, own, chosen, found.fit)
        )
    return Looked(
        own, findings, probing, chosen, costs, backbone.name, found.image_size,
        backbone.pretrained_on, seed, asked=asdict(request), machine=_machine(),
    )  # fmt: skip


def advise_command(
    request: Request,
    *,
    json_file: Path | None = None,
    html_file: Path | None = None,
    export: Path | None = None,
) -> int:
    """Advise, print the answer, write the files that were asked for; returns the exit status, 0."""
    _check_outputs(request.path, [file for file in (json_file, html_file) if file], export)
    try:
        advice = advise(request)
    except RefusedData as refusal:
        _write_files(refused_json(refusal, asdict(request)), json_file, html_file)
        raise
    _write_files(advice.as_dict(), json_file, html_file)
    print(in_words(advice))
    if export is not None:
        print(f"\n{printable(export_model(advice, export))}")
    return 0


def _check_outputs(data: Path, files: Sequence[Path], export: Path | None) -> None:
    """Refuse places that nothing can be written to, and those that would cost what is there."""
    for file in files:
        if not file.parent.is_dir():
            raise UserError(f"there is no folder {file.parent} to write {file.name} to; make it")
        if file.is_dir():
            raise UserError(f"{file} is a folder; name a file in it")
    if export is not None and export.exists() and not export.is_dir():
        raise UserError(f"{export} is a file; name a folder to write the model to")
    places = [one.resolve() for one in (data, *files, *([export] if export else ()))]
    twice = next((one for one in places if places.count(one) > 1), None)
    if twice is not None:
        raise UserError(f"{twice} is named twice, so it would be overwritten; name another place")


def _write_files(told: dict[str, Any], json_file: Path | None, html_file: Path | None) -> None:
    if json_file is not None:
        _write(json_file, json.dumps(told, indent=2, allow_nan=False) + "\n")
    if html_file is not None:
        _write(html_file, report(told))


def _write(file: Path, text: str) -> None:
    """Write a report: whole where it is a plain file, to a link's target, or into a pipe."""
    try:
        if file.exists() and (not file.is_file() or Path("/dev") in file.absolute().parents):
            with file.open("a", encoding="utf-8") as handle:  # /dev/stdout must stay what it is
                handle.write(text)
        else:
            write_whole(file.resolve(), text.encode("utf-8"))
    except OSError as error:
        raise UserError(
            f"cannot write {file} ({error.strerror or error}); name a file in a folder that can be "
            "written to"
        ) from error


def _check_excluded(names: Sequence[str], known: Sequence[str]) -> None:
    families = {family(name) for name in known} | set(known)
    for name in names:
        if name not in families:
            raise unknown_name("recorded task", name, families)


def _machine() -> dict[str, Any]:
    """What an answer was worked out on."""
    facts = environment(pick_device())
    return {
        "python": sys.version.split()[0],
        "torch_threads": torch.get_num_threads(),
        **{name: facts[name] for name in ("device", "torch", "git", "created")},
    }
