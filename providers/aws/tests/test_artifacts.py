"""The artifact store ``s3``: by itself, and as the store of a whole installation."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type
from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from windlass.errors import NotFound, UsageError
from windlass_aws.artifacts import S3ArtifactStore
from windlass_aws.hooks import S3Hook
from windlass_testing.live import LiveInstallation


@pytest.fixture
def store(hook: S3Hook, bucket: str) -> S3ArtifactStore:
    return S3ArtifactStore(path=f"s3://{bucket}/windlass/")


def put(store: S3ArtifactStore, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    store.put(digest, io.BytesIO(content))
    return digest


def test_a_content_is_stored_under_its_digest(store: S3ArtifactStore, hook: S3Hook, bucket: str) -> None:
    digest = put(store, b"content")
    assert hook.list_keys(bucket) == [f"windlass/{digest[:2]}/{digest}"]
    assert store.exists(digest)
    assert put(store, b"content") == digest
    with store.open(digest) as source:
        assert source.read() == b"content"
    assert store.delete(digest)
    assert not store.delete(digest)
    assert not store.exists(digest)
    with pytest.raises(NotFound):
        store.open(digest)


def test_a_content_goes_only_if_it_is_old(store: S3ArtifactStore) -> None:
    digest = put(store, b"content")
    now = datetime.now(UTC)
    assert not store.delete(digest, now - timedelta(hours=1))
    assert store.exists(digest)
    assert store.delete(digest, now + timedelta(hours=1))


def test_only_contents_are_listed(store: S3ArtifactStore, hook: S3Hook, bucket: str) -> None:
    digests = {put(store, f"{number}".encode()) for number in range(3)}
    hook.load_string("x", "windlass/notes.txt", bucket)
    hook.load_string("x", "other", bucket)
    found = list(store.stored())
    assert {entry.digest for entry in found} == digests
    assert {entry.size for entry in found} == {1}
    assert all(abs(entry.modified - datetime.now(UTC)) < timedelta(minutes=5) for entry in found)


def test_a_place_that_is_no_address_is_refused() -> None:
    with pytest.raises(UsageError, match="write s3://bucket/key"):
        S3ArtifactStore(path="bucket/prefix")


DAG = """
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from windlass import DAG, task

with DAG("handing", schedule=None, start_date=datetime(2026, 1, 1)):

    @task
    def make(artifacts=None):
        with TemporaryDirectory() as folder:
            made = Path(folder, "file.bin")
            made.write_bytes(b"file" * 100_000)
            return {"value": "v" * 200_000, "file": artifacts.put(made)}

    @task
    def take(made, artifacts=None):
        assert made["value"] == "v" * 200_000
        with TemporaryDirectory() as folder:
            assert artifacts.get(made["file"], folder).read_bytes() == b"file" * 100_000

    take(make())
"""


@pytest.fixture
def live(tmp_path: Path, s3_url: str, aws: Any, bucket: str) -> Iterator[LiveInstallation]:
    made = LiveInstallation(tmp_path)
    made.environ |= {
        "WINDLASS__ARTIFACTS__STORE": "s3",
        "WINDLASS__ARTIFACTS__PATH": f"s3://{bucket}/home",
        "WINDLASS__ARTIFACTS__CONN_ID": "lake",
        "WINDLASS__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
        "WINDLASS_CONN_LAKE": json.dumps(aws(s3_url)),
    }
    yield made
    made.close()


@pytest.mark.processes
def test_values_and_files_of_real_tasks_lie_in_the_bucket_until_they_are_cleaned(
    live: LiveInstallation, hook: S3Hook, bucket: str
) -> None:
    live.write("handing.py", DAG)
    server = live.start()
    live.wait_for_dag("handing")
    assert live.wait_for_run("handing", live.trigger("handing"))["state"] == "success", live.logs()
    keys = hook.list_keys(bucket)
    assert len(keys) == 2
    assert all(key.startswith("home/") for key in keys)
    assert not [path for path in (live.home / "artifacts").rglob("*") if path.is_file()]
    unmentioned = hashlib.sha256(b"unmentioned").hexdigest()
    hook.load_bytes(b"unmentioned", f"home/{unmentioned[:2]}/{unmentioned}", bucket)
    live.stop(server)
    (cleaned,) = live.json("db", "clean", "--before", "1d", "--tables", "artifacts", "-y")
    assert cleaned["removed"] == 0, "nothing of this is a day old"
    assert len(hook.list_keys(bucket)) == 3


def test_a_store_without_a_place_is_refused_at_the_start(live: LiveInstallation) -> None:
    live.environ["WINDLASS__ARTIFACTS__PATH"] = ""
    assert "artifacts.path is empty; set it to a place" in live.windlass("standalone", code=2)
    live.environ["WINDLASS__ARTIFACTS__STORE"] = "s4"
    assert "no installed provider brings the artifact store 's4'; there is s3" in live.windlass("standalone", code=2)
