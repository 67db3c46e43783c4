"""Many tasks on one base: files of adapters, and their server."""
