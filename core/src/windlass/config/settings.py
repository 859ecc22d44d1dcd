"""The loaded configuration: a value and an origin for every setting."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from windlass.config import files, sections
from windlass.config.home import home as default_home
from windlass.config.option import Option, Value
from windlass.config.references import SUFFIXES, Reference
from windlass.config.sections import OPTIONS, SECTIONS
from windlass.errors import ConfigError

_PREFIX = "WINDLASS__"

Name = tuple[str, str]


class Origin(NamedTuple):
    """Where a value comes from: ``kind`` is flag, file, environment, home, project or default."""

    kind: str
    where: str = ""


class Setting(NamedTuple):
    """One line of ``config list``. The value of a secret setting is to be hidden by whoever shows it."""

    option: Option
    value: Value | Reference
    origin: Origin


class Settings:
    """The configuration of one process. Never changes; :meth:`replace` and :meth:`resolve` make another."""

    core: sections.Core
    database: sections.Database
    logging: sections.Logging
    artifacts: sections.Artifacts
    scheduler: sections.Scheduler
    dag_processor: sections.DagProcessor
    supervisor: sections.Supervisor
    secrets: sections.Secrets
    cli: sections.Cli

    def __init__(self, home: Path, settings: Mapping[Name, Setting]) -> None:
        self.home = home
        self._settings = dict(settings)
        for section in SECTIONS:
            values = {
                key: setting.value
                for (title, key), setting in self._settings.items()
                if title == section.title and not isinstance(setting.value, Reference)
            }
            setattr(self, section.title, section(values))

    @classmethod
    def load(
        cls,
        *,
        flags: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        options: Iterable[Option] = (),
        mistake: files.Mistake = files.refuse,
    ) -> Self:
        """Return the configuration that holds here.

        Args:
            flags: ``section.key`` -> text, from the command line.
            environ: the environment, by default this process's.
            cwd: where the search for a project's file begins, by default the working directory.
            options: settings that providers declare.
            mistake: is given an error for anything unknown, malformed or not allowed where it stands; by default it
                raises it, and otherwise the entry does not count.
        """
        environ = os.environ if environ is None else environ
        folder = default_home(environ)
        cwd = _working_folder(folder) if cwd is None else cwd
        known = {(option.section, option.key): option for option in (*OPTIONS, *options)}
        given: dict[Name, tuple[Value | Reference, Origin]] = {}
        for entry in (
            *_from_project(folder, cwd, known, mistake),
            *_from_file(folder / files.NAME, known, mistake),
            *_from_environ(environ, known, cwd, mistake),
            *_from_flags(flags or {}, known, cwd),
        ):
            name, value, origin = entry
            given[name] = (value, origin)
        merged: dict[Name, Setting] = {}
        for name, option in known.items():
            if name in given:
                merged[name] = Setting(option, *given[name])
            else:
                merged[name] = Setting(option, _default(option, folder), Origin("default"))
        return cls(folder, merged)

    def get(self, section: str, key: str) -> Value:
        """Return a value by name; the way to read a provider's settings.

        :raises ConfigError: if there is no such setting, or its value is an unresolved reference.
        """
        setting = self.setting(section, key)
        if isinstance(setting.value, Reference):
            raise setting.option.unresolved()
        return setting.value

    def setting(self, section: str, key: str) -> Setting:
        """Return a setting with its origin.

        :raises ConfigError: if there is no such setting.
        """
        try:
            return self._settings[section, key]
        except KeyError:
            raise files.unknown(section, key, self._settings, "") from None

    def __iter__(self) -> Iterator[Setting]:
        return iter(self._settings.values())

    def replace(self, values: Mapping[Name, Value]) -> Settings:
        """Return a configuration with other values, which keep their origins."""
        changed = {name: self._settings[name]._replace(value=value) for name, value in values.items()}
        return type(self)(self.home, self._settings | changed)

    def with_file(self, path: Path) -> Settings:
        """Return what the configuration would be if ``path`` were in front of everything else that sets it.

        For looking at a configuration that is not in force: what it gives by reference is recorded, and never fetched.

        :raises ConfigError: for anything unknown or malformed in the file.
        """
        known = {name: setting.option for name, setting in self._settings.items()}
        changed = {
            name: Setting(known[name], value, Origin("file", where))
            for name, value, where in files.entries(path, files.read(path), known)
        }
        return type(self)(self.home, self._settings | changed)

    def resolve(
        self,
        read_secret: Callable[[str], str | None] | None = None,
        *,
        kinds: Collection[str] = tuple(SUFFIXES.values()),
    ) -> Settings:
        """Return a configuration in which every reference is replaced by the value it names.

        Args:
            read_secret: answers a name with the configuration entry of the secrets backends, None when there is none.
            kinds: which references: of a command, a file or a secret; the others stay.

        :raises ConfigError: if one cannot be fetched.
        """

        def no_backend(entry: str) -> str | None:
            msg = f"the configuration entry {entry!r} is kept in a secrets backend, and none is configured"
            raise ConfigError(msg)

        values: dict[Name, Value] = {}
        for name, (option, value, _) in self._settings.items():
            if isinstance(value, Reference) and value.kind in kinds:
                values[name] = option.parse(value.fetch(option.name, read_secret or no_backend), self.home)
        return self.replace(values) if values else self

    def flag_environ(self) -> dict[str, str]:
        """Return the variables by which another process of this installation gets this one's flags."""
        return {
            setting.option.variable: _text(setting.value)
            for setting in self._settings.values()
            if setting.origin.kind == "flag"
        }


def _working_folder(otherwise: Path) -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # it was removed under this process's feet
        return otherwise


def _text(value: Value | Reference) -> str:
    import json

    if isinstance(value, dict):
        return json.dumps(value)
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _default(option: Option, folder: Path) -> Value:
    if option.kind == "path":
        return option.parse(option.default, folder)
    return option.default


_Entry = tuple[Name, Value | Reference, Origin]


def _from_flags(flags: Mapping[str, str], known: Mapping[Name, Option], cwd: Path) -> Iterator[_Entry]:
    for name, text in flags.items():
        section, _, key = name.partition(".")
        option = known[section, key]
        yield (section, key), option.parse(text, cwd), Origin("flag", f"--{key.replace('_', '-')}")


def _from_environ(
    environ: Mapping[str, str], known: Mapping[Name, Option], cwd: Path, mistake: files.Mistake
) -> Iterator[_Entry]:
    seen: dict[Name, str] = {}
    for variable in sorted(environ):
        if not variable.startswith(_PREFIX):
            continue
        section, _, key = variable.removeprefix(_PREFIX).lower().partition("__")
        try:
            name, value = files.read_entry(section, key, environ[variable], known, base=cwd, where=variable)
        except ConfigError as error:
            mistake(error)
            continue
        if name in seen:
            mistake(ConfigError(f"{seen[name]} and {variable} both set {'.'.join(name)}; unset one of them"))
            continue
        seen[name] = variable
        yield name, value, Origin("environment", variable)


def _from_file(path: Path, known: Mapping[Name, Option], mistake: files.Mistake) -> Iterator[_Entry]:
    try:
        text = files.read_owned(path)
    except ConfigError as error:
        mistake(error)
        return
    if text is not None:
        for name, value, where in files.entries(path, text, known, mistake):
            yield name, value, Origin("home", where)


def _from_project(folder: Path, cwd: Path, known: Mapping[Name, Option], mistake: files.Mistake) -> Iterator[_Entry]:
    path = files.find_project(cwd, besides=folder / files.NAME)
    if path is None:
        return
    try:
        text = files.read(path)
    except ConfigError as error:
        mistake(error)
        return
    for name, value, where in files.entries(path, text, known, mistake):
        if not known[name].project:
            msg = (
                f"{where}: a project's {files.NAME} may not set {'.'.join(name)}, only the DAG folder, the time zone "
                f"and the output; set it in {folder / files.NAME} or by {known[name].variable}"
            )
            mistake(ConfigError(msg))
            continue
        yield name, value, Origin("project", where)
