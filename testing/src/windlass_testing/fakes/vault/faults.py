"""Faults to order: the next requests fail, take long, or lose their connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock


@dataclass
class Fault:
    """What happens to the next ``times`` requests whose path begins with ``path``."""

    times: int
    path: str = ""
    #: Answer with this, instead of what Vault would; None lets Vault answer.
    status: int | None = None
    errors: Sequence[str] = ("internal error",)
    #: The whole answer, from something that is no Vault.
    text: str | None = None
    #: Seconds until the answer.
    delay: float = 0.0
    #: Close the connection instead of answering.
    drop: bool = False


class Faults:
    """The faults that are ordered and have not happened yet."""

    def __init__(self) -> None:
        self._ordered: list[Fault] = []
        self._lock = Lock()

    def order(
        self,
        times: int = 1,
        *,
        status: int | None = None,
        errors: Sequence[str] = ("internal error",),
        text: str | None = None,
        delay: float = 0.0,
        drop: bool = False,
        path: str = "",
    ) -> None:
        """Let the next ``times`` requests fail, wait ``delay`` seconds, or lose their connection; later orders queue.

        A failure is ``status`` with Vault's ``errors``, or with a ``text`` that is not Vault's at all, as of a proxy.
        ``path`` restricts it to requests whose path, without ``/v1/``, begins so.
        """
        with self._lock:
            self._ordered.append(Fault(times, path, status, errors, text, delay, drop))

    def take(self, path: str) -> Fault | None:
        """Return what shall happen to a request, and count it."""
        with self._lock:
            for fault in self._ordered:
                if path.startswith(fault.path):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._ordered.remove(fault)
                    return fault
        return None

    def clear(self) -> None:
        """Forget what has not happened yet."""
        with self._lock:
            self._ordered.clear()
