"""What the operators and sensors of S3 share: the arguments of their hook. The SDK is imported in ``execute``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from windlass.operators import BaseOperator

if TYPE_CHECKING:
    from windlass_aws.hooks import S3Hook

DEFAULT: Final = "aws_default"
#: The template fields of every operator here, besides its own.
COMMON: Final = ("aws_conn_id", "region_name")


class AwsBaseOperator(BaseOperator):
    """The base of the operators of S3.

    Args:
        aws_conn_id: the connection; None leaves everything to boto's own chain.
        region_name: the region; the connection says by default.
        verify: whether certificates are checked, or the path of a bundle; the connection says by default.
        botocore_config: arguments of ``botocore.config.Config``, such as ``{"read_timeout": 300}``.
        **kwargs: see BaseOperator.
    """

    template_fields: Sequence[str] = COMMON
    ui_color = "#f6c98b"

    def __init__(
        self,
        *,
        aws_conn_id: str | None = DEFAULT,
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    @cached_property
    def hook(self) -> S3Hook:
        """The hook, made once per attempt."""
        return make_hook(self.aws_conn_id, self.region_name, self.verify, self.botocore_config)


def make_hook(
    aws_conn_id: str | None,
    region_name: str | None,
    verify: bool | str | None,  # noqa: FBT001 - the path of a bundle, or whether to check at all
    botocore_config: Mapping[str, Any] | None,
) -> S3Hook:
    """Return the hook for the arguments of an operator."""
    from windlass_aws.hooks import S3Hook

    config = dict(botocore_config) if botocore_config else None
    return S3Hook(aws_conn_id, region_name=region_name, verify=verify, config=config)
