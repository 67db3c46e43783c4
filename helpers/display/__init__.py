"""Figures, sliders, SVG charts; the explorer is a package of its own here."""
