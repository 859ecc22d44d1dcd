"""The one thin adapter to the client library: requests in plain dicts, with patience for what passes by itself.

Of the library only its configuration and its connection pool are used, which are the same in all its versions: its
typed models cost most of a second of CPU to import, and the signatures of its generated methods have changed.

A request is tried again while the server cannot be reached, says that it is too busy (429, as long as ``Retry-After``
says) or fails (5xx), with pauses that grow, until :attr:`KubeClient.patience` is over. A write that may have happened
is repeated only where repeating is harmless: the caller says so for a creation, whose second try is answered with
a 409.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from windlass.errors import ConfigError
from windlass_kubernetes.configuration import Access, configure
from windlass_kubernetes.errors import KubernetesRefused, KubernetesUnreachable

if TYPE_CHECKING:
    import urllib3

Json = dict[str, Any]
Query = Mapping[str, object]

log = logging.getLogger("windlass_kubernetes")

MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
_PASSING: Final = {429, 500, 502, 503, 504}
_LONGEST_PAUSE: Final = 5.0
_REPEATABLE: Final = {"GET", "PUT", "PATCH", "DELETE"}


class KubeClient:
    """Asks the API server of one cluster. It may be used from several threads, but not across a fork."""

    def __init__(self, access: Access, *, patience: float | None = None, timeout: float = 30.0) -> None:
        """Prepare a client; nothing is asked yet.

        Args:
            access: where and how.
            patience: seconds for which a request that fails in a passing way is repeated; by default what ``access``
                says.
            timeout: seconds to wait for a connection, and for each part of an answer.

        :raises ConfigError: if the kubeconfig cannot be used.
        """
        self.access = access
        self.patience = access.patience if patience is None else patience
        self.timeout = timeout
        self.configuration = configure(access)
        if not access.disable_tcp_keepalive:
            self.configuration.socket_options = _keepalive()
        self._pool = _pool(self.configuration)

    @property
    def host(self) -> str:
        """The address of the API server."""
        return str(self.configuration.host)

    def url(self, path: str, query: Query | None = None) -> str:
        """Return the address of a path, with the arguments that are not None."""
        given = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        return self.host.rstrip("/") + path + (f"?{urlencode(given, doseq=True)}" if given else "")

    def headers(self) -> dict[str, str]:
        """Return what logs a request in; a token that has expired is renewed.

        :raises ConfigError: if the token can be none.
        """
        made = {"Accept": "application/json", "User-Agent": "windlass-kubernetes"}
        for setting in self.configuration.auth_settings().values():
            if setting["in"] == "header" and setting["value"]:
                made[setting["key"]] = self._checked(setting["value"])
        return made

    def _checked(self, value: str) -> str:
        """Return a value for a header; the error of the HTTP library would quote it."""
        if value.isascii() and value.isprintable():
            return value
        raise ConfigError(
            f"the token of connection `{self.access.conn_id}` has characters that no HTTP header can hold; "
            "store the token alone, without line breaks"
        )

    def ask(
        self,
        doing: str,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,  # noqa: ANN401 - any JSON value
        content_type: str = "application/json",
        is_repeatable: bool | None = None,
    ) -> Json:
        """Return the answer to a request.

        Args:
            doing: what it is for, as an error says it: ``read pod `x```.
            method: of HTTP.
            path: of the resource, quoted.
            query: arguments; those that are None are left out.
            body: sent as JSON.
            content_type: of the body.
            is_repeatable: whether it may happen twice; by default as the method is.

        :raises KubernetesRefused: if the server answers with an error.
        :raises KubernetesUnreachable: if it does not answer for too long.
        """
        data = None if body is None else json.dumps(body).encode()
        text = self.fetch(
            doing, method, path, query=query, data=data, content_type=content_type, is_repeatable=is_repeatable
        )
        try:
            answer = json.loads(text) if text else {}
        except ValueError:
            raise KubernetesUnreachable(
                self._unreachable(doing, f"what answers is no API server: {text[:80]!r}")
            ) from None
        found: Json = answer
        return found

    def fetch(
        self,
        doing: str,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        data: bytes | None = None,
        content_type: str = "application/octet-stream",
        accept: str = "application/json",
        is_repeatable: bool | None = None,
    ) -> bytes:
        """Return the body of the answer to a request, as it is; the arguments are those of :meth:`ask`.

        :raises KubernetesRefused: if the server answers with an error.
        :raises KubernetesUnreachable: if it does not answer for too long.
        """
        more = {"Accept": accept} | ({} if data is None else {"Content-Type": content_type})
        response = self._send(doing, method, path, query, data, more, is_repeatable=is_repeatable, is_stream=False)
        found: bytes = response.data
        return found

    def open(self, doing: str, path: str, query: Query, *, silence: float, patience: float | None = None) -> Stream:
        """Begin to read a watch or a log, and return it; a part of it may be ``silence`` seconds away.

        :raises KubernetesRefused: if the server answers with an error.
        :raises KubernetesUnreachable: if it does not answer for too long.
        """
        response = self._send(
            doing, "GET", path, query, None, {}, is_repeatable=True, is_stream=True, silence=silence, patience=patience
        )
        return Stream(response)

    def _send(
        self,
        doing: str,
        method: str,
        path: str,
        query: Query | None,
        data: bytes | None,
        more: Mapping[str, str],
        *,
        is_repeatable: bool | None,
        is_stream: bool,
        silence: float | None = None,
        patience: float | None = None,
    ) -> urllib3.BaseHTTPResponse:
        import urllib3
        from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

        may_repeat = method in _REPEATABLE if is_repeatable is None else is_repeatable
        limit = urllib3.Timeout(connect=self.timeout, read=silence or self.timeout)
        tries = Patience(self.patience if patience is None else patience)
        while True:
            try:
                response = self._pool.request(
                    method,
                    self.url(path, query),
                    body=data,
                    headers={**self.headers(), **more},
                    timeout=limit,
                    retries=False,
                    redirect=False,
                    preload_content=not is_stream,
                )
            except (HTTPError, OSError) as error:
                is_unsent = isinstance(error, NewConnectionError | ConnectTimeoutError)
                if not (may_repeat or is_unsent) or not tries.wait(_cause(error), doing):
                    raise KubernetesUnreachable(self._unreachable(doing, _cause(error))) from None
                continue
            if response.status < 400:
                return response
            refusal = self._refusal(doing, response)
            passing = response.status == 429 or (response.status in _PASSING and may_repeat)
            if not passing or not tries.wait(str(response.status), doing, response.headers.get("Retry-After")):
                raise refusal

    def _refusal(self, doing: str, response: urllib3.BaseHTTPResponse) -> KubernetesRefused:
        raw = response.data
        response.release_conn()
        try:
            status = json.loads(raw)
            reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
        except (ValueError, AttributeError):
            reason, message = str(response.reason or ""), raw.decode("utf-8", "replace").strip()[:500]
        return KubernetesRefused(doing, response.status, reason, message, conn_id=self.access.conn_id)

    def _unreachable(self, doing: str, cause: str) -> str:
        of = f" of connection `{self.access.conn_id}`" if self.access.conn_id else ""
        return (
            f"could not {doing}: the API server{of} at {self.host} cannot be reached ({cause}); "
            "check its address, the network and its certificate"
        )

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()


class Patience:
    """How long, and with which pauses, something that fails in a passing way is tried again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: float | None = None
        self._pause = 0.1

    def wait(self, why: str, doing: str, retry_after: str | None = None) -> bool:
        """Pause before the next try; return False if patience is over."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + self._seconds
        pause = self._pause * random.uniform(0.75, 1.25)  # noqa: S311 - so that many clients do not come back together
        if retry_after is not None and retry_after.isdigit():
            pause = float(retry_after)
        if now + pause > self._until:
            return False
        log.debug("could not %s (%s); trying again in %.1f s", doing, why, pause)
        time.sleep(pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return True

    def reset(self) -> None:
        """Begin anew, because something went well."""
        self._until, self._pause = None, 0.1

    def lasted(self, began: float) -> None:
        """Begin anew if what began then (of :func:`time.monotonic`) lasted long enough to have gone well."""
        if time.monotonic() - began > _LONGEST_PAUSE:
            self.reset()


class Broken(Exception):
    """A stream broke off before its end, or stayed silent for too long."""

    def __init__(self, text: str, *, is_silence: bool = False) -> None:
        super().__init__(text)
        self.is_silence = is_silence


class Stream:
    """The lines of an answer that goes on, as they come."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response

    def lines(self) -> Iterator[bytes]:
        """Yield each whole line without its end; what is left of a line at the end of the answer is a line too.

        :raises Broken: if the connection breaks or stays silent for too long; half a line is dropped then.
        """
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        rest = b""
        try:
            for piece in self._response.stream(1 << 16, decode_content=True):
                *whole, rest = (rest + piece).split(b"\n")
                yield from whole
        except (HTTPError, OSError) as error:
            raise Broken(_cause(error), is_silence=isinstance(error, ReadTimeoutError)) from None
        finally:
            self.close()
        if rest:
            yield rest

    def close(self) -> None:
        """Give the stream up."""
        self._response.close()


def quoted(name: str) -> str:
    """Return a name as part of a path."""
    return quote(name, safe="")


def _text(value: Any) -> Any:  # noqa: ANN401 - an argument of a query
    return str(value).lower() if isinstance(value, bool) else value


def _cause(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _keepalive() -> list[tuple[int, int, int]]:
    import socket

    made = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (("TCP_KEEPIDLE", 120), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 6)):
        if hasattr(socket, name):
            made.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return made


def _pool(configuration: Any) -> urllib3.PoolManager:  # noqa: ANN401 - the library's, see configuration.py
    """Return the library's connection pool, with its certificates and proxies."""
    import warnings

    from kubernetes.client.rest import RESTClientObject

    if not configuration.verify_ssl:
        import urllib3

        # The connection says that certificates are not to be checked; a warning at each request says nothing more.
        warnings.filterwarnings("ignore", category=urllib3.exceptions.InsecureRequestWarning)
    made: urllib3.PoolManager = RESTClientObject(configuration).pool_manager
    return made
