"""The HTTP server around a model, with a model that needs no torch."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from image_training.serving import LARGEST, PredictionServer

Body = bytes | Iterator[bytes] | None
MODEL = "s3://pictures/models/one.pt"


def predict(content: bytes) -> dict[str, float]:
    if content == b"nonsense":
        raise ValueError("these 8 bytes are no image")
    return {"circle": 0.25, "square": 0.75}


@pytest.fixture
def server() -> Iterator[PredictionServer]:
    with PredictionServer(("127.0.0.1", 0), {"model": MODEL, "accuracy": 0.9}, predict) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(server: PredictionServer, method: str, path: str, body: Body = None, **headers: str) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_it_says_which_model_it_serves(server: PredictionServer) -> None:
    assert ask(server, "GET", "/healthz") == (200, {"model": MODEL, "accuracy": 0.9})


def test_a_prediction_is_the_likeliest_class_with_all_probabilities(server: PredictionServer) -> None:
    said = {"model": MODEL, "class": "square", "probabilities": {"circle": 0.25, "square": 0.75}}
    assert ask(server, "POST", "/predict", b"an image") == (200, said)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "code", "sentence"),
    [
        ("POST", "/predict", b"nonsense", {}, 400, "these 8 bytes are no image"),
        ("POST", "/other", b"x", {}, 404, "there is nothing at /other; POST an image to /predict"),
        ("GET", "/predict", None, {}, 404, "there is nothing at /predict"),
        ("POST", "/predict", None, {"Content-Length": str(LARGEST + 1)}, 413, "at most 10000000 bytes"),
        ("POST", "/predict", iter([b"x"]), {}, 411, "with its Content-Length"),
    ],
    ids=["no image", "no such path", "a question without an image", "too large", "of unknown size"],
)
def test_what_it_cannot_answer_is_said(
    server: PredictionServer, method: str, path: str, body: Body, headers: dict[str, str], code: int, sentence: str
) -> None:
    status, answer = ask(server, method, path, body, **headers)
    assert status == code
    assert sentence in answer["error"]
    assert ask(server, "GET", "/healthz")[0] == 200
