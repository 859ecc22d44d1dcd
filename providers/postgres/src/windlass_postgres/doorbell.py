"""The doorbell over LISTEN and NOTIFY: whoever commits work for the scheduler notifies in the same transaction.

The server hands a notification out when the transaction has been committed, to every session that listens, on any
host. It keeps none for a session that is gone, so a listener that connects again counts that as a ring.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import Final

import psycopg

from windlass.backends import Listener
from windlass.errors import StoreError
from windlass_postgres.driver import CHANNEL, PostgresDialect

log = logging.getLogger(__name__)

#: Seconds between two tries to connect.
_PAUSE: Final = 5.0


class PostgresListener(Listener):
    """Listens with a session of its own."""

    def __init__(self, url: str) -> None:
        self._dialect = PostgresDialect(url)
        self._connection: psycopg.Connection | None = None
        self._next_try = 0.0

    def fileno(self) -> int:
        """Return the session's socket, -1 without one."""
        return -1 if self._connection is None else self._connection.fileno()

    def heard(self) -> bool:
        """Take what has come; after a break connect again."""
        if self._connection is None:
            return self._connect()
        try:
            self._connection.pgconn.consume_input()
            rung = False
            while self._connection.pgconn.notifies() is not None:
                rung = True
        except psycopg.Error as error:
            log.warning("the doorbell's connection to the database broke: %s", error)
            self.close()
            return True
        return rung

    def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _connect(self) -> bool:
        now = time.monotonic()
        if now < self._next_try:
            return False
        self._next_try = now + _PAUSE
        try:
            self._connection = self._dialect.connect()
            self._connection.execute(f"LISTEN {CHANNEL}")
        except (StoreError, psycopg.Error) as error:
            log.warning("the doorbell is deaf until the database can be reached: %s", error)
            self.close()
            return False
        return True
