"""Ctrl-C that a library or Python drops is raised again."""

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


IN_PASSING = """
import os, signal, time
from helpers import __main__ as command

class Passing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

signal.signal(signal.SIGINT, command.interrupt)
started = time.monotonic()
try:
    Passing()
    time.sleep(5)
except KeyboardInterrupt:
    command.settle()
    print("heard again", time.monotonic() - started < 4)
"""
pytestmark = pytest.mark.skipif(os.name != "posix", reason="timers that signal")


def listening(code: str) -> tuple[int, str, str]:
    """Run the code where Ctrl-C is heard; returns (exit status, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_ctrl_c_that_is_dropped_comes_again_until_it_is_settled():
    assert listening(DROPPED) == (0, "heard again\n", "")


def test_ctrl_c_while_an_object_goes_comes_again_at_once_and_without_a_traceback():
    assert listening(IN_PASSING) == (0, "heard again True\n", "")
