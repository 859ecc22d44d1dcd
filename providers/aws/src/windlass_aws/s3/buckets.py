"""Buckets: whether they are there, making and removing them, their tags."""

# ruff: noqa: ANN401 - boto3 is untyped
from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from windlass.errors import UsageError
from windlass_aws.failures import AwsError, AwsNotFound, explained
from windlass_aws.hook import AwsBaseHook
from windlass_aws.s3.address import get_s3_bucket_key, url


class S3Buckets(AwsBaseHook):
    """What an :class:`~windlass_aws.hooks.S3Hook` does with buckets."""

    service = "s3"

    def _bucket(self, bucket_name: str | None) -> str:
        """Return the bucket, by default the one that the connection names.

        :raises UsageError: if there is none.
        """
        found = bucket_name or self.settings.service("s3").bucket_name
        if not found:
            raise UsageError(
                "no bucket is named; give bucket_name, the address s3://bucket/key, or service_config.s3.bucket_name "
                "in the connection"
            )
        return found

    def _address(self, key: str, bucket_name: str | None) -> tuple[str, str]:
        """Return bucket and key; the bucket may stand in the key, or in the connection."""
        if "://" in key:
            return get_s3_bucket_key(bucket_name, key, "bucket_name", "key")
        return self._bucket(bucket_name), key

    def check_for_bucket(self, bucket_name: str | None = None) -> bool:
        """Return whether the bucket is there.

        :raises AwsError: if it may not be looked at: no answer is no proof of absence.
        """
        bucket = self._bucket(bucket_name)
        try:
            with explained(self.identity, f"looking at the bucket {url(bucket)}"):
                self.conn.head_bucket(Bucket=bucket)
        except AwsNotFound:
            return False
        return True

    def get_bucket(self, bucket_name: str | None = None) -> Any:
        """Return boto's resource of the bucket, such as for ``get_bucket("b").objects.all()``; nothing is asked yet."""
        return self._resource.Bucket(self._bucket(bucket_name))

    @cached_property
    def _resource(self) -> Any:
        return self.get_resource_type("s3")

    def create_bucket(self, bucket_name: str | None = None, region_name: str | None = None) -> None:
        """Make a bucket, by default in the region of the hook; one that the account owns already is no error.

        :raises AwsError: if it cannot be, or another account has that name.
        """
        bucket = self._bucket(bucket_name)
        region = region_name or self.conn_region_name
        arguments: dict[str, Any] = {"Bucket": bucket}
        if region not in ("us-east-1", "aws-global"):
            arguments["CreateBucketConfiguration"] = {"LocationConstraint": region}
        client = self.conn if region_name is None else self.get_client_type(region_name=region_name)
        try:
            with explained(self.identity, f"creating the bucket {url(bucket)}"):
                client.create_bucket(**arguments)
        except AwsError as error:
            if error.aws_code != "BucketAlreadyOwnedByYou":
                raise
            self.log.info("the bucket %s exists already", url(bucket))

    def delete_bucket(self, bucket_name: str, force_delete: bool = False, max_retries: int = 5) -> None:  # noqa: FBT001, FBT002 - Airflow's signature
        """Remove a bucket.

        Args:
            bucket_name: its name.
            force_delete: remove everything in it first, all versions too.
            max_retries: how often to begin again where somebody writes into it meanwhile.

        :raises AwsError: if it is not empty, or not there (then a :class:`~windlass_aws.failures.AwsNotFound`).
        """
        what = f"deleting the bucket {url(bucket_name)}"
        left = max_retries if force_delete else 0
        while True:
            if force_delete:
                self._empty(bucket_name)
            try:
                with explained(self.identity, what):
                    self.conn.delete_bucket(Bucket=bucket_name)
                return
            except AwsError as error:
                if error.aws_code != "BucketNotEmpty" or left <= 0:
                    raise
            left -= 1
            time.sleep(0.5)

    def _empty(self, bucket: str) -> None:
        """Remove every version of every object, and what was never completed."""
        with explained(self.identity, f"emptying the bucket {url(bucket)}"):
            for page in self.conn.get_paginator("list_object_versions").paginate(Bucket=bucket):
                found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                names = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
                if names:
                    self._delete_batch(bucket, names)
            for page in self.conn.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
                for upload in page.get("Uploads", ()):
                    self.conn.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])

    def _delete_batch(self, bucket: str, names: list[dict[str, str]]) -> None:
        """Remove at most 1,000 objects.

        :raises AwsError: naming the keys that could not be, each with its code; the others are gone.
        """
        what = f"deleting {len(names)} objects of {url(bucket)}"
        with explained(self.identity, what):
            answer = self.conn.delete_objects(Bucket=bucket, Delete={"Objects": names, "Quiet": True})
        errors = answer.get("Errors", ())
        if errors:
            shown = ", ".join(f"{error['Key']!r} ({error.get('Code', 'unknown')})" for error in errors[:10])
            more = f" and {len(errors) - 10} more" if len(errors) > 10 else ""
            raise AwsError(
                f"{what}: {len(errors)} could not be deleted: {shown}{more}; the others are gone",
                str(errors[0].get("Code", "")),
            )

    def get_bucket_tagging(self, bucket_name: str | None = None) -> list[dict[str, str]]:
        """Return the tags, each a dict with ``Key`` and ``Value``; empty if it has none."""
        bucket = self._bucket(bucket_name)
        try:
            with explained(self.identity, f"reading the tags of {url(bucket)}"):
                return list(self.conn.get_bucket_tagging(Bucket=bucket)["TagSet"])
        except AwsNotFound as error:
            if error.aws_code != "NoSuchTagSet":
                raise
            return []

    def put_bucket_tagging(
        self,
        tag_set: Mapping[str, str] | Iterable[Mapping[str, str]] | None = None,
        key: str | None = None,
        value: str | None = None,
        bucket_name: str | None = None,
    ) -> None:
        """Replace the tags by ``tag_set`` (a dict, or boto's list of ``Key`` and ``Value``) and ``key`` = ``value``.

        :raises UsageError: if there is nothing to set, or only one of key and value.
        """
        if (key is None) != (value is None) or (key is None and not tag_set):
            raise UsageError("give tag_set, or both key and value, to tag a bucket")
        given = tag_set or {}
        tags = [{"Key": k, "Value": v} for k, v in given.items()] if isinstance(given, Mapping) else [*map(dict, given)]
        if key is not None and value is not None:
            tags.append({"Key": key, "Value": value})
        bucket = self._bucket(bucket_name)
        with explained(self.identity, f"tagging the bucket {url(bucket)}"):
            self.conn.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})

    def delete_bucket_tagging(self, bucket_name: str | None = None) -> None:
        """Remove all tags."""
        bucket = self._bucket(bucket_name)
        with explained(self.identity, f"removing the tags of {url(bucket)}"):
            self.conn.delete_bucket_tagging(Bucket=bucket)
