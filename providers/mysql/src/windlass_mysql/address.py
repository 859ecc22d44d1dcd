"""Where a database of Windlass's own is: its URL, what PyMySQL makes of it, and the client's options."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from windlass.errors import ConfigError
from windlass_mysql.fields import DRIVER, typed, with_tls

_SCHEMES: Final = frozenset({"mysql", "mariadb"})
_LOOKS: Final = "mysql://user:password@host:3306/database"
#: What a URL may say after its question mark. Its charset would be utf8mb4 anyway.
_KNOWN: Final = (*(name for name in DRIVER if name.startswith("ssl_")), "unix_socket", "connect_timeout")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_OPTIONS: Final = {"ssl_ca": "--ssl-ca", "ssl_cert": "--ssl-cert", "ssl_key": "--ssl-key", "unix_socket": "--socket"}
#: Seconds until nobody answers.
_CONNECT_TIMEOUT: Final = 5


class Address:
    """The parts of a URL.

    :raises ConfigError: if it is no URL of a database of MySQL or MariaDB; the message shows nothing of it.
    """

    def __init__(self, url: str) -> None:
        scheme, separator, rest = url.partition("://")
        if not separator or scheme.partition("+")[0] not in _SCHEMES:
            raise ConfigError(f"the database URL is not one of MySQL or MariaDB: {_LOOKS}")
        try:
            parts = urlsplit(f"mysql://{rest}")
            port = parts.port or 3306
        except ValueError:
            raise ConfigError(
                f"the database URL cannot be read; it looks like {_LOOKS}, with special characters percent-encoded"
            ) from None
        database = unquote(parts.path.removeprefix("/"))
        if not database:
            raise ConfigError(f"the database URL names no database; it looks like {_LOOKS}")
        self.arguments: dict[str, Any] = {
            "host": unquote(parts.hostname or "localhost"),
            "port": port,
            "user": unquote(parts.username or "") or None,
            # As bytes: PyMySQL would take a text for Latin-1, and refuse what that does not know.
            "password": unquote(parts.password or "").encode(),
            "database": database,
            "charset": "utf8mb4",
            "connect_timeout": _CONNECT_TIMEOUT,
            "program_name": "windlass",
        } | _given(parts.query)
        local = self.arguments["host"] in _LOOPBACK or "unix_socket" in self.arguments
        if local and not any(name.startswith("ssl_") for name in self.arguments):
            # There is nothing to hide, and PyMySQL would load every authority's certificate for each connection.
            self.arguments["ssl_disabled"] = True

    def __str__(self) -> str:
        """Return database and host for messages, without login and password."""
        given = self.arguments
        return f"{given['database']} on {given.get('unix_socket') or '{host}:{port}'.format(**given)}"

    def options(self) -> tuple[str, ...]:
        """Return the options of the command-line client, but for the password."""
        given = self.arguments
        options = [f"{option}={given[name]}" for name, option in _OPTIONS.items() if name in given]
        if "unix_socket" not in given:
            options += [f"--host={given['host']}", f"--port={given['port']}", "--protocol=tcp"]
        if given["user"]:
            options.append(f"--user={given['user']}")
        return (*options, "--default-character-set=utf8mb4", given["database"])


def _given(query: str) -> dict[str, Any]:
    """Return the arguments in a query string."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "charset" and value.lower().startswith("utf8"):
            continue
        if name not in _KNOWN:
            raise ConfigError(
                f"the database URL has a part that a database of Windlass's own does not know ({name}); "
                f"there are {', '.join(_KNOWN)}"
            )
        try:
            found[name] = typed(value, DRIVER[name])
        except ValueError as error:
            raise ConfigError(f"{name} in the database URL must be {error}") from None
    return with_tls(found)
