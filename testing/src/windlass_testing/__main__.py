"""``python -m windlass_testing FAKE``: one of the fakes as a process of its own, for tests in other processes.

Once it is ready, it prints where it listens and how to log in, as JSON on one line. It stops on SIGTERM or Ctrl-C. A
fake is known by its name in :data:`FAKES`: a function of a host and a port, 0 for any free one, that returns a context
manager; inside the block the fake serves, and what the block is given is what is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Final, Protocol


class Serve(Protocol):
    """How a fake is started."""

    def __call__(self, host: str, port: int) -> AbstractContextManager[Mapping[str, object]]:
        """Return the block inside which the fake serves on ``host`` and ``port``."""
        ...


#: Name -> ``module:function``, a :class:`Serve`. Imported when asked for.
FAKES: Final = {
    "vault": "windlass_testing.fakes.vault:serve",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the fake that the command line names until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m windlass_testing", description="Run a fake server for tests.")
    parser.add_argument("fake", choices=sorted(FAKES), help="which one")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on (default: any free one)")
    chosen = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)  # also where a shell made its background jobs ignore Ctrl-C
    module, _, function = FAKES[chosen.fake].partition(":")
    serve: Serve = getattr(import_module(module), function)
    with contextlib.ExitStack() as running:
        try:
            facts = running.enter_context(serve(chosen.host, chosen.port))
        except OSError as error:
            parser.exit(1, f"cannot listen on {chosen.host}:{chosen.port}: {error.strerror or error}\n")
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        threading.Event().wait()
    return 0


def _stop(*_: object) -> None:
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.signal(again, signal.SIG_IGN)
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
