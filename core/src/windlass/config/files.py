"""``windlass.toml``: finding it, trusting it, and reading its entries with the line each stands in.

:func:`read_entry` is shared with the environment, so that a key means the same in both.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from windlass.config.option import Option, Value
from windlass.config.references import SUFFIXES, Reference
from windlass.errors import ConfigError

NAME = "windlass.toml"

Name = tuple[str, str]
Mistake = Callable[[ConfigError], None]


def find_project(cwd: Path, *, besides: Path) -> Path | None:
    """Return the nearest ``windlass.toml`` from ``cwd`` upwards, unless that is ``besides``, the home's own."""
    for folder in (cwd, *cwd.parents):
        path = folder / NAME
        if os.path.isfile(path):  # noqa: PTH113 - False, not an error, for a folder that may not be looked into
            return None if besides.exists() and path.samefile(besides) else path
    return None


def read(path: Path) -> str:
    """Return the text of a file that configures something.

    :raises ConfigError: if it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise ConfigError(msg) from None
    except UnicodeDecodeError:
        msg = f"{path} is not UTF-8; save it in that encoding"
        raise ConfigError(msg) from None


def read_owned(path: Path) -> str | None:
    """Return the text of the home's file, None if there is none. It may name commands, so it must be ours.

    :raises ConfigError: if somebody else owns it or may write it.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise ConfigError(msg) from None
    if status.st_uid not in {0, os.geteuid()}:
        msg = f"{path} belongs to user {status.st_uid}, and it may name commands to run; make it yours with chown"
        raise ConfigError(msg)
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        msg = f"{path} can be written by others, and it may name commands to run; run chmod go-w {path}"
        raise ConfigError(msg)
    return read(path)


def refuse(error: ConfigError) -> None:
    """Raise: what is done about a mistake, unless somebody wants to see them all."""
    raise error


def entries(
    path: Path, text: str, known: Mapping[Name, Option], mistake: Mistake = refuse
) -> Iterator[tuple[Name, Value | Reference, str]]:
    """Yield the settings of a file as (name, value, ``file:line``).

    ``mistake`` is given an error for anything that is not a known setting in a known section.
    """
    import tomllib

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        mistake(ConfigError(f"{path} is not TOML: {error}"))
        return
    seen: dict[Name, str] = {}
    for section, table in data.items():
        if not isinstance(table, dict):
            where = f"{path}:{line_of(text, '', section)}"
            mistake(ConfigError(f"{where}: {section} stands outside a section; put it below one, such as [core]"))
            continue
        for key, raw in table.items():
            where = f"{path}:{line_of(text, section, key)}"
            try:
                name, value = read_entry(section, key, raw, known, base=path.parent, where=where)
            except ConfigError as error:
                mistake(error)
                continue
            if name in seen:
                mistake(ConfigError(f"{where}: {'.'.join(name)} is already set by {seen[name]}; remove one of them"))
                continue
            seen[name] = where
            yield name, value, where


def read_entry(
    section: str, key: str, raw: object, known: Mapping[Name, Option], *, base: Path, where: str
) -> tuple[Name, Value | Reference]:
    """Return the name and the value of one entry; ``where`` it stands goes in front of every complaint."""
    try:
        option = known.get((section, key))
        if option is not None:
            return (section, key), option.parse(raw, base)
        for suffix, kind in SUFFIXES.items():
            target = known.get((section, key.removesuffix(suffix))) if key.endswith(suffix) else None
            if target is None:
                continue
            return (target.section, target.key), _reference(target, kind, key, raw, base)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    raise unknown(section, key, known, f"{where}: ")


def _reference(target: Option, kind: str, key: str, raw: object, base: Path) -> Reference:
    if not target.secret:
        msg = f"{target.name} is not secret, so it is not given by reference; set {target.variable} itself"
        raise ConfigError(msg)
    if kind == "secret" and target.section == "secrets":
        msg = (
            f"{target.name} says how to reach the secrets backend, so that it cannot be kept in there; use "
            f"{target.key}_cmd, {target.key}_file or {target.variable}"
        )
        raise ConfigError(msg)
    text = str(Option("", "", section=target.section, key=key).parse(raw, base))
    return Reference(kind, str(base / text) if kind == "file" else text)


def unknown(section: str, key: str, known: Mapping[Name, object], where: str) -> ConfigError:
    """Return the error for a setting that does not exist, with the closest one that does."""
    import difflib

    titles = {title for title, _ in known}
    if section not in titles:
        home_of_key = [f"{title}.{name}" for title, name in known if name == key]
        close = difflib.get_close_matches(section, sorted(titles), n=1)
        hint = home_of_key[:1] or ([f"[{close[0]}]"] if close else [f"one of {', '.join(sorted(titles))}"])
        return ConfigError(f"{where}there is no section {section!r}; did you mean {hint[0]}?")
    keys = [name for title, name in known if title == section]
    elsewhere = [f"{title}.{name}" for title, name in known if name == key]
    close = [f"{section}.{name}" for name in difflib.get_close_matches(key, keys, n=1)]
    hint = elsewhere[:1] or close or [f"one of {', '.join(keys)}"]
    return ConfigError(f"{where}there is no setting {section}.{key}; did you mean {hint[0]}?")


def line_of(text: str, section: str, key: str) -> int:
    """Return the line of a key in a TOML file, as far as a look at each line tells; 1 if it does not."""
    current = ""
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            current = stripped.strip("[] \t").split("]")[0].strip("\"' ")
            if section == "" and current == key:
                return number
            continue
        name = stripped.split("=", 1)[0].strip().strip("\"'")
        if (current == section and name == key) or (current == "" and section and name == f"{section}.{key}"):
            return number
    return 1
