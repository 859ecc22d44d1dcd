"""What the operators of S3 do, run as tasks against a server that speaks S3."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type
from __future__ import annotations

import os
import signal
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from windlass import DAG
from windlass.errors import AuthoringError
from windlass.operators import PythonOperator
from windlass_aws import process
from windlass_aws.hooks import S3Hook
from windlass_aws.operators import (
    S3CopyObjectOperator,
    S3CreateBucketOperator,
    S3CreateObjectOperator,
    S3DeleteBucketOperator,
    S3DeleteBucketTaggingOperator,
    S3DeleteObjectsOperator,
    S3GetBucketTaggingOperator,
    S3ListOperator,
    S3ListPrefixesOperator,
    S3PutBucketTaggingOperator,
)
from windlass_aws.transfers import LocalFilesystemToS3Operator, S3FileTransformOperator, S3ToLocalFilesystemOperator
from windlass_testing import RunTask


def test_a_bucket_is_made_and_removed_and_twice_is_no_error(run_task: Any, hook: S3Hook, bucket: str) -> None:
    name = f"{bucket[:-2]}-2"
    for _ in range(2):
        assert run_task(S3CreateBucketOperator(task_id="make", bucket_name=name)).state == "success"
        assert hook.check_for_bucket(name)
    hook.load_string("x", "k", name)
    assert run_task(S3DeleteBucketOperator(task_id="drop", bucket_name=name)).state == "failed"
    for _ in range(2):
        assert run_task(S3DeleteBucketOperator(task_id="drop", bucket_name=name, force_delete=True)).state == "success"
        assert not hook.check_for_bucket(name)


def test_tags_of_a_bucket(run_task: Any, hook: S3Hook, bucket: str) -> None:
    put = S3PutBucketTaggingOperator(task_id="put", bucket_name=bucket, tag_set={"day": "{{ ds }}"})
    assert run_task(put).state == "success"
    (tag,) = run_task(S3GetBucketTaggingOperator(task_id="get", bucket_name=bucket)).result
    assert tag["Key"] == "day"
    assert tag["Value"].startswith("20")
    run_task(S3DeleteBucketTaggingOperator(task_id="drop", bucket_name=bucket))
    assert run_task(S3GetBucketTaggingOperator(task_id="get", bucket_name=bucket)).result == []


def test_an_object_is_created_from_a_template(run_task: Any, hook: S3Hook, bucket: str) -> None:
    make = S3CreateObjectOperator(
        task_id="make", s3_bucket=bucket, s3_key="{{ dag.dag_id }}.txt", data="of {{ task.task_id }}"
    )
    assert run_task(make).state == "success"
    (key,) = hook.list_keys(bucket)
    assert hook.read_key(key, bucket) == "of make"
    again = run_task(make)
    assert again.state == "failed"
    assert "use replace=True" in str(again.reason)
    raw = S3CreateObjectOperator(task_id="raw", s3_key=f"s3://{bucket}/raw", data=b"\x00\xff")
    assert run_task(raw).state == "success"
    assert b"".join(hook.iter_bytes("raw", bucket)) == b"\x00\xff"


def test_what_is_no_text_is_refused(run_task: Any, hook: S3Hook, bucket: str) -> None:
    made = run_task(S3CreateObjectOperator(task_id="make", s3_key=f"s3://{bucket}/k", data={"a": 1}))  # type: ignore[arg-type]
    assert "data must be a text or bytes, not dict" in str(made.reason)


def test_objects_are_copied_listed_and_deleted(run_task: Any, hook: S3Hook, bucket: str) -> None:
    hook.load_string("x", "in/a", bucket)
    copy = S3CopyObjectOperator(
        task_id="copy", source_bucket_key=f"s3://{bucket}/in/a", dest_bucket_key="in/{{ task.task_id }}/b",
        dest_bucket_name=bucket,
    )  # fmt: skip
    assert run_task(copy).state == "success"
    assert run_task(S3ListOperator(task_id="list", bucket=bucket)).result == ["in/a", "in/copy/b"]
    assert run_task(S3ListOperator(task_id="list", bucket=bucket, prefix="*/b", apply_wildcard=True)).result == [
        "in/copy/b"
    ]
    assert run_task(S3ListPrefixesOperator(task_id="list", bucket=bucket, prefix="in/")).result == ["in/copy/"]
    run_task(S3DeleteObjectsOperator(task_id="drop", bucket=bucket, keys=["in/a", "none"]))
    assert hook.list_keys(bucket) == ["in/copy/b"]
    run_task(
        S3DeleteObjectsOperator(task_id="drop", bucket=bucket, prefix="in/", to_datetime="2000-01-01T00:00:00+00:00")
    )
    assert hook.list_keys(bucket) == ["in/copy/b"]
    run_task(
        S3DeleteObjectsOperator(task_id="drop", bucket=bucket, prefix="in/", from_datetime="2000-01-01T00:00:00+00:00")
    )
    assert hook.list_keys(bucket) == []


def test_what_to_delete_is_said_in_one_way() -> None:
    for arguments in ({}, {"keys": "k", "prefix": "p"}, {"keys": [], "to_datetime": "2000-01-01T00:00:00Z"}):
        with pytest.raises(AuthoringError, match="either by keys, or by prefix"):
            S3DeleteObjectsOperator(task_id="drop", bucket="b", **arguments)


@pytest.mark.parametrize("name", ["keys", "prefix", "from_datetime"])
def test_a_task_that_gives_nothing_to_delete_does_not_empty_the_bucket(
    run_task: RunTask, hook: S3Hook, bucket: str, name: str
) -> None:
    hook.load_string("x", "k", bucket)
    with DAG("d", schedule=None):
        other: Any = PythonOperator(task_id="other", python_callable=list)
        drop = S3DeleteObjectsOperator(task_id="drop", bucket=bucket, **{name: other.output})
    done = run_task(drop, xcoms={"other": None})
    assert "UsageError: task 'drop': keys, prefix, from_datetime and to_datetime are all empty" in str(done.reason)
    assert hook.list_keys(bucket) == ["k"]


def test_an_empty_prefix_is_all_objects_where_the_dag_file_says_so(
    run_task: RunTask, hook: S3Hook, bucket: str
) -> None:
    hook.load_string("x", "k", bucket)
    rendered = S3DeleteObjectsOperator(task_id="drop", bucket=bucket, prefix="{{ '' }}")
    assert "nothing was deleted" in str(run_task(rendered).reason)
    assert hook.list_keys(bucket) == ["k"]
    assert run_task(S3DeleteObjectsOperator(task_id="drop", bucket=bucket, prefix="")).state == "success"
    assert hook.list_keys(bucket) == []


def test_an_instant_without_a_zone_deletes_nothing(run_task: Any, hook: S3Hook, bucket: str) -> None:
    hook.load_string("x", "k", bucket)
    done = run_task(S3DeleteObjectsOperator(task_id="drop", bucket=bucket, from_datetime="2000-01-01T00:00:00"))
    assert "an instant with a time zone" in str(done.reason)
    assert hook.list_keys(bucket) == ["k"]


# --- Files


def test_a_file_goes_up_and_comes_back(run_task: Any, hook: S3Hook, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"\x00\x01" * 1000)
    up = LocalFilesystemToS3Operator(task_id="up", filename=tmp_path / "data", dest_key="k", dest_bucket=bucket)
    assert run_task(up).state == "success"
    target = tmp_path / "new" / "copy"
    down = S3ToLocalFilesystemOperator(task_id="down", s3_key=f"s3://{bucket}/k", filename=str(target))
    assert run_task(down).result == str(target)
    assert target.read_bytes() == b"\x00\x01" * 1000


def test_a_missing_file_is_named(run_task: Any, hook: S3Hook, bucket: str, tmp_path: Path) -> None:
    up = LocalFilesystemToS3Operator(task_id="up", filename=str(tmp_path / "none"), dest_key=f"s3://{bucket}/k")
    assert str(tmp_path / "none") in str(run_task(up).reason)


# --- Transformations


def script(folder: Path, body: str) -> str:
    path = folder / "transform"
    path.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_program_transforms_an_object(run_task: Any, hook: S3Hook, bucket: str, tmp_path: Path) -> None:
    hook.load_string("grüße", "in", bucket)
    body = "print('working', flush=True); text = open(sys.argv[1]).read().upper()\n"
    body += "open(sys.argv[2], 'w').write(text + sys.argv[3])"
    transform = S3FileTransformOperator(
        task_id="t",
        source_s3_key=f"s3://{bucket}/in",
        dest_s3_key=f"s3://{bucket}/out",
        transform_script=script(tmp_path, body),
        script_args=["{{ task.task_id }}"],
    )
    done = run_task(transform)
    assert done.state == "success"
    assert "working" in done.log
    assert hook.read_key("out", bucket) == "GRÜSSEt"
    assert "use replace=True" in str(run_task(transform).reason)


def test_a_function_transforms_an_object(run_task: Any, hook: S3Hook, bucket: str) -> None:
    hook.load_string("abc", "in", bucket)

    def reverse(source: str, dest: str) -> None:
        Path(dest).write_text(Path(source).read_text()[::-1])

    for replace in (False, True):
        transform = S3FileTransformOperator(
            task_id="t", source_s3_key=f"s3://{bucket}/in", dest_s3_key=f"s3://{bucket}/out", transform_script=reverse,
            replace=replace,
        )  # fmt: skip
        assert run_task(transform).state == "success"
    assert hook.read_key("out", bucket) == "cba"


def test_an_expression_alone_is_a_transformation(run_task: Any, hook: S3Hook, bucket: str) -> None:
    hook.load_string("a,b\n1,2\n3,4\n", "in", bucket)
    transform = S3FileTransformOperator(
        task_id="t",
        source_s3_key=f"s3://{bucket}/in",
        dest_s3_key=f"s3://{bucket}/out",
        select_expression="SELECT a FROM S3Object",
        select_expr_serialization_config={"input_serialization": {"CSV": {"FileHeaderInfo": "USE"}}},
    )
    assert run_task(transform).state == "success"
    assert hook.read_key("out", bucket).split() == ["1", "3"]
    with pytest.raises(AuthoringError, match="transform_script or select_expression"):
        S3FileTransformOperator(task_id="t", source_s3_key="s3://b/i", dest_s3_key="s3://b/o")
    late = S3FileTransformOperator(task_id="t", source_s3_key="s3://b/i", dest_s3_key="s3://b/o", select_expression="x")
    late.select_expression = None  # what another task has given
    with pytest.raises(AuthoringError, match="transform_script or select_expression"):
        late.execute({})


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("sys.exit(7)", "ended with exit code 7; its output above says why"),
        ("pass", "wrote nothing to the path in its second argument"),
    ],
)
def test_a_transformation_that_fails_stores_nothing(
    run_task: Any, hook: S3Hook, bucket: str, tmp_path: Path, body: str, sentence: str
) -> None:
    hook.load_string("x", "in", bucket)
    transform = S3FileTransformOperator(
        task_id="t", source_s3_key=f"s3://{bucket}/in", dest_s3_key=f"s3://{bucket}/out",
        transform_script=script(tmp_path, body),
    )  # fmt: skip
    assert sentence in str(run_task(transform).reason)
    assert hook.list_keys(bucket) == ["in"]


def test_a_program_that_is_not_there_is_named(run_task: Any, hook: S3Hook, bucket: str) -> None:
    hook.load_string("x", "in", bucket)
    transform = S3FileTransformOperator(
        task_id="t", source_s3_key=f"s3://{bucket}/in", dest_s3_key=f"s3://{bucket}/out", transform_script="/no/program"
    )
    assert "'/no/program' cannot be started" in str(run_task(transform).reason)


class Cancelled(Exception):
    """What a signal raises in a cancelled task."""


def test_a_cancelled_program_is_ended_with_everything_it_started() -> None:
    lines: list[str] = []

    def cancel(*_: object) -> None:
        raise Cancelled

    def read(line: str) -> None:
        lines.append(line)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, cancel)
    try:
        with pytest.raises(Cancelled):  # SIGTERM is ignored by the program, and by what it started
            process.run(["bash", "-c", "trap '' TERM; sleep 100 & echo $!; wait; sleep 100"], read)
    finally:
        signal.signal(signal.SIGUSR1, before)
    _wait_for_end(int(lines[0]))
    assert not [thread for thread in threading.enumerate() if thread.name == "output"]


def test_what_a_program_leaves_behind_ends_with_it() -> None:
    lines: list[str] = []
    assert process.run(["bash", "-c", "sleep 100 & echo $!; exit 3"], lines.append) == 3
    _wait_for_end(int(lines[0]))


def _wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} still runs")
