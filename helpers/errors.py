"""Errors that a reader can act on: one sentence that names what, where and the mend."""


class UserError(ValueError):
    """Bad input. The command line prints it on one line and leaves with exit code 2."""


class DataNotFound(UserError):
    """A data set or a file that this machine does not hold; the message says how to get it."""
