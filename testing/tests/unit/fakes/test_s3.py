"""The fake S3, over HTTP and without a client library: as a fixture, as a process, and where moto is missing."""

# ruff: noqa: S310 - the fake's own address
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from windlass_testing.fakes.s3 import FakeS3
from windlass_testing.servers import ServerMissing


def call(url: str, method: str = "GET", body: bytes | None = None, target: str | None = None) -> bytes:
    """Ask S3, or another service for what ``target`` names, in the name of somebody."""
    service = "s3" if target is None else target.partition(".")[0]
    scope = f"anybody/20260101/us-east-1/{service}/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=any",
        "Content-Type": "application/octet-stream",  # not a form, as urllib would have it
    }
    if target is not None:
        headers["X-Amz-Target"] = target
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=30) as answer:
        return bytes(answer.read())


def test_it_keeps_objects_and_secrets_at_one_address(fake_s3: FakeS3) -> None:
    call(f"{fake_s3.url}/bucket", "PUT")
    call(f"{fake_s3.url}/bucket/key", "PUT", b"text")
    assert call(f"{fake_s3.url}/bucket/key") == b"text"
    secret = json.dumps({"Name": "a", "SecretString": "b"}).encode()
    call(fake_s3.url, "POST", secret, "secretsmanager.CreateSecret")
    found = call(fake_s3.url, "POST", b'{"SecretId": "a"}', "secretsmanager.GetSecretValue")
    assert json.loads(found)["SecretString"] == "b"


def test_each_test_finds_it_empty(fake_s3: FakeS3) -> None:
    call(f"{fake_s3.url}/bucket", "PUT")
    fake_s3.reset()
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        call(f"{fake_s3.url}/bucket/key")
    caught.value.close()
    assert b"<Bucket>" not in call(f"{fake_s3.url}/")


@pytest.mark.processes
def test_it_runs_as_a_process_that_tells_where_it_is_and_stops_on_a_signal(fake_s3: FakeS3) -> None:
    command = [sys.executable, "-m", "windlass_testing", "s3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        facts = json.loads(process.stdout.readline())
        call(f"{facts['url']}/bucket", "PUT")
        assert b"<Name>bucket</Name>" in call(f"{facts['url']}/")
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""


def test_a_port_that_is_taken_is_an_error_and_no_waiting(fake_s3: FakeS3) -> None:
    with pytest.raises(OSError, match="Address already in use"):
        FakeS3(port=int(fake_s3.url.rpartition(":")[2])).start()


def test_without_moto_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moto.server", None)
    with pytest.raises(ServerMissing, match=r"pip install 'moto\[s3,secretsmanager,server,ssm\]>=5\.2'$"):
        FakeS3().start()
    told = (
        "import runpy, sys; sys.modules['moto.server'] = None; sys.argv = ['windlass_testing', 's3'];"
        "runpy.run_module('windlass_testing', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert done.stderr == "the fake S3 is moto's server: pip install 'moto[s3,secretsmanager,server,ssm]>=5.2'\n"
