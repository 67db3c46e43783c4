"""Figures, sliders, SVG charts; the explorer is a package of its own here."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "diagrams": ["plot_approaches", "plot_bill", "plot_low_rank"],
        "figures": ["figure"],
        "path_chooser": ["Chooser"],
        "plots": [
            "image_grid",
            "log_axis",
            "looks",
            "mark_sizes",
            "name_marks",
            "plot_bars",
            "plot_curves",
            "plot_history",
            "plot_race",
        ],
        "sliders": ["explore"],
    },
)
