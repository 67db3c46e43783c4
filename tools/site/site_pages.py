"""Build the site's pages with Sphinx, MyST-NB and Furo, for reading from files, with no network."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from tools.site.site_stage import stage

HERE = Path(__file__).resolve().parent
MENDS = (
    ('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="The site">'),
    ('<aside class="toc-drawer', '<aside aria-label="This page" class="toc-drawer'),
    ('<div id="search-results">', '<h1>Search</h1>\n<div id="search-results">'),
)
MARK = ".built-by-build_site"  # says that a folder's old pages may go


def build_pages(root: Path, folder: Path) -> list[str]:
    """Write every page of the repository at `root` into `folder`; return Sphinx's warnings.

    What an earlier build left there goes. Raises UserError where there is nothing to build.
    """
    warnings = io.StringIO()
    with tempfile.TemporaryDirectory() as scratch:
        source, made = Path(scratch) / "source", Path(scratch) / "made"
        stage(root, source)
        with docutils_namespace(), patch_docutils():
            app = Sphinx(
                source,
                HERE,
                made,
                Path(scratch) / "doctrees",
                "html",
                status=None,
                warning=warnings,
                freshenv=True,
            )
            app.build()
        mend(made)
        if (folder / MARK).exists():
            shutil.rmtree(folder)
        aside = shutil.ignore_patterns(".buildinfo*", "objects.inv", ".doctrees", "_sources")
        shutil.copytree(made, folder, dirs_exist_ok=True, ignore=aside)
        (folder / MARK).write_text("", encoding="utf-8")
    said = re.sub(r"\x1b\[[\d;]*m", "", warnings.getvalue())  # without colours
    return [line.replace(f"{source}/", "") for line in said.splitlines() if line.strip()]


def mend(folder: Path) -> None:
    """Name the theme's parts for screen readers, in every page."""
    for page in folder.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for old, new in MENDS:
            text = text.replace(old, new)
        page.write_text(text, encoding="utf-8", newline="\n")


def mathml(node: nodes.Element, display: str) -> str:
    """Return a formula as MathML, which browsers show without a script."""
    return convert(node.astext(), display=display)


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(mathml(node, "inline"))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math" tabindex="0">{mathml(node, "block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
