"""The connection policies of providers: they see a connection before a child does, and may refuse it.

They are called in the process that answers, so author code cannot reach them: in the supervisor for tasks and zygotes,
in the server for files that are parsed. A policy that fails refuses, and so does one that cannot be loaded: a rule that
silently does not hold is worse than none.
"""

from __future__ import annotations

from windlass.errors import PolicyViolation, WindlassError
from windlass.interfaces.connection import Connection
from windlass.registry import PluginModules
from windlass.secrets.masking import Masker, secrets_of_fields
from windlass.secrets.resolver import Resolver


class ConnectionPolicies:
    """The ``connection_policy`` hooks of all providers."""

    def __init__(self, modules: PluginModules) -> None:
        self._callers = list(modules.callers("connection_policy"))
        self._broken = [f"{broken.name} ({broken.error})" for broken in modules.broken]

    def check(self, connection: Connection, dag_id: str, task_id: str | None) -> None:
        """Ask every policy about a connection; ``dag_id`` is empty and ``task_id`` None for the top level of a file.

        :raises WindlassError: the policy's own, or a :class:`PolicyViolation` that names the provider.
        """
        if self._broken:
            raise PolicyViolation(
                f"connection {connection.conn_id!r} is not given out, because the policies of provider "
                f"{self._broken[0]} cannot be loaded; upgrade or uninstall it"
            )
        for provider, policy in self._callers:
            try:
                policy(connection=connection, dag_id=dag_id, task_id=task_id)
            except WindlassError as error:
                hidden = _hidden(str(error), connection)
                if hidden == str(error):
                    raise
                raise PolicyViolation(hidden) from None
            except Exception as error:
                reason = _hidden(f"{type(error).__name__}: {error}", connection)
                raise PolicyViolation(
                    f"connection {connection.conn_id!r} is refused, because connection_policy of provider {provider} "
                    f"failed: {reason}"
                ) from error


def _hidden(text: str, connection: Connection) -> str:
    """Return a policy's words without what is secret of the connection, which it has seen whole."""
    return Masker(secrets_of_fields(connection.to_fields())).mask(text)


class PolicedSecrets:
    """The lookups of the top level of DAG files, where the connection policies agree."""

    def __init__(self, resolver: Resolver, policies: ConnectionPolicies) -> None:
        self._resolver = resolver
        self._policies = policies

    def get_connection(self, conn_id: str) -> Connection:
        """Return a connection.

        :raises WindlassError: if it is not found, or a policy refuses it.
        """
        connection = self._resolver.get_connection(conn_id)
        self._policies.check(connection, "", None)
        return connection

    def get_variable(self, key: str) -> str:
        """Return the text of a variable."""
        return self._resolver.get_variable(key)
