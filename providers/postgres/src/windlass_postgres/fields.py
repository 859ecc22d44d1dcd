"""The fields of a connection to PostgreSQL, and what of them reaches libpq: what is declared, and nothing else."""

from __future__ import annotations

from typing import Any, Final

from windlass.errors import ConfigError
from windlass.hooks import Connection

#: Keys of the extra that are parameters of libpq of the same name.
LIBPQ: Final = (
    "sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "sslnegotiation", "channel_binding",
    "gssencmode", "krbsrvname", "require_auth", "passfile", "application_name", "connect_timeout", "keepalives",
    "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "options", "client_encoding",
    "target_session_attrs", "load_balance_hosts",
)  # fmt: skip
#: Keys of the extra that this hook reads itself.
OWN: Final = ("cursor",)
#: Seconds to wait for a connection unless the connection says otherwise; libpq would wait for ever.
CONNECT_TIMEOUT: Final = 10


def parameters(connection: Connection, database: str | None, options: str | None) -> dict[str, Any]:
    """Return what libpq is given.

    :raises ConfigError: if a value of the extra is no text or number.
    """
    extra = connection.extra_dejson
    given: dict[str, Any] = {
        "host": connection.host,
        "port": connection.port,
        "user": connection.login,
        "password": connection.password,
        "dbname": database or connection.schema,
        "application_name": "windlass",
        "connect_timeout": CONNECT_TIMEOUT,
    }
    for name in LIBPQ:
        if (value := extra.get(name)) not in (None, ""):
            if not isinstance(value, str | int):
                raise ConfigError(f"connection {connection.conn_id!r}: {name} of its extra must be a text or a number")
            given[name] = int(value) if isinstance(value, bool) else value
    if options:
        given["options"] = f"{given.get('options', '')} {options}".strip()
    return {name: value for name, value in given.items() if value not in (None, "")}
