"""Running a command inside a container that runs, over a WebSocket: one channel for each of its streams."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from windlass_kubernetes.client import KubeClient, Patience
from windlass_kubernetes.errors import KubernetesRefused, KubernetesUnreachable
from windlass_kubernetes.paths import pods

_STDOUT, _STDERR, _ERROR = 1, 2, 3
#: How long the command may be silent.
_SILENCE: Final = 60.0


class Executed(msgspec.Struct, frozen=True):
    """What a command left."""

    exit_code: int
    stdout: bytes
    stderr: bytes


def execute(client: KubeClient, namespace: str, pod: str, container: str, command: list[str]) -> Executed:
    """Run a command and return its exit code and its output; it is run again if the connection breaks.

    :raises KubernetesRefused: if the server or the container does not let it run.
    :raises KubernetesUnreachable: if the connection keeps breaking.
    """
    from websocket import WebSocketBadStatusException, WebSocketException

    doing = f"run a command in container `{container}` of pod `{pod}`"
    query = {"container": container, "command": command, "stdin": False, "stdout": True, "stderr": True, "tty": False}
    patience = Patience(client.patience)
    while True:
        try:
            return _once(client, client.url(pods(namespace, pod, "exec"), query), doing)
        except WebSocketBadStatusException as error:
            refusal = _refusal(client, doing, error)
            if refusal.status not in {429, 500, 502, 503, 504} or not patience.wait(str(refusal.status), doing):
                raise refusal from None
        except (WebSocketException, OSError) as error:
            if not patience.wait(str(error), doing):
                raise KubernetesUnreachable(f"could not {doing}: the connection keeps breaking ({error})") from None


def _once(client: KubeClient, url: str, doing: str) -> Executed:
    from kubernetes.stream import ws_client
    from websocket import ABNF, WebSocketConnectionClosedException

    headers = {name.lower(): value for name, value in client.headers().items()}
    headers["sec-websocket-protocol"] = "v4.channel.k8s.io"
    library: Any = ws_client  # has no types
    connection = library.create_websocket(client.configuration, library.get_websocket_url(url), headers)
    try:
        connection.settimeout(_SILENCE)
        channels = {_STDOUT: bytearray(), _STDERR: bytearray(), _ERROR: bytearray()}
        while True:
            opcode, frame = connection.recv_data_frame(control_frame=True)
            if opcode == ABNF.OPCODE_CLOSE:
                break
            if opcode in {ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT} and frame.data:
                channels.setdefault(frame.data[0], bytearray()).extend(frame.data[1:])
        if not channels[_ERROR]:
            raise WebSocketConnectionClosedException("it closed before the command had ended")
        return _ended(channels, doing)
    finally:
        connection.shutdown()


def _ended(channels: dict[int, bytearray], doing: str) -> Executed:
    status = json.loads(channels[_ERROR].decode())
    code = 0
    if status.get("status") != "Success":
        causes: list[dict[str, Any]] = (status.get("details") or {}).get("causes") or []
        found = next((one["message"] for one in causes if one.get("reason") == "ExitCode"), None)
        if found is None:
            raise KubernetesRefused(doing, int(status.get("code") or 500), status.get("reason", ""), status["message"])
        code = int(found)
    return Executed(code, bytes(channels[_STDOUT]), bytes(channels[_STDERR]))


def _refusal(client: KubeClient, doing: str, error: Any) -> KubernetesRefused:  # noqa: ANN401 - of an untyped library
    raw = error.resp_body or b""
    try:
        status = json.loads(raw)
        reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
    except (ValueError, AttributeError):
        reason, message = "", raw.decode("utf-8", "replace")[:500] or str(error)
    return KubernetesRefused(doing, error.status_code, reason, message, conn_id=client.access.conn_id)
