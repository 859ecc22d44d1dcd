"""Answer for a model over HTTP: ``python -m image_training.serving --model s3://bucket/key``.

``GET /healthz`` says which model it is, and ``POST /predict`` with an image says what is on it. The credentials and the
endpoint of S3 come from the environment, as boto3 reads it.
"""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

#: Bytes of the largest image that is taken.
LARGEST = 10_000_000

#: From an image file to the probability of each class; a ValueError says what is wrong with the file.
Predict = Callable[[bytes], dict[str, float]]


class PredictionServer(ThreadingHTTPServer):
    """Serves one model."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], about: Mapping[str, Any], predict: Predict) -> None:
        """Listen at an address; ``about`` is what ``/healthz`` says, its ``model`` stands in every prediction."""
        super().__init__(address, _Handler)
        self.about = about
        self.predict = predict


class _Handler(BaseHTTPRequestHandler):
    server: PredictionServer
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds for which a client may be silent

    def do_GET(self) -> None:
        if self.path != "/healthz":
            return self._say(404, {"error": f"there is nothing at {self.path}; POST an image to /predict"})
        return self._say(200, self.server.about)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LARGEST:
            self.close_connection = True  # what it sends is not read
            code = 413 if length.isdigit() else 411
            return self._say(code, {"error": f"send one image of at most {LARGEST} bytes, with its Content-Length"})
        body = self.rfile.read(int(length))
        if self.path != "/predict":
            return self._say(404, {"error": f"there is nothing at {self.path}; POST an image to /predict"})
        try:
            probabilities = self.server.predict(body)
        except ValueError as error:
            return self._say(400, {"error": str(error)})
        best = max(probabilities, key=probabilities.__getitem__)
        return self._say(200, {"model": self.server.about["model"], "class": best, "probabilities": probabilities})

    def _say(self, code: int, answer: Mapping[str, Any]) -> None:
        body = json.dumps(answer).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def read_model(address: str) -> tuple[dict[str, Any], Predict]:
    """Fetch a model from S3 and return what is known about it, and what predicts with it."""
    import boto3
    import torch

    from image_training import model as resnet
    from image_training.images import decode

    parts = urlsplit(address)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.pt")
        boto3.client("s3").download_file(parts.netloc, parts.path.lstrip("/"), str(file))
        weights, about = resnet.load(str(file))
    classes: list[str] = about["classes"]
    network = resnet.ResNet18(len(classes))
    network.load_state_dict(weights)
    network.eval()
    torch.set_num_threads(1)  # each request has a thread of its own

    def predict(content: bytes) -> dict[str, float]:
        with torch.inference_mode():
            found = network(decode(content).unsqueeze(0)).softmax(1)[0]
        return dict(zip(classes, found.tolist(), strict=True))

    return {"model": address, **about}, predict


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description="Serve a model from S3.")
    parser.add_argument("--model", required=True, help="its address, s3://bucket/key")
    parser.add_argument("--host", default="0.0.0.0", help="the address to listen at")  # noqa: S104 - of a container
    parser.add_argument("--port", type=int, default=8080, help="the port to listen at")
    chosen = parser.parse_args()
    about, predict = read_model(chosen.model)
    with PredictionServer((chosen.host, chosen.port), about, predict) as server:
        # `shutdown` waits for the loop that the signal has interrupted, so it needs another thread.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        print(f"serving {chosen.model} at {chosen.host}:{chosen.port}", flush=True)
        server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
