"""The base of XCom codecs: how a type of Python value travels between tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar


class XComCodec(ABC):
    """Encodes one family of types. Both methods run in task children, never in a server.

    The codec's id is stored with each value, and data may outlive the code that wrote it: ``decode`` must read what
    every earlier version of ``encode`` under the same id wrote. It must never execute what it reads, so no pickle.
    """

    #: What stored values are marked with, for example ``pandas.parquet/1``.
    codec_id: ClassVar[str]
    #: Dotted names of the types it encodes, also through subclasses: ``pandas.core.frame.DataFrame``. They are
    #: compared by name, so that no library is imported to learn that a value is not of it.
    type_names: ClassVar[tuple[str, ...]]

    @abstractmethod
    def encode(self, value: Any) -> bytes:  # noqa: ANN401 - the type is the codec's own
        """Return the bytes of ``value``. An exception fails the task with its message."""

    @abstractmethod
    def decode(self, data: bytes) -> Any:  # noqa: ANN401 - the type is the codec's own
        """Return the value that ``data`` holds. An exception fails the reading task with its message."""

    def preview(self, value: Any) -> Any:  # noqa: ANN401 - JSON data of any value
        """Return JSON data that shows people what the value is; masked and cut to 2 KB by the caller."""
        return f"<{type(value).__module__}.{type(value).__qualname__}>"
