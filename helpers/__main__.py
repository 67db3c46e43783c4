"""`python -m helpers`: see `helpers.cli.commands`."""

import signal
import sys

AGAIN_SECONDS = 10.0
interrupted = False


def interrupt(*_: object) -> None:
    """Raise KeyboardInterrupt, and remember it: what is imported may make another error of it.

    A library may also drop it, as C code does that asks whether an attribute is there. So it is
    raised again after AGAIN_SECONDS, until `settle` is called.
    """
    global interrupted
    interrupted = True
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
    raise KeyboardInterrupt


def settle() -> None:
    """From here on Ctrl-C changes nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is to be ignored
        signal.signal(signal.SIGINT, interrupt)
    try:
        from helpers.cli.commands import main

        status = main()
        settle()
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
