"""The base of notifiers: callbacks that tell people about what happened."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar


class Notifier(ABC):
    """A callback that sends a message. Give an instance wherever a callback is taken: ``on_failure_callback=``.

    It runs in a child process of its own, at least once, also when its task was killed. An exception is retried, and
    after five of them in a row the notifier is quarantined, visibly. What it was made with stays plain data.
    """

    #: Names of attributes that are rendered with the context before :meth:`notify` is called.
    template_fields: ClassVar[tuple[str, ...]] = ()
    #: Endings of template files: a field with such a value is read from the file.
    template_ext: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def notify(self, context: Mapping[str, Any]) -> None:
        """Send the message. ``context`` is the template context of the task or run."""

    def __call__(self, context: Mapping[str, Any]) -> None:
        """Do what a callback does: notify."""
        self.notify(context)
