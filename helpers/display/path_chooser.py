"""A path field with a list of what lies there, to choose own data by in a notebook."""

import html
from collections.abc import Callable
from pathlib import Path

import ipywidgets

TABLES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")


class Chooser:
    """Shows folders and tables below a start; `ask(path)` gives the text that is shown.

    ask: called with the chosen path when the button is pressed; its UserError is shown as text.
    """

    def __init__(self, start: Path, ask: Callable[[Path], str]) -> None:
        self.ask = ask
        self.path = ipywidgets.Text(
            str(start), description="your data", continuous_update=False, layout={"width": "40em"}
        )
        self.list = ipywidgets.Select(rows=6, layout={"width": "40em"})
        self.button = ipywidgets.Button(description="Advise", button_style="primary")
        self.answer = ipywidgets.HTML()
        self.path.observe(lambda _: self.refresh(), names="value")
        self.list.observe(self._entered, names="value")
        self.button.on_click(lambda _: self.run())
        self.box = ipywidgets.VBox([self.path, self.list, self.button, self.answer])
        self.refresh()

    def refresh(self) -> None:
        """List what lies at the path."""
        try:
            names = sorted(
                one.name + ("/" if one.is_dir() else "")
                for one in self._folder().iterdir()
                if not one.name.startswith(".") and (one.is_dir() or one.suffix in TABLES)
            )
        except OSError:
            names = []
        self.list.unobserve_all("value")
        self.list.options = ["", "../", *names]
        self.list.value = ""
        self.list.observe(self._entered, names="value")

    def run(self) -> None:
        """Ask for advice on the path and show it."""
        self.button.disabled = True
        self.answer.value = "<pre>looking …</pre>"
        try:
            told = self.ask(Path(self.path.value).expanduser())
        except ValueError as error:  # a UserError is one: the sentence is the answer
            told = str(error)
        finally:
            self.button.disabled = False
        self.answer.value = f"<pre>{html.escape(told)}</pre>"

    def _entered(self, change: dict) -> None:
        if change["new"]:
            self.path.value = str((self._folder() / change["new"]).resolve())

    def _folder(self) -> Path:
        place = Path(self.path.value).expanduser()
        return place if place.is_dir() else place.parent
