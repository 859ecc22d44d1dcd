"""What a sensor looks for: one look, in the task or in a thread of the trigger host."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.errors import UsageError
from windlass_aws.s3.address import literal_prefix
from windlass_aws.s3.objects import S3Objects

#: Ends the literal beginning of a regular expression.
_SPECIAL = re.compile(r"[.^$*+?{}\[\]\\|()]")


@dataclass(frozen=True)
class Wanted:
    """Which keys are waited for, as plain data."""

    keys: tuple[str, ...]
    bucket_name: str | None = None
    wildcard_match: bool = False
    use_regex: bool = False
    #: What of each object's metadata is wanted besides its key; ``*`` is everything.
    metadata_keys: tuple[str, ...] = ("Size",)


def look(hook: S3Objects, wanted: Wanted) -> list[list[dict[str, Any]]] | None:
    """Return the objects found for each key, None if one of the keys has none.

    :raises AwsError: if the bucket may not be looked at.
    :raises UsageError: if a regular expression cannot be compiled.
    """
    found: list[list[dict[str, Any]]] = []
    for key in wanted.keys:
        objects = list(_objects(hook, wanted, key))
        if not objects:
            return None
        found.append(objects)
    return found


def _objects(hook: S3Objects, wanted: Wanted, key: str) -> Iterator[dict[str, Any]]:
    bucket, pattern = hook._address(key, wanted.bucket_name)  # noqa: SLF001 - of one house
    if not wanted.wildcard_match and not wanted.use_regex:
        head = hook.head_object(pattern, bucket)
        if head is not None:
            yield _chosen({"Key": pattern, "Size": head["ContentLength"], **head}, wanted.metadata_keys)
        return
    matches, prefix = _compiled(pattern, regex=wanted.use_regex)
    listed = {"Key", "Size", "LastModified", "ETag", "StorageClass"}
    for item in hook.iter_file_metadata(prefix, bucket):
        if matches.match(item["Key"]) is None:
            continue
        if not listed.issuperset(wanted.metadata_keys):
            head = hook.head_object(item["Key"], bucket)
            if head is None:  # removed meanwhile
                continue
            item = {**head, **item}  # noqa: PLW2901 - the same object, better known
        yield _chosen(item, wanted.metadata_keys)


def _compiled(pattern: str, *, regex: bool) -> tuple[re.Pattern[str], str]:
    """Return the expression and what a key that it matches begins with."""
    if not regex:
        return re.compile(fnmatch.translate(pattern)), literal_prefix(pattern)
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"bucket_key {pattern!r} is no regular expression: {error}") from None
    special = _SPECIAL.search(pattern)
    if special is None:
        return expression, pattern
    # What stands before | or a quantifier need not be there at all.
    end = 0 if "|" in pattern else max(0, special.start() - (special[0] in "*?{+"))
    return expression, pattern[:end]


def _chosen(item: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    if "*" in names:
        return {name: value for name, value in item.items() if name != "ResponseMetadata"}
    return {"Key": item["Key"], **{name: item.get(name) for name in names}}
