"""Write the site, every notebook as a page and the explorer: `make site`.

    python -m tools.site.build_site [FOLDER]              the whole site, into build/site
    python -m tools.site.build_site --only-explorer       explorer.html alone, and nothing else is
    needed

Open `index.html`: it is read from files, and asks no network.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from helpers.errors import UserError
from helpers.paths import commit
from helpers.results import runs
from tools.site.explorer_page import build
from tools.site.site_pages import build_pages

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 3_000_000  # bytes of the explorer


def main(arguments: list[str] | None = None) -> int:
    """Build the pages, then the explorer; returns 2 with a sentence where that can't be done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "site")
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--only-explorer", action="store_true", help="write explorer.html alone")
    options = parser.parse_args(arguments)
    try:
        if not options.only_explorer:
            for warning in build_pages(ROOT, options.folder):
                print(warning, file=sys.stderr)
            print(f"{options.folder / 'index.html'}: the first page")
        home = "" if options.only_explorer else "index.html"
        write_explorer(options.folder / "explorer.html", home, max(1, options.workers))
    except (UserError, OSError) as error:
        print(f"cannot make {options.folder}: {error}", file=sys.stderr)
        return 2
    return 0


def write_explorer(path: Path, home: str, workers: int) -> None:
    """Write the explorer whole or not at all, with a link to `home` where that is a page."""
    page = build(runs.load_runs(), commit=commit(), workers=workers, home=home)
    size = len(page.encode("utf-8"))
    if size > LARGEST:
        raise UserError(f"the page has {size:,} bytes, more than {LARGEST:,}; coarsen its axes")
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".html.partial")
    scratch.write_text(page, encoding="utf-8", newline="\n")
    scratch.replace(path)
    print(f"{path}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    raise SystemExit(main())
