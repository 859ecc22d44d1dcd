"""Whether objects below a prefix have stopped changing: what is remembered from one look to the next."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from windlass_aws.s3.objects import S3Objects

#: How many keys an error names.
_NAMED: Final = 5


class Quiet:
    """Remembers what was there, and since when nothing has changed.

    Args:
        period: seconds without a change.
        least: how many objects there must be.
        known: keys that are no change when they are seen first.
        allow_delete: an object that has gone is a change; else :attr:`deleted` names it, and nothing is over any more.
    """

    def __init__(self, period: float, least: int, known: Iterable[str] = (), *, allow_delete: bool = True) -> None:
        self._period = period
        self._least = least
        self._allow_delete = allow_delete
        #: Key -> which writing of it was seen; None for a key that is only known.
        self._seen: dict[str, str | None] = dict.fromkeys(known)
        self._since: datetime | None = None
        #: The first keys that have gone although they must not.
        self.deleted: list[str] = []

    def look(self, hook: S3Objects, bucket_name: str | None, prefix: str, now: datetime) -> bool:
        """List the objects and return whether nothing has changed for long enough.

        :raises AwsError: if the bucket may not be listed.
        """
        found: dict[str, str | None] = {
            item["Key"]: f"{item.get('ETag')} {item['LastModified']}"
            for item in hook.iter_file_metadata(prefix, bucket_name)
        }
        before, self._seen = self._seen, found
        gone = sorted(before.keys() - found.keys())
        if gone and not self._allow_delete:
            self.deleted = gone[:_NAMED]
            return False
        written = any(before.get(key, "") not in (None, writing) for key, writing in found.items())
        if self._since is None or gone or written:
            self._since = now
        return len(found) >= self._least and (now - self._since).total_seconds() >= self._period
