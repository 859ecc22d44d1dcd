"""Objects: looking at them, reading, copying and removing them."""

# ruff: noqa: ANN401 - boto3 is untyped
from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO, Final

from windlass.errors import UsageError
from windlass_aws.failures import AwsNotFound, explained
from windlass_aws.s3.address import get_s3_bucket_key, url
from windlass_aws.s3.listing import S3Listing

#: The most keys of one request to delete.
BATCH: Final = 1000
_PIECE = 1 << 20


class S3Objects(S3Listing):
    """What an :class:`~windlass_aws.hooks.S3Hook` does with single objects."""

    #: Further arguments of boto's ``ExtraArgs`` for uploads, copies and downloads.
    extra_args: Mapping[str, Any]
    transfer_config_args: Mapping[str, Any]

    @staticmethod
    def parse_s3_url(s3url: str) -> tuple[str, str]:
        """Return bucket and key of ``s3://bucket/key`` or of a URL over HTTP.

        :raises UsageError: if it is no such URL.
        """
        from windlass_aws.s3 import address

        return address.parse_s3_url(s3url)

    @staticmethod
    def get_s3_bucket_key(
        bucket: str | None, key: str, bucket_param_name: str = "bucket_name", key_param_name: str = "bucket_key"
    ) -> tuple[str, str]:
        """Return bucket and key, given apart, or both in ``key`` as a URL.

        :raises UsageError: if a bucket is given besides a URL, or none at all.
        """
        return get_s3_bucket_key(bucket, key, bucket_param_name, key_param_name)

    def head_object(self, key: str, bucket_name: str | None = None) -> dict[str, Any] | None:
        """Return the metadata of an object, None if there is no such key.

        :raises AwsError: if it may not be looked at, which without the permission to list the bucket is also the
            answer for a key that is not there.
        """
        bucket, key = self._address(key, bucket_name)
        try:
            with explained(self.identity, f"looking at {url(bucket, key)}"):
                return dict(self.conn.head_object(Bucket=bucket, Key=key))
        except AwsNotFound:
            return None

    def check_for_key(self, key: str, bucket_name: str | None = None) -> bool:
        """Return whether there is such a key."""
        return self.head_object(key, bucket_name) is not None

    def get_key(self, key: str, bucket_name: str | None = None) -> Any:
        """Return boto's resource of an object, loaded; ``get_key(k).get()["Body"]`` streams its content.

        :raises AwsNotFound: if there is no such key.
        """
        bucket, key = self._address(key, bucket_name)
        found = self._resource.Object(bucket, key)
        with explained(self.identity, f"looking at {url(bucket, key)}"):
            found.load()
        return found

    def open_key(self, key: str, bucket_name: str | None = None) -> BinaryIO:
        """Open the content for reading, as a file that can seek; where the connection breaks it is read on.

        :raises AwsNotFound: if there is no such key.
        """
        from windlass_aws.s3.reader import PIECE, ObjectReader

        bucket, key = self._address(key, bucket_name)
        address = {"Bucket": bucket, "Key": key}
        raw = ObjectReader(self.conn, address, lambda: explained(self.identity, f"reading {url(bucket, key)}"))
        return io.BufferedReader(raw, PIECE)

    def iter_bytes(self, key: str, bucket_name: str | None = None) -> Iterator[bytes]:
        """Yield the content in pieces of at most 1 MiB.

        :raises AwsNotFound: if there is no such key.
        :raises AwsError: if the connection keeps breaking.
        """
        with self.open_key(key, bucket_name) as source:
            while piece := source.read(_PIECE):
                yield piece

    def read_key(self, key: str, bucket_name: str | None = None, encoding: str = "utf-8") -> str:
        """Return the content as text; it is decoded as it arrives.

        :raises AwsNotFound: if there is no such key.
        :raises UnicodeDecodeError: if it is no text in ``encoding``.
        """
        decoder = codecs.getincrementaldecoder(encoding)()
        text = [decoder.decode(piece) for piece in self.iter_bytes(key, bucket_name)]
        return "".join(text) + decoder.decode(b"", final=True)

    def select_key(
        self,
        key: str,
        bucket_name: str | None = None,
        expression: str | None = None,
        expression_type: str | None = None,
        input_serialization: Mapping[str, Any] | None = None,
        output_serialization: Mapping[str, Any] | None = None,
    ) -> str:
        """Return what an S3 Select expression finds in an object (where the account has S3 Select).

        Args:
            key: of the object, or its address.
            bucket_name: the bucket; the connection may name one.
            expression: in SQL; by default everything, ``SELECT * FROM S3Object``.
            expression_type: ``SQL``.
            input_serialization: how the object is written; by default ``{"CSV": {}}``.
            output_serialization: how the answer is; by default ``{"CSV": {}}``.
        """
        bucket, key = self._address(key, bucket_name)
        with explained(self.identity, f"selecting from {url(bucket, key)}"):
            answer = self.conn.select_object_content(
                Bucket=bucket,
                Key=key,
                Expression=expression or "SELECT * FROM S3Object",
                ExpressionType=expression_type or "SQL",
                InputSerialization=dict(input_serialization or {"CSV": {}}),
                OutputSerialization=dict(output_serialization or {"CSV": {}}),
            )
            records = [event["Records"]["Payload"] for event in answer["Payload"] if "Records" in event]
        return b"".join(records).decode("utf-8")  # a character may stand across two events

    def check_for_wildcard_key(self, wildcard_key: str, bucket_name: str | None = None, delimiter: str = "") -> bool:
        """Return whether a key matches a pattern with ``*``, ``?`` and ``[…]``."""
        return self.get_wildcard_key(wildcard_key, bucket_name, delimiter) is not None

    def get_wildcard_key(self, wildcard_key: str, bucket_name: str | None = None, delimiter: str = "") -> Any:
        """Return boto's resource of the first object whose key matches a pattern, None if there is none."""
        bucket, pattern = self._address(wildcard_key, bucket_name)
        found = next(self.iter_keys(bucket, pattern, delimiter, apply_wildcard=True), None)
        return None if found is None else self.get_key(found, bucket)

    def copy_object(
        self,
        source_bucket_key: str,
        dest_bucket_key: str,
        source_bucket_name: str | None = None,
        dest_bucket_name: str | None = None,
        source_version_id: str | None = None,
        acl_policy: str | None = None,
        meta_data_directive: str | None = None,
    ) -> None:
        """Copy an object inside S3; the bytes never pass through here. A large one goes in parts, several at a time.

        Args:
            source_bucket_key: of what is copied, or its address.
            dest_bucket_key: of the copy, or its address.
            source_bucket_name: the bucket, unless it stands in the address.
            dest_bucket_name: the bucket, unless it stands in the address.
            source_version_id: copy this version instead of the current one.
            acl_policy: a canned ACL of the copy, such as ``private``.
            meta_data_directive: ``COPY`` or ``REPLACE`` the metadata.
        """
        bucket, key = self._address(dest_bucket_key, dest_bucket_name)
        from_bucket, from_key = self._address(source_bucket_key, source_bucket_name)
        source = {"Bucket": from_bucket, "Key": from_key}
        if source_version_id is not None:
            source["VersionId"] = source_version_id
        extra = {"ACL": acl_policy, "MetadataDirective": meta_data_directive}
        with explained(self.identity, f"copying {url(from_bucket, from_key)} to {url(bucket, key)}"):
            self.conn.copy(
                source,
                bucket,
                key,
                ExtraArgs={**self.extra_args, **{name: value for name, value in extra.items() if value}},
                Config=self._transfer_config(),
            )

    def delete_objects(self, bucket: str | None, keys: str | Iterable[str]) -> None:
        """Remove objects, in batches of 1,000; a key that is not there is no error.

        :raises AwsError: naming the keys of a batch that could not be removed, each with its code.
        """
        names = iter([keys] if isinstance(keys, str) else keys)
        chosen = self._bucket(bucket)
        while batch := list(islice(names, BATCH)):
            self._delete_batch(chosen, [{"Key": key} for key in batch])

    def generate_presigned_url(
        self,
        client_method: str,
        params: Mapping[str, Any] | None = None,
        expires_in: int = 3600,
        http_method: str | None = None,
    ) -> str:
        """Return a URL with which anybody may do one thing for a while.

        Args:
            client_method: what, as boto calls it: ``get_object``, ``put_object``.
            params: its arguments, such as ``{"Bucket": …, "Key": …}``.
            expires_in: seconds, at most a week; with the credentials of a role no longer than those.
            http_method: by default that of the client method.

        :raises UsageError: if boto has no such method.
        """
        if client_method not in self.conn.meta.method_to_api_mapping:
            raise UsageError(f"S3 has no method {client_method!r}; write it as boto does, for example get_object")
        with explained(self.identity, f"signing a URL for {client_method}"):
            return str(
                self.conn.generate_presigned_url(
                    ClientMethod=client_method, Params=dict(params or {}), ExpiresIn=expires_in, HttpMethod=http_method
                )
            )

    def _transfer_config(self) -> Any:
        from boto3.s3.transfer import TransferConfig

        return TransferConfig(**self.transfer_config_args)
