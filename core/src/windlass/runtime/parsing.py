"""What a parse child does: import one DAG file under limits, collect its DAGs, and say what the result depends on.

The dependencies come from an audit hook (every file opened for reading) and from the modules that were imported; both
only count below the bundle root. What was looked for and is missing counts too: once it appears, the file is worth
another look.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import signal
import socket
import sys
import traceback
import types
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from windlass.errors import AuthoringError, ContextUnavailable, PolicyViolation, ProtocolError
from windlass.ports import session_scope
from windlass.protocol import GetConnection, Mask, Variable, Verb, recv_frame
from windlass.protocol.parsing import (
    PARSE_FRAME_LIMIT,
    ParseAnswer,
    ParseAsk,
    ParseRequest,
    ParseResult,
    pack,
    unpack_to_server,
)
from windlass.runtime import limits, loader
from windlass.runtime.child import error_of, flush_output
from windlass.runtime.policies import Policies, load_policies
from windlass.runtime.trace import made_at, user_traceback, where
from windlass.spec import DagSpec, encode_spec

#: Address space kept free for reporting that memory ran out.
_RESERVE = 1 << 20
#: What lies here is installed, also where the environment is inside the bundle.
_INSTALLED = tuple(f"{folder}/" for folder in {sys.prefix, os.path.realpath(sys.prefix)})


class AskingSession:
    """The session of a file's top level: connections and variables, and what is to be hidden."""

    context: Mapping[str, Any] | None = None

    def __init__(self, sock: socket.socket, request: int) -> None:
        self._sock = sock
        self._request = request

    def ask(self, verb: Verb) -> Any:  # noqa: ANN401 - JSON
        """Ask for a connection or a variable, or have a secret hidden.

        :raises ContextUnavailable: for anything else.
        """
        if not isinstance(verb, GetConnection | Variable | Mask):
            msg = f"{type(verb).__name__} is available only inside a running task, not at the top level of a DAG file"
            raise ContextUnavailable(msg)
        self._sock.sendall(pack(ParseAsk(id=self._request, verb=verb)))
        payload = recv_frame(self._sock, PARSE_FRAME_LIMIT)
        answer = None if payload is None else unpack_to_server(payload)
        if not isinstance(answer, ParseAnswer):
            msg = "the parse server closed the connection instead of answering"
            raise ProtocolError(msg)
        if answer.error is not None:
            raise error_of(verb, answer.error, answer.code)
        return answer.result

    def tell(self, verb: Verb) -> None:
        """Ask and forget the answer."""
        self.ask(verb)


class Inputs:
    """What below the root a file reads, as the audit hook and the imported modules tell.

    A file is hashed when it is opened for the first time, just before it is read. Should it change in between or later,
    the hash is that of what it was before, and whoever compares it with the disk sees that the result is outdated.
    """

    def __init__(self, root: str) -> None:
        self._roots = tuple(dict.fromkeys((root.rstrip("/") + "/", os.path.realpath(root).rstrip("/") + "/")))
        #: Path below the root -> SHA-256, "" for what is not there.
        self._found: dict[str, str] = {}
        self._before = set(sys.modules)
        self._hashing = False

    def watch(self) -> None:
        """Note every file that is opened from now on; the hook stays for the life of the process."""
        sys.addaudithook(self._on_event)

    def _on_event(self, event: str, args: tuple[Any, ...]) -> None:
        if event != "open" or self._hashing:
            return
        path, _, flags = args
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if isinstance(path, str) and not flags & (os.O_WRONLY | os.O_RDWR):
            self._add(path)

    def _add(self, path: str) -> None:
        relative = self._below(path)
        if relative is not None and relative not in self._found and "__pycache__" not in relative:
            self._note(relative)

    def _note(self, relative: str) -> None:
        path = Path(self._roots[0], relative)
        self._hashing = True
        try:
            if not path.exists():
                self._found[relative] = ""
            elif path.is_file():
                with path.open("rb") as file:
                    self._found[relative] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            self._found[relative] = ""
        finally:
            self._hashing = False

    def _below(self, path: str) -> str | None:
        absolute = os.path.normpath(path if path.startswith("/") else str(Path.cwd() / path))
        if absolute.startswith(_INSTALLED):
            return None
        return next((absolute[len(root) :] for root in self._roots if absolute.startswith(root)), None)

    def add_missing_module(self, name: str) -> None:
        """Note where a module that could not be found would have to be."""
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            stem = "/".join(parts[:end])
            for relative in (f"{stem}.py", f"{stem}/__init__.py"):
                if relative not in self._found:
                    self._note(relative)

    def collect(self, file: str, source: bytes) -> tuple[dict[str, str], list[str]]:
        """Return the hashes of what was read, and what was looked for in vain."""
        for name in set(sys.modules) - self._before:
            path = getattr(sys.modules[name], "__file__", None)
            if isinstance(path, str):
                self._add(path)
        self._found[file] = hashlib.sha256(source).hexdigest()
        found = {relative: digest for relative, digest in sorted(self._found.items()) if digest}
        return found, [relative for relative, digest in sorted(self._found.items()) if not digest]


def become(request: ParseRequest, source: bytes, sock: socket.socket, output: int, server: int) -> NoReturn:
    """Turn this process into the parser of one file; never returns."""
    status = 1
    try:
        limits.die_with_parent(server)
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        limits.limit_memory(request.memory)
        limits.limit_cpu(request.timeout)
        read = parse
        if request.lint is not None:
            read = importlib.import_module("windlass.runtime.linting").parse
        result = read(request, source, AskingSession(sock, request.id))
        flush_output()
        sock.sendall(pack(result))
        status = 0
    except BaseException:  # noqa: BLE001 - the last line of defence of a process that must not return
        os.write(2, traceback.format_exc().encode(errors="backslashreplace"))
    finally:
        os._exit(status)


def parse(request: ParseRequest, source: bytes, session: AskingSession) -> ParseResult:
    """Import the file and return its DAGs' specs, or the error; inputs in both cases."""
    policies = load_policies()  # before any of the author's code can take their place
    inputs = Inputs(request.root)
    inputs.watch()
    loader.import_fresh(request.root)
    reserve: bytearray | None = bytearray(_RESERVE)
    specs: list[DagSpec] = []
    error: str | None = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            loader.use_timezone(request.timezone)
            with session_scope(session):
                specs = _specs(loader.load_dag_file(request.root, request.file, source), request.file, policies)
        except BaseException as problem:  # noqa: BLE001 - SystemExit at the top level of a file is an error in that file
            reserve = None
            specs = []
            error = _error(problem, request)
            if isinstance(problem, ModuleNotFoundError) and problem.name:
                inputs.add_missing_module(problem.name)
    del reserve
    found, missing = inputs.collect(request.file, source)
    intervals = [spec.min_file_process_interval for spec in specs if spec.min_file_process_interval is not None]
    return ParseResult(
        id=request.id,
        specs=[encode_spec(spec) for spec in specs],
        error=error,
        inputs=found,
        missing=missing,
        warnings=[_line_of(warning) for warning in caught],
        min_interval=min(intervals, default=None),
    )


def _specs(module: types.ModuleType, file: str, policies: Policies) -> list[DagSpec]:
    authoring = importlib.import_module("windlass.authoring")
    return [policies.applied(dag.to_spec(file=file)) for dag in authoring.collect(module)]


def _error(problem: BaseException, request: ParseRequest) -> str:
    """Return one sentence with file and line, then the author's own traceback."""
    importlib.import_module("windlass.authoring").explain(problem)
    line = where(problem, request.root)
    place = line or made_at(problem, request.root) or request.file
    if isinstance(problem, MemoryError):
        sentence = (
            f"it needs more than the {request.memory >> 20} MB of memory that parsing a file may use; "
            "move what needs it into tasks, or raise dag_processor.memory_limit_mb"
        )
    elif isinstance(problem, RecursionError):
        sentence = f"RecursionError: {problem}; something calls itself without end, or a structure is nested too deep"
    elif isinstance(problem, SystemExit):
        sentence = f"it calls sys.exit({problem.code!r}) when it is imported; remove that, or raise an error instead"
    elif isinstance(problem, SyntaxError):
        sentence = f"{type(problem).__name__}: {problem.msg}"
    elif isinstance(problem, PolicyViolation):
        return f"{place}: {problem}"  # the traceback is the policy's, and none of the author's business
    elif isinstance(problem, AuthoringError):
        sentence = str(problem)
    else:
        sentence = f"{type(problem).__name__}: {problem}"
    sentence = " ".join([sentence, *getattr(problem, "__notes__", ())])
    dag_id = getattr(problem, "windlass_dag", None)
    if dag_id is not None and repr(dag_id) not in sentence:
        sentence = f"DAG {dag_id!r}: {sentence}"
    if not line and isinstance(problem, AuthoringError):
        return f"{place}: {sentence}"  # found when all was made: the traceback has no line of the author's
    return f"{place}: {sentence}\n\n{user_traceback(problem)}".rstrip()


def _line_of(warning: warnings.WarningMessage) -> str:
    return f"{warning.filename}:{warning.lineno}: {warning.category.__name__}: {warning.message}"
