"""S3LogStore: the logs of tasks in a bucket, one object per try."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

from windlass.backends import LogStore
from windlass_aws.failures import AwsError, AwsNotFound, explained
from windlass_aws.s3.address import parse_s3_url, url

if TYPE_CHECKING:
    from windlass_aws.hooks import S3Hook


class S3LogStore(LogStore):
    """The log store of places that begin with ``s3://``.

    Args:
        path: where it lies, ``s3://bucket/prefix``. The bucket must be there.
        conn_id: the connection of type ``aws``.

    :raises UsageError: if ``path`` is no address.
    """

    def __init__(self, *, path: str, conn_id: str = "aws_default") -> None:
        self._bucket, prefix = parse_s3_url(path)
        self._prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        self._conn_id = conn_id

    @cached_property
    def _hook(self) -> S3Hook:
        from windlass_aws.hooks import S3Hook

        return S3Hook(self._conn_id, extra_args={"ContentType": "application/x-ndjson"})

    def put(self, path: str, source: BinaryIO) -> None:
        """Store the whole log, in place of what was stored before."""
        self._hook.load_file_obj(source, self._prefix + path, self._bucket, replace=True)

    def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        """Return at most ``limit`` bytes from ``offset``; empty at the end and for a log that does not exist."""
        if limit is not None and limit <= 0:
            return b""
        key = self._prefix + path
        last = "" if limit is None else str(offset + limit - 1)
        try:
            with explained(self._hook.identity, f"reading {url(self._bucket, key)}"):
                answer = self._hook.conn.get_object(Bucket=self._bucket, Key=key, Range=f"bytes={offset}-{last}")
                return bytes(answer["Body"].read())
        except AwsNotFound as error:
            if error.aws_code == "NoSuchBucket":
                raise
            return b""
        except AwsError as error:
            if error.aws_code != "InvalidRange":
                raise
            return b""

    def size(self, path: str) -> int:
        """Return how many bytes the log has, 0 if it does not exist."""
        head = self._hook.head_object(self._prefix + path, self._bucket)
        return 0 if head is None else int(head["ContentLength"])

    def delete(self, paths: Iterable[str]) -> None:
        """Remove logs; a missing one is no error."""
        self._hook.delete_objects(self._bucket, (self._prefix + path for path in paths))
