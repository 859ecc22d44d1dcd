"""Retries: whether a failed try is followed by another, and after how long."""

from __future__ import annotations

import hashlib
import math
from typing import Final

from windlass.spec import TaskSpec
from windlass.states import TaskState

#: As many bits of the hash as a float holds exactly, so that the jitter stays below 1.
_JITTER_BITS: Final = 52


def after_failure(try_number: int, max_tries: int, *, retryable: bool) -> TaskState:
    """Return what becomes of a task instance whose try ``try_number`` (from 1) failed.

    ``max_tries`` is the number of retries it was created with (a clear raises it), so it has one try more than that.
    """
    return TaskState.UP_FOR_RETRY if retryable and try_number <= max_tries else TaskState.FAILED


def retry_delay(spec: TaskSpec, key: str, try_number: int) -> float:
    """Return the seconds between the end of try ``try_number`` and the next one.

    Without backoff it is ``retry_delay``. With it, min = ceil(retry_delay * multiplier^(try - 1)) and the wait lies in
    [min, 2*min): spread, so that tasks which failed together do not come back together, by a hash of ``key`` (the task
    instance's) and the try, so that asking again gives the same answer. Nothing waits longer than ``max_retry_delay``.
    """
    if not spec.retry_backoff:
        return min(spec.retry_delay, spec.max_retry_delay)
    try:
        shortest = math.ceil(spec.retry_delay * spec.retry_backoff ** (try_number - 1))
        return min(shortest + shortest * _fraction(f"{key}#{try_number}"), spec.max_retry_delay)
    except OverflowError:  # beyond what a float can say, so beyond any cap
        return spec.max_retry_delay


def _fraction(text: str) -> float:
    """Return a number in [0, 1) that depends on nothing but ``text``."""
    digest = hashlib.sha256(text.encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> (64 - _JITTER_BITS)) / (1 << _JITTER_BITS)
