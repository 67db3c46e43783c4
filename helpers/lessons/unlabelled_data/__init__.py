"""Continued pretraining on examples without labels."""
