"""The real clock and the real source of tokens, for processes that were given no others."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the current instant."""
        return datetime.now(tz=UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()


class SystemRng:
    """Unguessable tokens from the operating system."""

    def token(self) -> str:
        """Return 128 fresh random bits as 32 hex digits."""
        return secrets.token_hex(16)

    def key(self) -> str:
        """Return 48 bits of the time in milliseconds and 80 fresh random ones as 32 hex digits."""
        return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
