"""Runs a fake as the whole of a process: says where it is, and ends with the process's first signal."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TypeVar

T = TypeVar("T")


def run_until_stopped(fake: AbstractContextManager[T], describe: Callable[[T], Mapping[str, object]]) -> None:
    """Serve inside the block of ``fake`` until SIGTERM or Ctrl-C; print what ``describe`` says, as JSON on one line.

    :raises SystemExit: when it ends; with a sentence if the fake cannot listen, or its server is not installed.
    """
    from windlass_testing.servers import ServerMissing

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)  # also where a shell made its background jobs ignore Ctrl-C
    with contextlib.ExitStack() as running:
        try:
            facts = describe(running.enter_context(fake))
        except OSError as error:
            raise SystemExit(f"the fake cannot listen there: {error.strerror}; choose another port") from None
        except ServerMissing as error:
            raise SystemExit(str(error)) from None
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        threading.Event().wait()


def _stop(*_: object) -> None:
    """End the process by an exception: an event may be locked by the very code that the signal has interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)
