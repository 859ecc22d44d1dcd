"""Operators for S3: buckets, objects, listings. Files come and go with :mod:`windlass_aws.transfers`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from windlass.errors import AuthoringError, UsageError
from windlass.operators import Context
from windlass_aws.base_operator import COMMON
from windlass_aws.base_operator import AwsBaseOperator as AwsBaseOperator


class S3CreateBucketOperator(AwsBaseOperator):
    """Make a bucket, unless it is there already.

    Args:
        bucket_name: its name.
        region_name: where it is made; the connection says by default.
        **kwargs: see AwsBaseOperator.
    """

    template_fields: Sequence[str] = (*COMMON, "bucket_name")

    def __init__(self, *, bucket_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bucket_name = bucket_name

    def execute(self, context: Context) -> None:
        """Make it."""
        if self.hook.check_for_bucket(self.bucket_name):
            self.log.info("the bucket %s exists already", self.bucket_name)
            return
        self.hook.create_bucket(self.bucket_name, self.region_name)
        self.log.info("made the bucket %s", self.bucket_name)


class S3DeleteBucketOperator(AwsBaseOperator):
    """Remove a bucket, unless it is gone already.

    Args:
        bucket_name: its name.
        force_delete: remove everything in it first, all versions too; else a bucket that is not empty is an error.
        **kwargs: see AwsBaseOperator.
    """

    template_fields: Sequence[str] = (*COMMON, "bucket_name")

    def __init__(self, *, bucket_name: str, force_delete: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bucket_name = bucket_name
        self.force_delete = force_delete

    def execute(self, context: Context) -> None:
        """Remove it."""
        if not self.hook.check_for_bucket(self.bucket_name):
            self.log.info("there is no bucket %s", self.bucket_name)
            return
        self.hook.delete_bucket(self.bucket_name, force_delete=self.force_delete)
        self.log.info("removed the bucket %s", self.bucket_name)


class S3GetBucketTaggingOperator(AwsBaseOperator):
    """Return the tags of a bucket, a list of dicts with ``Key`` and ``Value``; empty if it has none.

    Args:
        bucket_name: its name.
        **kwargs: see AwsBaseOperator.
    """

    template_fields: Sequence[str] = (*COMMON, "bucket_name")

    def __init__(self, *, bucket_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bucket_name = bucket_name

    def execute(self, context: Context) -> list[dict[str, str]]:
        """Read them."""
        return self.hook.get_bucket_tagging(self.bucket_name)


class S3PutBucketTaggingOperator(AwsBaseOperator):
    """Replace the tags of a bucket.

    Args:
        bucket_name: its name.
        key: of one tag; with ``value``.
        value: of that tag.
        tag_set: several tags, as a dict or as a list of dicts with ``Key`` and ``Value``.
        **kwargs: see AwsBaseOperator.
    """

    template_fields: Sequence[str] = (*COMMON, "bucket_name", "key", "value", "tag_set")

    def __init__(
        self,
        *,
        bucket_name: str,
        key: str | None = None,
        value: str | None = None,
        tag_set: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bucket_name = bucket_name
        self.key = key
        self.value = value
        self.tag_set = tag_set

    def execute(self, context: Context) -> None:
        """Set them."""
        self.hook.put_bucket_tagging(self.tag_set, self.key, self.value, self.bucket_name)


class S3DeleteBucketTaggingOperator(AwsBaseOperator):
    """Remove all tags of a bucket.

    Args:
        bucket_name: its name.
        **kwargs: see AwsBaseOperator.
    """

    template_fields: Sequence[str] = (*COMMON, "bucket_name")

    def __init__(self, *, bucket_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bucket_name = bucket_name

    def execute(self, context: Context) -> None:
        """Remove them."""
        self.hook.delete_bucket_tagging(self.bucket_name)


class S3CreateObjectOperator(AwsBaseOperator):
    """Store a text or bytes as an object.

    Args:
        s3_key: where to, or the whole address ``s3://bucket/key``.
        data: a text or bytes.
        s3_bucket: the bucket, unless it stands in the address or in the connection.
        replace: write over what is there; else that is an error.
        encrypt: let S3 encrypt it with keys of its own.
        acl_policy: a canned ACL such as ``private``.
        encoding: of a text; UTF-8 by default.
        compression: ``gzip`` compresses a text.
        **kwargs: see AwsBaseOperator.
    """

    template_fields: Sequence[str] = (*COMMON, "s3_bucket", "s3_key", "data")

    def __init__(
        self,
        *,
        s3_key: str,
        data: str | bytes,
        s3_bucket: str | None = None,
        replace: bool = False,
        encrypt: bool = False,
        acl_policy: str | None = None,
        encoding: str | None = None,
        compression: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.s3_key = s3_key
        self.data = data
        self.s3_bucket = s3_bucket
        self.replace = replace
        self.encrypt = encrypt
        self.acl_policy = acl_policy
        self.encoding = encoding
        self.compression = compression

    def execute(self, context: Context) -> None:
        """Store it."""
        where = {"key": self.s3_key, "bucket_name": self.s3_bucket}
        how = {"replace": self.replace, "encrypt": self.encrypt, "acl_policy": self.acl_policy}
        data: object = self.data  # a template may have rendered to anything
        if isinstance(data, bytes | bytearray):
            self.hook.load_bytes(bytes(data), **where, **how)  # type: ignore[arg-type] # all are named above
        elif isinstance(data, str):
            self.hook.load_string(data, **where, **how, encoding=self.encoding, compression=self.compression)  # type: ignore[arg-type]
        else:
            raise TypeError(
                f"task {self.task_id!r}: data must be a text or bytes, not {type(data).__name__}; encode it, with "
                "json.dumps say"
            )


class S3CopyObjectOperator(AwsBaseOperator):
    """Copy an object inside S3, in parts if it is large.

    Args:
        source_bucket_key: of what is copied, or its address ``s3://bucket/key``.
        dest_bucket_key: of the copy, or its address.
        source_bucket_name: the bucket, unless it stands in the address.
        dest_bucket_name: the bucket, unless it stands in the address.
        source_version_id: copy this version instead of the current one.
        acl_policy: a canned ACL of the copy.
        meta_data_directive: ``COPY`` or ``REPLACE`` the metadata.
        **kwargs: see AwsBaseOperator.
    """

    template_fields: Sequence[str] = (
        *COMMON, "source_bucket_key", "dest_bucket_key", "source_bucket_name", "dest_bucket_name",
    )  # fmt: skip

    def __init__(
        self,
        *,
        source_bucket_key: str,
        dest_bucket_key: str,
        source_bucket_name: str | None = None,
        dest_bucket_name: str | None = None,
        source_version_id: str | None = None,
        acl_policy: str | None = None,
        meta_data_directive: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_bucket_key = source_bucket_key
        self.dest_bucket_key = dest_bucket_key
        self.source_bucket_name = source_bucket_name
        self.dest_bucket_name = dest_bucket_name
        self.source_version_id = source_version_id
        self.acl_policy = acl_policy
        self.meta_data_directive = meta_data_directive

    def execute(self, context: Context) -> None:
        """Copy it."""
        self.hook.copy_object(
            self.source_bucket_key,
            self.dest_bucket_key,
            self.source_bucket_name,
            self.dest_bucket_name,
            self.source_version_id,
            self.acl_policy,
            self.meta_data_directive,
        )


class S3DeleteObjectsOperator(AwsBaseOperator):
    """Remove objects: the named ones, or all below a prefix, perhaps within a span of time.

    If what another task or a template gives says nothing when the task runs, that is an error and nothing is removed.

    Args:
        bucket: the bucket.
        keys: one key or a list; none of them needs to be there. An empty list removes nothing.
        prefix: instead of keys, how those begin that go; ``""``, written in the DAG file, is all of them.
        from_datetime: instead of keys, only what was written at or after this instant (aware, or ISO text).
        to_datetime: instead of keys, only what was written before this instant (aware, or ISO text).
        **kwargs: see AwsBaseOperator.
    """

    template_fields: Sequence[str] = (*COMMON, "bucket", "keys", "prefix", "from_datetime", "to_datetime")

    def __init__(
        self,
        *,
        bucket: str,
        keys: str | list[str] | None = None,
        prefix: str | None = None,
        from_datetime: datetime | str | None = None,
        to_datetime: datetime | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        found = prefix is not None or from_datetime is not None or to_datetime is not None
        if (keys is not None) == found:
            raise AuthoringError(
                f"task {self.task_id!r}: say what to delete either by keys, or by prefix, from_datetime and to_datetime"
            )
        self.bucket = bucket
        self.keys = keys
        self.prefix = prefix
        self.from_datetime = from_datetime
        self.to_datetime = to_datetime
        self._means_all = prefix == ""

    def execute(self, context: Context) -> None:
        """Remove them; what a listing finds goes page by page."""
        if self.keys is not None:
            self.hook.delete_objects(self.bucket, self.keys)
            return
        start, end = (self._instant(name) for name in ("from_datetime", "to_datetime"))
        if not self.prefix and start is None and end is None and not self._means_all:
            raise UsageError(
                f"task {self.task_id!r}: keys, prefix, from_datetime and to_datetime are all empty now that the task "
                "runs, which would be every object of the bucket; nothing was deleted, look at what gave them"
            )
        found = self.hook.iter_keys(self.bucket, self.prefix, from_datetime=start, to_datetime=end)
        self.hook.delete_objects(self.bucket, found)

    def _instant(self, name: str) -> datetime | None:
        value = getattr(self, name)
        if value is None or value == "":
            return None
        try:
            instant = datetime.fromisoformat(value) if isinstance(value, str) else value
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is None:
            raise ValueError(
                f"task {self.task_id!r}: {name} must be an instant with a time zone, such as "
                f"2026-01-01T00:00:00+00:00, not {value!r}"
            )
        return instant


class S3ListOperator(AwsBaseOperator):
    """Return the keys of a bucket that begin with a prefix.

    Args:
        bucket: the bucket.
        prefix: how they begin.
        delimiter: leave out keys that have it behind the prefix; ``/`` stays in one folder.
        apply_wildcard: take ``prefix`` as a pattern with ``*``, ``?`` and ``[…]``.
        **kwargs: see AwsBaseOperator.
    """

    template_fields: Sequence[str] = (*COMMON, "bucket", "prefix", "delimiter")

    def __init__(
        self, *, bucket: str, prefix: str = "", delimiter: str = "", apply_wildcard: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.bucket = bucket
        self.prefix = prefix
        self.delimiter = delimiter
        self.apply_wildcard = apply_wildcard

    def execute(self, context: Context) -> list[str]:
        """List them."""
        return self.hook.list_keys(self.bucket, self.prefix, self.delimiter, apply_wildcard=self.apply_wildcard)


class S3ListPrefixesOperator(AwsBaseOperator):
    """Return the prefixes one level below a prefix, what people call its folders.

    Args:
        bucket: the bucket.
        prefix: below which they are.
        delimiter: what ends each; usually ``/``.
        **kwargs: see AwsBaseOperator.
    """

    template_fields: Sequence[str] = (*COMMON, "bucket", "prefix", "delimiter")

    def __init__(self, *, bucket: str, prefix: str = "", delimiter: str = "/", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bucket = bucket
        self.prefix = prefix
        self.delimiter = delimiter

    def execute(self, context: Context) -> list[str]:
        """List them."""
        return self.hook.list_prefixes(self.bucket, self.prefix, self.delimiter)
