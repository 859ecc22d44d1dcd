"""Faults that a test injects: refusals, a server that is down, and connections that are cut in the middle."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from windlass_testing.fakes.kubernetes import problems
from windlass_testing.fakes.kubernetes.problems import Problem

_REASONS = {
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "the fake was told to forbid this"),
    500: ("InternalError", "Internal error occurred: the fake was told to fail"),
    502: ("InternalError", "bad gateway"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "Timeout: request did not complete within requested timeout"),
}


@dataclass
class Fault:
    """What happens to the next ``times`` requests that match.

    A fault with a ``status`` refuses the request. One without cuts the connection, at once or after ``after`` events
    of a watch or lines of a log; a write has happened by then, only its answer is lost. ``verb`` is one of Kubernetes'
    (get, list, watch, create, update, patch, delete, deletecollection) or ``log``, ``exec`` or ``proxy``; None
    stands for any.
    """

    verb: str | None = None
    resource: str | None = None
    name: str | None = None
    status: int | None = None
    after: int | None = None
    times: int = 1
    retry_after: int = 0
    message: str = ""
    #: A 410 of a watch comes as an event, as a real server sends it; else as the response.
    as_event: bool = True
    #: How many requests it has hit.
    hits: int = 0

    def matches(self, verb: str, resource: str, name: str) -> bool:
        """Return whether it hits such a request."""
        return (
            self.hits < self.times
            and self.verb in {None, verb}
            and self.resource in {None, resource}
            and self.name in {None, name}
        )

    def problem(self, resource: str, group: str, name: str) -> Problem | None:
        """Return the refusal, None for a cut."""
        if self.status is None:
            return None
        if self.status == 429:
            return problems.too_many(self.retry_after)
        if self.status == 410:
            return problems.gone("too old resource version: 1 (2)")
        if self.status == 403:
            return problems.forbidden(resource, group, name, self.message or _REASONS[403][1])
        reason, message = _REASONS.get(self.status, ("InternalError", "the fake was told to fail"))
        return Problem(self.status, reason, self.message or message)


class Faults:
    """The faults that are in force."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Put a fault in force."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Take all faults back."""
        with self._lock:
            self._faults.clear()

    def hit(self, verb: str, resource: str, name: str) -> Fault | None:
        """Return the fault that this request meets, and count it."""
        with self._lock:
            for fault in self._faults:
                if fault.matches(verb, resource, name):
                    fault.hits += 1
                    return fault
        return None
