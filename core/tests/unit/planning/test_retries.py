"""Retries: how many, and after how long."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.planning.retries import after_failure, retry_delay
from windlass.spec import TaskSpec
from windlass.states import TaskState


def spec(delay: float = 300.0, backoff: float = 0.0, longest: float = 86400.0) -> TaskSpec:
    return TaskSpec(task_id="t", retry_delay=delay, retry_backoff=backoff, max_retry_delay=longest)


@pytest.mark.parametrize(
    ("try_number", "max_tries", "retryable", "expected"),
    [
        (1, 0, True, TaskState.FAILED),
        (1, 1, True, TaskState.UP_FOR_RETRY),
        (2, 1, True, TaskState.FAILED),
        (2, 2, True, TaskState.UP_FOR_RETRY),
        (1, 5, False, TaskState.FAILED),
    ],
)
def test_there_is_one_try_more_than_retries(
    try_number: int, max_tries: int, retryable: bool, expected: TaskState
) -> None:
    assert after_failure(try_number, max_tries, retryable=retryable) is expected


def test_without_backoff_the_delay_is_constant() -> None:
    assert [retry_delay(spec(60), "k", number) for number in (1, 2, 9)] == [60, 60, 60]


def test_the_cap_holds_without_backoff_too() -> None:
    assert retry_delay(spec(60, longest=10), "k", 1) == 10


@given(
    delay=st.floats(0, 1e6),
    backoff=st.floats(1, 10),
    number=st.integers(1, 12),
    key=st.text(max_size=20),
)
def test_backoff_waits_between_min_and_twice_min(delay: float, backoff: float, number: int, key: str) -> None:
    shortest = math.ceil(delay * backoff ** (number - 1))
    wait = retry_delay(spec(delay, backoff, longest=math.inf), key, number)
    assert shortest <= wait < 2 * shortest or wait == shortest == 0
    assert retry_delay(spec(delay, backoff, longest=7.0), key, number) == min(wait, 7.0)


def test_jitter_is_the_same_for_the_same_try_and_spreads_over_tasks_and_tries() -> None:
    waits = [retry_delay(spec(100, 2), f"task-{number}", 1) for number in range(200)]
    assert waits == [retry_delay(spec(100, 2), f"task-{number}", 1) for number in range(200)]
    assert len(set(waits)) == 200
    assert sum(wait < 150 for wait in waits) in range(70, 131)
    assert retry_delay(spec(100, 1), "k", 1) != retry_delay(spec(100, 1), "k", 2)


def test_jitter_stays_the_same_from_release_to_release() -> None:
    # If this changes, waits that were already promised change when a scheduler is upgraded.
    assert retry_delay(spec(100, 2), "dag/run/task/-1", 3) == pytest.approx(711.2962448372213)


def test_a_wait_beyond_what_a_number_can_say_is_the_cap() -> None:
    assert retry_delay(spec(300, 10), "k", 10_000) == 86400
