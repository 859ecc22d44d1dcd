"""What a DAG file does while it is imported, line by line: I/O, secrets it reads, what its imports cost, naive dates.

An audit hook sees every socket, file, process and thread. A finding belongs to the innermost line of the author's that
led to it; what happens with no such line on the stack is ours. What a library does when it is imported is held against
the import, more mildly: its author is another.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from types import FrameType, ModuleType
from typing import Any

from windlass.protocol import GetConnection, Variable, Verb
from windlass.protocol.findings import Code, Finding, Level
from windlass.runtime.parsing import AskingSession

#: Milliseconds of CPU that an import may take.
_IMPORT_LIMIT = 200.0
#: What lies here is installed, also where the environment is inside the bundle.
_INSTALLED = tuple(f"{folder}/" for folder in {sys.prefix, os.path.realpath(sys.prefix)})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_EVENTS: dict[str, tuple[Code, str]] = {
    **dict.fromkeys(
        ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"), (Code.NETWORK, "uses a socket")
    ),
    **dict.fromkeys(
        ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"), (Code.NETWORK, "asks for an address")
    ),
    "sqlite3.connect": (Code.NETWORK, "opens a database"),
    **dict.fromkeys(("os.mkdir", "os.rmdir", "os.remove", "os.rename"), (Code.FILE_WRITTEN, "changes a folder")),
    **dict.fromkeys(("os.link", "os.symlink", "os.truncate", "os.chmod"), (Code.FILE_WRITTEN, "changes a file")),
    **dict.fromkeys(
        ("subprocess.Popen", "os.system", "os.posix_spawn", "os.spawn", "os.exec", "os.fork", "os.forkpty"),
        (Code.PROCESS, "starts a process"),
    ),
}  # fmt: skip


class Watch:
    """Watches one import. :meth:`begin` before it, :meth:`end` after it; then the findings are complete."""

    def __init__(self, root: str) -> None:
        self.findings: list[Finding] = []
        #: "dag" or "dag\\ntask" -> (file, line).
        self.places: dict[str, tuple[str, int]] = {}
        self._roots = tuple(dict.fromkeys((root.rstrip("/") + "/", os.path.realpath(root).rstrip("/") + "/")))
        self._seen: set[tuple[str, str, int]] = set()
        self._active = False
        self._made: dict[tuple[str, str], tuple[str, int]] = {}
        #: CPU seconds of the imports inside the one that is under way.
        self._inner = [0.0]

    def begin(self) -> None:
        """Watch from now on."""
        sys.addaudithook(self._on_event)
        self._watch_imports()
        self._watch_threads()
        self._watch_authoring()
        self._active = True

    def end(self) -> None:
        """Watch no longer: what follows is ours."""
        self._active = False

    def session(self, session: AskingSession) -> AskingSession:
        """Return a session that notes what is asked for."""
        watch = self

        class Watched(AskingSession):
            def __init__(self) -> None:
                pass

            def ask(self, verb: Verb) -> Any:  # noqa: ANN401 - JSON
                match verb:
                    case GetConnection(conn_id=conn_id):
                        watch._note(Code.SECRET_READ, f"connection {conn_id!r} is read when the file is parsed")
                    case Variable(key=key):
                        watch._note(Code.SECRET_READ, f"variable {key!r} is read when the file is parsed")
                return session.ask(verb)

        return Watched()

    # --- Where

    def _place(self) -> tuple[str, int, bool] | None:
        """Return file and line of the innermost author's line on the stack, and whether it is importing something."""
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to know the caller
        importing = False
        while frame is not None:
            file = self._below(frame.f_code.co_filename)
            if file is not None:
                return file, frame.f_lineno, importing
            importing = importing or frame.f_code.co_filename.startswith("<frozen importlib")
            frame = frame.f_back
        return None

    def _below(self, path: str) -> str | None:
        if path.startswith(_INSTALLED):
            return None
        return next((path[len(root) :] for root in self._roots if path.startswith(root)), None)

    def _note(self, code: Code, message: str) -> None:
        place = self._place()
        if place is None:
            return
        file, line, importing = place
        if (code.code, file, line) in self._seen:
            return
        self._seen.add((code.code, file, line))
        text = f"what is imported here {message}" if importing and code is not Code.SECRET_READ else message
        level = Level.WARNING if importing else None
        self.findings.append(Finding(code=code.code, file=file, line=line, message=text, level=level))

    # --- What

    def _on_event(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._active:
            return
        if event == "open":
            path, _, flags = args
            if isinstance(path, str | bytes) and flags & _WRITING and not _is_harmless(os.fsdecode(path)):
                self._note(Code.FILE_WRITTEN, f"writes {os.fsdecode(path)!r} when the file is parsed")
        elif event in _EVENTS:
            code, what = _EVENTS[event]
            if code is Code.FILE_WRITTEN and args and _is_harmless(str(args[0])):
                return
            self._note(code, f"{what} when the file is parsed ({event})")

    def _watch_threads(self) -> None:
        start = threading.Thread.start

        def started(thread: threading.Thread) -> None:
            if self._active:
                self._note(Code.THREAD, "starts a thread when the file is parsed")
            start(thread)

        threading.Thread.start = started  # type: ignore[method-assign, assignment]

    def _watch_imports(self) -> None:
        import_statement = builtins.__import__
        import_module = importlib.import_module

        def statement(
            name: str,
            globals: Mapping[str, Any] | None = None,
            locals: Mapping[str, Any] | None = None,
            fromlist: tuple[str, ...] | None = (),
            level: int = 0,
        ) -> ModuleType:
            if globals is None or self._below(str(globals.get("__file__", ""))) is None:
                return import_statement(name, globals, locals, fromlist or (), level)
            return self._weighed(
                "." * level + name, lambda: import_statement(name, globals, locals, fromlist or (), level)
            )

        def function(name: str, package: str | None = None) -> ModuleType:
            caller = sys._getframe(1).f_code.co_filename  # noqa: SLF001 - the only way to know the caller
            if self._below(caller) is None:
                return import_module(name, package)
            return self._weighed(name, lambda: import_module(name, package))

        builtins.__import__ = statement  # type: ignore[assignment] # the real one takes any sequence
        importlib.import_module = function

    def _weighed(self, name: str, load: Callable[[], ModuleType]) -> ModuleType:
        """Import a module for the author's file; its cost is without that of the author's own imports inside."""
        place = self._place()
        started = time.process_time()
        self._inner.append(0.0)
        try:
            return load()
        finally:
            whole = time.process_time() - started
            cost = 1000 * (whole - self._inner.pop())
            self._inner[-1] += whole
            if self._active and place is not None and cost > _IMPORT_LIMIT:
                file, line, _ = place
                text = f"importing {name} takes {cost:.0f} ms of CPU each time the file is parsed"
                self.findings.append(Finding(code=Code.HEAVY_IMPORT.code, file=file, line=line, message=text))

    # --- DAGs and tasks

    def _watch_authoring(self) -> None:
        """Note where each DAG and task is made, and which of their dates have no time zone."""
        authoring = importlib.import_module("windlass.authoring")
        collect = authoring.collect

        def noting(check: Callable[..., str]) -> Callable[..., str]:
            def check_id(kind: str, value: object, **options: Any) -> str:
                place = self._place()
                if place is not None:
                    self._made[kind, str(value)] = place[:2]
                return check(kind, value, **options)

            return check_id

        for name in ("windlass.authoring.dag", "windlass.authoring.operator"):
            module = importlib.import_module(name)
            module.check_id = noting(module.check_id)  # type: ignore[attr-defined]
        dag_module: Any = importlib.import_module("windlass.authoring.dag")
        instant = dag_module._instant  # noqa: SLF001 - there is no other moment at which a date is still naive

        def dated(who: str, name: str, value: object) -> object:
            if isinstance(value, datetime) and value.tzinfo is None:
                self._note(Code.NAIVE_DATE, f"{who}: {name} has no time zone, so the configured one is assumed")
            return instant(who, name, value)

        def collected(module: ModuleType) -> Any:  # noqa: ANN401 - a list of DAGs
            dags = collect(module)
            for dag in dags:
                self._look_at(dag)
            return dags

        dag_module._instant = dated  # noqa: SLF001 - as above
        authoring.collect = collected  # type: ignore[attr-defined]

    def _look_at(self, dag: Any) -> None:  # noqa: ANN401 - a DAG, which this room need not know
        place = self._made.get(("dag_id", dag.dag_id))
        if place is not None:
            self.places[dag.dag_id] = place
        for task in dag.tasks:
            made = self._made.get(("task_id", getattr(task, "_label", task.task_id))) or place
            if made is None:
                continue
            self.places[f"{dag.dag_id}\n{task.task_id}"] = made
            for name in ("start_date", "end_date"):
                value = getattr(task, name, None)
                if isinstance(value, datetime) and value.tzinfo is None:
                    text = f"task {task.task_id!r}: {name} has no time zone, so the configured one is assumed"
                    self.findings.append(Finding(code=Code.NAIVE_DATE.code, file=made[0], line=made[1], message=text))


def _is_harmless(path: str) -> bool:
    return path in {"/dev/null", "/dev/tty"} or "__pycache__" in path or path.startswith(("/proc/", "/dev/fd/"))
