"""A stand-in for a hosted model: a small local HTTP server that returns embeddings only.

`with serve(backbone) as url:` answers on 127.0.0.1 until the block ends, in a thread. What a client
gets is what hosted models sell: vectors, never weights or gradients, so that only a head can be
trained on top of them (`helpers.lessons.hosted_model.client`).

    GET  /info    JSON: name, feature_size, size, max_inputs
    POST /embed   application/x-npy: uint8 images (N,H,W,channels)
                  → application/x-npy: float32 (N, feature_size)

Anything else gets a status of 400 or more and one sentence: {"error": "…"}. A small request is
answered soon whatever else is asked: the model takes a few inputs at a time and then the next
request's, and connections, bytes and seconds have limits.
"""

import contextlib
import io
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import torch

from helpers.backbones import Backbone
from helpers.errors import UserError

HOST = "127.0.0.1"  # nothing outside this machine can ask
MAX_INPUTS = 64
MAX_BYTES = 16_000_000
MAX_CONNECTIONS = 32
BYTES_AT_ONCE = 4 * MAX_BYTES  # of all requests together
REQUEST_SECONDS = 60.0  # that a request may take from its first byte to its answer
TURN = 4  # inputs that the model takes at a time
MAX_SIDE = 1024  # pixels
IDLE_SECONDS = 30.0  # a connection that says nothing for so long is closed
NPY, JSON = "application/x-npy", "application/json"


class Refused(Exception):
    """A request that can't be answered: the status and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def to_npy(array: np.ndarray) -> bytes:
    """An array as the bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def read_npy(data: bytes, dtype: str, ndim: int) -> np.ndarray:
    """The array in .npy bytes, a view of them. Raises ValueError for any other kind of array.

    The header is checked against the bytes that are there before anything is made, so that a header
    that promises gigabytes takes none.
    """
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError("it is not of version 1.0")
        shape, fortran, found = np.lib.format.read_array_header_1_0(file)
    except (ValueError, SyntaxError, TypeError, EOFError) as error:
        raise ValueError(f"not a .npy array ({error})") from error
    if found != np.dtype(dtype) or len(shape) != ndim or fortran:
        raise ValueError(f"not an array of {dtype} with {ndim} dimensions in C order")
    body = data[file.tell() :]
    if len(body) != found.itemsize * int(np.prod(shape, dtype=object)):
        raise ValueError("its header promises another number of bytes than came")
    return np.frombuffer(body, found).reshape(shape)


class _Server(ThreadingHTTPServer):
    """Holds the model, asked one request at a time, and the open connections, to close them."""

    daemon_threads = True

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        self.model, self.turn = threading.Lock(), threading.Lock()
        self.count = threading.Lock()
        self.connections, self.bytes_at_once = set(), 0
        super().__init__((HOST, 0), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.add(connection)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for one more connection; it is closed otherwise."""
        if len(self.connections) <= MAX_CONNECTIONS:
            return True
        with contextlib.suppress(OSError):
            request.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        return False

    @contextlib.contextmanager
    def room(self, length: int) -> Iterator[None]:
        """Room for the body of a request. Raises Refused where others take too much of it."""
        with self.count:
            if self.bytes_at_once + length > BYTES_AT_ONCE:
                raise Refused(503, "too many large requests are being answered; ask again")
            self.bytes_at_once += length
        try:
            yield
        finally:
            with self.count:
                self.bytes_at_once -= length

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""

    def embed(self, inputs: np.ndarray) -> np.ndarray:
        backbone = self.backbone
        batch, parts = torch.from_numpy(np.array(inputs)), []
        for start in range(0, len(batch), TURN):
            # Whoever waits for the model holds the turn, so that he is before us the next time.
            with self.turn:
                self.model.acquire()
            try:
                with torch.inference_mode():
                    state = backbone(backbone.prepare(batch[start : start + TURN]))
                    parts.append(backbone.pool(state).float())
            finally:
                self.model.release()
        return torch.cat(parts).numpy()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open between requests
    disable_nagle_algorithm = True  # else headers and body wait 40 ms for each other
    timeout = IDLE_SECONDS
    server: _Server

    def handle_one_request(self) -> None:
        """Answer one request, and hang up where it takes too long to come or to be fetched."""
        watch = threading.Timer(REQUEST_SECONDS, self._hang_up)
        watch.daemon = True
        watch.start()
        try:
            super().handle_one_request()
        finally:
            watch.cancel()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self) -> None:
        """Tell what is served."""
        if self.path != "/info":
            told = f"there is no {self.path[:80]} here; GET /info tells what is"
            return self._refuse(Refused(404, told))
        backbone = self.server.backbone
        facts = {
            "name": backbone.name,
            "feature_size": backbone.feature_size,
            "size": backbone.recipe.size,
            "max_inputs": MAX_INPUTS,
        }
        self._answer(200, JSON, json.dumps(facts).encode())

    def do_POST(self) -> None:
        """Answer with embeddings, or say in one sentence why not."""
        try:
            length = self._length()
            with self.server.room(length):
                found = self.server.embed(self._inputs(self.rfile.read(length)))
        except Refused as refused:
            return self._refuse(refused)
        self._answer(200, NPY, to_npy(found))

    def _length(self) -> int:
        """The length of the body, which must be told and within the limit before a byte is read."""
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            raise Refused(411, "a request needs a Content-Length")
        if int(length) > MAX_BYTES:
            told = f"{int(length):,} bytes are more than {MAX_BYTES:,}; send fewer inputs"
            raise Refused(413, told)
        return int(length)

    def _inputs(self, body: bytes) -> np.ndarray:
        if self.path != "/embed":
            raise Refused(404, f"there is no {self.path[:80]} here; POST to /embed")
        kind = self.headers.get("Content-Type", "")
        if kind.partition(";")[0].strip() != NPY:
            raise Refused(415, f"this model reads {NPY}, not {kind[:80] or 'nothing named'}")
        try:
            inputs = read_npy(body, "uint8", 4)
        except ValueError as error:
            told = f"images must come as uint8 (N, H, W, channels): {error}"
            raise Refused(400, told) from None
        _, height, width, channels = inputs.shape
        if channels not in (1, 3) or not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
            shape = f"{height} x {width} x {channels}"
            raise Refused(400, f"images have 1 or 3 channels and sides to {MAX_SIDE}, not {shape}")
        if not 1 <= len(inputs) <= MAX_INPUTS:
            raise Refused(400, f"send 1 to {MAX_INPUTS} inputs in one request, not {len(inputs)}")
        return inputs

    def _refuse(self, refused: Refused) -> None:
        self.close_connection = True  # what is left of the body must not be read as a request
        self._answer(refused.status, JSON, json.dumps({"error": str(refused)}).encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is logged: what clients send is theirs."""


@contextlib.contextmanager
def serve(backbone: Backbone) -> Iterator[str]:
    """Serve a frozen backbone's embeddings while the block runs; gives the address, http://….

    When the block ends no connection is answered any more and the port is free. Raises UserError
    for a backbone of texts.
    """
    if backbone.modality != "image":
        raise UserError(f"this service is for pictures, and {backbone.name} reads texts")
    server = _Server(backbone.eval())
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        for connection in list(server.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join()
