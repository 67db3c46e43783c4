"""A hosted model on this machine: its service and its client."""
