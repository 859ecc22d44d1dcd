"""The base of secrets backends: a place outside Windlass that keeps connections and variables."""

from __future__ import annotations

from windlass.interfaces.connection import Connection


class SecretsBackend:
    """Looks up connections, variables and configuration in a store of secrets.

    Made with the keyword arguments that ``secrets.backend_kwargs`` gives, in the secrets helper, a process of its own
    that holds the SDK and the credentials. Its methods are called from up to eight threads. Each call has 10 seconds,
    with the making of the backend if it is the first; one that takes longer is stuck, and the process is killed and
    started again. Values are kept for ``secrets.cache_ttl_seconds``, misses for ``secrets.negative_cache_ttl_seconds``.

    Each method has three outcomes: the value; None when the store answered that there is no such entry, and the next
    place is asked; an exception when the store refused or could not be reached. That ends the lookup, since another
    place might know an older value, and its message is what the task sees. A
    :class:`~windlass.errors.SecretsError` should say in a sentence what happened, without a secret. Of an SDK's own
    exception the message is passed on too, as far as what the backend was made with can be hidden in it.
    """

    def get_conn_value(self, conn_id: str) -> str | None:
        """Return the connection as a URI or as JSON, None if there is no such entry."""
        return None

    def get_connection(self, conn_id: str) -> Connection | None:
        """Return the connection, None if there is no such entry. Override it for stores that keep single fields."""
        value = self.get_conn_value(conn_id)
        return None if value is None else Connection.parse(conn_id, value)

    def get_variable(self, key: str) -> str | None:
        """Return the text of the variable, None if there is no such entry."""
        return None

    def get_config(self, key: str) -> str | None:
        """Return what a ``…_SECRET`` setting refers to, None if there is no such entry."""
        return None
