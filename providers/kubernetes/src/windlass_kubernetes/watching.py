"""Following one object, whatever happens to the watch on it.

A watch ends for many reasons that mean nothing: its time is over, the connection breaks, the server restarts, or the
version it was to begin at is too old (410). :func:`follow` reads the object, watches from there, and begins again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Final

from windlass_kubernetes.client import Broken, KubeClient, Patience
from windlass_kubernetes.errors import KubernetesRefused, KubernetesUnreachable

Json = dict[str, Any]

#: How long one watch lasts at most, and how long the server may be silent beyond that.
_LONGEST: Final = 240
_SILENCE: Final = 15.0


def follow(client: KubeClient, collection: str, name: str, *, until: float | None = None) -> Iterator[Json | None]:
    """Yield the states of an object, the present one first; None when it is gone.

    The last state is yielded again now and then, at the latest at ``until`` (of :func:`time.monotonic`), so that the
    caller can see to its own deadlines. It ends only when the caller stops asking.

    :raises KubernetesRefused: if reading it is refused for good.
    :raises KubernetesUnreachable: if the server does not answer for too long.
    """
    doing = f"watch `{name}`"
    patience = Patience(client.patience)
    while True:
        page = client.ask(doing, "GET", collection, query={"fieldSelector": f"metadata.name={name}"})
        obj = next(iter(page.get("items") or []), None)
        version = str(page["metadata"]["resourceVersion"])
        yield obj
        while version:
            began = time.monotonic()
            try:
                for event in _events(client, collection, name, version, until):
                    patience.reset()
                    if event["type"] == "ERROR":
                        version = ""  # too old, or the server has lost its thread: read again
                        break
                    version = str(event["object"]["metadata"]["resourceVersion"])
                    if event["type"] != "BOOKMARK":
                        obj = None if event["type"] == "DELETED" else event["object"]
                        yield obj
            except Broken as error:
                patience.lasted(began)
                if not patience.wait(str(error), doing):
                    raise KubernetesUnreachable(f"could not {doing}: the connection keeps breaking ({error})") from None
            except KubernetesRefused as error:
                if error.status != 410:
                    raise
                version = ""
            else:
                if version:
                    yield obj


def _events(client: KubeClient, collection: str, name: str, version: str, until: float | None) -> Iterator[Json]:
    left = _LONGEST if until is None else max(1, min(_LONGEST, int(until - time.monotonic()) + 1))
    query = {
        "watch": True,
        "fieldSelector": f"metadata.name={name}",
        "resourceVersion": version,
        "allowWatchBookmarks": True,
        "timeoutSeconds": left,
    }
    stream = client.open(f"watch `{name}`", collection, query, silence=left + _SILENCE)
    try:
        for line in stream.lines():
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise Broken(f"half an event: {error}") from None
    finally:
        stream.close()
