"""What may be wrong with a manifest: each function returns its complaints, and none means that all is well."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import click

from windlass.app.clocks import SystemClock
from windlass.backends import (
    ArtifactStore,
    Bundle,
    Executor,
    LogStore,
    Notifier,
    PriorityWeightStrategy,
    SecretsBackend,
    XComCodec,
)
from windlass.config import Settings
from windlass.errors import WindlassError
from windlass.hooks import BaseHook, Connection
from windlass.interfaces.secrecy import is_sensitive
from windlass.operators import BaseOperator
from windlass.plugin import ConnectionField, ConnectionType, Provider
from windlass.registry import KINDS, Registry, import_name
from windlass.registry.catalog import Catalog, names_of
from windlass.registry.examples import folder_of
from windlass.secrets.masking import secrets_of_fields
from windlass.secrets.resolver import open_resolver
from windlass.sensors import BaseSensorOperator
from windlass.timetables import Timetable
from windlass.triggers import BaseTrigger
from windlass_testing.conformance.corpus import TEXTS
from windlass_testing.simulate.reading import read_folder

#: Kind of name in a manifest -> what its classes must extend.
BASES: Final[Mapping[str, type]] = {
    "hooks": BaseHook,
    "operators": BaseOperator,
    "sensors": BaseSensorOperator,
    "triggers": BaseTrigger,
    "executors": Executor,
    "secrets_backends": SecretsBackend,
    "timetables": Timetable,
    "priority_weight_strategies": PriorityWeightStrategy,
    "xcom_codecs": XComCodec,
    "artifact_stores": ArtifactStore,
    "log_stores": LogStore,
    "bundles": Bundle,
    "notifiers": Notifier,
}
#: The fields that every connection has; a declared field of another name is a key of the extra.
STANDARD: Final = ("host", "login", "password", "schema", "port")
_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "str": str,
    "text": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "json": (dict, list),
}


def kind_complaints(manifest: Provider) -> list[str]:
    """Say which names lead nowhere, or to something of another kind, and which command is helped by another's words."""
    complaints = [
        complaint
        for kind in KINDS
        for name, dotted in names_of(manifest, kind).items()
        for complaint in _kind_complaints(kind, name, dotted)
    ]
    for name, line in manifest.cli_help.items():
        where = f"cli_help[{name!r}]"
        if name not in manifest.cli_commands:
            complaints.append(f"{where} is of no command in cli_commands")
        elif isinstance(found := import_name(manifest.cli_commands[name], where), click.Command):
            first = inspect.cleandoc(found.help or "").partition("\n")[0]
            complaints += [f"{where} is {line!r}, the command's own help begins {first!r}"] * (line != first)
    return complaints


def _kind_complaints(kind: str, name: str, dotted: str) -> Iterator[str]:
    where = f"{kind}[{name!r}]"
    try:
        found = import_name(dotted, where)
    except WindlassError as error:
        yield str(error)
        return
    base: Any = BASES.get(kind)
    if kind == "runners":
        yield f"{where} is for the core only; remove it"
    elif kind == "cli_commands":
        if not isinstance(found, click.Command):
            yield f"{where} is {found!r}, not a click command"
    elif base is None:
        if not callable(found):
            yield f"{where} is {found!r}, which cannot be called"
    elif not isinstance(found, type) or not issubclass(found, base):
        yield f"{where} is {found!r}, which is no subclass of {base.__module__}.{base.__qualname__}"
    elif inspect.isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        yield f"{where} ({dotted}) is abstract: it lacks {missing}"
    elif kind == "xcom_codecs" and getattr(found, "codec_id", None) != name:
        yield f"{where} ({dotted}) has another codec_id; the key must be the same"
    elif kind in {"operators", "sensors", "hooks"} and found.__name__ != name:
        yield f"{where} is called {found.__name__}; people must find it under one name"


def example_complaints(manifest: Provider) -> list[str]:
    """Say which packages of examples are not there or hold no DAG, and what is wrong with a file in one."""
    return [complaint for package in manifest.example_dags for complaint in _example_complaints(package)]


def _example_complaints(package: str) -> Iterator[str]:
    where = f"example_dags {package!r}"
    folder = folder_of(package)
    if folder is None:
        yield f"{where} is no folder of an installed package; correct the name, or have the wheel hold the folder"
        return
    with tempfile.TemporaryDirectory() as home:  # whoever runs the suite may have configured anything
        settings = Settings.load(environ={"WINDLASS_HOME": home}, cwd=Path(home))
        with closing(open_resolver(settings, environ={})) as secrets:
            reading = read_folder(folder, settings, clock=SystemClock(), secrets=secrets)
    if not reading.specs and not reading.errors:
        yield f"{where} holds no DAG file: a .py file in which the words dag and windlass stand"
    yield from (f"{where}: {error}" for error in reading.errors)


def connection_complaints(entry: ConnectionType, not_secret: tuple[str, ...]) -> list[str]:
    """Say what is wrong with a type of connection: its hook, the names, kinds and defaults of its fields."""
    where = f"connection type {entry.conn_type!r}"
    complaints = []
    if not entry.label:
        complaints.append(f"{where} has no label for people")
    if entry.hook is not None:
        hook = import_name(entry.hook, f"hook of {where}")
        if not issubclass(hook, BaseHook) or hook.conn_type != entry.conn_type:
            complaints.append(f"{where}: its hook {entry.hook} must be a BaseHook with conn_type {entry.conn_type!r}")
    names = [field.name for field in entry.fields]
    complaints += [f"{where} declares {name!r} twice" for name in sorted({n for n in names if names.count(n) > 1})]
    for field in entry.fields:
        complaints += [f"{where}, field {field.name!r}: {text}" for text in _field_complaints(entry, field, not_secret)]
    return complaints


def _field_complaints(entry: ConnectionType, field: ConnectionField, not_secret: tuple[str, ...]) -> Iterator[str]:
    expected = _TYPES.get(field.kind)
    if expected is None:
        yield f"there is no kind {field.kind!r}; the kinds are {', '.join(_TYPES)}"
        return
    wrong = not isinstance(field.default, expected) or (isinstance(field.default, bool) and field.kind != "bool")
    if field.default is not None and wrong:
        yield f"its default {field.default!r} is no {field.kind}"
    if field.choices and field.default is not None and field.default not in field.choices:
        yield f"its default {field.default!r} is none of its choices"
    if field.required and field.default is not None:
        yield "it is required, so its default says nothing; remove one"
    if field.name not in STANDARD and not (field.label or field.description):
        yield "nothing says what it is for; give it a label or a description"
    if is_sensitive(field.name) and not field.secret and field.name not in not_secret:
        yield "it sounds like a secret; declare it with secret=True, or name it in not_secret of the test"
    if field.secret:
        value = "a-declared-secret-value"
        place = {field.name: value} if field.name in STANDARD else {"extra": {field.name: value}}
        registry = Registry(lambda: Catalog((Provider(name="under_test", connection_types=(entry,)),)))
        if value not in secrets_of_fields({"conn_type": entry.conn_type, **place}, plugins=registry):
            yield "it is secret and would not be masked in logs"


def round_trip_complaints(entry: ConnectionType) -> list[str]:
    """Say in which form a connection with all declared fields does not come back the same."""
    complaints = []
    for text in TEXTS:
        fields: dict[str, Any] = {"conn_type": entry.conn_type}
        extra: dict[str, Any] = {}
        for field in entry.fields:
            (fields if field.name in STANDARD else extra)[field.name] = _sample(field, text)
        made = Connection.from_fields("round_trip", {**fields, "extra": extra or None})
        forms: Mapping[str, Callable[[], Connection]] = {
            "URI": lambda made=made: Connection.from_uri("round_trip", made.to_uri()),  # type: ignore[misc]
            "JSON": lambda made=made: Connection.from_json("round_trip", made.to_json()),  # type: ignore[misc]
        }
        for form, again in forms.items():
            if again() != made or again().extra_dejson != extra:
                complaints.append(f"{entry.conn_type}: not the same after its {form} with {text[:30]!r} in the fields")
    return complaints


def least_fields(entry: ConnectionType) -> dict[str, Any]:
    """Return the fields of a connection that has what its type requires, and leads to where nobody listens."""
    fields = {"conn_type": entry.conn_type, "host": "127.0.0.1", "port": 1, "login": "ada", "password": "anything"}
    extra = {field.name: _sample(field, "any") for field in entry.fields if field.required}
    return {**fields, "extra": {name: value for name, value in extra.items() if name not in STANDARD} or None}


def _sample(field: ConnectionField, text: str) -> object:
    if field.choices:
        return field.choices[-1]
    numbers = {"int": 5432, "float": 1.5, "bool": True}
    if field.name == "port":
        return 5432
    return {"nested": [text, None, 1]} if field.kind == "json" else numbers.get(field.kind, text)


def things_to_document(manifest: Provider) -> dict[str, str]:
    """Return what the pages of a provider must mention: what it is -> the text to look for."""
    found = {f"{kind}[{name!r}]": name for kind in KINDS for name in names_of(manifest, kind)}
    # A trigger is found by its path; people meet its class.
    found |= {f"triggers[{name!r}]": dotted.rpartition(":")[2] for name, dotted in manifest.triggers.items()}
    for entry in manifest.connection_types:
        found |= {f"connection type {name!r}": name for name in (entry.conn_type, *entry.aliases)}
        found |= {f"field {field.name!r} of connection type {entry.conn_type!r}": field.name for field in entry.fields}
    found |= {f"setting {o.section}.{o.key}": o.key for o in manifest.config_options}
    return found
