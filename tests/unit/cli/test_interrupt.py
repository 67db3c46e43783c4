"""Ctrl-C that a library drops is raised again."""

import os
import signal
import subprocess
import sys

import pytest

DROPPED = """
import os, signal, time
from helpers import __main__ as command

command.AGAIN_SECONDS = 0.2
signal.signal(signal.SIGINT, command.interrupt)
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
except KeyboardInterrupt:
    pass  # as a library does that drops whatever is raised in it
try:
    time.sleep(5)
except KeyboardInterrupt:
    command.settle()
    time.sleep(0.5)
    print("heard again")
"""


@pytest.mark.skipif(os.name != "posix", reason="timers that signal")
def test_ctrl_c_that_is_dropped_comes_again_until_it_is_settled():
    done = subprocess.run(
        [sys.executable, "-c", DROPPED], capture_output=True, text=True, timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "heard again\n", "")
