"""The explorer: every answer on sliders, in a notebook and as a page."""
