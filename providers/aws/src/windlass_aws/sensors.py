"""Sensors for S3: wait until keys are there, and until they are all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from inspect import signature
from typing import TYPE_CHECKING, Any

from windlass.errors import AuthoringError, TaskFailed
from windlass.operators import Context
from windlass.ports import instant_now
from windlass.sensors import BaseSensorOperator
from windlass_aws.base_operator import COMMON, AwsBaseOperator

if TYPE_CHECKING:
    from windlass_aws.s3.quiet import Quiet

Files = list[list[dict[str, Any]]]


class AwsBaseSensor(AwsBaseOperator, BaseSensorOperator):
    """The base of the sensors of S3.

    Args:
        deferrable: let a trigger wait, so that the task holds no process meanwhile.
        **kwargs: see AwsBaseOperator and BaseSensorOperator.
    """

    def __init__(self, *, deferrable: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable


class S3KeySensor(AwsBaseSensor):
    """Wait until one key, or all of several, are in a bucket.

    Args:
        bucket_key: a key, an address ``s3://bucket/key``, or a list of them; all must be there.
        bucket_name: the bucket, unless it stands in the addresses or in the connection.
        wildcard_match: take the keys as patterns with ``*``, ``?`` and ``[…]`` for the whole key.
        use_regex: take the keys as regular expressions, which match from the beginning of a key.
        check_fn: called for each key, once all are there, with the list of its objects (dicts with ``Key`` and the
            metadata); if it returns something false, the sensor waits on. It may take the task's context as keywords.
        metadata_keys: what of the metadata ``check_fn`` gets besides the key; ``["*"]`` is everything.
        **kwargs: see AwsBaseSensor.
    """

    template_fields: Sequence[str] = (*COMMON, "bucket_key", "bucket_name")

    def __init__(
        self,
        *,
        bucket_key: str | list[str],
        bucket_name: str | None = None,
        wildcard_match: bool = False,
        use_regex: bool = False,
        check_fn: Callable[..., bool] | None = None,
        metadata_keys: Sequence[str] = ("Size",),
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


class S3KeysUnchangedSensor(AwsBaseSensor):
    """Wait until nothing has come, gone or been written again below a prefix for a while.

    The time counts from the first look, and anew after each change. It is remembered by the process that looks, so the
    mode is ``poke`` or ``deferrable``; where that process is lost, it counts anew.

    Args:
        bucket_name: the bucket; the connection may name one.
        prefix: how the keys begin, or an address ``s3://bucket/prefix``.
        inactivity_period: seconds without a change.
        min_objects: how many objects there must be at least.
        previous_objects: keys that are known already; an object of another one is a change.
        allow_delete: an object that has gone is a change like any other; else it fails the sensor for good.
        **kwargs: see AwsBaseSensor.
    """

    template_fields: Sequence[str] = (*COMMON, "bucket_name", "prefix")

    def __init__(
        self,
        *,
        bucket_name: str | None = None,
        prefix: str,
        inactivity_period: float = 3600,
        min_objects: int = 1,
        previous_objects: Iterable[str] | None = None,
        allow_delete: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self.mode != "poke":
            raise AuthoringError(
                f"sensor {self.task_id!r}: the mode {self.mode!r} would forget between two looks what was there; leave "
                "it out, and use deferrable=True to hold no process"
            )
        if inactivity_period < 0 or min_objects < 0:
            raise AuthoringError(f"sensor {self.task_id!r}: inactivity_period and min_objects must be 0 or more")
        self.bucket_name = bucket_name
        self.prefix = prefix
        self.inactivity_period = inactivity_period
        self.min_objects = min_objects
        self.previous_objects = sorted(previous_objects or ())
        self.allow_delete = allow_delete
        self._quiet: Quiet | None = None

    def poke(self, context: Context) -> bool:
        """Look once."""
        from windlass_aws.s3.quiet import Quiet

        if self._quiet is None:
            self._quiet = Quiet(
                self.inactivity_period, self.min_objects, self.previous_objects, allow_delete=self.allow_delete
            )
        is_over = self._quiet.look(self.hook, self.bucket_name, self.prefix, instant_now())
        if self._quiet.deleted:
            raise self._failure(self._quiet.deleted)
        return is_over

    def execute(self, context: Context) -> object:
        """Look here, or have a trigger look."""
        if not self.deferrable:
            return super().execute(context)
        from windlass_aws.triggers import S3KeysUnchangedTrigger

        self.defer_to(
            S3KeysUnchangedTrigger(
                self.prefix,
                bucket_name=self.bucket_name,
                inactivity_period=self.inactivity_period,
                min_objects=self.min_objects,
                previous_objects=self.previous_objects,
                allow_delete=self.allow_delete,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
                poke_interval=self.poke_interval,
            )
        )
        return None

    def execute_complete(self, context: Context, event: Mapping[str, list[str]] | None = None) -> None:
        """Go on, or fail for good if objects have gone that must not."""
        if event is not None and event["deleted"]:
            raise self._failure(event["deleted"])

    def _failure(self, deleted: Sequence[str]) -> TaskFailed:
        return TaskFailed(
            f"sensor {self.task_id!r}: objects below {self.prefix!r} were deleted while it waited, and allow_delete is "
            f"off; the first: {', '.join(deleted)}"
        )
