"""Attack what is stored and what is read, from a seed, and count what went wrong: `make attack`, or
python -m tools.attack.attack [NAME ...] [--seed S] [--size NAME=N ...] [--small].

An attack is one module of this folder: `SIZE` and `SMALL` say how often it strikes, in full and in
the tests, and `attack(seed, size, place)` returns a sentence for each fault that it found. What it
needs it makes below `place`, an empty folder, where the cache lies too.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

from helpers.paths import cache_dir

SHOWN = 5  # faults of an attack that are printed


def attacks() -> dict[str, ModuleType]:
    """The attacks of this folder by name."""
    names = sorted(file.stem for file in Path(__file__).parent.glob("*.py"))
    modules = {n: importlib.import_module(f"tools.attack.{n}") for n in names if n != "attack"}
    return {name: module for name, module in modules.items() if hasattr(module, "attack")}


def strike(module: ModuleType, seed: int, size: int) -> list[str]:
    """Run one attack in a folder and a cache of its own; the assets are those of this machine."""
    before, assets = os.environ.get("TRANSFER_CACHE"), cache_dir() / "assets"
    with tempfile.TemporaryDirectory(prefix="attack-", ignore_cleanup_errors=True) as folder:
        place = Path(folder).resolve()
        (place / "cache").mkdir()
        (place / "cache" / "assets").symlink_to(assets)
        os.environ["TRANSFER_CACHE"] = str(place / "cache")
        try:
            return module.attack(seed, size, place)
        finally:
            os.environ.pop("TRANSFER_CACHE")
            os.environ.update({} if before is None else {"TRANSFER_CACHE": before})


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 1 where a fault was found."""
    known = attacks()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--size", action="append", default=[], metavar="NAME=N", help="how often")
    parser.add_argument("--small", action="store_true", help="the sizes of the tests")
    options = parser.parse_args(arguments)
    sizes = {name: module.SMALL if options.small else module.SIZE for name, module in known.items()}
    sizes |= {name: int(n) for name, _, n in (one.partition("=") for one in options.size)}
    unknown = sorted({*options.names, *sizes} - known.keys())
    if unknown:
        parser.error(f"there is no attack {unknown[0]!r}; there are {', '.join(known)}")
    wrong = 0
    for name in options.names or known:
        started = time.monotonic()
        faults = strike(known[name], options.seed, sizes[name])
        wrong += len(faults)
        took = time.monotonic() - started
        print(f"{name}: {sizes[name]:,} strikes, {len(faults)} faults ({took:.0f} s)", flush=True)
        for fault in faults[:SHOWN]:
            print(f"  {fault}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
