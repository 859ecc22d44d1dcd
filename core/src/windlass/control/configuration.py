"""The configuration, with what the installed providers declare and what it refers to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from windlass.config import Reference, Settings
from windlass.errors import WindlassError
from windlass.registry import registry

_KEY: Final = re.compile(r"[\w-]{43}=", re.ASCII)


def load_settings(flags: Mapping[str, str] | None = None) -> Settings:
    """Return the configuration that holds here, with the settings that the installed providers declare."""
    return Settings.load(flags=flags, options=registry().options)


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong with the configuration, in a sentence that says where and what to do."""

    problem: str


def mistakes() -> tuple[Mistake, ...]:
    """Return everything that is wrong with the configuration that holds here, not only the first thing."""
    found: list[str] = []
    settings = Settings.load(options=registry().options, mistake=lambda error: found.append(str(error)))
    found += _wrong_values(settings)
    return tuple(Mistake(problem=problem) for problem in found)


def _wrong_values(settings: Settings) -> Iterator[str]:
    """Yield what is spelt right and cannot be used."""
    from zoneinfo import ZoneInfo

    folder = settings.core.dags_folder
    if settings.setting("core", "dags_folder").origin.kind != "default" and not folder.is_dir():
        yield f"core.dags_folder is {folder}, which is not a folder; create it, or set another"
    try:
        ZoneInfo(settings.core.default_timezone)
    except (KeyError, ValueError, OSError):
        yield f"core.default_timezone is {settings.core.default_timezone!r}, which is no IANA time zone, such as UTC"
    from windlass.executors.names import EXECUTORS
    from windlass.secrets.chain import wrong_backends
    from windlass.store.dialect import dialect_of

    if settings.core.executor not in {*EXECUTORS, *EXECUTORS.values()}:
        yield f"core.executor is {settings.core.executor!r}; choose one of {', '.join(EXECUTORS)}"
    yield from wrong_backends(settings, registry())
    stores = ["local", *sorted(registry().names("artifact_stores"))]
    if settings.artifacts.store not in stores:
        text = f"artifacts.store is {settings.artifacts.store!r}, which no installed provider brings"
        yield f"{text}; choose one of {', '.join(stores)}"
    url, keys = (settings.setting(*name).value for name in (("database", "sql_alchemy_conn"), ("core", "fernet_key")))
    try:  # what is given by reference is not fetched
        if isinstance(url, str) and url:
            dialect_of(url)
    except WindlassError as error:
        yield f"database.sql_alchemy_conn: {error}"
    if isinstance(keys, str) and not all(_KEY.fullmatch(key.strip()) for key in keys.split(",") if key.strip()):
        yield "core.fernet_key holds what is not 32 bytes in URL-safe base64; `Fernet.generate_key()` makes a key"


def resolved(settings: Settings) -> Settings:
    """Return the configuration with every reference replaced by what it names.

    What fetches them is imported only if there is one, since most commands have none and must start fast.
    """
    if not any(isinstance(setting.value, Reference) for setting in settings):
        return settings
    from windlass.secrets.resolver import resolve_settings

    return resolve_settings(settings)
