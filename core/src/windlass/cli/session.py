"""What a command works with: the settings and the control services, opened when first asked for, closed at the end.

``windlass.app`` composes the real services; tests put their own in. Nothing is opened for a command that only prints
its help.
"""

from __future__ import annotations

import os
import pwd
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from windlass.config import Settings
    from windlass.control import Control


class Session:
    """One invocation of the command line."""

    def __init__(self, *, control: Control | None = None) -> None:
        self._flags: dict[str, str] = {}
        if control is not None:
            self.__dict__["control"] = control

    @cached_property
    def settings(self) -> Settings:
        """The settings of this invocation."""
        from windlass.control.configuration import load_settings

        return load_settings(self._flags)

    def flag(self, name: str, value: str) -> None:
        """Let the setting ``section.key`` have the value that an option of the command line gave it."""
        if "settings" in self.__dict__:
            del self.__dict__["settings"]
        self._flags[name] = value

    @cached_property
    def control(self) -> Control:
        """The control services over an open store.

        :raises WindlassError: if there is no database yet, or its schema is not current.
        """
        from windlass.app.services import open_control

        return open_control(self.settings)

    @cached_property
    def actor(self) -> str:
        """Who gives the commands, as the audit rows shall name them."""
        try:
            return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
        except KeyError:
            return f"cli:{os.getuid()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        opened = self.__dict__.get("control")
        if opened is not None:
            opened.close()


pass_session = click.make_pass_decorator(Session)
