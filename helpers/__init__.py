"""Choose a transfer-learning approach from runs that were measured, not guessed.

Importing this package does nothing else: every part is a module of its own, so that
`import helpers.decision` stays free of torch.
"""

__version__ = "0.1.0"
