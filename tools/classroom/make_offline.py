"""One folder for a room without a network: `make offline`, or python -m
tools.classroom.make_offline [--to FOLDER].

FOLDER/freeze-tune-adapt/    the clone's files, with weights and data sets in its cache
FOLDER/wheels/               every package, for machines like this one
FOLDER/datasets/             data sets that $TRANSFER_DATA holds here
FOLDER/START.txt             what to type there

--no-wheels                  for machines that have the packages: the folder is 4 GB smaller
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from helpers.storage.assets import all_assets
from helpers.storage.install import find_asset

ROOT = Path(__file__).resolve().parents[2]
CLONE, WHEELS, DATASETS = "freeze-tune-adapt", "wheels", "datasets"
WANTED = (".[dev]", "setuptools>=77")  # the second builds the first
START = """\
Freeze, Tune, or Adapt? without a network. Made on {machine}, Python {python}:
the wheels fit machines of that kind. Copy this whole folder to the laptop first.

Linux and macOS, in a terminal in this folder:

    cd {clone}
    export PIP_NO_INDEX=1 PIP_FIND_LINKS="$PWD/../{wheels}"{data_sh}
    make lab

Windows, in PowerShell in this folder:

    cd {clone}
    $env:PIP_NO_INDEX = "1"; $env:PIP_FIND_LINKS = "$PWD\\..\\{wheels}"{data_ps}
    py -m venv .venv
    .venv\\Scripts\\python -m pip install -c constraints.txt -e ".[dev]"
    .venv\\Scripts\\python -m jupyterlab notebooks\\00_start_here.ipynb
"""


def tracked_files(root: Path) -> list[str]:
    """Return what git keeps, relative to `root`. Raises SystemExit outside a clone."""
    command = ["git", "ls-files", "-z"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise SystemExit(f"{root} is no git clone, so what belongs to it is unknown: clone it")
    return [name for name in done.stdout.split("\0") if name and (root / name).is_file()]


def copy_clone(root: Path, clone: Path) -> int:
    """Copy the tracked files, as they are now; return how many."""
    names = tracked_files(root)
    for name in names:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, clone / name)
    return len(names)


def copy_assets(folder: Path) -> tuple[list[str], list[str]]:
    """Copy what this machine holds of the assets; return the names copied and those missing."""
    copied, missing = [], []
    for name, asset in all_assets().items():
        found = find_asset(asset)
        if found is None:
            missing.append(name)
            continue
        kept = found.parent.name == "assets"  # unpacked here, not lent by $TRANSFER_DATA
        place = folder / CLONE / "data" / "cache" / "assets" / name
        target = place if kept else folder / DATASETS / asset.folder
        shutil.copytree(found, target, dirs_exist_ok=True)
        copied.append(name)
    return copied, missing


def fetch_wheels(root: Path, wheels: Path) -> list[Path]:
    """Let pip bring every wheel that `make lab` installs; raises SystemExit where it can't."""
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
    command += ["--dest", str(wheels), "-c", "constraints.txt", *WANTED]
    if subprocess.run(command, cwd=root).returncode:
        raise SystemExit(f"pip could not bring every package into {wheels}: see what it said above")
    own = {wheel for wheel in wheels.glob("*") if wheel.name.startswith("freeze_tune_adapt-")}
    for wheel in own:
        wheel.unlink()  # the room installs the clone
    return sorted(set(wheels.iterdir()) - own)


def damaged(wheels: list[Path]) -> list[str]:
    """Return the names of wheels that do not open: a stick was pulled, a disk was full."""
    return [w.name for w in wheels if w.suffix == ".whl" and not zipfile.is_zipfile(w)]


def start_text(with_datasets: bool) -> str:
    """Return what START.txt says."""
    shell = f' \\\n        TRANSFER_DATA="$PWD/../{DATASETS}"' if with_datasets else ""
    power = f'\n    $env:TRANSFER_DATA = "$PWD\\..\\{DATASETS}"' if with_datasets else ""
    return START.format(
        machine=f"{platform.system()} {platform.machine()}",
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        clone=CLONE,
        wheels=WHEELS,
        data_sh=shell,
        data_ps=power,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=ROOT / "build" / "offline", metavar="FOLDER")
    parser.add_argument("--no-wheels", action="store_true", help="leave the packages out")
    options = parser.parse_args(arguments)
    folder = options.to.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{copy_clone(ROOT, folder / CLONE)} files of the clone")
    copied, missing = copy_assets(folder)
    print(f"assets: {', '.join(copied) or 'none'}")
    if missing:
        print(f"not on this machine: {', '.join(missing)} (python -m helpers fetch)")
    if not options.no_wheels:
        wheels = fetch_wheels(ROOT, folder / WHEELS)
        if damaged(wheels):
            raise SystemExit(f"damaged: {', '.join(damaged(wheels))}; delete them and try again")
        print(f"{len(wheels)} packages")
    text = start_text((folder / DATASETS).is_dir())
    (folder / "START.txt").write_text(text, encoding="utf-8", newline=os.linesep)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{folder}: {size / 1e9:.1f} GB; START.txt says what to type there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
