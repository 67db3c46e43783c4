"""Colours of the explorer, for light and dark, as CSS variables; and its style sheet."""

from importlib.resources import files

from helpers.vocabulary import APPROACH_STYLE

LIGHT = {
    "ink": "#1a1d21",
    "soft": "#565d66",
    "paper": "#f7f6f3",
    "card": "#ffffff",
    "rule": "#dcd9d2",
    "accent": "#0b57a4",
    "wash": "#e8f0f9",
    "clear": "#0a6245",
    "close": "#8a4b00",
    "none": "#565d66",
}
DARK = {
    "ink": "#e9eaec",
    "soft": "#a8b0ba",
    "paper": "#131518",
    "card": "#1c1f24",
    "rule": "#363b43",
    "accent": "#8cc0ff",
    "wash": "#1f2f42",
    "clear": "#5fd3a4",
    "close": "#f3b562",
    "none": "#a8b0ba",
}


def sheet() -> str:
    """Return the style sheet of the parts that notebook and page share, colours apart."""
    text = (files("helpers.display.explorer") / "explorer.css").read_text(encoding="utf-8")
    looks = "".join(f".fta .s-{name}{{--c:var(--c-{name})}}" for name in APPROACH_STYLE)
    hot = ",".join(
        f'.fta[data-{part}="{name}"] .series.s-{name}'
        for name in APPROACH_STYLE
        for part in ("rule", "take")
    )
    return f"{text}{looks}{hot}{{--o:1;--w:3;--b:.22}}"


def colours(dark: bool) -> str:
    """Return the declarations of all colours."""
    named = DARK if dark else LIGHT
    made = [f"--{name}:{value}" for name, value in named.items()]
    made += [
        f"--c-{name}:{style.on_dark if dark else style.colour}"
        for name, style in APPROACH_STYLE.items()
    ]
    return ";".join(made)


def page_colours() -> str:
    """Return the rules for a page that follows the reader's system."""
    dark = f"@media(prefers-color-scheme:dark){{.fta{{{colours(True)}}}}}"
    return f".fta{{color-scheme:light dark;{colours(False)}}}{dark}"


def lab_colours() -> str:
    """Return the rules for JupyterLab, which says on its body whether it is light."""
    return f'.fta{{{colours(False)}}}body[data-jp-theme-light="false"] .fta{{{colours(True)}}}'
