"""Answers lookups for a process: the chain, driven with or without waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from windlass.config import Reference, Settings
from windlass.errors import ConfigError, SecretsError, WindlassError
from windlass.interfaces.connection import Connection
from windlass.interfaces.secrets_backend import SecretsBackend
from windlass.registry import Registry
from windlass.secrets.chain import Chain, Kind, Lookup, build_chain
from windlass.secrets.client import HelperClient

#: Called with what was found (None for a missing configuration entry), or with the error.
Found = Callable[[Connection | str | None, WindlassError | None], None]


class Resolver:
    """Looks up connections and variables. For one thread.

    A loop registers :meth:`fileno` for reading if there is one, calls :meth:`receive` when it is readable and
    :meth:`expire` at :meth:`deadline`. Where no external backend is configured nothing of that is needed: every lookup
    is answered at once.
    """

    def __init__(self, chain: Chain, helper: HelperClient | None = None) -> None:
        self.chain = chain
        self._helper = helper

    def resolve(self, kind: Kind, key: str, found: Found) -> None:
        """Look up ``key`` and call ``found`` once: now, or from :meth:`receive` or :meth:`expire`."""
        self._advance(self.chain.lookup(kind, key), found, next)

    def _advance(self, steps: Lookup, found: Found, step: Callable[[Lookup], Any]) -> None:
        try:
            question = step(steps)
        except StopIteration as end:
            found(end.value, None)
            return
        except WindlassError as error:
            found(None, error)
            return

        def answered(answer: str | None, error: SecretsError | None) -> None:
            if error is None:
                self._advance(steps, found, lambda waiting: waiting.send(answer))
            else:
                self._advance(steps, found, lambda waiting: waiting.throw(error))

        if self._helper is None:
            answered(None, SecretsError(f"secrets backend {question.backend} cannot be asked from this process"))
        else:
            self._helper.ask(question, answered)

    # --- for loops -----------------------------------------------------------------------------------------------

    def fileno(self) -> int | None:
        """Return the descriptor to watch for reading, the same for life; None if there is nothing to watch."""
        return None if self._helper is None else self._helper.fileno()

    def receive(self) -> None:
        """Continue the lookups whose answers have come."""
        if self._helper is not None:
            self._helper.receive()

    def deadline(self) -> float | None:
        """Return when (monotonic) :meth:`expire` is due, None while nothing waits."""
        return None if self._helper is None else self._helper.deadline()

    def expire(self) -> None:
        """End the lookups that have waited too long, with an error."""
        if self._helper is not None:
            self._helper.expire()

    # --- for programs that may wait ------------------------------------------------------------------------------

    def get_connection(self, conn_id: str) -> Connection:
        """Return a connection, waiting for it.

        :raises ConnectionNotDefined: if no place has it.
        :raises SecretsError: if a backend refused or did not answer.
        """
        value = self._wait(Kind.CONNECTION, conn_id)
        assert isinstance(value, Connection)  # noqa: S101 - what the chain returns for this kind
        return value

    def get_variable(self, key: str) -> str:
        """Return the text of a variable, waiting for it.

        :raises VariableNotDefined: if no place has it.
        :raises SecretsError: if a backend refused or did not answer.
        """
        return str(self._wait(Kind.VARIABLE, key))

    def get_config(self, key: str) -> str | None:
        """Return a configuration entry of the external backends, None if there is none; see ``Settings.resolve``."""
        value = self._wait(Kind.CONFIG, key)
        return None if value is None else str(value)

    def _wait(self, kind: Kind, key: str) -> Connection | str | None:
        outcome: list[tuple[Connection | str | None, WindlassError | None]] = []
        self.resolve(kind, key, lambda value, error: outcome.append((value, error)))
        if not outcome and self._helper is not None:
            self._helper.wait()
        value, error = outcome[0]
        if error is not None:
            raise error
        return value

    def close(self) -> None:
        """End the helper process, if it was started."""
        if self._helper is not None:
            self._helper.close()


def open_resolver(
    settings: Settings,
    database: SecretsBackend | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    plugins: Registry | None = None,
) -> Resolver:
    """Return the resolver that the configuration asks for. The helper process is started on first need."""
    chain = build_chain(settings, database, environ=environ, plugins=plugins)
    helper = HelperClient(backend_arguments(settings)) if chain.needs_helper else None
    return Resolver(chain, helper)


def resolve_settings(settings: Settings, *, plugins: Registry | None = None) -> Settings:
    """Return the configuration with every reference replaced by what it names, also those to a secrets backend.

    :raises ConfigError: if one cannot be fetched.
    :raises SecretsError: if a backend refused or did not answer.
    """
    settings = settings.resolve(kinds=("command", "file"))
    if not any(isinstance(setting.value, Reference) for setting in settings) or not settings.secrets.backend:
        return settings.resolve()
    resolver = open_resolver(settings, plugins=plugins)
    try:
        return settings.resolve(resolver.get_config)
    finally:
        resolver.close()


def backend_arguments(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the arguments of each configured backend.

    :raises ConfigError: if there are several backends and the arguments are not one object per name.
    """
    names = settings.secrets.backend
    arguments = settings.secrets.backend_kwargs
    if len(names) <= 1:
        return dict.fromkeys(names, arguments)
    for name, value in arguments.items():
        if name not in names or not isinstance(value, dict):
            msg = f"secrets.backend_kwargs must hold one object for each of {', '.join(names)}, as there are several"
            raise ConfigError(msg)
    return {name: arguments.get(name, {}) for name in names}
