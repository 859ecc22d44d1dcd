"""How a connection of PyMySQL's reaches its server: in bounded time, also if whoever answers there never says a word.

PyMySQL's own timeout ends when the server's machine accepts the connection. A server that is stopped, and a proxy whose
server is gone, accept and send nothing; PyMySQL would wait for their greeting without end.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

import pymysql
from pymysql.constants import CR


def reach(connection: Any, probes: Mapping[str, int] = {}) -> None:  # noqa: ANN401 - PyMySQL has no types
    """Connect a connection that was made with ``defer_connect``, within its ``connect_timeout`` until it is greeted.

    Args:
        connection: of PyMySQL's.
        probes: options of TCP by their names, for a host that vanishes; those that the system does not know are left.

    :raises pymysql.OperationalError: if nobody answers, or greets.
    """
    made = None
    try:
        made = _dialled(connection)
        try:
            made.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            seconds = f"{connection.connect_timeout} s (connect_timeout)"
            raise TimeoutError(f"it accepts connections, and has sent no greeting within {seconds}") from None
        if not connection.unix_socket:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in probes.items():
                if hasattr(socket, name):
                    made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    except OSError as error:
        if made is not None:
            made.close()
        raise pymysql.OperationalError(CR.CR_CONN_HOST_ERROR, error.strerror or str(error)) from None
    connection.connect(made)


def _dialled(connection: Any) -> socket.socket:  # noqa: ANN401 - PyMySQL has no types
    """Return a socket that is connected with the server."""
    if not connection.unix_socket:
        made = socket.create_connection((connection.host, connection.port), connection.connect_timeout)
        connection.host_info = f"socket {connection.host}:{connection.port}"
        return made
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(connection.connect_timeout)
    try:
        made.connect(connection.unix_socket)
    except OSError:
        made.close()
        raise
    connection.host_info = "Localhost via UNIX socket"
    connection._secure = True  # noqa: SLF001 - as PyMySQL has it: a password may be sent as it is
    return made
