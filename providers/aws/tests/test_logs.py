"""The log store of ``s3://``: by itself, and as the store of a whole installation."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type
from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from windlass_aws.failures import AwsNotFound
from windlass_aws.hooks import S3Hook
from windlass_aws.logs import S3LogStore
from windlass_testing.live import LiveInstallation

PATH = "dag_id=ü x/run_id=manual__2026-01-01T00%3A00/task_id=a/attempt=1.log"


@pytest.fixture
def store(hook: S3Hook, bucket: str) -> S3LogStore:
    return S3LogStore(path=f"s3://{bucket}/logs")


def test_a_log_is_read_in_pieces(store: S3LogStore, hook: S3Hook, bucket: str) -> None:
    store.put(PATH, io.BytesIO(b"0123456789"))
    assert hook.list_keys(bucket) == [f"logs/{PATH}"]
    assert store.read(PATH) == b"0123456789"
    assert store.read(PATH, 3, 4) == b"3456"
    assert store.read(PATH, 8, 100) == b"89"
    assert store.read(PATH, 10) == store.read(PATH, 99, 5) == store.read(PATH, 0, 0) == b""
    assert store.size(PATH) == 10


def test_a_longer_one_takes_its_place(store: S3LogStore) -> None:
    store.put(PATH, io.BytesIO(b"first"))
    store.put(PATH, io.BytesIO(b"first and second"))
    assert store.read(PATH) == b"first and second"


def test_what_is_not_there_is_empty(store: S3LogStore) -> None:
    assert (store.read(PATH), store.size(PATH)) == (b"", 0)
    store.put(PATH, io.BytesIO(b""))
    assert store.read(PATH) == b""
    store.delete([PATH, "other"])
    assert store.size(PATH) == 0


def test_a_bucket_that_is_not_there_is_an_error(hook: S3Hook) -> None:
    with pytest.raises(AwsNotFound, match="the bucket does not exist"):
        S3LogStore(path="s3://no-such-bucket-of-ours/logs").read(PATH)


DAG = """
from datetime import datetime

from windlass import DAG, task

with DAG("talking", schedule=None, start_date=datetime(2026, 1, 1)):

    @task
    def talk():
        print("höre, what I say")

    @task
    def fail():
        raise ValueError("as meant")

    talk()
    fail()
"""


@pytest.fixture
def live(tmp_path: Path, s3_url: str, aws: Any, bucket: str) -> Iterator[LiveInstallation]:
    made = LiveInstallation(tmp_path)
    made.environ |= {
        "WINDLASS__LOGGING__REMOTE_LOGGING": "true",
        "WINDLASS__LOGGING__REMOTE_BASE_LOG_FOLDER": f"s3://{bucket}/logs",
        "WINDLASS__LOGGING__REMOTE_LOG_CONN_ID": "lake",
        "WINDLASS__LOGGING__DELETE_LOCAL_LOGS": "true",
        "WINDLASS__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
        "WINDLASS_CONN_LAKE": json.dumps(aws(s3_url)),
    }
    yield made
    made.close()


@pytest.mark.processes
def test_logs_of_real_tasks_go_to_the_bucket_and_are_read_from_there(
    live: LiveInstallation, hook: S3Hook, bucket: str
) -> None:
    live.write("talking.py", DAG)
    live.start()
    live.wait_for_dag("talking")
    run = live.trigger("talking")
    live.wait_for_run("talking", run)
    live.wait(lambda: len(hook.list_keys(bucket)) == 2, "both logs in the bucket")
    for file in (live.home / "logs").rglob("*.log"):  # as the server does after an hour
        file.unlink()
    assert "höre, what I say" in live.windlass("tasks", "logs", "talking", "talk", run)
    assert "as meant" in live.windlass("tasks", "logs", "talking", "fail", run)


@pytest.mark.processes
def test_a_store_that_is_down_costs_no_log(live: LiveInstallation, hook: S3Hook, bucket: str, aws: Any) -> None:
    down = aws("http://127.0.0.1:1", config_kwargs={"retries": {"total_max_attempts": 1}})
    live.write("talking.py", DAG)
    server = live.start(WINDLASS_CONN_LAKE=json.dumps(down))
    live.wait_for_dag("talking")
    run = live.trigger("talking")
    live.wait_for_run("talking", run)
    notes = live.home / "run" / "logs-to-store"
    live.wait(lambda: len(list(notes.glob("[0-9a-f]*"))) == 2, "both notes")
    live.wait(lambda: "cannot be reached" in live.logs(), "the failure in the server's log")
    assert "höre" in live.windlass("tasks", "logs", "talking", "talk", run), "the local file is still there"
    live.stop(server)
    assert hook.list_keys(bucket) == []
    live.start()
    live.wait(lambda: len(hook.list_keys(bucket)) == 2, "both logs in the bucket")
    live.wait(lambda: not list(notes.glob("[0-9a-f]*")), "the notes to go")


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [("", "is no place such as s3://bucket/logs"), ("s4://b", "brings the log store 's4'; there is s3")],
)
def test_a_place_that_cannot_be_is_refused_at_the_start(live: LiveInstallation, folder: str, sentence: str) -> None:
    live.environ["WINDLASS__LOGGING__REMOTE_BASE_LOG_FOLDER"] = folder
    assert sentence in live.windlass("standalone", code=2)
