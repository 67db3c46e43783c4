"""`python -m helpers`: see `helpers.cli.commands`."""

import signal
import sys

interrupted = False


def interrupt(*_: object) -> None:
    """Raise KeyboardInterrupt, and remember it: what is imported may make another error of it."""
    global interrupted
    interrupted = True
    raise KeyboardInterrupt


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is to be ignored
        signal.signal(signal.SIGINT, interrupt)
    try:
        from helpers.cli.commands import main

        status = main()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except BaseException:
        if not interrupted:
            raise
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("stopped; what was finished is kept", file=sys.stderr)
        status = 130
    if interrupted:
        sys.unraisablehook = lambda _: None  # of what is cleared away: the one line was said
        # Python remembers that Ctrl-C ended some `exec`, such as a dataclass is made with, and
        # would end itself by that signal in place of the status.
        exec("")
    sys.exit(status)
