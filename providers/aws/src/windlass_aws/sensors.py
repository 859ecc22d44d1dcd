"""Sensors for S3: wait until keys are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from inspect import signature
from typing import TYPE_CHECKING, Any

from windlass.errors import AuthoringError
from windlass.operators import Context
from windlass.ports import instant_now
from windlass.sensors import BaseSensorOperator
from windlass_aws.base_operator import COMMON, DEFAULT, make_hook

if TYPE_CHECKING:
    from windlass_aws.hooks import S3Hook

Files = list[list[dict[str, Any]]]


class S3KeySensor(BaseSensorOperator):
    """Wait until one key, or all of several, are in a bucket.

    Args:
        bucket_key: a key, an address ``s3://bucket/key``, or a list of them; all must be there.
        bucket_name: the bucket, unless it stands in the addresses or in the connection.
        wildcard_match: take the keys as patterns with ``*``, ``?`` and ``[…]`` for the whole key.
        use_regex: take the keys as regular expressions, which match from the beginning of a key.
        check_fn: called for each key, once all are there, with the list of its objects (dicts with ``Key`` and the
            metadata); if it returns something false, the sensor waits on. It may take the task's context as keywords.
        metadata_keys: what of the metadata ``check_fn`` gets besides the key; ``["*"]`` is everything.
        deferrable: let a trigger wait, so that the task holds no process meanwhile.
        aws_conn_id: the connection; None leaves everything to boto's own chain.
        region_name: the region; the connection says by default.
        verify: whether certificates are checked, or the path of a bundle.
        botocore_config: arguments of ``botocore.config.Config``.
        **kwargs: see BaseSensorOperator.
    """

    template_fields: Sequence[str] = (*COMMON, "bucket_key", "bucket_name")
    ui_color = "#f6c98b"

    def __init__(
        self,
        *,
        bucket_key: str | list[str],
        bucket_name: str | None = None,
        wildcard_match: bool = False,
        use_regex: bool = False,
        check_fn: Callable[..., bool] | None = None,
        metadata_keys: Sequence[str] = ("Size",),
        deferrable: bool = False,
        aws_conn_id: str | None = DEFAULT,
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if wildcard_match and use_regex:
            raise AuthoringError(
                f"sensor {self.task_id!r}: wildcard_match and use_regex cannot both be set; choose one"
            )
        self.bucket_key = bucket_key
        self.bucket_name = bucket_name
        self.wildcard_match = wildcard_match
        self.use_regex = use_regex
        self.check_fn = check_fn
        self.metadata_keys = list(metadata_keys)
        self.deferrable = deferrable
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    @cached_property
    def hook(self) -> S3Hook:
        """The hook, made once per attempt."""
        return make_hook(self.aws_conn_id, self.region_name, self.verify, self.botocore_config)

    def poke(self, context: Context) -> bool:
        """Look once."""
        from windlass_aws.s3.waiting import Wanted, look

        wanted = Wanted(
            tuple(self._keys()), self.bucket_name, self.wildcard_match, self.use_regex, tuple(self.metadata_keys)
        )
        found = look(self.hook, wanted)
        return found is not None and self._checked(found, context)

    def execute(self, context: Context) -> object:
        """Look here, or defer until they are there."""
        if self.deferrable and not self.poke(context):
            self._defer(instant_now())
        return super().execute(context)

    def execute_complete(self, context: Context, event: Files | None = None, since: str | None = None) -> None:
        """Ask ``check_fn`` about what the trigger has found, and wait on if it says so."""
        if event is not None and not self._checked(event, context):
            self._defer(instant_now() if since is None else datetime.fromisoformat(since))

    def _defer(self, since: datetime) -> None:
        """Let a trigger wait for what is left of the timeout, which counts from the first deferral."""
        from windlass_aws.triggers import S3KeyTrigger

        trigger = S3KeyTrigger(
            self._keys(),
            bucket_name=self.bucket_name,
            wildcard_match=self.wildcard_match,
            use_regex=self.use_regex,
            metadata_keys=self.metadata_keys,
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            botocore_config=self.botocore_config,
            poke_interval=self.poke_interval,
            wait_first=True,
        )
        left = self.timeout - (instant_now() - since).total_seconds()
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            kwargs={"since": since.isoformat()},
            timeout=timedelta(seconds=max(left, 0.001)),
        )

    def _keys(self) -> list[str]:
        given: object = self.bucket_key  # a template may have rendered to anything
        keys = [given] if isinstance(given, str) else list(given) if isinstance(given, list | tuple) else []
        if not keys or not all(isinstance(key, str) and key for key in keys):
            raise TypeError(f"sensor {self.task_id!r}: bucket_key must be a key or a list of keys, none of them empty")
        return keys

    def _checked(self, found: Files, context: Context) -> bool:
        if self.check_fn is None:
            return True
        parameters = signature(self.check_fn).parameters.values()
        wants_context = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        extra = dict(context) if wants_context else {}
        return all(self.check_fn(files, **extra) for files in found)
