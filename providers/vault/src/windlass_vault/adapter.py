"""hvac's adapter with patience: every request of a client goes through it, also those that a user makes with it.

It keeps the client logged in (:mod:`.keeper`), tries again while Vault is down or has no active node, and keeps to a
deadline: :func:`deadline` sets one for all requests of a block, so that a question that needs a login, a read and a
look at the mounts still ends in time. Without one, each request has ``patience`` seconds.

What is not known to have left Vault as it was is never repeated: a write whose connection broke may have been done, and
a second one would make another version.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Final, Protocol

import requests
from hvac.adapters import JSONAdapter
from hvac.exceptions import VaultError

#: Seconds on ``time.monotonic`` until which the requests of this thread must have ended.
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
#: Whether the keeper itself asks.
_keeping: ContextVar[bool] = ContextVar("keeping", default=False)

#: Sealed, no leader, overloaded, or a node that has not caught up: nothing was done.
_NOT_DONE: Final = frozenset({412, 429, 472, 473, 503})
#: Something broke on the way, so a write may have been done.
_BROKEN: Final = frozenset({500, 502, 504})
#: With fewer seconds another try makes no sense.
_LEAST: Final = 0.2
_LONGEST_PAUSE: Final = 2.0


class Keeper(Protocol):
    """Keeps the token good."""

    def ensure(self) -> None:
        """Log in or renew, if it is time to."""
        ...

    def replace(self, token: str) -> bool:
        """Return whether there is another token, now that Vault has refused this one."""
        ...


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Let the requests of the block end within ``seconds``, or within what is left of the block around it."""
    at = time.monotonic() + seconds
    outer = _deadline.get()
    token = _deadline.set(at if outer is None else min(at, outer))
    try:
        yield
    finally:
        _deadline.reset(token)


@contextlib.contextmanager
def keeping() -> Iterator[None]:
    """Let the requests of the block be logins, renewals and look-ups: they wait for no login, and may be done twice."""
    token = _keeping.set(True)
    try:
        yield
    finally:
        _keeping.reset(token)


def remaining(otherwise: float) -> float:
    """Return how many seconds are left, at least 0; ``otherwise`` if there is no deadline."""
    at = _deadline.get()
    return otherwise if at is None else max(0.0, at - time.monotonic())


class PatientAdapter(JSONAdapter):
    """Sends requests to Vault; ``hvac.Client(adapter=PatientAdapter)`` makes one, and its maker sets what is here."""

    #: Seconds for each try of a request.
    timeout: float = 10.0
    #: Seconds for a request with all its tries.
    patience: float = 30.0
    #: Seconds before the second try; the pauses after it are longer.
    pause: float = 0.2
    #: None until there is a client to log in with.
    keeper: Keeper | None = None

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        raise_exception: bool = True,  # noqa: FBT001, FBT002 - hvac's
        **kwargs: Any,
    ) -> Any:  # noqa: ANN401 - as hvac has it
        """Send a request, and again while that may help; return the JSON of the answer, or the response if it has none.

        :raises VaultError: hvac's exception for the last answer, with its ``status``.
        :raises requests.RequestException: if there was none.
        """
        with deadline(self.patience):
            if self.keeper is None or _keeping.get():
                return self._tried(method, url, headers, raise_exception, kwargs)
            self.keeper.ensure()
            token = self.token or ""
            try:
                return self._tried(method, url, headers, raise_exception, kwargs)
            except VaultError as error:
                if status_of(error) != 403 or not self.keeper.replace(token):
                    raise
            return self._tried(method, url, headers, raise_exception, kwargs)

    def _tried(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        raise_exception: bool,  # noqa: FBT001 - hvac's
        kwargs: dict[str, Any],
    ) -> Any:  # noqa: ANN401 - as hvac has it
        repeatable = method.lower() in {"get", "list", "head"} or _keeping.get()
        pause = self.pause
        while True:
            limit = min(self.timeout, remaining(self.patience))
            try:
                # Without time there is still one try, which fails as one that took too long does.
                arguments = {"timeout": max(limit, 0.01), **kwargs}
                answer = super().request(method, url, headers=dict(headers or {}), raise_exception=False, **arguments)
            except requests.RequestException as error:
                if not _may_repeat(error, repeatable=repeatable) or not _slept(pause):
                    raise
            else:
                if not isinstance(answer, requests.Response) or answer.ok or not raise_exception:
                    return answer
                again = answer.status_code in _NOT_DONE or (repeatable and answer.status_code in _BROKEN)
                if not again or not _slept(pause):
                    raise failure_of(answer)
            pause = min(pause * 2, _LONGEST_PAUSE)


def failure_of(response: requests.Response) -> VaultError:
    """Return hvac's exception for an answer, which knows its ``status`` besides."""
    try:
        json = response.json()
    except ValueError:
        json = None
    found = json.get("errors") if isinstance(json, dict) else None
    errors = [str(entry) for entry in found] if isinstance(found, list) else None
    method, url = response.request.method, response.url
    error = VaultError.from_status(
        response.status_code, response.reason, errors=errors, method=method, url=url, text=response.text, json=json
    )
    error.status = response.status_code  # type: ignore[attr-defined] # hvac keeps it in the class alone, and not every one
    return error


def status_of(error: VaultError) -> int | None:
    """Return the status of the answer that an exception of this adapter stands for."""
    status = getattr(error, "status", None)
    return status if isinstance(status, int) else None


def _may_repeat(error: requests.RequestException, *, repeatable: bool) -> bool:
    if isinstance(error, requests.exceptions.SSLError):
        return False  # the next try would find the same certificate
    if isinstance(error, requests.exceptions.ConnectTimeout) or was_refused(error):
        return True
    return repeatable and isinstance(error, requests.ConnectionError | requests.Timeout)


def was_refused(error: Exception) -> bool:
    """Return whether there was no connection at all, so that Vault has seen nothing."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return type(reason).__name__ in {"NewConnectionError", "NameResolutionError"}  # urllib3's


def _slept(pause: float) -> bool:
    """Wait before the next try, if there will be time for it; never quite as long, so that clients get out of step."""
    left = remaining(0.0)
    if left < _LEAST:
        return False
    time.sleep(min(pause * random.uniform(0.75, 1.25), left / 2))  # noqa: S311 - no secret
    return True
