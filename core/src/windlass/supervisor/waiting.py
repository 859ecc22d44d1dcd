"""The waits of this host: which are live, which trigger host runs each, and what becomes of them.

The truth is the store's: a live row per deferred task instance. This class keeps up with it (``refresh``: when an
attempt has deferred, at every heartbeat, after a start) and sees that each wait it holds runs in a host. A host may
die at any moment: it is started again and gets all of its waits again. So may the supervisor: its successor finds the
rows. An event is kept until the gateway has taken it; whatever is sent twice, the gateway lets through once. So no
wait is lost, and none is ended twice.

**Where triggers run.** One host for all triggers that providers list in their manifests, and one per code version for
those that a DAG file defines or imports, because two versions of one module cannot live in one process. A wait whose
code ran at the third death of its host in a row is ended, as failed: the others must not die with it for ever.
"""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from windlass.errors import WindlassError
from windlass.ports import Fired, Gateway, Wait, WaitKey
from windlass.protocol import XComValue
from windlass.protocol.triggering import shown
from windlass.supervisor.ledger import Ledger
from windlass.supervisor.reactor import Reactor

_log = logging.getLogger(__name__)

#: (bundle, file, code_version) of the author's code; empty for the triggers of providers.
HostKey = tuple[str, str, str]
SHARED: HostKey = ("", "", "")
#: Deaths of a host while the code of one and the same wait ran, after which that wait is given up.
_DEATHS = 3
#: Pauses before a host is started again, by how often it has died in a row; the last one repeats.
_PAUSES = (0.05, 0.5, 2.0, 5.0, 15.0)
#: A host that lived for this long has not died in a row with the one before.
_STEADY = 60.0
#: A host without waits is ended after this time.
_IDLE = 30.0
#: Seconds until the store is asked again after it failed.
_RETRY = 0.5


class Host(Protocol):
    """A trigger host: a process, or what stands for one in a simulation."""

    def begin(self, wait: Wait) -> None:
        """Run the trigger of ``wait``."""
        ...

    def end(self, key: WaitKey, note: str | None = None) -> None:
        """Stop it, if it runs; ``note`` goes into the log of the task."""
        ...

    def close(self) -> None:
        """End the process."""
        ...


class Waiting:
    """All waits that this supervisor holds."""

    def __init__(
        self,
        gateway: Gateway,
        ledger: Ledger,
        reactor: Reactor,
        supervisor: str,
        start_host: Callable[[HostKey, Waiting], Host],
        is_shared: Callable[[str], bool],
    ) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._reactor = reactor
        self._supervisor = supervisor
        self._start_host = start_host
        #: Whether a provider brings the trigger of this name.
        self._is_shared = is_shared
        self._waits: dict[WaitKey, Wait] = {}
        #: Ended here, and on their way to the gateway.
        self._leaving: set[WaitKey] = set()
        self._hosts: dict[HostKey, Host] = {}
        self._started_at: dict[HostKey, float] = {}
        self._idle_since: dict[HostKey, float] = {}
        #: How often each host has died in a row, and during whose code.
        self._deaths: Counter[HostKey] = Counter()
        self._blamed: Counter[WaitKey] = Counter()
        #: Hosts that are started again after a pause.
        self._pausing: set[HostKey] = set()
        self._stale = False

    def __len__(self) -> int:
        return len(self._waits)

    # --- Keeping up with the store

    def soon(self) -> None:
        """Look at the store in this turn: an attempt has deferred."""
        self._stale = True

    def catch_up(self) -> None:
        """Look at the store if something has asked for it."""
        if self._stale:
            self.refresh()

    def refresh(self) -> None:
        """Begin what is live and new, and end what is over."""
        self._stale = False
        try:
            changes = self._gateway.waits([*self._waits, *self._leaving], self._supervisor)
        except Exception as error:  # noqa: BLE001 - whatever the gateway's trouble is, the waits go on
            _log.warning("reading the waits of deferred tasks failed (%s: %s)", type(error).__name__, error)
            self._reactor.after(_RETRY, self.soon)
            return
        for key in changes.ended:
            wait = self._waits.pop(key, None)
            if wait is not None:
                self._end(wait, None)
        for wait in changes.begun:
            self._begin(wait)

    def _begin(self, wait: Wait) -> None:
        self._waits[wait.key] = wait
        key = self.host_of(wait)
        self._idle_since.pop(key, None)
        host = self._hosts.get(key)
        if host is not None:
            host.begin(wait)
        elif key not in self._pausing:  # else it is started again in a moment, with all of its waits
            self._start(key)

    def host_of(self, wait: Wait) -> HostKey:
        """Return which host runs the trigger of ``wait``."""
        return SHARED if self._is_shared(wait.trigger) else (wait.bundle, wait.file, wait.code_version)

    def _of(self, key: HostKey) -> list[Wait]:
        return [wait for wait in self._waits.values() if self.host_of(wait) == key]

    def _start(self, key: HostKey) -> None:
        self._pausing.discard(key)
        waits = self._of(key)
        if key in self._hosts or not waits:
            return
        try:
            host = self._start_host(key, self)
        except (OSError, WindlassError) as error:
            _log.warning("a trigger host cannot be started: %s; trying again", error)
            self._start_again(key)
            return
        self._hosts[key] = host
        self._started_at[key] = self._reactor.monotonic()
        for wait in waits:
            host.begin(wait)

    def _start_again(self, key: HostKey) -> None:
        pause = _PAUSES[min(self._deaths[key], len(_PAUSES) - 1)]
        self._deaths[key] += 1
        self._pausing.add(key)
        self._reactor.after(pause, functools.partial(self._start, key))

    # --- What hosts say

    def on_event(self, key: WaitKey, value: XComValue) -> None:
        """Hand the event on; one that comes again, or for a wait that is over, is nobody's."""
        self._fire(key, Fired(task=key[0], epoch=key[1], event=value), "its trigger fired")

    def on_failure(self, key: WaitKey, reason: str) -> None:
        """Have the task fail for this reason, where it would have resumed."""
        self._fire(key, Fired(task=key[0], epoch=key[1], failure=reason), None)

    def _fire(self, key: WaitKey, fired: Fired, note: str | None) -> None:
        wait = self._waits.pop(key, None)
        if wait is None:
            return
        self._leaving.add(key)
        self._end(wait, note)
        self._ledger.fire(fired, functools.partial(self._on_written, key))

    def _on_written(self, key: WaitKey, live: bool) -> None:  # noqa: FBT001 - the ledger's callback
        self._leaving.discard(key)
        if not live:
            _log.info("the wait of task instance %d had ended before its event came", key[0])

    def _end(self, wait: Wait, note: str | None) -> None:
        self._blamed.pop(wait.key, None)
        host = self._hosts.get(self.host_of(wait))
        if host is not None:
            host.end(wait.key, note)

    def on_unopenable(self, key: HostKey, error: str) -> None:
        """Fail every wait whose code cannot be imported."""
        reason = f"the DAG file of its trigger cannot be imported: {error.strip().splitlines()[-1]}"
        for wait in self._of(key):
            self.on_failure(wait.key, reason)

    def on_gone(self, key: HostKey, host: Host, blamed: WaitKey | None, how: str, *, opened: bool = True) -> None:
        """Start a host that has died again, unless nobody needs it; give up the wait that keeps killing it.

        A host that keeps dying before it was ``opened`` cannot import its code.
        """
        if self._hosts.get(key) is not host:
            return
        del self._hosts[key]
        if self._reactor.monotonic() - self._started_at.pop(key, 0.0) > _STEADY:
            self._deaths.pop(key, None)
        if not opened and key != SHARED and self._deaths[key] + 1 >= _DEATHS:
            self.on_unopenable(key, f"the process that imported it {how}")
        if blamed is not None and blamed in self._waits:
            self._blamed[blamed] += 1
            if self._blamed[blamed] >= _DEATHS:
                wait = self._waits[blamed]
                text = f"its trigger {shown(wait.trigger)} ended the trigger host {_DEATHS} times ({how})"
                self.on_failure(blamed, text)
                self._deaths.pop(key, None)
        if self._of(key):
            name = f" of {key[1]}" if key[1] else ""
            _log.warning("the trigger host%s %s; what waits in it (%d) begins again", name, how, len(self._of(key)))
            self._start_again(key)
        else:
            self._deaths.pop(key, None)

    # --- Housekeeping

    def tidy(self) -> None:
        """End hosts that have had nothing to do for a while."""
        now = self._reactor.monotonic()
        busy = {self.host_of(wait) for wait in self._waits.values()}
        for key in list(self._hosts):
            if key not in busy and now - self._idle_since.setdefault(key, now) > _IDLE:
                del self._idle_since[key]
                self._started_at.pop(key, None)
                self._deaths.pop(key, None)
                self._hosts.pop(key).close()

    def close(self) -> None:
        """End every host; the waits are the next supervisor's."""
        for host in self._hosts.values():
            host.close()
        self._hosts.clear()
