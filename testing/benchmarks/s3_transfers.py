"""S3: a gigabyte up and down through `S3Hook`, in turns with s3transfer by itself, and the memory that two take.

Each transfer is a process of its own, so that its memory is its own; its clock starts once the client is made and has
answered. The server is the one of ``WINDLASS_TEST_S3_URL``, or a process here that throws away what comes and makes up
what goes: what is compared is the cost on this side, and a slow server would hide it.
"""

from __future__ import annotations

import http.server
import json
import multiprocessing
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from testing.benchmarks.engine import BenchmarkError
from testing.benchmarks.measures import Measure
from testing.benchmarks.workloads import Session

_ROOT: Final = Path(__file__).resolve().parents[2]
_GB: Final = 1 << 30
_PIECE: Final = 1 << 20
_BUCKET: Final = "windlass-benchmark"
_HASH: Final = '"0123456789abcdef0123456789abcdef"'


def s3_transfers(session: Session) -> list[Measure]:
    """Measure the throughput of both directions against s3transfer's, and the memory of a transfer of 2 GB."""
    ratios: dict[str, list[float]] = {"up": [], "down": []}
    speeds: dict[str, list[float]] = {"up": [], "down": []}
    memory: list[float] = []
    with _server() as url, tempfile.TemporaryDirectory(prefix="windlass-benchmark-") as folder:
        _transfer(url, "hook", "up", folder, _PIECE)
        for _ in range(session.repeat):
            session.pause()
            for way in ("up", "down"):
                ours = _transfer(url, "hook", way, folder, _GB)["seconds"]
                raw = _transfer(url, "raw", way, folder, _GB)["seconds"]
                ratios[way].append(raw / ours)
                speeds[way].append(_GB / ours / 1e6)
        memory += [_transfer(url, "hook", way, folder, 2 * _GB)["megabytes"] for way in ("up", "down")]
    why = "s3transfer alone, in turns"
    return [
        Measure("S3 up", "MB/s", speeds["up"]),
        Measure("S3 up / s3transfer", "x", ratios["up"], 0.9, at_least=True, why=why),
        Measure("S3 down", "MB/s", speeds["down"]),
        Measure("S3 down / s3transfer", "x", ratios["down"], 0.9, at_least=True, why=why),
        Measure("S3 memory of a process with 2 GB", "MB", [max(memory)], 200.0),
    ]


def _transfer(url: str, how: str, way: str, folder: str, size: int) -> dict[str, float]:
    """Do one transfer in a process of its own, and return its seconds and its greatest resident size."""
    command = [sys.executable, "-m", "testing.benchmarks.s3_transfers", url, how, way, folder, str(size)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"a transfer failed: {done.stderr.strip().splitlines()[-1:]}")
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


# --- One transfer


def _main(url: str, how: str, way: str, folder: str, size: int) -> None:
    from boto3.s3.transfer import TransferConfig

    from windlass.ports import session_scope
    from windlass_aws.hooks import S3Hook
    from windlass_testing.fixtures import Given, made

    given = Given()
    given.connections["aws_default"] = made("aws_default", _fields(url))
    key, path = f"object-{size}", Path(folder, "file")
    with session_scope(given):
        hook = S3Hook()
        client = hook.get_conn()
        hook.create_bucket(_BUCKET)
        if way == "up":
            with path.open("wb") as file:
                file.truncate(size)
        started = time.perf_counter()
        if (how, way) == ("hook", "up"):
            hook.load_file(path, key, _BUCKET, replace=True)
        elif (how, way) == ("hook", "down"):
            hook.download_to(key, _BUCKET, path)
        elif way == "up":
            client.upload_file(str(path), _BUCKET, key, Config=TransferConfig())
        else:
            client.download_file(_BUCKET, key, str(path), Config=TransferConfig())
        seconds = time.perf_counter() - started
    if path.stat().st_size != size:
        raise BenchmarkError(f"{path.stat().st_size} bytes came instead of {size}")
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "megabytes": kilobytes / 1024}))


def _fields(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    endpoint = f"{parts.scheme}://{parts.hostname}:{parts.port}"
    return {
        "conn_type": "aws",
        "login": parts.username or "benchmark",
        "password": parts.password or "benchmark",
        "extra": {"endpoint_url": endpoint, "region_name": "us-east-1"},
    }


# --- A server that keeps nothing


@contextmanager
def _server() -> Iterator[str]:
    """Yield the address of a server that speaks as much of S3 as a transfer needs."""
    if url := os.environ.get("WINDLASS_TEST_S3_URL"):
        yield url
        return
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    process.start()
    there.close()  # so that the end of the process, if it cannot serve, ends our waiting too
    yield f"http://127.0.0.1:{here.recv()}"
    process.terminate()
    process.join()


def _serve(line: Any) -> None:  # noqa: ANN401 - an end of a pipe
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Void)
    line.send(server.server_address[1])
    server.serve_forever()


class _Void(http.server.BaseHTTPRequestHandler):
    """Throws uploads away, and gives zeros; the size of an object stands in its name."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_PUT(self) -> None:
        """Take a part, an object, or a bucket."""
        self._read()
        self._answer(200, b"", ETag=_HASH)

    def do_POST(self) -> None:
        """Begin a multipart upload, or end it."""
        self._read()
        if "uploads" in self.path.partition("?")[2].split("&")[0]:
            self._answer(200, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
        else:
            self._answer(
                200, f"<CompleteMultipartUploadResult><ETag>{_HASH}</ETag></CompleteMultipartUploadResult>".encode()
            )

    def do_HEAD(self) -> None:
        """Tell the size."""
        self._head(200, self._size(), ETag=_HASH)

    def do_GET(self) -> None:
        """Give zeros."""
        whole = self._size()
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = (int(asked[1]), int(asked[2] or whole - 1)) if asked else (0, whole - 1)
        status, extra = (206, {"Content-Range": f"bytes {first}-{last}/{whole}"}) if asked else (200, {})
        self._head(status, last - first + 1, ETag=_HASH, **extra)
        left, zeros = last - first + 1, bytes(_PIECE)
        while left > 0:
            self.wfile.write(zeros[: min(left, _PIECE)])
            left -= _PIECE

    def _size(self) -> int:
        found = re.search(r"object-(\d+)", self.path)
        return int(found[1]) if found else 0

    def _read(self) -> None:
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0:
            left -= len(self.rfile.read(min(left, _PIECE)))

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self._head(status, len(body), **headers)
        self.wfile.write(body)

    def _head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(length), "Last-Modified": self.date_time_string()}.items():
            self.send_header(name, value)
        self.end_headers()


if __name__ == "__main__":
    _url, _how, _way, _folder, _size = sys.argv[1:]
    _main(_url, _how, _way, _folder, int(_size))
