"""`python -m helpers`: see `helpers.cli.commands`."""

import os
import signal
import sys

AGAIN_SECONDS = 10.0
interrupted = False


def interrupt(*_: object) -> None:
    """Raise KeyboardInterrupt, and remember it: what is imported may make another error of it.

    A library may also drop it, as C code does that asks whether an attribute is there. So it is
    raised again after AGAIN_SECONDS, until `settle` is called; where Python itself drops it, in
    what it calls when an object goes, at once.
    """
    global interrupted
    interrupted = True
    sys.unraisablehook = _dropped
    _again(AGAIN_SECONDS)
    raise KeyboardInterrupt


def settle() -> None:
    """From here on Ctrl-C changes nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _again(0)


def _again(seconds: float) -> None:
    """Interrupt once more after so many seconds; 0: never."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, interrupt if seconds else signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _dropped(unraisable: object) -> None:
    """Python's hook for errors that nothing can catch."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _again(0.01)
    else:
        sys.__unraisablehook__(unraisable)


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is to be ignored
        signal.signal(signal.SIGINT, interrupt)
    # How long torch's threads spin for one another, which is read at its import: see the Makefile.
    os.environ.setdefault("GOMP_SPINCOUNT", "30000")
    try:
        from helpers.cli.commands import main

        status = main()
        settle()
    except ModuleNotFoundError as error:
        if (error.name or "helpers").startswith("helpers"):
            raise
        told = f"{sys.executable} lacks the package {error.name}; take the environment's Python, "
        sys.exit(f"{told}.venv/bin/python (`make lab` makes it), or activate that environment")
    except BaseException:
        if not interrupted:
            raise
        settle()
        print("stopped; what was finished is kept", file=sys.stderr)
        status = 130
    if interrupted:
        sys.unraisablehook = lambda _: None  # of what is cleared away: the one line was said
        # Python remembers that Ctrl-C ended some `exec`, such as a dataclass is made with, and
        # would end itself by that signal in place of the status.
        exec("")
    sys.exit(status)
