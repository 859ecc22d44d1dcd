"""The hooks of AWS: S3Hook, and the base for other services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass_aws.hook import DEFAULT
from windlass_aws.hook import AwsBaseHook as AwsBaseHook
from windlass_aws.hook import AwsGenericHook as AwsGenericHook
from windlass_aws.s3.transfers import S3Transfers


class S3Hook(S3Transfers):
    """Files in S3, or in anything that speaks its protocol.

    A bucket is given as ``bucket_name``, inside an address ``s3://bucket/key``, or by the connection
    (``service_config.s3.bucket_name``). Failures are :class:`~windlass_aws.failures.AwsError`, in one sentence.

    Args:
        aws_conn_id: the connection; None leaves everything to boto's own chain.
        transfer_config_args: of boto's ``TransferConfig``, such as ``{"max_concurrency": 4}``.
        extra_args: of boto's ``ExtraArgs`` for uploads and copies, such as ``{"ContentType": "text/csv"}``.
        **kwargs: see :class:`AwsGenericHook`.
    """

    hook_name = "Amazon S3"

    def __init__(
        self,
        aws_conn_id: str | None = DEFAULT,
        transfer_config_args: Mapping[str, Any] | None = None,
        extra_args: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(aws_conn_id, **kwargs)
        self.transfer_config_args = dict(transfer_config_args or {})
        self.extra_args = dict(extra_args or {})
