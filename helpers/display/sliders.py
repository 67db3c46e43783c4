"""Sliders that always leave a picture: one `explore` for every notebook."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets
from IPython.display import display

from helpers.display.figures import png_bytes, text_figure
from helpers.errors import UserError

VIEW = "application/vnd.jupyter.widget-view+json"


def explore(
    draw: Callable[..., Any],
    *,
    alt: str = "",
    labels: Mapping[str, str] | None = None,
    start: Mapping[str, Any] | None = None,
    **controls: Any,
) -> None:
    """Show `draw(**values)` under one control per argument, and leave its first state as a still.

    draw: gets one value per control, returns a matplotlib Figure, or a table or text to print.
    alt: what the picture shows, for those who do not see it (else the figure's own words).
    labels: the words beside a control (else its name). start: first values (else the first one).
    controls: `(low, high, step)` is a slider, a list a slider over numbers or a menu of words,
    True or False a tick box.

    One output holds the live widget, a PNG and text: pages without a kernel show the PNG.
    Raises UserError for a control of another shape or a start value that is not on it.
    """
    labels, start = labels or {}, start or {}
    made = {
        name: make_control(name, spec, labels.get(name), start.get(name))
        for name, spec in controls.items()
    }
    pictures: dict[tuple, tuple[bytes, str]] = {}

    def picture() -> tuple[bytes, str]:
        values = {name: control.value for name, control in made.items()}
        key = tuple(values.values())
        if key not in pictures:
            pictures[key] = render(draw, values, alt)
        return pictures[key]

    png, words = picture()
    image = ipywidgets.HTML(image_tag(png, words), layout={"max_width": "100%"})

    def redraw(_change: Mapping[str, Any]) -> None:
        image.value = image_tag(*picture())

    for control in made.values():
        control.observe(redraw, names="value")
    box = ipywidgets.VBox([*made.values(), image])
    show(box, png, words)


def show(box: ipywidgets.Widget, png: bytes, words: str) -> None:
    """Display a live widget, and a picture with its words where no kernel is."""
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    bundle = {VIEW: view, "image/png": encode(png), "text/plain": words}
    display(bundle, raw=True, metadata={"image/png": {"alt": words}})


def make_control(
    name: str, spec: Any, label: str | None = None, start: Any = None
) -> ipywidgets.ValueWidget:
    """Return the ipywidgets control for one `explore` argument."""
    words = {"description": label or name.replace("_", " "), "style": {"description_width": "10em"}}
    wide = {**words, "layout": {"width": "32em"}, "continuous_update": False}
    if isinstance(spec, bool):
        control = ipywidgets.Checkbox(value=spec, indent=True, **words)
    elif isinstance(spec, tuple) and len(spec) == 3:
        low, high, step = spec
        whole = all(isinstance(part, int) for part in spec)
        kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
        control = kind(value=low, min=low, max=high, step=step, **wide)
    elif isinstance(spec, list) and spec and all(isinstance(part, str) for part in spec):
        control = ipywidgets.Dropdown(options=spec, value=spec[0], **words)
    elif isinstance(spec, list) and spec:
        options = [(f"{part:,}" if isinstance(part, int) else str(part), part) for part in spec]
        control = ipywidgets.SelectionSlider(options=options, value=spec[0], **wide)
    else:
        raise UserError(
            f"The control {name} is {spec!r}: give (low, high, step), a list, True or False."
        )
    if start is not None:
        low, high = ends(spec)
        inside = start in spec if isinstance(spec, list) else low <= start <= high
        if not (inside or isinstance(spec, bool)):
            raise UserError(f"The control {name} cannot start at {start!r}: it takes {spec!r}.")
        control.value = start
    return control


def ends(spec: Any) -> tuple[Any, Any]:
    """Return the first and last value of a control: where a test draws."""
    if isinstance(spec, bool):
        return spec, not spec
    return (spec[0], spec[1]) if isinstance(spec, tuple) else (spec[0], spec[-1])


def render(draw: Callable[..., Any], values: Mapping[str, Any], alt: str) -> tuple[bytes, str]:
    """Return the PNG of `draw(**values)` and the words for it. A UserError becomes its sentence."""
    try:
        drawn = draw(**values)
    except UserError as error:
        drawn = str(error)
    figure = drawn if hasattr(drawn, "savefig") else text_figure(str(drawn))
    return png_bytes(figure), alt or getattr(figure, "alt", "") or "Figure"


def encode(png: bytes) -> str:
    """Return PNG bytes as the base64 text that notebook files and pages hold."""
    return base64.b64encode(png).decode("ascii")


def image_tag(png: bytes, words: str) -> str:
    """Return an `<img>` with its picture inside, no wider than the pane that it is shown in.

    ipywidgets' own Image takes no alt text.
    """
    quoted = words.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return f'<img style="max-width: 100%" alt="{quoted}" src="data:image/png;base64,{encode(png)}">'
