"""The fields of a connection to MySQL, and what of them reaches PyMySQL: what is declared, and nothing else."""

from __future__ import annotations

from typing import Any, Final

from windlass.errors import ConfigError
from windlass.hooks import Connection

#: Keys of the extra that are arguments of PyMySQL's ``connect`` of the same name, and their types.
DRIVER: Final[dict[str, type[Any]]] = {
    "charset": str,
    "collation": str,
    "unix_socket": str,
    "connect_timeout": int,
    "read_timeout": int,
    "write_timeout": int,
    "init_command": str,
    "sql_mode": str,
    "local_infile": bool,
    "ssl_ca": str,
    "ssl_cert": str,
    "ssl_key": str,
    "ssl_key_password": str,
    "ssl_disabled": bool,
    "ssl_verify_cert": bool,
    "ssl_verify_identity": bool,
}
#: Keys of the extra that this hook reads itself.
OWN: Final = ("cursor",)
#: Seconds to wait for a connection unless the connection says otherwise.
CONNECT_TIMEOUT: Final = 10
_WORDS: Final = {bool: "true or false", int: "a whole number", str: "a text"}
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


def arguments(connection: Connection, database: str | None) -> dict[str, Any]:
    """Return the arguments of ``pymysql.connect``.

    :raises ConfigError: if a value of the extra is not of its field's type.
    """
    extra = connection.extra_dejson
    given: dict[str, Any] = {
        "host": connection.host or "localhost",
        "port": connection.port or 3306,
        "user": connection.login,
        # As bytes: PyMySQL would take a text for Latin-1, and refuse what that does not know.
        "password": (connection.password or "").encode(),
        "database": database or connection.schema,
        "charset": "utf8mb4",
        "connect_timeout": CONNECT_TIMEOUT,
    }
    for name, kind in DRIVER.items():
        if (value := extra.get(name)) not in (None, ""):
            try:
                given[name] = typed(value, kind)
            except ValueError as error:
                raise ConfigError(f"connection {connection.conn_id!r}: {name} of its extra must be {error}") from None
    return {name: value for name, value in with_tls(given).items() if value is not None}


def with_tls(given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with what follows from those that begin with ``ssl_``."""
    if given.get("ssl_disabled"):
        return {name: value for name, value in given.items() if name == "ssl_disabled" or not name.startswith("ssl_")}
    given = {name: value for name, value in given.items() if name != "ssl_disabled"}
    if given.get("ssl_ca") and "ssl_verify_cert" not in given:
        # Who names an authority wants to know who answers; PyMySQL alone would only encrypt.
        given["ssl_verify_cert"] = True
    return given


def typed(value: Any, kind: type[Any]) -> Any:  # noqa: ANN401 - JSON data
    """Return a value as what its field is.

    :raises ValueError: if it is none; what it must be.
    """
    text = str(value)
    if kind is bool and text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    if kind is int and text.isascii() and text.isdigit():
        return int(text)
    if kind is str and isinstance(value, str):
        return value
    raise ValueError(_WORDS[kind])
