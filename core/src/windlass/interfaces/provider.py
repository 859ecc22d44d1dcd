"""The manifest of a provider: everything it brings, as data.

Names stand for classes: the values are dotted strings, ``package.module:Class``, imported when one is first used. So a
manifest costs nothing to read, can be cached, and lists fifty providers without importing one client library.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

#: The version of this manifest and of the hooks. A provider that says it needs a newer one is refused.
SPEC_VERSION: Final = 1


class ConnectionField(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A field of a type of connection.

    ``name`` is a field of every connection (host, login, password, schema, port), which this relabels, or a key of its
    extra. Only declared keys of the extra reach the client library.
    """

    name: str
    #: str, int, float, bool, json, or text (several lines).
    kind: str = "str"
    label: str = ""
    description: str = ""
    required: bool = False
    #: Hidden in every output, and masked in logs.
    secret: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()


class ConnectionType(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A type of connection: its name in URIs, the hook that uses it, and its fields."""

    conn_type: str
    #: Other names that mean the same in a URI; a type of that very name comes first.
    aliases: tuple[str, ...] = ()
    #: What people call it.
    label: str = ""
    #: Dotted name of the hook class, which tests the connection.
    hook: str | None = None
    description: str = ""
    fields: tuple[ConnectionField, ...] = ()
    #: The extra may hold anything, and all of it is handed on; else an undeclared key is refused.
    open_extra: bool = False


class ConfigOption(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A setting of the provider; the kinds are those of :class:`windlass.config.Option`."""

    section: str
    key: str
    default: Any
    description: str
    kind: str | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False


Names = Mapping[str, str]


class Provider(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one distribution brings. Every mapping but `cli_help` goes from what people write to a dotted string."""

    #: A short name without the product's: ``aws``.
    name: str
    description: str = ""
    #: Filled in from the distribution.
    version: str = ""
    #: The least :data:`SPEC_VERSION` of the core that the provider can live with.
    spec_version: int = SPEC_VERSION
    connection_types: tuple[ConnectionType, ...] = ()
    config_options: tuple[ConfigOption, ...] = ()
    hooks: Names = {}
    operators: Names = {}
    sensors: Names = {}
    #: Classes that a deferred task may name; their key is what :meth:`BaseTrigger.serialize` returns.
    triggers: Names = {}
    executors: Names = {}
    secrets_backends: Names = {}
    #: Key: what a spec calls it, the dotted path of the class.
    timetables: Names = {}
    #: What may stand at ``weight_rule=``.
    priority_weight_strategies: Names = {}
    #: ``bash`` makes ``@task.bash``.
    task_decorators: Names = {}
    #: Key: the codec's id.
    xcom_codecs: Names = {}
    artifact_stores: Names = {}
    log_stores: Names = {}
    bundles: Names = {}
    doorbells: Names = {}
    #: Key: the dialect in a database URL.
    database_drivers: Names = {}
    #: Key: the command; value: a click command.
    cli_commands: Names = {}
    #: Key: the command; value: its line in ``windlass --help``, which imports no command: the first of its own help.
    cli_help: Mapping[str, str] = {}
    notifiers: Names = {}
    #: Functions that make the datetimes which contexts hold: from an aware datetime to a subclass's. The first is used.
    moment_factories: Names = {}
    #: What commands named ``new`` make a folder of; key: ``provider``; value: a function from a name to its files.
    scaffolds: Names = {}
    #: What runs DAGs in this process, for ``dag.test()``; of the core only.
    runners: Names = {}
    #: Modules with observer hooks, loaded in the server.
    observers: tuple[str, ...] = ()
    #: Modules with policy hooks, loaded in parse children and supervisors.
    policies: tuple[str, ...] = ()
    #: Packages whose folders hold examples of what the provider brings: DAG files, read where ``core.load_examples`` is
    #: set. Nothing imports them as packages, so a folder needs no ``__init__.py``.
    example_dags: tuple[str, ...] = ()
    #: Where its pages can be read, shown by ``windlass providers show``; empty while they are published nowhere.
    docs_url: str = ""


#: The fields of a manifest that map names to dotted strings, not to text: the kinds of ``registry.lookup``.
KINDS: Final = tuple(
    field.name
    for field in msgspec.structs.fields(Provider)
    if field.type == Mapping[str, str] and field.name != "cli_help"
)
