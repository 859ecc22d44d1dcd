"""A task in a process of its own, to be killed the way a supervisor kills: SIGTERM, which unwinds it and calls on_kill.

The process runs the operator through the runtime, with the signal handling of task children. Run as a program, this
module is that process: it reads what to run, as JSON, from standard input.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from windlass.operators import BaseOperator
from windlass_testing.fixtures import ConnectionLike, made


class Killed:
    """Starts an operator, to be killed inside the block; whatever happens, the process is gone behind it."""

    def __init__(
        self, operator: type[BaseOperator], arguments: Mapping[str, Any], connections: Mapping[str, ConnectionLike]
    ) -> None:
        self._request = json.dumps(
            {
                "operator": f"{operator.__module__}:{operator.__qualname__}",
                "arguments": dict(arguments),
                "connections": {name: made(name, value).to_fields() for name, value in connections.items()},
            }
        )
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        # A file, as a pipe that nobody reads would stop the task once it is full.
        self._output = self._stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace"))
        self._process = self._stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-P", "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        assert self._process.stdin is not None  # it was asked for
        with self._process.stdin as request:
            request.write(self._request)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._stack.close()

    def wait(self, condition: Callable[[], bool], what: str, patience: float) -> None:
        """Wait until ``condition`` holds, ``patience`` seconds at most.

        :raises AssertionError: if it does not in time, or the process ends while the work should begin.
        """
        was_running = self._process.poll() is None
        deadline = time.monotonic() + patience
        while not condition():
            if was_running and self._process.poll() is not None:
                raise AssertionError(f"waited for {what}, but the task ended:\n{self._told()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {patience:g} s for {what}")
            time.sleep(0.02)

    def kill(self, patience: float) -> None:
        """Send SIGTERM and wait for the end, ``patience`` seconds at most.

        :raises AssertionError: if the task does not end, or ended before by itself.
        """
        if self._process.poll() is not None:
            raise AssertionError(f"the task ended before it was killed:\n{self._told()}")
        self._process.terminate()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the task did not end within {patience:g} s of SIGTERM") from None

    def _told(self) -> str:
        self._output.seek(0)
        return self._output.read()


def main() -> int:
    """Run the task that standard input describes; 1 if it did not succeed."""
    from windlass.registry import import_name
    from windlass.runtime.child import inherit_signals
    from windlass_testing import run_task

    inherit_signals()
    request = json.loads(sys.stdin.read())
    operator = import_name(request["operator"])(task_id="under_test", **request["arguments"])
    done = run_task(operator, connections=request["connections"])
    sys.stdout.write(done.log)
    return 0 if done.state == "success" else 1


if __name__ == "__main__":
    sys.exit(main())
