"""XCom values: encoded in the child, stored and shown by servers that never decode them.

A value above :data:`SPILL` bytes goes to the artifact store under its SHA-256 and is read back without the task's
noticing. The preview is for people: it is built item by item within its limit, never cut inside a text, so that the
supervisor can mask whole secrets in it.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import msgspec

from windlass.errors import XComError
from windlass.ports import TaskSession
from windlass.protocol import XComGet, XComValue
from windlass.runtime import blobs, codecs

SPILL = 64 << 10
PREVIEW = 2048
_LONGEST_TEXT = 512
_PAGE = 100


def pack(value: Any, what: str, session: TaskSession) -> XComValue:
    """Return ``value`` encoded, spilled to the artifact store if it is large; ``what`` names it in errors.

    :raises XComError: if it cannot travel.
    """
    packed, large = encoded(value, what)
    return packed if large is None else spilled(packed, large, what, session)


def encoded(value: Any, what: str) -> tuple[XComValue, bytes | None]:
    """Return ``value`` encoded, and beside it what is too large and must still be :func:`spilled`.

    :raises XComError: if it cannot travel.
    """
    codec, data = codecs.encode(value, what)
    # A str has a length, but mapping over its letters is never meant; a tuple maps like a list.
    length = len(value) if isinstance(value, (list, dict, tuple, LazyXComs)) else None
    packed = XComValue(codec=codec, size=len(data), length=length, preview=preview(value))
    return (packed, data) if len(data) > SPILL else (msgspec.structs.replace(packed, data=data), None)


def spilled(packed: XComValue, data: bytes, what: str, session: TaskSession) -> XComValue:
    """Write ``data`` to the artifact store, which may take its time, and return the value that points there."""
    digest, _ = blobs.put(session, io.BytesIO(data), what)
    return msgspec.structs.replace(packed, artifact=digest)


def unpack(stored: Any, session: TaskSession) -> Any:
    """Return the value that ``stored`` (a XComValue, or the dict it travelled as) holds."""
    value = stored if isinstance(stored, XComValue) else msgspec.convert(stored, XComValue)
    data = value.data
    if value.artifact is not None:
        with blobs.open_blob(session, value.artifact) as reader:
            data = reader.read()
        if hashlib.sha256(data).hexdigest() != value.artifact:
            raise XComError(f"the stored value {value.artifact[:12]}… is damaged; run the task that made it again")
    return codecs.decode(value.codec, data)


def read(session: TaskSession, verb: XComGet) -> list[tuple[int, Any]]:
    """Return the values that ``verb`` asks for, by map index."""
    return [(int(index), unpack(value, session)) for index, value in session.ask(verb) or ()]


def preview(value: Any) -> str:
    """Return JSON that shows people what ``value`` is, in at most :data:`PREVIEW` bytes."""
    shown = shown_as(value, _Budget(PREVIEW - 200))
    text = msgspec.json.encode(shown).decode("utf-8", "replace")
    return text if len(text.encode()) <= PREVIEW else f'"<{type(value).__name__}>"'


class _Budget:
    """How many characters may still be shown."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, count: int) -> bool:
        self.left -= count
        return self.left >= 0


def shown_as(value: Any, budget: _Budget, depth: int = 0) -> Any:
    """Return JSON data that shows ``value`` within ``budget``; what does not fit is counted, not cut."""
    if value is None or isinstance(value, (bool, int, float)):
        budget.spend(8)
        return value if not isinstance(value, int) or abs(value) < 1 << 63 else str(value)
    if isinstance(value, str):
        if len(value) > _LONGEST_TEXT or not budget.spend(len(value) + 3):
            return f"<text of {len(value)} characters>"
        return value.encode("utf-8", "backslashreplace").decode()
    if depth > 8:
        return "…"
    if isinstance(value, Mapping):
        return _shown_dict(value, budget, depth)
    if isinstance(value, (list, tuple, set, frozenset)):
        items = []
        for count, item in enumerate(value):
            if not budget.spend(2):
                items.append(f"<{len(value) - count} more>")
                break
            items.append(shown_as(item, budget, depth + 1))
        return items
    if isinstance(value, (bytes, bytearray)):
        return f"<{len(value)} bytes>"
    if type(value).__module__ in ("datetime", "decimal", "uuid", "pathlib", "zoneinfo"):
        return shown_as(str(value), budget, depth)
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def _shown_dict(value: Mapping[Any, Any], budget: _Budget, depth: int) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for count, (key, item) in enumerate(value.items()):
        text = str(key)
        if len(text) > _LONGEST_TEXT or not budget.spend(len(text) + 4):
            shown["…"] = f"<{len(value) - count} more>"
            break
        shown[text] = shown_as(item, budget, depth + 1)
    return shown


class LazyXComs(Sequence[Any]):
    """The results of a mapped task, read when they are looked at; an instance without a result counts as None."""

    def __init__(self, session: TaskSession, source: XComGet, count: int) -> None:
        self._session = session
        self._source = source
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[position] for position in range(self._count)[index]]
        position = range(self._count)[index]
        found = read(self._session, msgspec.structs.replace(self._source, map_index=position))
        return found[0][1] if found else None

    def __iter__(self) -> Iterator[Any]:
        position = 0
        offset = 0
        while position < self._count:
            page = read(self._session, msgspec.structs.replace(self._source, offset=offset, limit=_PAGE))
            for index, value in page:
                while position < index:
                    yield None
                    position += 1
                yield value
                position += 1
            offset += len(page)
            if len(page) < _PAGE:
                break
        for _ in range(position, self._count):
            yield None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (list, LazyXComs)) and len(other) == self._count and list(self) == list(other)

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<{self._count} results of {self._source.task_id}>"
