"""What S3KeySensor and its trigger wait for."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type
from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from windlass import DAG
from windlass.errors import AuthoringError, UsageError
from windlass_aws import triggers
from windlass_aws.failures import AwsError
from windlass_aws.hooks import S3Hook
from windlass_aws.s3.quiet import Quiet
from windlass_aws.s3.waiting import Wanted, look
from windlass_aws.sensors import S3KeySensor, S3KeysUnchangedSensor
from windlass_aws.triggers import S3KeysUnchangedTrigger, S3KeyTrigger


def test_all_keys_must_be_there(run_task: Any, hook: S3Hook, bucket: str) -> None:
    hook.load_string("x", "a", bucket)

    def wait(key: Any, **arguments: Any) -> str:
        sensor = S3KeySensor(task_id="w", bucket_key=key, bucket_name=bucket, timeout=1, poke_interval=0.1, **arguments)
        return str(run_task(sensor).state)

    assert wait("a") == "success"
    assert wait(["a", "b"]) == "failed"
    hook.load_string("x", "b", bucket)
    assert wait(["a", "b"]) == "success"
    assert wait("*", wildcard_match=True) == "success"
    assert wait("c*", wildcard_match=True, soft_fail=True) == "skipped"
    assert wait(r"[a-b]$", use_regex=True) == "success"
    assert wait(r"z?a", use_regex=True) == "success"
    assert wait(r"q|b", use_regex=True) == "success"
    assert wait(r"q|c", use_regex=True) == "failed"
    address = S3KeySensor(task_id="w", bucket_key=f"s3://{bucket}/{{{{ 'a' }}}}")
    assert run_task(address).state == "success"


@pytest.mark.parametrize(
    ("pattern", "prefix"), [("in/a", "in/a"), ("in/.*", "in/"), ("ab?c", "a"), ("ab{2}", "a"), ("a|b", ""), ("^a", "")]
)
def test_a_regular_expression_is_looked_for_below_what_it_must_begin_with(
    hook: S3Hook, bucket: str, pattern: str, prefix: str
) -> None:
    seen: list[str] = []
    hook.get_conn().meta.events.register(
        "provide-client-params.s3.ListObjectsV2", lambda params, **_: seen.append(params.get("Prefix", ""))
    )
    look(hook, Wanted((pattern,), bucket, use_regex=True))
    assert seen == [prefix]


def test_a_function_may_judge_what_was_found(run_task: Any, hook: S3Hook, bucket: str) -> None:
    hook.load_string("12345", "a", bucket)
    seen: list[Any] = []

    def large(files: list[dict[str, Any]], **context: Any) -> bool:
        seen.append((files, context["ds"]))
        return all(file["Size"] > 4 for file in files)

    sensor = S3KeySensor(task_id="w", bucket_key="a", bucket_name=bucket, check_fn=large)
    assert run_task(sensor).state == "success"
    ((files, ds),) = seen
    assert files == [{"Key": "a", "Size": 5}]
    assert ds
    for key, pattern in (("a", False), ("?", True)):
        everything = S3KeySensor(
            task_id="w", bucket_key=key, bucket_name=bucket, metadata_keys=["*"], wildcard_match=pattern,
            check_fn=lambda files: bool(files[0]["ETag"]),
        )  # fmt: skip
        assert run_task(everything).state == "success"
    typed = S3KeySensor(
        task_id="w", bucket_key="?", bucket_name=bucket, wildcard_match=True, metadata_keys=["ContentType"],
        check_fn=lambda files: files[0] == {"Key": "a", "ContentType": "binary/octet-stream"},
    )  # fmt: skip
    assert run_task(typed).state == "success"
    small = S3KeySensor(
        task_id="w",
        bucket_key="a",
        bucket_name=bucket,
        check_fn=lambda files: files[0]["Size"] < 5,
        timeout=0.2,
        poke_interval=0.1,
    )
    assert run_task(small).state == "failed"


def test_what_cannot_be_waited_for_is_refused(run_task: Any, hook: S3Hook, bucket: str) -> None:
    with pytest.raises(AuthoringError, match="cannot both be set"):
        S3KeySensor(task_id="w", bucket_key="k", wildcard_match=True, use_regex=True)
    with pytest.raises(UsageError, match="no regular expression"):
        look(hook, Wanted(("(",), bucket, use_regex=True))
    assert "none of them empty" in str(run_task(S3KeySensor(task_id="w", bucket_key=[])).reason)


def test_a_bucket_that_may_not_be_read_fails_the_sensor(
    run_task: Any, proxy: Any, connection: Any, aws: Any, refusal: Any
) -> None:
    proxy.answers.append(refusal("403 Forbidden", "AccessDenied"))
    connection("lake", **aws(proxy.url))
    done = run_task(S3KeySensor(task_id="w", bucket_key="s3://b/*", wildcard_match=True, aws_conn_id="lake"))
    assert done.state == "failed"
    assert "access is denied" in str(done.reason)


def test_a_rescheduled_sensor_looks_again(run_dag: Any, hook: S3Hook, bucket: str) -> None:
    looks: list[int] = []

    def third(files: list[dict[str, Any]]) -> bool:
        looks.append(len(files))
        return len(looks) == 3

    hook.load_string("x", "a", bucket)
    with DAG("d", schedule=None) as dag:
        S3KeySensor(
            task_id="w", bucket_key="a", bucket_name=bucket, mode="reschedule", check_fn=third, poke_interval=30
        )
    assert run_dag(dag).state == "success"
    assert looks == [1, 1, 1]


def test_a_deferred_sensor_goes_on_when_the_key_is_there(run_dag: Any, hook: S3Hook, bucket: str) -> None:
    looks: list[int] = []

    def second(files: list[dict[str, Any]]) -> bool:
        looks.append(files[0]["Size"])
        return len(looks) == 3

    hook.load_string("x", "a", bucket)
    with DAG("d", schedule=None) as dag:
        S3KeySensor(
            task_id="w", bucket_key="a", bucket_name=bucket, deferrable=True, check_fn=second, poke_interval=0.2
        )
    assert run_dag(dag).state == "success"
    assert looks == [1, 1, 1]


def test_a_deferred_sensor_keeps_its_timeout_over_all_deferrals(run_dag: Any, hook: S3Hook, bucket: str) -> None:
    hook.load_string("x", "a", bucket)
    with DAG("d", schedule=None) as dag:
        S3KeySensor(
            task_id="w", bucket_key="a", bucket_name=bucket, deferrable=True, check_fn=lambda files: False,
            poke_interval=0.2, timeout=timedelta(seconds=1),
        )  # fmt: skip
    result = run_dag(dag)
    assert result.state == "failed"


# --- The trigger


def first_event(trigger: S3KeyTrigger) -> Any:
    async def wait() -> Any:
        async for event in trigger.run():
            return event.payload
        raise AssertionError("no event")

    return asyncio.run(asyncio.wait_for(wait(), 20))


def test_a_trigger_survives_its_serialisation(hook: S3Hook, bucket: str) -> None:
    hook.load_string("abc", "k", bucket)
    trigger = S3KeyTrigger(["k"], bucket_name=bucket, poke_interval=0.1, botocore_config={"read_timeout": 9})
    name, arguments = trigger.serialize()
    assert name == "windlass_aws.triggers.S3KeyTrigger"
    import json

    again = S3KeyTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == trigger.serialize()
    assert first_event(again) == [[{"Key": "k", "Size": 3}]]


def test_a_trigger_fires_once_the_key_comes(hook: S3Hook, bucket: str) -> None:
    timer = threading.Timer(0.3, lambda: hook.load_string("x", "late", bucket))
    timer.start()
    assert first_event(S3KeyTrigger(["late"], bucket_name=bucket, poke_interval=0.1)) == [[{"Key": "late", "Size": 1}]]
    timer.join()


def test_many_triggers_share_a_client_and_leave_the_loop_free(
    hook: S3Hook, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "_shared", [])
    ticks = 0

    async def wait_all() -> list[Any]:
        nonlocal ticks

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.005)

        async def one(number: int) -> Any:
            async for event in S3KeyTrigger([f"k{number % 3}"], bucket_name=bucket, poke_interval=0.1).run():
                return event.payload
            raise AssertionError("no event")

        ticking = asyncio.create_task(tick())
        waits = asyncio.gather(*(one(number) for number in range(40)))
        for number in range(3):
            await asyncio.to_thread(hook.load_string, "x", f"k{number}", bucket)
        found = await waits
        ticking.cancel()
        return list(found)

    assert len(asyncio.run(asyncio.wait_for(wait_all(), 60))) == 40
    assert len(triggers._shared) == 1
    assert ticks > 20


def test_another_connection_is_another_client(
    hook: S3Hook, bucket: str, connection: Any, aws: Any, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "_shared", [])
    hook.load_string("x", "k", bucket)
    for region in ("us-east-1", "eu-west-1", "us-east-1"):
        connection("lake", **{**aws(s3_url), "extra": {**aws(s3_url)["extra"], "region_name": region}})
        first_event(S3KeyTrigger(["k"], bucket_name=bucket, aws_conn_id="lake"))
    assert len(triggers._shared) == 2


def test_a_refusal_ends_the_wait(proxy: Any, connection: Any, aws: Any, refusal: Any) -> None:
    proxy.answers.append(refusal("403 Forbidden", "AccessDenied"))
    connection("lake", **aws(proxy.url))
    with pytest.raises(AwsError, match="access is denied"):
        first_event(S3KeyTrigger(["*"], bucket_name="b", wildcard_match=True, aws_conn_id="lake"))


# --- Until nothing changes

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def test_it_is_quiet_after_a_while_without_any_change(hook: S3Hook, bucket: str) -> None:
    quiet = Quiet(60, 2)

    def at(seconds: float) -> bool:
        return quiet.look(hook, bucket, "in/", BEGAN + timedelta(seconds=seconds))

    hook.load_string("x", "in/a", bucket)
    assert [at(0), at(59), at(61)] == [False, False, False]  # one is too few, however long it is quiet
    hook.load_string("x", "in/b", bucket)
    hook.load_string("x", "other", bucket)
    assert [at(100), at(159)] == [False, False]
    hook.load_string("y", "in/b", bucket, replace=True)  # written again under its name
    assert [at(160), at(219)] == [False, False]
    hook.load_string("x", "in/c", bucket)
    hook.load_string("x", "in/d", bucket)
    hook.delete_objects(bucket, "in/a")
    assert [at(220), at(279), at(280)] == [False, False, True]
    hook.delete_objects(bucket, "in/b")
    assert [at(281), at(340), at(341)] == [False, False, True]


def test_what_is_known_before_is_no_change_and_must_not_go(hook: S3Hook, bucket: str) -> None:
    for key in ("a", "b"):
        hook.load_string("x", key, bucket)
    quiet = Quiet(0, 0, ["a", "b", *(f"gone{n}" for n in range(9))], allow_delete=False)
    assert quiet.look(hook, bucket, "", BEGAN) is False
    assert quiet.deleted == [f"gone{n}" for n in range(5)]
    known = Quiet(10, 1, ["a", "b"])
    assert known.look(hook, bucket, "", BEGAN) is False
    assert known.look(hook, bucket, "", BEGAN + timedelta(seconds=10)) is True


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_sensor_waits_until_nothing_changes(run_task: Any, hook: S3Hook, bucket: str, deferrable: bool) -> None:
    hook.load_string("x", "in/a", bucket)

    def wait(**arguments: Any) -> tuple[str, str | None]:
        given = {
            "prefix": "in/{{ 'a' }}",
            "bucket_name": bucket,
            "inactivity_period": 2,
            "poke_interval": 1,
            **arguments,
        }
        done = run_task(S3KeysUnchangedSensor(task_id="w", deferrable=deferrable, **given))
        return done.state, done.reason

    assert wait() == ("success", None)
    assert wait(prefix=f"s3://{bucket}/in/", bucket_name=None) == ("success", None)
    assert wait(min_objects=2, timeout=4)[0] == "failed"
    assert wait(min_objects=2, timeout=4, soft_fail=True)[0] == "skipped"
    state, reason = wait(previous_objects={"in/a", "in/away"}, allow_delete=False)
    assert state == "failed"
    assert reason == (
        "TaskFailed: sensor 'w': objects below 'in/a' were deleted while it waited, and allow_delete is off; the "
        "first: in/away"
    )


def test_a_process_that_ends_between_two_looks_would_forget() -> None:
    with pytest.raises(AuthoringError, match="sensor 'w': the mode 'reschedule' would forget between two looks"):
        S3KeysUnchangedSensor(task_id="w", prefix="x", mode="reschedule")
    with pytest.raises(AuthoringError, match="inactivity_period and min_objects must be 0 or more"):
        S3KeysUnchangedSensor(task_id="w", prefix="x", min_objects=-1)


def test_the_trigger_carries_all_that_it_needs() -> None:
    trigger = S3KeysUnchangedTrigger(
        "in/", bucket_name="b", previous_objects=["a"], botocore_config={"read_timeout": 1}
    )
    name, arguments = trigger.serialize()
    assert name.endswith(".S3KeysUnchangedTrigger")
    assert vars(S3KeysUnchangedTrigger(**arguments)) == vars(trigger)
