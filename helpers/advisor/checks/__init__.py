"""Checks of own data before anything is trained."""
