"""Write the explorer as one HTML page: `make site`, or `python tools/build_site.py [FOLDER]`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from helpers import records
from helpers.errors import UserError
from helpers.page import build
from helpers.paths import commit

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 3_000_000  # bytes


def main() -> int:
    """Build the page and write it whole; returns 2 with a sentence where it can't be written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "site")
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count() or 1))
    options = parser.parse_args()
    path = options.folder / "explorer.html"
    try:
        page = build(records.load(), commit=commit(), workers=max(1, options.workers))
        size = len(page.encode("utf-8"))
        if size > LARGEST:
            raise UserError(f"the page has {size:,} bytes, more than {LARGEST:,}; coarsen its axes")
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".html.partial")
        scratch.write_text(page, encoding="utf-8", newline="\n")
        scratch.replace(path)
    except (UserError, OSError) as error:
        print(f"cannot make {path}: {error}", file=sys.stderr)
        return 2
    print(f"{path}: {size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
