"""Connections and variables in the environment: ``WINDLASS_CONN_<ID>`` and ``WINDLASS_VAR_<KEY>``, upper case."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from windlass.errors import ConfigError
from windlass.interfaces.connection import Connection
from windlass.interfaces.secrets_backend import SecretsBackend

CONNECTION_PREFIX: Final = "WINDLASS_CONN_"
VARIABLE_PREFIX: Final = "WINDLASS_VAR_"


class EnvironmentSource(SecretsBackend):
    """Reads the environment. A connection is a URI, or JSON when it starts with ``{``."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def get_connection(self, conn_id: str) -> Connection | None:
        """Return the connection that its variable holds.

        :raises ConfigError: if the variable holds no connection, naming the variable and not quoting it.
        """
        variable = CONNECTION_PREFIX + conn_id.upper()
        value = self._environ.get(variable)
        if value is None:
            return None
        try:
            return Connection.parse(conn_id, value)
        except ConfigError as error:
            msg = f"{variable}: {error}"
            raise ConfigError(msg) from None

    def get_variable(self, key: str) -> str | None:
        """Return the text of the variable."""
        return self._environ.get(VARIABLE_PREFIX + key.upper())
