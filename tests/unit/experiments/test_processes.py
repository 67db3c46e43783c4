"""Workers end with their sweep, however that ends, and write nothing afterwards."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

SWEEP = """
import os, sys, time
from helpers.experiments.processes import end_with
sweep = os.getpid()
for number in range(2):
    if os.fork() == 0:
        end_with(sweep)
        os.write(1, b"%d\\n" % os.getpid())  # in one piece: print may let the other in between
        while True:
            with open(sys.argv[1], "a") as rows:
                rows.write("a row\\n")
            time.sleep(0.01)
time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
def test_workers_end_with_their_sweep_and_write_no_row_afterwards(number, tmp_path):
    rows = tmp_path / "rows"
    command = [sys.executable, "-c", SWEEP, str(rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sweep:
        workers = [psutil.Process(int(sweep.stdout.readline())) for _ in range(2)]
        while not rows.exists():
            time.sleep(0.01)
        sweep.send_signal(number)
        sweep.wait()
    ended, alive = time.monotonic(), workers
    while alive and time.monotonic() < ended + 10:
        alive = [w for w in alive if w.is_running() and w.status() != psutil.STATUS_ZOMBIE]
        time.sleep(0.01)
    for worker in alive:
        worker.kill()
    assert alive == []
    size = rows.stat().st_size
    time.sleep(0.1)
    assert size == rows.stat().st_size > 0
