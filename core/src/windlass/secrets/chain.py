"""The lookup chain: which places are asked for a connection or a variable, in which order, and what their answers mean.

The first place that has it answers; nothing is merged. A place that refuses or is down ends the lookup with its error,
because a later place might hold an older value. Answers of external backends are kept for a while, misses for a
shorter one, so that what is added is soon found; the environment, files and database are cheap to ask and always
current.

A lookup is a generator that talks to no backend itself: it yields a :class:`Question` for the helper process and is
sent the answer. So one piece of code serves the supervisor, which must not wait, and the command line, which may.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from windlass.config import Settings
from windlass.errors import ConfigError, ConnectionNotDefined, SecretsError, VariableNotDefined, WindlassError
from windlass.interfaces.connection import Connection
from windlass.interfaces.secrets_backend import SecretsBackend
from windlass.registry import Registry, registry
from windlass.registry.absent import nearest, unusable
from windlass.secrets.env import CONNECTION_PREFIX, VARIABLE_PREFIX


class Kind(StrEnum):
    """What can be looked up."""

    CONNECTION = "connection"
    VARIABLE = "variable"
    CONFIG = "config"


class Question(NamedTuple):
    """What the helper process is asked. The answer is a text (a connection's is JSON), or None for a miss."""

    backend: str
    kind: Kind
    key: str


class Place(NamedTuple):
    """One place of the chain: in this process, or a ``backend`` of that name in the helper (``source`` is None)."""

    label: str
    source: SecretsBackend | None
    backend: str = ""


Lookup = Generator[Question, str | None, Connection | str | None]

_KEPT = 10_000
#: What ``secrets.backends_order`` may name; ``custom`` stands for the backends of providers.
PLACES = ("custom", "environment_variable", "files", "metastore")


class Chain:
    """The places, in order."""

    def __init__(
        self,
        places: Sequence[Place],
        ttl: float = 900.0,
        miss_ttl: float = 60.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a chain of ``places``, which keeps values ``ttl`` seconds, and misses ``miss_ttl``, but no longer."""
        self.places = tuple(places)
        self._ttl = ttl
        self._miss_ttl = min(miss_ttl, ttl)
        self._now = now
        self._kept: dict[Question, tuple[float, str | None]] = {}

    @property
    def needs_helper(self) -> bool:
        """Whether some lookup may yield a question."""
        return any(place.source is None for place in self.places)

    def lookup(self, kind: Kind, key: str) -> Lookup:
        """Look for ``key``; the generator returns a Connection, or the text of a variable.

        A configuration entry is looked for in external backends only; None when none has it.

        :raises ConnectionNotDefined: or VariableNotDefined, naming the places that were asked.
        :raises SecretsError: what the driver throws in when a backend refused or did not answer; or if a place fails.
        :raises ConfigError: if a place holds something malformed.
        """
        for place in self.places:
            try:
                if place.source is not None:
                    found = _ask(place.source, kind, key)
                else:
                    answer = yield from self._remote(Question(place.backend, kind, key))
                    found = _understand(kind, key, answer, place)
            except WindlassError:
                raise
            except Exception as error:  # whoever waits gets an answer, whatever has happened
                # Only what the system says is told: the text of any other error may quote what was read.
                why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
                where = place.label.format(variable=_variable(kind, key))
                msg = f"{kind} `{key}` cannot be looked up in {where}: {why}"
                raise SecretsError(msg) from error
            if found is not None:
                return found
        if kind is Kind.CONFIG:
            return None
        raise self._missing(kind, key)

    def _remote(self, question: Question) -> Generator[Question, str | None, str | None]:
        kept = self._kept.get(question)
        if kept is not None and kept[0] > self._now():
            return kept[1]
        answer = yield question
        ttl = self._miss_ttl if answer is None else self._ttl
        if ttl > 0:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[question] = (self._now() + ttl, answer)
        return answer

    def _missing(self, kind: Kind, key: str) -> ConnectionNotDefined | VariableNotDefined:
        variable = _variable(kind, key)
        looked = ", ".join(place.label.format(variable=variable) for place in self.places)
        text = f"{kind} `{key}` is not defined; looked in: {looked or 'nowhere'}. "
        if kind is Kind.CONNECTION:
            return ConnectionNotDefined(f"{text}Add it with `windlass connections add {key} …`, or set {variable}")
        return VariableNotDefined(f"{text}Set it with `windlass variables set {key} …`, or give a default")


def _variable(kind: Kind, key: str) -> str:
    return (CONNECTION_PREFIX if kind is Kind.CONNECTION else VARIABLE_PREFIX) + key.upper()


def _ask(source: SecretsBackend, kind: Kind, key: str) -> Connection | str | None:
    if kind is Kind.CONNECTION:
        return source.get_connection(key)
    return source.get_variable(key) if kind is Kind.VARIABLE else None


def _understand(kind: Kind, key: str, answer: str | None, place: Place) -> Connection | str | None:
    if answer is None or kind is not Kind.CONNECTION:
        return answer
    try:
        return Connection.parse(key, answer)
    except ConfigError as error:
        msg = f"{place.label}: {error}"
        raise ConfigError(msg) from None


def wrong_backends(settings: Settings, plugins: Registry) -> Iterator[str]:
    """Yield what is wrong with the configured backends and the order of lookup.

    A backend that no provider brings or that is a place of its own; an order with no such place, or without backends.
    """
    for name in settings.secrets.backends_order:
        if name not in PLACES:
            yield f"secrets.backends_order names {name!r}; there is {', '.join(PLACES)}"
    if not settings.secrets.backend:
        return
    known = sorted(plugins.names("secrets_backends").keys() - PLACES)
    for name in settings.secrets.backend:
        if name in PLACES:
            yield (
                f"secrets.backend names {name!r}, which is a place of its own; take it out there, "
                "and put it where it is to be asked into secrets.backends_order"
            )
        elif name not in known:
            close = nearest(name, known)
            remedy = f"choose one of {', '.join(known)}" if known else "install the provider that does"
            text = f"secrets.backend names {name!r}, which no installed provider brings; "
            yield text + (f"did you mean {close}?" if close else remedy) + unusable(plugins.broken)
    if "custom" not in settings.secrets.backends_order:
        yield (
            f"secrets.backend names {', '.join(settings.secrets.backend)}, but secrets.backends_order leaves the "
            "backends out, so that none would ever be asked; add `custom` to secrets.backends_order, or empty "
            "secrets.backend"
        )


def build_chain(
    settings: Settings,
    database: SecretsBackend | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    plugins: Registry | None = None,
) -> Chain:
    """Return the chain that the configuration asks for.

    Args:
        settings: the configuration.
        database: reads stored connections and variables; None leaves the database out.
        environ: the environment, by default this process's.
        plugins: knows the backends, by default this process's registry.

    :raises ConfigError: with the first thing that :func:`wrong_backends` says.
    """
    known = registry() if plugins is None else plugins
    for problem in wrong_backends(settings, known):
        raise ConfigError(problem)
    places: list[Place] = []
    for name in dict.fromkeys(settings.secrets.backends_order):
        match name:
            case "custom":
                places += [Place(f"backend {backend}", None, backend) for backend in settings.secrets.backend]
            case "environment_variable":
                source = known.lookup("secrets_backends", name)(environ)
                places.append(Place("environment ({variable})", source))
            case "files":
                folder = settings.secrets.files_folder
                label = f"files ({folder})".replace("{", "{{").replace("}", "}}")
                places.append(Place(label, known.lookup("secrets_backends", name)(folder)))
            case _:
                places += [Place("database", database)] if database is not None else []
    return Chain(places, settings.secrets.cache_ttl_seconds, settings.secrets.negative_cache_ttl_seconds)
