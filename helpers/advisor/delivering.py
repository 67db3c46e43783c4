"""`--export`: the recommended model, trained on the own split, tested once, written to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tqdm import tqdm

from helpers.advisor.answer import Looked
from helpers.advisor.export import write_export
from helpers.advisor.race.runs import Job, RaceFile, execute
from helpers.advisor.race.verdict import read_test


def export_model(advice: Any, folder: Path) -> str:
    """Write the model of an advice; trains it first where no race has done so.

    Returns a sentence for the terminal. Raises UserError where the folder can't be written to.
    """
    looked: Looked = advice.looked
    race = RaceFile(looked.own, looked.backbone, looked.image_size)
    job = _job(advice, looked)
    if not race.has_model(job):
        with tqdm(desc=f"training {job.approach}", leave=False, disable=None, total=1) as bar:
            row = execute(job, race)
            race.append(row)
            bar.update()
    test = read_test(race, job)
    return write_export(race.model_folder(job), looked.own, test.as_dict(), Path(folder))


def _job(advice: Any, looked: Looked) -> Job:
    if advice.race is not None and advice.race.job is not None:
        return advice.race.job
    recipe = looked.recipes[advice.answer.approach]
    n_train = len(looked.own.task.train)
    return Job(recipe.approach, n_train, 0, recipe.lr, recipe.epochs, looked.seed)
