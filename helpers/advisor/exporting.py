"""Where exported folders of earlier versions look for `load_model`."""

from helpers.advisor.export import load_model

__all__ = ["load_model"]
