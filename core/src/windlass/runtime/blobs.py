"""Blobs: content that is too large for a frame, under its SHA-256, in the local artifact store or in a provider's.

The supervisor says where. Into the local store a blob is copied under its eye, since it alone puts files in place; the
store of a provider is opened here, in the process that has the task's connections, and never by the supervisor. What
is there already when the store is changed stays readable: a supervisor points to the local file while there is one.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from windlass.errors import PluginError, XComError
from windlass.ports import TaskSession
from windlass.protocol import ArtifactCommit, ArtifactOpen

if TYPE_CHECKING:
    from windlass.interfaces.stores import ArtifactStore, LogStore

#: Bytes that are in memory at once.
PIECE = 1 << 20


def put(session: TaskSession, source: BinaryIO, what: str) -> tuple[str, int]:
    """Store what ``source`` holds from its beginning, and return the digest and the size; ``what`` names it in errors.

    :raises XComError: if it changes while it is stored.
    """
    answer: Any = session.ask(ArtifactOpen())
    if "path" in answer:
        target = str(answer["path"])
        with Path(target).open("wb") as writer:
            digest, size = _pass(source, writer)
        session.ask(ArtifactCommit(path=target, digest=digest, size=size))
        return digest, size
    before = _state(source)
    digest, size = _pass(source, None)
    source.seek(0)
    _store(answer).put(digest, source)
    if _state(source) != before:
        raise XComError(f"{what} was written to while it was stored; store it when it is complete")
    return digest, size


def open_blob(session: TaskSession, digest: str) -> BinaryIO:
    """Open a stored content for reading.

    :raises NotFound: if it is not there.
    """
    answer: Any = session.ask(ArtifactOpen(digest=digest))
    return Path(str(answer["path"])).open("rb") if "path" in answer else _store(answer).open(digest)


def _store(answer: Any) -> ArtifactStore:  # noqa: ANN401 - msgpack values
    return _made(str(answer["store"]), msgspec.json.encode(answer["arguments"]))


@cache
def _made(name: str, arguments: bytes) -> ArtifactStore:
    """Return the store of a provider; one for the life of this process, since making a client takes a while."""
    from windlass.interfaces.stores import ArtifactStore

    store = make_store("artifact_stores", name, msgspec.json.decode(arguments, type=dict[str, str]))
    assert isinstance(store, ArtifactStore)  # noqa: S101 - what is made of this kind
    return store


def make_store(kind: str, name: str, arguments: dict[str, str]) -> ArtifactStore | LogStore:
    """Return a new store of a provider; ``kind`` is ``artifact_stores`` or ``log_stores``.

    :raises PluginError: if no installed provider brings it, or it is something else.
    """
    from windlass.interfaces.stores import ArtifactStore, LogStore
    from windlass.registry import lookup

    base: type[ArtifactStore | LogStore] = ArtifactStore if kind == "artifact_stores" else LogStore
    found = lookup(kind, name)
    if not issubclass(found, base):
        raise PluginError(f"the store {name!r} does not extend windlass.backends.{base.__name__}")
    store: ArtifactStore | LogStore = found(**arguments)
    return store


def _pass(source: BinaryIO, writer: BinaryIO | None) -> tuple[str, int]:
    """Read everything, write it on if there is where to, and return its digest and its size."""
    digest = hashlib.sha256()
    size = 0
    while piece := source.read(PIECE):
        digest.update(piece)
        size += len(piece)
        if writer is not None:
            writer.write(piece)
    return digest.hexdigest(), size


def _state(source: BinaryIO) -> tuple[int, int] | None:
    """Return what changes when somebody writes to a file; None of what is in memory."""
    try:
        status = os.fstat(source.fileno())
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
