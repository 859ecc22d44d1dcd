"""Reading an object as a file: it can seek, and goes on where the connection broke."""

# ruff: noqa: ANN401 - boto3 is untyped
from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

#: Bytes that are asked of the socket at once.
PIECE: Final = 1 << 20
#: How often in a row a broken connection is made anew before that is an error.
_ATTEMPTS: Final = 5


class ObjectReader(io.RawIOBase):
    """The content of one version of one object.

    The first answer names its ETag, and every further question holds on to it: an object that is written anew meanwhile
    is an error, and never a mixture of two. Wrap it in :class:`io.BufferedReader`.
    """

    def __init__(
        self, client: Any, address: dict[str, str], explain: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Ask for the object, from its beginning.

        Args:
            client: of S3.
            address: ``Bucket`` and ``Key``.
            explain: makes the context in which failures become sentences.

        :raises AwsNotFound: if there is no such key.
        """
        super().__init__()
        self._client = client
        self._address = address
        self._explain = explain
        self._position = 0
        self._body: Any = None
        with explain():
            answer = client.get_object(**address)
        self._body = answer["Body"]
        self._etag = answer["ETag"]
        self._size = int(answer["ContentLength"])

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position; nothing is asked before the next read.

        :raises ValueError: if it would lie before the beginning.
        """
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"position {base + offset} lies before the beginning of the object")
        if base + offset != self._position:
            self._position = base + offset
            self._drop()
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer`` and return how many bytes that were, 0 at the end.

        :raises AwsError: if the connection keeps breaking, or the object was written anew.
        """
        wanted = min(len(buffer), PIECE, self._size - self._position)
        if wanted <= 0:
            return 0
        piece = self._piece(wanted)
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        """Let go of the connection."""
        self._drop()
        super().close()

    def _piece(self, wanted: int) -> bytes:
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        for attempt in range(1, _ATTEMPTS + 1):
            try:
                if self._body is None:
                    self._ask_again()
                piece: bytes = self._body.read(wanted)
            except (HTTPClientError, IncompleteReadError) as error:
                self._drop()
                if attempt == _ATTEMPTS:
                    with self._explain():
                        raise error from None
                continue
            if piece:
                return piece
            self._drop()  # it ended before its length: the connection was closed in between
        with self._explain():
            raise IncompleteReadError(actual_bytes=self._position, expected_bytes=self._size)

    def _ask_again(self) -> None:
        with self._explain():
            answer = self._client.get_object(**self._address, Range=f"bytes={self._position}-", IfMatch=self._etag)
        self._body = answer["Body"]

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
