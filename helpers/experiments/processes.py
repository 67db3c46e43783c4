"""Workers that end with their sweep, however it ends, and leave Ctrl-C to it."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

LOOK_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1
_parent: psutil.Process | None = None


def end_with(pid: int) -> None:
    """Have this process end when its parent does, however that ends, and leave Ctrl-C to it.

    Linux ends it at once; elsewhere a thread looks once a second.
    """
    global _parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        _parent = psutil.Process(pid)
    except psutil.NoSuchProcess:  # it was over before we began
        os._exit(1)
    end_if_orphaned()
    threading.Thread(target=_look, daemon=True).start()


def end_if_orphaned() -> None:
    """End this process where `end_with` was called and the parent is gone."""
    if _parent is None:
        return
    here = os.name != "posix" or os.getppid() == _parent.pid
    if not here or not _parent.is_running():
        os._exit(1)


def _look() -> None:
    while True:
        time.sleep(LOOK_SECONDS)
        end_if_orphaned()


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes that are started in the block never hear Ctrl-C; this one hears it at the end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
