"""The parse server as ``dagfiles`` sees it: files go in, results come out, in any order.

The server is another process (``python -m windlass.runtime parse``), started when there is something to parse and let
go when there has been nothing for a while. It forks a limited child per file, so a broken file harms nobody; should the
server itself die, or stop answering, another one is started. What was in flight then is tried once more, one file at a
time, so that the file which kills servers is found and the others are not blamed.

A file may ask for connections and variables at its top level. They are answered here, under the server's identity, and
their secrets are masked in everything that comes back as text.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from windlass.errors import ProtocolError, UsageError, WindlassError
from windlass.interfaces.connection import Connection
from windlass.ports import Clock
from windlass.protocol import GetConnection, Mask, Variable
from windlass.protocol.findings import Observed
from windlass.protocol.framing import FrameReader
from windlass.protocol.parsing import (
    PARSE_FRAME_LIMIT,
    ParseAnswer,
    ParseAsk,
    ParseRequest,
    ParseResult,
    pack,
    parse_server_command,
    unpack_from_server,
)
from windlass.secrets.masking import Masker, secrets_of_fields, secrets_of_variable

#: Seconds without work after which the server is let go.
IDLE: Final = 60.0
#: A request that is not answered this much after its limit means that the server is stuck.
_PATIENCE: Final = 30.0
#: The file may not have been to blame (memory ran out, say): it is parsed again after this time.
_RETRY: Final = 60.0
#: How long a server has to leave by itself.
_LEAVE: Final = 1.0
_CHUNK: Final = 1 << 18


class Secrets(Protocol):
    """Looks up what a file asks for; ``windlass.secrets.resolver.Resolver`` is the real one."""

    def get_connection(self, conn_id: str) -> Connection:
        """Return a connection; an error of the WindlassError tree is the file's to see."""
        ...

    def get_variable(self, key: str) -> str:
        """Return the text of a variable; an error of the WindlassError tree is the file's to see."""
        ...


class Parser(Protocol):
    """Parses files elsewhere."""

    @property
    def room(self) -> int:
        """How many more files it should be given now."""
        ...

    @property
    def busy(self) -> bool:
        """Whether results are still to come."""
        ...

    def submit(self, request: ParseRequest) -> None:
        """Have a file parsed. ``request.id`` is one that is not in use."""
        ...

    def collect(self, timeout: float) -> list[ParseResult]:
        """Return the results that have come, waiting up to ``timeout`` seconds for the first."""
        ...

    def rest(self) -> None:
        """Let go of what has been idle for long."""
        ...

    def close(self) -> None:
        """End everything."""
        ...


@dataclass(slots=True)
class _Flight:
    request: ParseRequest
    #: When (monotonic) an answer is overdue; None while the request waits here.
    overdue: float | None = None
    #: How many servers died while they had it.
    deaths: int = 0
    masker: Masker = field(default_factory=Masker)


class _Server:
    """One parse server process and the stream to it."""

    def __init__(self, concurrency: int, command: Callable[[int, int], list[str]], environ: Mapping[str, str]) -> None:
        self.sock, theirs = socket.socketpair()
        with theirs:
            try:
                self.process = subprocess.Popen(
                    command(theirs.fileno(), concurrency),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env={**_environment(), **environ},
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            except OSError:
                self.sock.close()
                raise
        self.sock.setblocking(False)
        self.reader = FrameReader(PARSE_FRAME_LIMIT)
        self.outgoing = bytearray()

    def flush(self) -> None:
        while self.outgoing:
            try:
                sent = self.sock.send(self.outgoing)
            except BlockingIOError:
                return
            del self.outgoing[:sent]

    def end(self) -> str:
        """Make sure that the process is gone, and return how it went."""
        self.sock.close()  # it leaves by itself, and its children with it
        try:
            code = self.process.wait(timeout=_LEAVE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        return f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"


def _environment() -> dict[str, str]:
    """Return this process's environment without connections, variables and the server's settings."""
    hidden = ("WINDLASS_CONN_", "WINDLASS_VAR_", "WINDLASS__")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)}


def _default_command(fd: int, concurrency: int) -> list[str]:
    return parse_server_command(fd, concurrency=concurrency)


class ParseServer:
    """The :class:`Parser` over a parse server. For one thread."""

    def __init__(
        self,
        *,
        concurrency: int,
        secrets: Secrets,
        clock: Clock,
        idle: float = IDLE,
        command: Callable[[int, int], list[str]] = _default_command,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._concurrency = concurrency
        self._secrets = secrets
        self._clock = clock
        self._idle = idle
        self._command = command
        self._environ = environ or {}
        self._server: _Server | None = None
        self._flights: dict[int, _Flight] = {}
        #: Requests whose server died: each of them runs alone.
        self._suspects: deque[_Flight] = deque()
        self._last_used = clock.monotonic()
        #: Why there is no server though there is work.
        self._no_server = ""

    @property
    def room(self) -> int:
        """How many more files it should be given now: enough to keep every child busy, not more."""
        return 0 if self._suspects else max(0, 2 * self._concurrency - len(self._flights))

    @property
    def busy(self) -> bool:
        """Whether results are still to come."""
        return bool(self._flights or self._suspects)

    def submit(self, request: ParseRequest) -> None:
        """Have a file parsed."""
        self._send(_Flight(request))

    def collect(self, timeout: float) -> list[ParseResult]:
        """Return the results that have come, waiting up to ``timeout`` seconds for the first."""
        results: list[ParseResult] = []
        if not self._flights and self._suspects:
            self._send(self._suspects.popleft())
        deadline = self._clock.monotonic() + timeout
        while self._flights and not results:
            wait = deadline - self._clock.monotonic()
            problem = self._receive(max(0.0, wait), results)
            if problem is None and any(self._is_overdue(flight) for flight in self._flights.values()):
                problem = "it did not answer in time"
            if problem is not None:
                results += self._bury(problem)
            if wait <= 0:
                break
        return results

    def rest(self) -> None:
        """Let go of a server that has had no work for long."""
        if self._server is not None and not self.busy and self._clock.monotonic() - self._last_used > self._idle:
            self.close()

    def close(self) -> None:
        """End the server; what is in flight is forgotten."""
        self._flights.clear()
        self._suspects.clear()
        if self._server is not None:
            self._server.end()
            self._server = None

    def _send(self, flight: _Flight) -> None:
        now = self._last_used = self._clock.monotonic()
        # A server works through what it was given `concurrency` at a time.
        waits = 1 + len(self._flights) // self._concurrency
        flight.overdue = now + waits * flight.request.timeout + _PATIENCE
        self._flights[flight.request.id] = flight
        if self._server is None:
            try:
                self._server = _Server(self._concurrency, self._command, self._environ)
            except OSError as error:
                self._no_server = str(error)
                return  # collect() takes it from here
        self._server.outgoing += pack(flight.request)

    def _receive(self, timeout: float, results: list[ParseResult]) -> str | None:
        """Exchange what can be; return what is wrong with the server, if anything."""
        server = self._server
        if server is None:
            return self._no_server
        try:
            server.flush()
            writing = [server.sock] if server.outgoing else []
            readable, _, _ = select.select([server.sock], writing, [], timeout)
            if not readable:
                return None
            data = server.sock.recv(_CHUNK)
            if not data:
                return "it closed the line"
            for payload in server.reader.feed(data):
                self._take(server, unpack_from_server(payload), results)
        except ConnectionError:
            return "it closed the line"
        except (OSError, ProtocolError) as error:
            return str(error)
        return None

    def _take(self, server: _Server, message: ParseResult | ParseAsk, results: list[ParseResult]) -> None:
        flight = self._flights.get(message.id)
        if flight is None:
            raise ProtocolError(f"the parse server answered request {message.id}, which nobody made")
        if isinstance(message, ParseAsk):
            server.outgoing += pack(self._answer(message, flight.masker))
            server.flush()
            return
        del self._flights[message.id]
        self._last_used = self._clock.monotonic()
        results.append(_masked(message, flight.masker))

    def _answer(self, ask: ParseAsk, masker: Masker) -> ParseAnswer:
        try:
            match ask.verb:
                case GetConnection(conn_id=conn_id):
                    fields = self._secrets.get_connection(conn_id).to_fields()
                    masker.add(*secrets_of_fields(fields))
                    return ParseAnswer(id=ask.id, result=fields)
                case Variable(op="get", key=key):
                    value = self._secrets.get_variable(key)
                    masker.add(*secrets_of_variable(key, value))
                    return ParseAnswer(id=ask.id, result=value)
                case Mask(values=values):
                    masker.add(*values)
                    return ParseAnswer(id=ask.id)
                case verb:
                    raise UsageError(
                        f"variable {verb.key!r} cannot be changed while a DAG file is parsed; do it in a task"
                    )
        except WindlassError as error:
            return ParseAnswer(id=ask.id, error=str(error), code=error.code)

    def _is_overdue(self, flight: _Flight) -> bool:
        return flight.overdue is not None and flight.overdue < self._clock.monotonic()

    def _bury(self, problem: str) -> list[ParseResult]:
        """End the server; return the results of the files that are to blame, and have the others tried again."""
        end = "cannot be started" if self._server is None else self._server.end()
        self._server = None
        guilty = []
        for flight in self._flights.values():
            flight.deaths += 1
            if flight.deaths > 1:
                text = f"{flight.request.file}: the parse server {end} while it parsed this file ({problem})"
                guilty.append(ParseResult(id=flight.request.id, error=text, min_interval=_RETRY))
            else:
                self._suspects.append(flight)
        self._flights.clear()
        return guilty


def _masked_findings(observed: Observed, masker: Masker) -> Observed:
    hidden = (msgspec.structs.replace(item, message=masker.mask(item.message)) for item in observed.findings)
    return msgspec.structs.replace(observed, findings=tuple(hidden))


def _masked(result: ParseResult, masker: Masker) -> ParseResult:
    if not masker:
        return result
    return msgspec.structs.replace(
        result,
        error=None if result.error is None else masker.mask(result.error),
        output=masker.mask(result.output),
        warnings=[masker.mask(warning) for warning in result.warnings],
        observed=None if result.observed is None else _masked_findings(result.observed, masker),
    )
