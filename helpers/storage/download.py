"""Downloads: one file from the first address that answers, or what a command brings."""

import http.client
import math
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from helpers.errors import UserError

_CHUNK = 1 << 16
_SECONDS = 10  # without an answer
_NO_ANSWER = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)


class Unreachable(UserError):
    """No address answered."""


def download(urls: Sequence[str], file: Path, bar: tqdm, most: int) -> None:
    """Download into `file`, unless it is there; at most `most` bytes.

    A cut transfer leaves `file` + ".part", which the next try continues. Raises Unreachable when
    no address gives the whole file, UserError when one sends more than that.
    """
    if file.exists():
        bar.update(file.stat().st_size)
        return
    reasons = []
    for url in urls:
        try:
            _download(url, file, bar, most)
            return
        except _NO_ANSWER as error:
            reasons.append(f"{url} ({getattr(error, 'reason', None) or error})")
    raise Unreachable(f"cannot download {' nor '.join(reasons)}; check the network")


def _download(url: str, file: Path, bar: tqdm, most: int) -> None:
    part = file.with_name(file.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        part.unlink()  # longer than the file: what lies there is not a beginning of it
        return _download(url, file, bar, most)
    with response:
        resumed = getattr(response, "status", None) == 206
        bar.update(have if resumed else 0)
        room = most - (have if resumed else 0)
        with part.open("ab" if resumed else "wb") as target:
            while chunk := response.read(_CHUNK):
                room -= len(chunk)
                if room < 0:
                    break
                target.write(chunk)
                bar.update(len(chunk))
        if room < 0:
            part.unlink()
            raise UserError(
                f"{url} sends more than {most:,} bytes, which is not what was asked for; nothing "
                "was kept: check it in data/assets.toml"
            )
        # `read` of a cut transfer just ends: only the length tells.
        missing = getattr(response, "length", None)
        if missing:
            raise http.client.IncompleteRead(b"", missing)
    part.replace(file)


def follow(
    command: Sequence[str],
    log: Path,
    seen: Callable[[], int],
    bar: tqdm,
    *,
    env: Mapping[str, str],
    most: float = math.inf,
    seconds: float = math.inf,
) -> int:
    """Run a command that downloads, and return its exit status.

    log: the file for what it prints. seen: tells the bytes that have come, which the bar follows.
    env: variables beside those of this process. most: bytes that may come. seconds: without any.
    Raises UserError when more bytes come, Unreachable when none do; the command is ended.
    """
    with log.open("wb") as output:
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, env=os.environ | env, **streams)
        moved, last = time.monotonic(), -1
        try:
            running = True
            while running:
                running = process.poll() is None  # asked first, so that the end is looked at too
                now = seen()
                if now != last:
                    moved, last = time.monotonic(), now
                bar.update(max(0, now - bar.n))
                if now > most:
                    raise UserError(
                        f"more than {most:,} bytes came, which is not what was asked for; nothing "
                        "was kept: check data/assets.toml"
                    )
                if time.monotonic() - moved > seconds:
                    raise Unreachable(f"nothing came for {seconds:.0f} s; check the network")
                if running:
                    time.sleep(0.1)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return process.returncode
