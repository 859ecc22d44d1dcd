"""Reading a container's log to its end, without losing a line or giving one twice.

The stream of a log breaks now and then, and can be asked for again only from a whole second on (``sinceTime`` is cut to
seconds on its way to the node). Every line carries the instant at which it was written, to the nanosecond. So a
:class:`Cursor` remembers what came in the last two seconds, and drops just that when it comes again; two equal lines of
one instant are counted. Half a line at a break is dropped, and comes again whole.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any, Final

from windlass_kubernetes.client import Broken, KubeClient, Patience
from windlass_kubernetes.errors import KubernetesRefused, KubernetesUnreachable
from windlass_kubernetes.paths import pods

Json = dict[str, Any]

#: How long a container may be silent before the connection is given up and made anew.
_SILENCE: Final = 60.0
_STAMP: Final = re.compile(rb"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) ?")


class Cursor:
    """How far a log was read. It can be written down as JSON, and read on from in another process."""

    def __init__(self, state: Json | None = None) -> None:
        state = state or {}
        #: The whole second of the newest line.
        self.second: str = state.get("second", "")
        self._earlier: Counter[int] = Counter(state.get("earlier", []))
        self._current: Counter[int] = Counter(state.get("current", []))
        self._again: Counter[int] = Counter()
        self._earlier_second: str = state.get("earlier_second", "")
        if state:
            self.rewind()

    def state(self) -> Json:
        """Return what :class:`Cursor` takes."""
        return {
            "second": self.second,
            "earlier_second": self._earlier_second,
            "earlier": sorted(self._earlier.elements()),
            "current": sorted(self._current.elements()),
        }

    @property
    def since(self) -> str | None:
        """From when to ask for the log again; None for all of it."""
        second = self._earlier_second or self.second
        return f"{second}Z" if second else None

    def rewind(self) -> None:
        """Expect that what came since :attr:`since` comes again."""
        self._again = self._earlier + self._current

    def take(self, line: bytes) -> bytes | None:
        """Return a line without its instant, None if it has come before."""
        match = _STAMP.match(line)
        if match is None:
            return line  # not from the container, but about it
        mark = int.from_bytes(blake2b(line, digest_size=7).digest(), "big")
        if self._again.get(mark, 0) > 0:
            self._again[mark] -= 1
            return None
        second = match[1].decode()
        if second > self.second:
            self._earlier, self._earlier_second = self._current, self.second
            self._current, self.second = Counter(), second
        (self._earlier if second < self.second else self._current)[mark] += 1
        return line[match.end() :]


def read_log(
    client: KubeClient,
    namespace: str,
    pod: str,
    container: str,
    cursor: Cursor,
    *,
    has_ended: Callable[[], bool],
    follow: bool = True,
) -> Iterator[str]:
    """Yield the lines of a container's log from ``cursor`` on; with ``follow`` until it has ended.

    ``has_ended`` is asked whether the container, or its pod, has ended, whenever the stream has.

    :raises KubernetesRefused: if the log is refused.
    :raises KubernetesUnreachable: if the server does not answer for too long.
    """
    doing = f"read the log of container `{container}` of pod `{pod}`"
    path, patience = pods(namespace, pod, "log"), Patience(client.patience)
    while True:
        # What is written between this question and the end of the stream is read by the last, short request.
        is_last = not follow or has_ended()
        query = {"container": container, "timestamps": True, "follow": not is_last, "sinceTime": cursor.since}
        cursor.rewind()
        began = time.monotonic()
        try:
            stream = client.open(doing, path, query, silence=_SILENCE)
            for line in stream.lines():
                patience.reset()
                if (text := cursor.take(line)) is not None:
                    yield text.decode("utf-8", "replace")
        except Broken as error:
            patience.lasted(began)
            if not error.is_silence and not patience.wait(str(error), doing):
                raise KubernetesUnreachable(f"could not {doing}: the connection keeps breaking ({error})") from None
            continue
        except KubernetesRefused as error:
            if error.status == 404 or (error.status == 400 and is_last):
                return  # the pod is gone, or the container never ran
            if error.status != 400 or not patience.wait(str(error), doing):
                raise
            continue
        if is_last:
            return
        patience.lasted(began)
        if not has_ended() and not patience.wait("the stream ended early", doing):
            raise KubernetesUnreachable(f"could not {doing}: the stream ends again and again before the container")


def last_lines(client: KubeClient, namespace: str, pod: str, container: str, count: int) -> list[str]:
    """Return the last lines of a container's log; none if it has none."""
    doing = f"read the log of container `{container}` of pod `{pod}`"
    query = {"container": container, "tailLines": count}
    try:
        stream = client.open(doing, pods(namespace, pod, "log"), query, silence=_SILENCE, patience=10.0)
        return [line.decode("utf-8", "replace") for line in stream.lines()]
    except (Broken, KubernetesRefused, KubernetesUnreachable):
        return []  # it is about to say what failed; that the log is gone must not hide it
