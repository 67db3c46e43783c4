"""The other side of `service`: ask for embeddings."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import numpy as np

from helpers.backbones import Backbone
from helpers.errors import UserError
from helpers.experiments.timing import median_ms
from helpers.lessons.hosted_model.service import NPY, read_npy, serve, to_npy


class EmbeddingClient(contextlib.AbstractContextManager):
    """Asks a service for embeddings, in batches over one connection.

    bytes_sent: in the bodies of all requests so far. requests: how many there were.
    """

    def __init__(self, url: str, *, batch_size: int = 32) -> None:
        address = urlsplit(url)
        if address.scheme != "http" or not address.hostname or batch_size < 1:
            raise UserError(f"{url!r} is no http://host:port, or batch_size {batch_size} below 1")
        self.url, self.batch_size = url, batch_size
        self.bytes_sent = self.requests = 0
        self._connection = http.client.HTTPConnection(address.netloc, timeout=60.0)

    def __exit__(self, *_: object) -> None:
        self.close()

    def embed(self, inputs: np.ndarray) -> np.ndarray:
        """Embeddings (N, feature_size) of images (uint8 N,H,W,C).

        Raises UserError with the service's sentence, or when it can't be reached.
        """
        parts = []
        for start in range(0, len(inputs), self.batch_size):
            body = to_npy(np.asarray(inputs[start : start + self.batch_size]))
            parts.append(read_npy(self._ask(body), "float32", 2))
            self.bytes_sent += len(body)
            self.requests += 1
        if not parts:
            raise UserError("there is nothing to embed; give one input or more")
        return np.concatenate(parts)

    def latency_ms(self, inputs: np.ndarray, repeats: int = 30) -> float:
        """Median milliseconds of a request, the trip included, after three that warm it up."""
        return median_ms(partial(self.embed, inputs), repeats)

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        self._connection.close()

    def _ask(self, body: bytes) -> bytes:
        kept = self._connection.sock is not None
        try:
            try:
                response, answer = self._post(body)
            except ConnectionError:
                if not kept:
                    raise
                # The service hangs up on whoever was silent for long: ask on a new connection.
                self._connection.close()
                response, answer = self._post(body)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise UserError(f"{self.url} can't be reached ({error}); is it serving?") from error
        if response.status != 200:
            self._connection.close()
            raise UserError(f"{self.url} answered {response.status}: {_sentence(answer)}")
        return answer

    def _post(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        self._connection.request("POST", "/embed", body, {"Content-Type": NPY})
        response = self._connection.getresponse()
        return response, response.read()


@contextlib.contextmanager
def hosted(backbone: Backbone, *, batch_size: int = 32) -> Iterator[EmbeddingClient]:
    """A client of a service that holds `backbone` while the block runs."""
    with serve(backbone) as url, EmbeddingClient(url, batch_size=batch_size) as client:
        yield client


def _sentence(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return "no reason given"
