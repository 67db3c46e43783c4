"""The stand-in for a hosted model: embeddings over HTTP, and what anything else gets."""

import contextlib
import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from tiny import tiny_task

from helpers.approaches import get_approach
from helpers.approaches.feature_extraction import ProbeOptions
from helpers.backbones import Backbone, Recipe, load_backbone
from helpers.errors import UserError
from helpers.lessons.hosted_model import service
from helpers.lessons.hosted_model.client import EmbeddingClient, hosted
from helpers.lessons.hosted_model.service import JSON, NPY, read_npy, serve, to_npy
from helpers.lessons.photos import linear_model
from helpers.training.feature_cache import extract_features


@pytest.fixture(scope="module")
def pocket():
    return load_backbone("pocket")


@pytest.fixture
def url(pocket, monkeypatch):
    monkeypatch.setattr(service, "MAX_INPUTS", 16)
    monkeypatch.setattr(service, "MAX_BYTES", 100_000)
    with serve(pocket) as address:
        yield address


@pytest.fixture
def client(url):
    made = EmbeddingClient(url, batch_size=16)
    yield made
    made.close()


def ask(url, method="POST", path="/embed", body=b"", kind=NPY, **headers):
    """A request by hand: (status, what came back as JSON)."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request(method, path, body, {"Content-Type": kind, **headers})
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    return answer.status, told


def test_embeddings_equal_direct_ones_over_several_requests(pocket, client):
    images = tiny_task(40).train.inputs
    found = client.embed(images)
    assert found.dtype == np.float32
    assert found.shape == (40, pocket.feature_size)
    np.testing.assert_allclose(found, extract_features(pocket, images, cache=False), atol=1e-5)
    assert client.requests == 3
    assert client.bytes_sent == sum(len(to_npy(images[i : i + 16])) for i in (0, 16, 32))


def test_a_hosted_model_is_asked_and_timed_and_gone_with_its_block(pocket):
    images = tiny_task(4).train.inputs
    with hosted(pocket, batch_size=2) as client:
        assert client.embed(images).shape == (4, pocket.feature_size)
        assert client.requests == 2
        assert client.latency_ms(images[:1], repeats=3) > 0
        assert client.requests == 8
    with pytest.raises(UserError, match="can't be reached"):
        client.embed(images)


def test_info_tells_what_is_served(pocket, url):
    told = ask(url, "GET", "/info")[1]
    assert told["name"] == "pocket"
    assert told["feature_size"] == pocket.feature_size
    assert told["max_inputs"] == 16


def test_a_model_of_texts_is_not_served():
    words = Backbone("words", "text", [], torch.nn.Identity(), 2, Recipe(8))
    with pytest.raises(UserError, match="pictures"), serve(words):
        pass


def test_a_small_request_is_answered_soon_beside_the_largest(pocket):
    """One legal request of 15 MB held all others up for 104 s."""
    large, small = image_bytes((15, 1024, 1024, 1)), image_bytes()
    assert 0.45 * service.MAX_BYTES < len(large) <= service.MAX_BYTES
    with serve(pocket) as url:
        ask_raw(url, small)
        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(ask_raw, url, large) for _ in range(2)]
            time.sleep(0.3)
            started = time.monotonic()
            assert ask_raw(url, small) == 200
            took = time.monotonic() - started
            assert {one.result() for one in asked} == {200}
        assert ask(url, **{"Content-Length": str(service.MAX_BYTES + 1)})[0] == 413
    assert took < 2


def ask_raw(url, body, kind=NPY) -> int:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=100)
    connection.request("POST", "/embed", body, {"Content-Type": kind})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_connections_bytes_and_seconds_have_limits(pocket, monkeypatch):
    monkeypatch.setattr(service, "MAX_CONNECTIONS", 2)
    monkeypatch.setattr(service, "REQUEST_SECONDS", 0.5)
    monkeypatch.setattr(service, "BYTES_AT_ONCE", 1000)
    with serve(pocket) as url:
        address = urlsplit(url)
        status, told = ask(url, body=image_bytes((2, 28, 28, 1)))
        assert status == 503 and "ask again" in told["error"]
        slow = [socket.create_connection((address.hostname, address.port)) for _ in range(2)]
        for one in slow:
            one.sendall(b"POST /embed HTTP/1.1\r\n")
        time.sleep(0.2)
        with socket.create_connection((address.hostname, address.port)) as more:
            assert more.recv(100).startswith(b"HTTP/1.1 503")
        time.sleep(0.6)
        assert [one.recv(100) for one in slow] == [b"", b""]
        assert ask(url, "GET", "/info")[0] == 200
        for one in slow:
            one.close()


def said_slowly(connection, stop):
    """A request that never comes to its end, a byte at a time."""
    connection.sendall(b"POST /embed HTTP/1.1\r\nContent-Type: application/x-npy\r\n")
    while not stop.wait(0.05):
        connection.sendall(b"x")


def sent_slowly(connection, stop):
    """A body that never comes to its end."""
    connection.sendall(b"POST /embed HTTP/1.1\r\nContent-Length: 5000\r\n\r\n")
    while not stop.wait(0.05):
        connection.sendall(b"x")


def said_nothing(connection, stop):
    """A connection that is open and of no use."""
    if not connection.recv(1):
        raise ConnectionResetError


@pytest.mark.parametrize("how", [said_slowly, sent_slowly, said_nothing])
def test_a_client_that_takes_too_long_is_hung_up_on(how, pocket, monkeypatch):
    monkeypatch.setattr(service, "REQUEST_SECONDS", 0.4)
    stop = threading.Event()
    with serve(pocket) as url, ThreadPoolExecutor(1) as pool:
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port)) as slow:
            talking = pool.submit(how, slow, stop)
            with contextlib.suppress(OSError):  # it is cut off while it talks
                talking.result(timeout=10)
            stop.set()
        assert isinstance(talking.exception(), OSError)
        assert ask(url, "GET", "/info")[0] == 200


@pytest.mark.parametrize("beginning", [b"", b"POST /em", b"GET /info HTTP/1.1\r\n\r\n"])
def test_no_more_connections_are_open_than_may_be(beginning, pocket, monkeypatch):
    """Whether they say nothing, half a request, or a whole one and stay."""
    monkeypatch.setattr(service, "MAX_CONNECTIONS", 3)
    with serve(pocket) as url:
        address = urlsplit(url)
        held = [socket.create_connection((address.hostname, address.port)) for _ in range(3)]
        for one in held:
            one.sendall(beginning)
        time.sleep(0.2)
        with socket.create_connection((address.hostname, address.port)) as more:
            assert more.recv(100).startswith(b"HTTP/1.1 503")
        for one in held:
            one.close()
        time.sleep(0.2)
        assert ask(url, "GET", "/info")[0] == 200


@pytest.mark.parametrize(
    ("length", "status"), [("100001", 413), ("9" * 30, 413), ("-5", 411), ("1e3", 411), ("", 411)]
)
def test_bytes_are_counted_before_any_is_read(url, length, status):
    assert ask(url, **{"Content-Length": length})[0] == status


def image_bytes(shape=(1, 28, 28, 1), dtype=np.uint8):
    return to_npy(np.zeros(shape, dtype=dtype))


def lying_header():
    """The header of an array of 10^15 bytes, and 4 of them."""
    honest = image_bytes((1, 28, 28, 1))
    return honest.replace(b"(1, 28, 28, 1)", b"(9, 99, 99, 1)")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"nonsense", 400, "uint8"),
        (b"", 400, "uint8"),
        (image_bytes(dtype=np.float32), 400, "uint8"),
        (image_bytes((28, 28)), 400, "4 dimensions"),
        (image_bytes((1, 28, 28, 2)), 400, "channels"),
        (image_bytes((0, 28, 28, 1)), 400, "1 to 16"),
        (image_bytes((1, 0, 28, 1)), 400, "sides"),
        (image_bytes((17, 28, 28, 1)), 400, "1 to 16"),
        (image_bytes((1, 2000, 3, 1)), 400, "sides"),
        (lying_header(), 400, "promises"),
        (to_npy(np.array([None, {}]).astype(str)), 400, "uint8"),
        (bytes(100_001), 413, "fewer"),
    ],
)
def test_a_bad_body_gets_one_sentence(url, body, status, words):
    found, told = ask(url, body=body)
    assert found == status
    assert words in told["error"]
    assert "\n" not in told["error"]
    assert ask(url, "GET", "/info")[0] == 200  # it is still there


def test_wrong_places_and_types_are_refused(url):
    assert ask(url, path="/other", body=image_bytes())[0] == 404
    assert ask(url, "GET", "/embed")[0] == 404
    assert ask(url, kind=JSON, body=image_bytes())[0] == 415
    assert ask(url, body=image_bytes(), **{"Content-Length": "-5"})[0] == 411


def test_only_this_machine_can_ask(url):
    assert urlsplit(url).hostname == "127.0.0.1"


def test_the_server_stops_with_its_block_open_connections_included(pocket):
    images = tiny_task(4).train.inputs
    with serve(pocket) as url:
        client = EmbeddingClient(url)  # its connection stays open
        client.embed(images)
    with pytest.raises(UserError, match="can't be reached"):
        client.embed(images)
    with pytest.raises(UserError, match="can't be reached"):
        EmbeddingClient(url).embed(images)


def test_a_client_that_was_silent_for_long_asks_on_a_new_connection(pocket, monkeypatch):
    monkeypatch.setattr(service._Handler, "timeout", 0.2)
    pictures = np.zeros((2, 28, 28, 1), np.uint8)
    with hosted(pocket) as client:
        first = client.embed(pictures)
        time.sleep(1.0)  # the service hangs up meanwhile
        assert np.array_equal(client.embed(pictures), first)
        assert client.requests == 2


def test_the_client_passes_the_services_sentence_on(url):
    with pytest.raises(UserError, match="400: send 1 to 16 inputs"):
        EmbeddingClient(url, batch_size=32).embed(tiny_task(32).train.inputs)
    with pytest.raises(UserError, match="nothing to embed"):
        EmbeddingClient(url).embed(tiny_task(4).train.inputs[:0])
    with pytest.raises(UserError, match="no http"):
        EmbeddingClient("ftp://example")


def test_read_npy_gives_back_what_to_npy_wrote():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(read_npy(to_npy(array), "float32", 2), array)
    with pytest.raises(ValueError, match="C order"):
        read_npy(to_npy(np.asfortranarray(array)), "float32", 2)


def test_a_probe_on_embeddings_equals_feature_extraction(pocket):
    task = tiny_task(48)
    train, test = (extract_features(pocket, part.inputs, cache=False)
                   for part in (task.train, task.test))  # fmt: skip
    ours = linear_model(0.1).fit(train, task.train.labels).predict_proba(test)
    approach = get_approach("feature_extraction")
    config = approach.protocol("image", 48, lr=0.1)
    fitted = approach.fit(pocket, task, config, ProbeOptions(solver="lbfgs"))
    theirs = fitted.predict(task.test).softmax(1).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
