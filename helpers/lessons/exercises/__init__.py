"""Exercises: how answers are judged, one module `nNN` a notebook."""
