"""What a session says of the providers that are installed in its process. Only who asks pays for reading manifests."""

from __future__ import annotations

import logging
from typing import Any

from windlass.interfaces.connection import Connection

log = logging.getLogger("windlass.connection")


class InstalledHooks:
    """The part of a session that knows the manifests; see :class:`~windlass.ports.KnowsHooks`."""

    _warned_of: frozenset[tuple[str, str]] = frozenset()

    def hook_class(self, conn_type: str | None) -> Any:  # noqa: ANN401 - a class of a provider's
        """Return the hook class of a type of connection, from the manifests of what is installed here."""
        from windlass.registry import registry

        return registry().hook_class(conn_type)

    def check_fields(self, connection: Connection) -> None:
        """Warn in the log of each field of a connection that its type does not declare, once in this session."""
        if connection.extra is None:
            return
        from windlass.registry import registry
        from windlass.registry.declared import undeclared_fields

        kind = registry().connection_types.get(connection.conn_type or "")
        for name, sentence in undeclared_fields(connection, kind).items():
            if (connection.conn_id, name) not in self._warned_of:
                self._warned_of |= {(connection.conn_id, name)}
                log.warning("%s", sentence)
