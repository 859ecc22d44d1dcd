"""Listings: page by page, never all at once, so that a bucket with a million keys costs one page of memory."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from windlass_aws.failures import explained
from windlass_aws.s3.address import literal_prefix, url
from windlass_aws.s3.buckets import S3Buckets

#: Called with what S3 lists (Key, Size, LastModified, ETag …); returns what to keep.
ObjectFilter = Callable[..., Any]


class S3Listing(S3Buckets):
    """What an :class:`~windlass_aws.hooks.S3Hook` finds in buckets."""

    def _pages(self, bucket: str, page_size: int | None, max_items: int | None, **arguments: Any) -> Iterator[Any]:
        paging = {"PageSize": page_size, "MaxItems": max_items}
        given = {name: value for name, value in arguments.items() if value}
        pages = self.conn.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig=paging, **given)
        what = f"listing {url(bucket, str(arguments.get('Prefix') or ''))}"
        iterator = iter(pages)
        while True:
            with explained(self.identity, what):
                page = next(iterator, None)
            if page is None:
                return
            yield page

    def iter_file_metadata(
        self,
        prefix: str,
        bucket_name: str | None = None,
        page_size: int | None = None,
        max_items: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield what S3 lists of each object below ``prefix``: Key, Size, LastModified, ETag and so on.

        Args:
            prefix: how the keys begin, or an address with the bucket in it.
            bucket_name: the bucket; the connection may name one.
            page_size: objects per request; S3 gives at most 1,000.
            max_items: how many to yield at most.
        """
        bucket, prefix = self._address(prefix, bucket_name)
        for page in self._pages(bucket, page_size, max_items, Prefix=prefix):
            yield from page.get("Contents", ())

    def get_file_metadata(
        self,
        prefix: str,
        bucket_name: str | None = None,
        page_size: int | None = None,
        max_items: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return the list of what :meth:`iter_file_metadata` yields."""
        return list(self.iter_file_metadata(prefix, bucket_name, page_size, max_items))

    def iter_keys(
        self,
        bucket_name: str | None = None,
        prefix: str | None = None,
        delimiter: str | None = None,
        page_size: int | None = None,
        max_items: int | None = None,
        start_after_key: str | None = None,
        from_datetime: datetime | None = None,
        to_datetime: datetime | None = None,
        object_filter: ObjectFilter | None = None,
        apply_wildcard: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
    ) -> Iterator[str]:
        """Yield keys; the arguments are those of :meth:`list_keys`."""
        bucket, prefix = self._address(prefix or "", bucket_name)
        start_after_key = start_after_key or ""
        matches: re.Pattern[str] | None = None
        if apply_wildcard:
            matches = re.compile(fnmatch.translate(prefix))
            prefix = literal_prefix(prefix)
        pages = self._pages(
            bucket, page_size, max_items, Prefix=prefix, Delimiter=delimiter, StartAfter=start_after_key
        )
        for page in pages:
            found = [
                item
                for item in page.get("Contents", ())
                if (matches is None or matches.match(item["Key"]))
                and (from_datetime is None or item["LastModified"] >= from_datetime)
                and (to_datetime is None or item["LastModified"] < to_datetime)
            ]
            if object_filter is None:
                yield from (item["Key"] for item in found)
            else:
                yield from object_filter(found, from_datetime, to_datetime)

    def list_keys(
        self,
        bucket_name: str | None = None,
        prefix: str | None = None,
        delimiter: str | None = None,
        page_size: int | None = None,
        max_items: int | None = None,
        start_after_key: str | None = None,
        from_datetime: datetime | None = None,
        to_datetime: datetime | None = None,
        object_filter: ObjectFilter | None = None,
        apply_wildcard: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
    ) -> list[str]:
        """Return the keys that are listed.

        Args:
            bucket_name: the bucket; the connection may name one.
            prefix: how the keys begin, or an address with the bucket in it.
            delimiter: leave out keys that have it behind the prefix; ``/`` stays in one folder.
            page_size: keys per request; S3 gives at most 1,000.
            max_items: how many keys to look at at most.
            start_after_key: begin behind this key.
            from_datetime: only what was written at or after this instant (aware).
            to_datetime: only what was written before this instant (aware).
            object_filter: called per page as ``object_filter(objects, from_datetime, to_datetime)``; returns the keys
                to keep.
            apply_wildcard: take ``prefix`` as a pattern with ``*``, ``?`` and ``[…]`` for the whole key.
        """
        return list(
            self.iter_keys(
                bucket_name, prefix, delimiter, page_size, max_items, start_after_key, from_datetime, to_datetime,
                object_filter, apply_wildcard,
            )
        )  # fmt: skip

    def list_prefixes(
        self,
        bucket_name: str | None = None,
        prefix: str | None = None,
        delimiter: str | None = None,
        page_size: int | None = None,
        max_items: int | None = None,
    ) -> list[str]:
        """Return the prefixes one level below ``prefix``, up to the next ``delimiter``: with ``/`` its folders."""
        bucket, prefix = self._address(prefix or "", bucket_name)
        pages = self._pages(bucket, page_size, max_items, Prefix=prefix, Delimiter=delimiter)
        return [found["Prefix"] for page in pages for found in page.get("CommonPrefixes", ())]

    def check_for_prefix(self, prefix: str, delimiter: str, bucket_name: str | None = None) -> bool:
        """Return whether there is a key below the folder ``prefix``."""
        if not prefix.endswith(delimiter):
            prefix += delimiter
        return next(self.iter_file_metadata(prefix, bucket_name, max_items=1), None) is not None
