"""The one training loop, its batches, and the cache of what frozen layers return."""
