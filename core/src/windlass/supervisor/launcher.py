"""From a workload to a child that has said hello: spares, forks, fresh interpreters, and trying again.

A zygote that is ready keeps spare children, forked before there is work for them: one, so that an idle system never
waits for a fork; and where tasks are short and many, as many as two turns take, so that the slots are taken by
children that run and not by children that are being forked. A child that dies before its hello has cost nothing: its
workload is launched again, three times at most. What cannot be imported is *stillborn*: there is no child to claim it,
so the supervisor does, to say why.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from windlass.ports import Rng, Workload
from windlass.protocol import GetConnection, Variable
from windlass.protocol.forking import Answer, Ready
from windlass.supervisor import attempt as attempts
from windlass.supervisor import processes
from windlass.supervisor.attempt import Attempt, Phase
from windlass.supervisor.reactor import Reactor
from windlass.supervisor.settings import SupervisorSettings
from windlass.supervisor.zygotes import Key, Zygote, ZygotePool

_log = logging.getLogger(__name__)

#: Launches of one workload whose child dies before its hello.
_LAUNCHES = 3
#: Seconds until something that the system refused is tried again.
_PAUSE = 0.5
#: Seconds after a zygote's death in which its children must have been reaped; the kernel kills them with it.
_ORPHANED = 0.2


class Owner(attempts.Owner, Protocol):
    """Who is told what becomes of the children: the supervisor's loop."""

    def on_gone(self, attempt: Attempt, *, orphans: bool) -> None:
        """The child was reaped, and may have left processes behind."""

    def on_stillborn(self, workload: Workload, error: str, *, lost: bool) -> None:
        """No child can be had for this workload: its code cannot be imported, or (``lost``) they keep dying."""

    def on_zygote_ask(self, verb: GetConnection | Variable, then: Callable[[Answer, Sequence[str]], None]) -> None:
        """Answer what a DAG file asks while it is imported."""


class Launcher:
    """All living children, and the zygotes they come from."""

    def __init__(self, settings: SupervisorSettings, owner: Owner, reactor: Reactor, rng: Rng, tag: str) -> None:
        self.attempts: dict[str, Attempt] = {}
        #: How many children each zygote has given to workloads in this turn.
        self._taken: dict[Zygote, int] = {}
        self._by_pid: dict[int, Attempt] = {}
        self._waiting: dict[Zygote, deque[Workload]] = {}
        self._launches: dict[str, int] = {}
        self._settings = settings
        self._owner = owner
        self._reactor = reactor
        self._rng = rng
        self.pool = ZygotePool(settings, self, reactor, tag)

    def prepare(self, key: Key) -> None:
        """Have a zygote ready for ``key``."""
        if key not in self.pool.threaded:
            self.pool.get(key)

    def has(self, ticket: str) -> bool:
        """Return whether a workload with this ticket is being launched or has a child."""
        return ticket in self._launches

    @property
    def waiting(self) -> int:
        """How many workloads wait for an import."""
        return sum(len(queue) for queue in self._waiting.values())

    def launch(self, workload: Workload) -> None:
        """Get a child for ``workload``; the owner hears when it is ready."""
        self._launches[workload.ticket] = self._launches.get(workload.ticket, 0) + 1
        try:
            self._launch(workload)
        except OSError as error:
            _log.warning("starting a task of %s failed: %s; trying again", workload.file, error)
            self._reactor.after(_PAUSE, functools.partial(self.launch, workload))

    def _launch(self, workload: Workload) -> None:
        key = (workload.bundle, workload.file, workload.code_version)
        if key in self.pool.threaded:
            self._launch_single(key, workload)
            return
        zygote = self.pool.get(key)
        if zygote.spares:
            spare = self.attempts[zygote.take_spare()]
            zygote.used = self._reactor.monotonic()
            spare.workload = workload
            if spare.phase is Phase.READY:
                self._owner.on_ready(spare)
            self._take_note(zygote)
        elif zygote.ready:
            self._fork(zygote, workload)
            self._take_note(zygote)
        else:
            self._waiting.setdefault(zygote, deque()).append(workload)

    def refill(self) -> None:
        """Fork the spares that are missing; called when everything urgent of a turn is done."""
        while self._taken:
            zygote, taken = self._taken.popitem()
            if zygote.ready and not zygote.gone and not zygote.retired:
                wanted = 2 * taken if taken > 1 else 1
                self._fork_spares(zygote, min(wanted, self._settings.spares) - len(zygote.spares))

    def tidy(self) -> None:
        """Send surplus spares of zygotes at rest away, and let the pool let go of what it need not keep."""
        now = self._reactor.monotonic()
        for zygote in {attempt.zygote for attempt in self.attempts.values()}:
            while len(zygote.spares) > 1 and now - zygote.used > self._settings.surplus_after:
                self.attempts[zygote.take_spare()].refuse()
        self.pool.tidy(lambda zygote: zygote.children <= zygote.spares.keys())

    def _take_note(self, zygote: Zygote) -> None:
        self._taken[zygote] = self._taken.get(zygote, 0) + 1

    def forget(self, attempt: Attempt) -> None:
        """Drop a child that is gone."""
        self.attempts.pop(attempt.token, None)
        if attempt.pid is not None and self._by_pid.get(attempt.pid) is attempt:
            del self._by_pid[attempt.pid]
        if attempt.workload is not None:
            self._launches.pop(attempt.workload.ticket, None)

    def relaunch(self, attempt: Attempt) -> None:
        """Launch the workload of a child that died before its hello again, or give up."""
        workload = attempt.workload
        if workload is None:
            return
        launches = self._launches.get(workload.ticket, 0)
        self.forget(attempt)
        if launches >= _LAUNCHES:
            how = "" if attempt.status is None else f" (wait status {attempt.status})"
            error = f"{launches} processes for this task died before they could start it{how}"
            self._owner.on_stillborn(workload, error, lost=True)
        else:
            self._launches[workload.ticket] = launches
            self.launch(workload)

    def reaped(self, pid: int, status: int) -> None:
        """Take note of a process that the supervisor itself has reaped: a zygote, or the child of a dead one."""
        if not self.pool.exited(pid, status):
            self.on_exited(pid, status, orphans=True)

    # What zygotes say.

    def on_zygote_ready(self, zygote: Zygote, ready: Ready) -> None:
        """Fork what waited for the import; a file that leaves threads behind gets fresh interpreters instead."""
        waiting = self._waiting.pop(zygote, deque())
        if zygote.single:
            return
        if ready.threads:
            _log.warning(
                "%s leaves threads behind when it is imported (%s), so every task of it starts a fresh interpreter, "
                "which is slow; start threads inside tasks instead",
                zygote.key[1],
                ", ".join(ready.threads),
            )
            self.pool.threaded.add(zygote.key)
            self.pool.retire(zygote)
            for workload in waiting:
                self._launch_single(zygote.key, workload)
            return
        for workload in waiting:
            self._fork(zygote, workload)
        self._take_note(zygote)
        zygote.leave_if_unused()

    def on_zygote_failed(self, zygote: Zygote, error: str) -> None:
        """Report everything that waited for the import as stillborn."""
        workloads = self._waiting.pop(zygote, deque())
        for token in list(zygote.children):
            attempt = self.attempts.get(token)
            if attempt is not None and attempt.workload is not None:
                workloads.append(attempt.workload)
                self.forget(attempt)
                attempt.close()
        for workload in workloads:
            self._launches.pop(workload.ticket, None)
            self._owner.on_stillborn(workload, error, lost=False)

    def on_zygote_retired(self, zygote: Zygote) -> None:
        """Send its spares away."""
        while zygote.spares:
            self.attempts[zygote.take_spare()].refuse()

    def on_zygote_gone(self, zygote: Zygote) -> None:
        """Wait for its children, which die with it; launch again what it had not forked."""
        if zygote.single:
            self.on_exited(zygote.pid, zygote.status, orphans=True)
            return
        zygote.spares.clear()
        for attempt in [self.attempts[token] for token in zygote.children if token in self.attempts]:
            if attempt.pid is None:
                attempt.close()
                self._forget_unforked(attempt)
        self._reactor.after(_ORPHANED, lambda: self._check_orphans(zygote))

    def _forget_unforked(self, attempt: Attempt) -> None:
        """Drop a child that was asked for and never came."""
        attempt.zygote.child_gone(attempt.token)
        if attempt.workload is None:
            self.forget(attempt)
        else:
            self.relaunch(attempt)

    def on_unforked(self, token: str, error: str) -> None:
        """Try again a little later: the system is short of something that others will give back."""
        attempt = self.attempts.get(token)
        if attempt is not None:
            _log.warning("a zygote of %s cannot fork: %s", attempt.zygote.key[1], error)
            attempt.close()
            attempt.zygote.spares.pop(token, None)
            self._reactor.after(_PAUSE, functools.partial(self._forget_unforked, attempt))

    def on_forked(self, token: str, pid: int) -> None:
        """Remember who ``pid`` is."""
        attempt = self.attempts.get(token)
        if attempt is not None:
            attempt.pid = pid
            self._by_pid[pid] = attempt

    def on_exited(self, pid: int, status: int | None, *, orphans: bool) -> None:
        """Tell the owner that a child is gone."""
        attempt = self._by_pid.pop(pid, None)
        if attempt is None:
            return
        attempt.status = status
        attempt.zygote.spares.pop(attempt.token, None)
        attempt.zygote.child_gone(attempt.token)
        self._owner.on_gone(attempt, orphans=orphans)

    def on_zygote_ask(self, verb: GetConnection | Variable, then: Callable[[Answer, Sequence[str]], None]) -> None:
        """Pass a question on."""
        self._owner.on_zygote_ask(verb, then)

    def _check_orphans(self, zygote: Zygote) -> None:
        """Settle children that the dead zygote had reaped without being able to tell."""
        waiting = False
        for attempt in [self.attempts[token] for token in zygote.children if token in self.attempts]:
            if attempt.pid is not None and processes.is_alive(attempt.pid):
                waiting = True
            elif attempt.pid is not None:
                self.on_exited(attempt.pid, None, orphans=True)
        if waiting:
            self._reactor.after(_ORPHANED, lambda: self._check_orphans(zygote))

    def _launch_single(self, key: Key, workload: Workload) -> None:
        token = self._rng.token()
        zygote = self.pool.single(key, token)
        attempt = self._fork(zygote, workload, token)
        attempt.pid = zygote.pid
        self._by_pid[zygote.pid] = attempt

    def _fork(self, zygote: Zygote, workload: Workload | None, token: str | None = None) -> Attempt:
        attempt, ends = self._new_child(zygote, workload, token or self._rng.token())
        zygote.fork({attempt.token: ends})
        return attempt

    def _fork_spares(self, zygote: Zygote, number: int) -> None:
        children = {}
        with contextlib.suppress(OSError):  # short of descriptors: the next tasks fork for themselves
            for _ in range(number):
                spare, ends = self._new_child(zygote, None, self._rng.token())
                children[spare.token] = ends
        if children:
            zygote.fork(children)
            zygote.spares.update(dict.fromkeys(children))

    def _new_child(
        self, zygote: Zygote, workload: Workload | None, token: str
    ) -> tuple[Attempt, tuple[socket.socket, int]]:
        """Return a child that is still to be forked, and what it is to be given: its socket and its log."""
        ours, theirs = socket.socketpair()
        try:
            log, write_end = os.pipe()
        except OSError:
            ours.close()
            theirs.close()
            raise
        attempt = self.attempts[token] = Attempt(token, ours, log, zygote, self._owner, self._reactor)
        attempt.workload = workload
        return attempt, (theirs, write_end)
