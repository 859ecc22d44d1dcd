"""S3ArtifactStore: large values, and files that tasks hand over, in a bucket.

A content lies under its digest, ``<path>/ab/abcd…``. An upload to S3 becomes visible when it is complete, and the same
content under the same key is the same, so nothing needs to be locked.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

from windlass.backends import ArtifactStore, Stored
from windlass_aws.s3.address import parse_s3_url

if TYPE_CHECKING:
    from windlass_aws.hooks import S3Hook


class S3ArtifactStore(ArtifactStore):
    """The artifact store ``s3``.

    Args:
        path: where it lies, ``s3://bucket/prefix``. The bucket must be there; nothing else may write below the prefix.
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

        return S3Hook(self._conn_id)

    def _key(self, digest: str) -> str:
        return f"{self._prefix}{digest[:2]}/{digest}"

    def put(self, digest: str, source: BinaryIO) -> None:
        """Store a content, in parts if it is large. It is written even where it is there, and so becomes young."""
        self._hook.load_file_obj(source, self._key(digest), self._bucket, replace=True)

    def open(self, digest: str) -> BinaryIO:
        """Return the content for reading.

        :raises AwsNotFound: if it is not there.
        """
        return self._hook.open_key(self._key(digest), self._bucket)

    def exists(self, digest: str) -> bool:
        """Return whether the content is there."""
        return self._hook.check_for_key(self._key(digest), self._bucket)

    def delete(self, digest: str, before: datetime | None = None) -> bool:
        """Remove the content, with ``before`` only if it was last put before that instant."""
        head = self._hook.head_object(self._key(digest), self._bucket)
        if head is None or (before is not None and head["LastModified"] >= before):
            return False
        self._hook.delete_objects(self._bucket, self._key(digest))
        return True

    def stored(self) -> Iterator[Stored]:
        """Yield everything below the prefix that is named like a content, page by page."""
        for item in self._hook.iter_file_metadata(self._prefix, self._bucket):
            name = item["Key"].rpartition("/")[2]
            if item["Key"] == self._key(name):
                yield Stored(name, item["Size"], item["LastModified"])
