"""One setting: its name, type, default and meaning, and how its text becomes a value.

A :class:`Declared` option stands in the class body of its section, so that ``settings.core.parallelism`` is an ``int``
to a type checker and the same line documents it. It is a descriptor without ``__set__``: the value of a loaded section
lies in the instance's ``__dict__`` and hides it; what is reached instead is a setting whose value is still a reference.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, ClassVar, Self

from windlass.errors import ConfigError

#: What a setting can be. A ``dict`` is JSON data.
Value = str | int | float | bool | Path | tuple[str, ...] | dict[str, Any] | None

_BOOLEANS = {"true": True, "t": True, "yes": True, "on": True, "1": True}
_BOOLEANS |= {"false": False, "f": False, "no": False, "off": False, "0": False}
_KINDS = {bool: "bool", int: "int", float: "float", str: "str", tuple: "list", dict: "json"}


class Option:
    """A setting that exists."""

    __slots__ = ("choices", "default", "description", "key", "kind", "minimum", "project", "secret", "section")

    def __init__(
        self,
        default: Value,
        description: str,
        *,
        kind: str | None = None,
        choices: tuple[str, ...] = (),
        minimum: float | None = None,
        secret: bool = False,
        project: bool = False,
        section: str = "",
        key: str = "",
    ) -> None:
        """Declare a setting.

        Args:
            default: its value when nothing sets it; a relative path lies in the home.
            description: one sentence for ``config list`` and the reference.
            kind: str, int, float, bool, path, list or json; by default that of ``default``.
            choices: the values that a str may have, compared without case.
            minimum: the least number allowed.
            secret: hidden when shown; may be given by reference.
            project: a project's file may set it.
            section: its section; a :class:`Declared` option learns it from its class.
            key: its name; likewise.
        """
        self.default = default
        self.description = description
        self.kind = kind or _KINDS[type(default)]
        self.choices = choices
        self.minimum = minimum
        self.secret = secret
        self.project = project
        self.section = section
        self.key = key

    @property
    def name(self) -> str:
        """The name in messages: ``section.key``."""
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"WINDLASS__{self.section}__{self.key}".upper()

    def unresolved(self) -> ConfigError:
        """Return the error for reading a value that is still a reference."""
        return ConfigError(
            f"{self.name} is given by reference (a command, file or secret), which only the processes that use it "
            f"resolve; ask through `windlass config get-value {self.section} {self.key}`"
        )

    def parse(self, raw: object, base: Path) -> Value:
        """Return the value that ``raw``, a text or a TOML value, stands for; relative paths lie in ``base``.

        :raises ConfigError: saying what the setting takes; the caller adds where it stood. Never quotes a secret.
        """
        value = self._read(raw, base)
        if self.choices:
            match = next((choice for choice in self.choices if choice.lower() == str(value).lower()), None)
            if match is None:
                raise self._refusal(raw, f"one of {', '.join(self.choices)}")
            return match
        if self.minimum is not None and isinstance(value, int | float) and value < self.minimum:
            raise self._refusal(raw, f"at least {self.minimum:g}")
        return value

    def _read(self, raw: object, base: Path) -> Value:
        if isinstance(raw, str):
            return self._read_text(raw, base)
        match self.kind, raw:
            case ("bool", bool()):
                return bool(raw)
            case ("int", int()) if not isinstance(raw, bool):
                return int(raw)
            case ("float", int() | float()) if not isinstance(raw, bool):
                return float(raw)
            case ("list", list() | tuple()) if all(isinstance(item, str) for item in raw):
                return tuple(raw)
            case ("json", dict()):
                return dict(raw)
        raise self._refusal(raw, _TAKES[self.kind])

    def _read_text(self, raw: str, base: Path) -> Value:
        try:
            match self.kind:
                case "path":
                    # Not Path.resolve: a link to a folder that moves with a deployment stays a link.
                    return Path(os.path.abspath(base / os.path.expanduser(raw)))  # noqa: PTH100, PTH111
                case "bool":
                    return _BOOLEANS[raw.strip().lower()]
                case "int":
                    return int(raw)
                case "float":
                    return float(raw)
                case "list":
                    return tuple(item.strip() for item in raw.split(",") if item.strip())
                case "json":
                    return self._read_json(raw)
        except (ValueError, KeyError):
            raise self._refusal(raw, _TAKES[self.kind]) from None
        return raw

    def _read_json(self, raw: str) -> dict[str, Any]:
        value = json.loads(raw or "{}")
        if not isinstance(value, dict):
            raise ValueError(raw)  # noqa: TRY004 - becomes a refusal
        return value

    def _refusal(self, raw: object, takes: str) -> ConfigError:
        given = "what is given" if self.secret else repr(raw)
        return ConfigError(f"{self.name} takes {takes}, not {given}")


_TAKES = {
    "str": "a text",
    "path": "a path",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "list": "a list of texts (with commas between them in the environment)",
    "json": "a JSON object",
}


class Declared(Option):
    """An option in the class body of its section."""

    __slots__ = ()

    def __set_name__(self, owner: type[Section], name: str) -> None:
        self.section = owner.title
        self.key = name

    def __get__(self, instance: Section | None, owner: type) -> Self:
        if instance is not None:
            raise self.unresolved()
        return self


class Section:
    """The loaded values of one section, as attributes."""

    #: The section's name in files and variables.
    title: ClassVar[str] = ""

    def __init__(self, values: dict[str, Value]) -> None:
        self.__dict__.update(values)
