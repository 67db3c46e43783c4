"""Files that survive kills, downloads and caches. Nothing here knows a model."""
