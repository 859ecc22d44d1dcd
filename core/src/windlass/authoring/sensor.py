"""Sensors: tasks that wait until something is there.

``poke`` asks once. In mode ``poke`` the process sleeps between two questions and holds its slot; in mode
``reschedule`` it ends and comes back, as another attempt of the same try. A sensor that is *deferrable* hands the wait
to a trigger instead. The timeout counts from the first poke across reschedules, or from the deferral, and is final: a
sensor that timed out is not retried.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from windlass.authoring.arguments import duration, required_duration
from windlass.authoring.operator import BaseOperator, Context
from windlass.errors import (
    AuthoringError,
    TaskDeferralTimeout,
    TaskDeferred,
    TaskFailed,
    TaskReschedule,
    TaskSignal,
    TaskSkipped,
)

_WEEK = 7 * 24 * 3600.0


class PokeReturnValue:
    """What ``poke`` may return instead of a bool: whether it is done, and a result for other tasks."""

    def __init__(self, is_done: bool, xcom_value: Any = None) -> None:  # noqa: FBT001 - Airflow's signature
        self.is_done = is_done
        self.xcom_value = xcom_value

    def __bool__(self) -> bool:
        return self.is_done


class BaseSensorOperator(BaseOperator):
    """Waits until ``poke(context)`` returns something true; write that method."""

    is_sensor = True
    ui_color = "#e6f1f2"

    def __init__(
        self,
        *,
        poke_interval: timedelta | float = 60.0,
        timeout: timedelta | float = _WEEK,
        soft_fail: bool = False,
        mode: str = "poke",
        exponential_backoff: bool = False,
        max_wait: timedelta | float | None = None,
        silent_fail: bool = False,
        never_fail: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        who = f"sensor {self.task_id!r}"
        self.poke_interval = required_duration(who, "poke_interval", poke_interval).total_seconds()
        self.timeout = required_duration(who, "timeout", timeout).total_seconds()
        longest = duration(who, "max_wait", max_wait)
        self.max_wait = None if longest is None else longest.total_seconds()
        if mode not in ("poke", "reschedule"):
            raise AuthoringError(f"{who}: mode {mode!r} is not one of poke, reschedule")
        if soft_fail and never_fail:
            raise AuthoringError(f"{who}: soft_fail and never_fail cannot both be set; never_fail skips on any error")
        self.mode = mode
        self.soft_fail = soft_fail
        self.silent_fail = silent_fail
        self.never_fail = never_fail
        self.exponential_backoff = exponential_backoff

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Return whether what the sensor waits for is there."""
        raise NotImplementedError(f"{type(self).__name__} does not define poke(context)")

    def execute(self, context: Context) -> Any:
        """Poke until it is there or time is up."""
        from windlass.ports import instant_now, waiting

        first = context["ti"].first_poke or instant_now()
        origin = waiting.elapsed() - max(0.0, (instant_now() - first).total_seconds())
        # After a reschedule the number of pokes is not known; with a constant interval it does not matter.
        pokes = self._pokes_until(waiting.elapsed() - origin) if self.mode == "reschedule" else 1
        while True:
            answer = self._poke_once(context)
            if answer:
                return answer.xcom_value if isinstance(answer, PokeReturnValue) else None
            waited = waiting.elapsed() - origin
            if waited > self.timeout:
                raise self._timed_out(waited)
            pause = self.pause(context["ti"].idempotency_key, pokes)
            if self.mode == "reschedule":
                raise TaskReschedule(instant_now() + timedelta(seconds=pause))
            waiting.sleep(min(pause, max(0.0, self.timeout - waited) + 0.001))
            pokes += 1

    def _poke_once(self, context: Context) -> bool | PokeReturnValue:
        try:
            return self.poke(context)
        except TaskSkipped:
            raise
        except TaskSignal as error:
            if isinstance(error, TaskFailed) and (self.soft_fail or self.never_fail):
                raise TaskSkipped(f"skipped instead of failed: {error}") from error
            raise
        except Exception as error:
            if self.never_fail:
                raise TaskSkipped(f"skipped instead of failed (never_fail): {error}") from error
            if self.silent_fail:
                context["ti"].log.exception("poke failed; it will be tried again (silent_fail)")
                return False
            raise

    def defer_to(self, trigger: Any) -> None:
        """Let ``trigger`` wait, for as long as the sensor's timeout; then :meth:`execute_complete` is called."""
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Go on after the trigger has fired with the payload ``event``; what it waited for is there."""

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a deferral; soft_fail and never_fail hold as they do for a poke."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout as error:
            raise self._timed_out(self.timeout) from error
        except (TaskSkipped, TaskDeferred, TaskReschedule):
            raise
        except Exception as error:
            if self.never_fail or (self.soft_fail and isinstance(error, TaskFailed)):
                raise TaskSkipped(f"skipped instead of failed: {error}") from error
            raise

    def _timed_out(self, waited: float) -> TaskSignal:
        text = f"sensor timed out: what it waits for was not there after {waited:.0f} s (timeout {self.timeout:.0f} s)"
        if self.soft_fail or self.never_fail:
            return TaskSkipped(text)
        return TaskFailed(text)

    def pause(self, key: str, pokes: int) -> float:
        """Return the seconds to wait after poke number ``pokes``; with backoff the doubled interval and a jitter."""
        if not self.exponential_backoff:
            return self.poke_interval
        base = self.poke_interval * 2.0 ** min(pokes - 1, 60)
        digest = hashlib.sha256(f"{key}#{pokes}".encode()).digest()
        wait = base * (1.0 + int.from_bytes(digest[:4], "big") / 2**32)
        return min(wait, self.max_wait if self.max_wait is not None else wait, max(self.timeout, self.poke_interval))

    def _pokes_until(self, waited: float) -> int:
        """Return which poke this is, ``waited`` seconds after the first, by what the pauses before must have been."""
        if not self.exponential_backoff or self.poke_interval <= 0:
            return 1
        pokes, spent = 1, 0.0
        while spent + self.poke_interval * 2.0 ** (pokes - 1) <= waited and pokes < 60:
            spent += self.poke_interval * 2.0 ** (pokes - 1)
            pokes += 1
        return pokes


PokeFunction = Callable[..., bool | PokeReturnValue]
