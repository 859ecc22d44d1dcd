"""Keeps a client logged in: the first login, renewals before the token ends, and another login when it has ended.

A token is renewed when a third of its time is left, by the next request that goes out. A token that was given, rather
than logged in for, cannot be replaced when it has ended, so a timer renews it also while nothing is asked. A renewal
that gains little, because the token nears its longest life, is followed by a login.

Several threads use one client. One of them logs in, and the others wait for it, each no longer than its own deadline.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import hvac
import requests
from hvac.exceptions import VaultError

from windlass.errors import ConfigError, SecretsError, WindlassError
from windlass_vault.adapter import deadline, keeping, remaining, status_of
from windlass_vault.credentials import Credentials
from windlass_vault.failures import Failures

log = logging.getLogger(__name__)

#: Seconds that a renewal may take; while it fails the old token is still good.
_RENEWAL: Final = 3.0


@dataclass(frozen=True)
class Lease:
    """How long a token is good; ``ttl`` 0 is for ever, or not known."""

    ttl: float
    renewable: bool
    since: float

    def left(self, now: float) -> float:
        """Return the seconds that are left."""
        return self.since + self.ttl - now

    def is_due(self, now: float) -> bool:
        """Return whether it is time to do something: a third is left, or less."""
        return self.ttl > 0 and self.left(now) <= self.ttl / 3


class TokenKeeper:
    """The token of one client."""

    def __init__(
        self,
        client: hvac.Client,
        credentials: Credentials,
        failures: Failures,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._failures = failures
        self._now = now
        self._lock = threading.RLock()
        self._lease: Lease | None = None
        #: What the present token was first good for.
        self._granted = 0.0
        self._timer: threading.Timer | None = None

    def ensure(self) -> None:
        """Log in if nobody has, and renew the token if it is time to.

        :raises SecretsError: if Vault refuses the login, or cannot be reached.
        :raises ConfigError: if a file that the login needs cannot be read.
        """
        lease = self._lease
        if lease is not None and not lease.is_due(self._now()):
            return
        with self._alone():
            if self._lease is None:
                self._log_in()
            elif self._lease.is_due(self._now()):
                self._renew(self._lease)

    def replace(self, token: str) -> bool:
        """Return whether there is another token than this one, which Vault has refused, and so reason to ask again.

        A token that is good is not replaced: then its policies are what refused.
        """
        with self._alone():
            if self._client.token != token:
                return True  # another thread was here
            if not self._credentials.can_log_in_again:
                if self._credentials.read_token() == token:
                    return False
                self._log_in()  # the file holds another one now
                return True
            if self.is_good():
                return False
            self._log_in()
            return True

    @property
    def can_log_in_again(self) -> bool:
        """Whether the token came from a login, and not from outside."""
        return self._credentials.can_log_in_again

    def is_good(self) -> bool:
        """Return whether Vault knows the present token."""
        try:
            with keeping():
                self._client.auth.token.lookup_self()
        except VaultError as error:
            if status_of(error) == 403:
                return False
            raise
        return True

    def close(self) -> None:
        """Stop the timer."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=remaining(30.0)):
            raise SecretsError(self._failures.too_late("for another thread to log in"))
        try:
            with keeping():
                yield
        finally:
            self._lock.release()

    # --- Logging in ----------------------------------------------------------------------------------------------

    def _log_in(self) -> None:
        if not self._credentials.can_log_in_again:
            self._adopt()
            return
        since = self._now()
        try:
            auth = self._credentials.log_in(self._client)
        except (VaultError, requests.RequestException, ConfigError) as error:
            raise self._failures.of_login(error) from None
        if not auth.get("client_token"):
            raise self._failures.without_token()
        self._client.token = auth["client_token"]
        self._keep(auth, since)

    def _adopt(self) -> None:
        """Take the token that was given, and learn how long it is good."""
        since = self._now()
        try:
            self._client.token = self._credentials.read_token()
            found = self._client.auth.token.lookup_self()["data"]
        except VaultError as error:
            if status_of(error) != 403:
                raise self._failures.of_login(error) from None
            found = {}  # what it is used for will tell whether it is no good, or may not ask this alone
        except (requests.RequestException, ConfigError) as error:
            raise self._failures.of_login(error) from None
        self._keep({"lease_duration": found.get("ttl", 0), "renewable": found.get("renewable", False)}, since)
        self._watch()

    def _keep(self, auth: Mapping[str, Any], since: float) -> None:
        self._lease = Lease(float(auth.get("lease_duration") or 0), bool(auth.get("renewable")), since)
        self._granted = self._lease.ttl

    # --- Renewing ------------------------------------------------------------------------------------------------

    def _renew(self, lease: Lease) -> None:
        if lease.renewable and self._renewed():
            return
        if self._credentials.can_log_in_again:
            self._log_in()
        # A token that was given goes on as long as it can; then Vault's refusal says what is to be done.

    def _renewed(self) -> bool:
        """Renew the token; return whether that is enough for now."""
        since = self._now()
        try:
            with deadline(_RENEWAL):
                auth = self._client.auth.token.renew_self()["auth"]
        except VaultError as error:
            if (status_of(error) or 0) < 500:
                return False
            self._told(error)
            return True
        except requests.RequestException as error:
            self._told(error)
            return True
        lease = Lease(float(auth["lease_duration"]), bool(auth["renewable"]), since)
        if lease.ttl <= self._granted / 3 and self._credentials.can_log_in_again:
            return False
        self._lease = lease
        return True

    def _told(self, error: Exception) -> None:
        """Log that Vault is down; the old token is good for a while."""
        log.warning("%s", self._failures.of(error, "renew the token"))

    # --- While nothing is asked ----------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Renew a token that was given, again and again, as long as somebody holds this keeper."""
        self.close()
        lease = self._lease
        if lease is None or not lease.ttl or not lease.renewable:
            return
        wait = max(lease.left(self._now()) - lease.ttl / 3, lease.ttl / 10, 0.1)
        self._timer = threading.Timer(wait, _wake, (weakref.ref(self),))
        self._timer.daemon = True
        self._timer.start()

    def wake(self) -> None:
        """Renew the token if it is time to, and see to the next time."""
        try:
            with deadline(_RENEWAL):
                self.ensure()
        except (WindlassError, VaultError, requests.RequestException) as error:
            log.warning("%s", error if isinstance(error, WindlassError) else type(error).__name__)
        with self._lock:
            if self._lease is not None and self._lease.left(self._now()) > 0:
                self._watch()


def _wake(reference: weakref.ref[TokenKeeper]) -> None:
    keeper = reference()
    if keeper is not None:
        keeper.wake()
