"""Lists, watches and logs."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from windlass_testing.fakes.kubernetes import problems
from windlass_testing.fakes.kubernetes.faults import Fault
from windlass_testing.fakes.kubernetes.processes import Log, stamp
from windlass_testing.fakes.kubernetes.requests import Answer, Cut, Request, Target
from windlass_testing.fakes.kubernetes.selectors import Match, field_selector, label_selector
from windlass_testing.fakes.kubernetes.store import Store

Json = dict[str, Any]

#: How often a stream that waits looks whether its client still listens.
_LOOK: Final = 0.5


def selection(request: Request, to: Target) -> Match:
    """Return which objects the selectors and the path of a request mean."""
    labels = label_selector(request.text("labelSelector"))
    fields = field_selector(request.text("fieldSelector"), to.resource.plural)

    def matches(obj: Json) -> bool:
        in_namespace = to.namespace in {"", obj["metadata"].get("namespace", "")}
        return in_namespace and labels(obj) and fields(obj)

    return matches


def list_objects(store: Store, request: Request, to: Target) -> Json:
    """Return a page of the objects that match."""
    matches = selection(request, to)
    limit = request.number("limit")
    with store.changed:
        after: list[str] = []
        if token := request.text("continue"):
            after = _continued(store, token)
        found = [obj for obj in store.all(to.resource, to.namespace) if matches(obj) and _place(obj) > after]
        meta: Json = {"resourceVersion": str(store.version)}
        if limit and len(found) > limit:
            meta["remainingItemCount"] = len(found) - limit
            found = found[:limit]
            token = json.dumps({"v": "meta.k8s.io/v1", "rv": store.version, "start": _place(found[-1])})
            meta["continue"] = base64.urlsafe_b64encode(token.encode()).decode()
    items = [{key: value for key, value in obj.items() if key not in {"kind", "apiVersion"}} for obj in found]
    kind = f"{to.resource.kind}List"
    return {"kind": kind, "apiVersion": to.resource.api_version, "metadata": meta, "items": items}


def _place(obj: Json) -> list[str]:
    return [obj["metadata"].get("namespace", ""), obj["metadata"]["name"]]


def _continued(store: Store, token: str) -> list[str]:
    try:
        read = json.loads(base64.urlsafe_b64decode(token))
        version, start = int(read["rv"]), [str(part) for part in read["start"]]
    except (ValueError, KeyError, TypeError):
        raise problems.bad_request("continue key is not valid") from None
    if version < store.oldest:
        text = "The provided continue parameter is too old to display a consistent list result."
        raise problems.gone(text)
    return start


# --- Watches ----------------------------------------------------------------------------------------------------------


def watch(store: Store, request: Request, to: Target, fault: Fault | None, bookmark_every: float) -> Iterator[bytes]:
    """Return the events of a watch, as lines of JSON, until its time is over or the client has left.

    :raises Problem: at once, if the request cannot be understood.
    """
    matches = selection(request, to)
    asked = request.text("resourceVersion")
    if asked:
        _version(asked)
    return _events(store, request, to, matches, fault, bookmark_every)


def _events(
    store: Store, request: Request, to: Target, matches: Match, fault: Fault | None, bookmark_every: float
) -> Iterator[bytes]:
    bookmarks = request.flag("allowWatchBookmarks")
    ends = time.monotonic() + (request.number("timeoutSeconds") or 1800)
    if fault is not None and fault.status == 410:
        yield _event("ERROR", problems.gone("too old resource version: 1 (2)").body())
        return
    asked = request.text("resourceVersion")
    with store.changed:
        begun = store.version
        first = [obj for obj in store.all(to.resource, to.namespace) if matches(obj)] if asked in {"", "0"} else []
        seen = begun if asked in {"", "0"} else _version(asked)
        oldest = store.oldest
    if seen < oldest and asked not in {"", "0"}:
        yield _event("ERROR", problems.gone(f"too old resource version: {asked} ({oldest})").body())
        return
    sent = 0
    for obj in first:
        _cut(fault, sent)
        yield _event("ADDED", obj)
        sent += 1
    told, marked = seen, time.monotonic()
    while request.is_alive():
        with store.changed:
            left = ends - time.monotonic()
            if store.version <= seen and left > 0:
                store.changed.wait(min(left, _LOOK, bookmark_every if bookmarks else _LOOK))
            changes = [one for one in store.changes(seen) if one.resource == to.resource]
            seen = max(seen, store.version)
        for change in changes:
            before = change.before is not None and matches(change.before)
            after = change.type != "DELETED" and matches(change.obj)
            if not (before or after):
                continue
            kind = "ADDED" if not before else "MODIFIED" if after else "DELETED"
            _cut(fault, sent)
            yield _event(kind, _as_seen(change.obj, change.before, kind))
            sent += 1
            told = change.version
        _cut(fault, sent)
        over = ends <= time.monotonic()
        if bookmarks and seen > told and (over or time.monotonic() - marked >= bookmark_every):
            mark = {"kind": to.resource.kind, "apiVersion": to.resource.api_version,
                    "metadata": {"resourceVersion": str(seen), "creationTimestamp": None}}  # fmt: skip
            yield _event("BOOKMARK", mark)
            told, marked = seen, time.monotonic()
        if over:
            return


def _as_seen(obj: Json, before: Json | None, kind: str) -> Json:
    """Return the object of an event: for one that has left the selection, its state before, at the new version."""
    if kind != "DELETED" or before is None:
        return obj
    version = obj["metadata"]["resourceVersion"]
    return {**before, "metadata": {**before["metadata"], "resourceVersion": version}}


def _version(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        why = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise problems.bad_request(why) from None


def _cut(fault: Fault | None, sent: int) -> None:
    if fault is not None and fault.after is not None and sent >= fault.after:
        raise Cut


def _event(kind: str, obj: Json) -> bytes:
    return json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode() + b"\n"


# --- Logs -------------------------------------------------------------------------------------------------------------


def read_log(log: Log, request: Request, fault: Fault | None) -> Answer:
    """Return the log of a container as the query wants it."""
    since = _since(request)
    tail = request.number("tailLines")
    follow, stamped, limit = request.flag("follow"), request.flag("timestamps"), request.number("limitBytes")

    def pieces() -> Iterator[bytes]:
        left = limit
        sent = 0
        for batch in log.read(since=since, tail=tail, follow=follow, is_alive=request.is_alive):
            made: list[bytes] = []
            for moment, line in batch:
                if fault is not None and fault.after is not None and sent >= fault.after:
                    # What a cut connection leaves is half a line.
                    yield b"".join(made) + _line(moment, line, is_stamped=stamped)[: max(1, len(line) // 2)]
                    raise Cut
                made.append(_line(moment, line, is_stamped=stamped))
                sent += 1
            data = b"".join(made)
            if left is not None:
                data = data[:left]
                left -= len(data)
            if data:
                yield data
            if left == 0:
                return

    return Answer(pieces(), content_type="text/plain")


def _line(moment: int, line: bytes, *, is_stamped: bool) -> bytes:
    return (stamp(moment).encode() + b" " if is_stamped else b"") + line + b"\n"


def _since(request: Request) -> int:
    """Return the first instant to show, in nanoseconds; as with a real kubelet only whole seconds count."""
    if (seconds := request.number("sinceSeconds")) is not None:
        return (int(time.time()) - seconds) * 1_000_000_000
    text = request.text("sinceTime")
    if not text:
        return 0
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if match is None:
        raise problems.bad_request(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse')
    moment = datetime.fromisoformat(f"{match[1]}T{match[2]}{match[4].replace('Z', '+00:00')}").astimezone(UTC)
    return int(moment.timestamp()) * 1_000_000_000
