"""Recorded runs, and the statistics and evidence over them. Nothing here loads torch."""
