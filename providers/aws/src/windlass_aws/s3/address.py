"""Addresses in S3: ``s3://bucket/key``, a URL over HTTP, or a bucket and a key apart."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from windlass.errors import UsageError

_WILDCARD = re.compile(r"[*?\[]")
#: The hosts under which AWS serves buckets, with the bucket in front or in the path.
_HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3[.-](?:[a-z0-9.-]*\.)?amazonaws\.com(?:\.cn)?")


def parse_s3_url(s3url: str) -> tuple[str, str]:
    """Return the bucket and the key of a URL; the key is empty where the URL names only a bucket.

    ``s3://``, ``s3a://`` and ``s3n://`` take the key as it stands; in a URL over HTTP, of AWS or of an endpoint that
    has the bucket in its path, percent codes are decoded.

    :raises UsageError: if it is no such URL.
    """
    scheme, separator, rest = s3url.partition("://")
    if separator and scheme.lower() in ("s3", "s3a", "s3n"):
        bucket, _, key = rest.partition("/")
    elif scheme.lower() in ("http", "https") and separator:
        parts = urlsplit(s3url)
        host = _HOST.fullmatch(parts.hostname or "")
        path = unquote(parts.path).lstrip("/")
        if host is not None and host["bucket"]:
            bucket, key = host["bucket"], path
        else:
            bucket, _, key = path.partition("/")
    else:
        raise UsageError(f"{s3url!r} is no address in S3; write s3://bucket/key")
    if not bucket:
        raise UsageError(f"{s3url!r} names no bucket; write s3://bucket/key")
    return bucket, key


def get_s3_bucket_key(
    bucket: str | None, key: str, bucket_param_name: str = "bucket_name", key_param_name: str = "bucket_key"
) -> tuple[str, str]:
    """Return bucket and key, given apart, or both in ``key`` as a URL.

    :raises UsageError: if a bucket is given besides a URL, or none at all.
    """
    if "://" in key:
        if bucket is not None:
            raise UsageError(
                f"{key_param_name} is the whole address {key!r}, and {bucket_param_name} is given besides; "
                f"leave {bucket_param_name} out, or give only the key as {key_param_name}"
            )
        return parse_s3_url(key)
    if not bucket:
        raise UsageError(
            f"{key_param_name} is {key!r} and no bucket is named; give {bucket_param_name}, or the whole address "
            "s3://bucket/key"
        )
    return bucket, key


def url(bucket: str, key: str = "") -> str:
    """Return the address for people."""
    return f"s3://{bucket}/{key}" if key else f"s3://{bucket}"


def literal_prefix(pattern: str) -> str:
    """Return what stands in a pattern before its first wildcard: only below that is there anything to list."""
    found = _WILDCARD.search(pattern)
    return pattern if found is None else pattern[: found.start()]
