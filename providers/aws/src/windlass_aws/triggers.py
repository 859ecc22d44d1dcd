"""Triggers for S3: wait for keys, or until they change no more, without holding a process.

boto blocks, so a look happens in a thread. There are few of them, whatever the number of triggers, and triggers with
the same connection share one client: a thousand waiting sensors cost a thousand short requests in turn, not a thousand
clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from windlass.ports import instant_now
from windlass.triggers import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from windlass_aws.hooks import S3Hook
    from windlass_aws.s3.quiet import Quiet

#: How many look at the same time, of all triggers of this process.
LOOKS: Final = 8
#: Clients that are kept.
CLIENTS: Final = 16
#: Seconds; the least pause between two looks.
LEAST_PAUSE: Final = 0.1

_threads = ThreadPoolExecutor(LOOKS, thread_name_prefix="s3-look")
_shared: list[tuple[dict[str, Any], S3Hook]] = []
_sharing = Lock()


class S3KeyTrigger(BaseTrigger):
    """Fires when all keys are there. The payload is what was found: for each key a list of dicts with its metadata.

    Args:
        bucket_key: keys, patterns or addresses.
        bucket_name: the bucket, unless it stands in the addresses.
        wildcard_match: take the keys as patterns with ``*``, ``?`` and ``[…]``.
        use_regex: take the keys as regular expressions.
        metadata_keys: what of each object is told besides its key.
        aws_conn_id: the connection.
        region_name: the region; the connection says by default.
        verify: whether certificates are checked; the connection says by default.
        botocore_config: arguments of ``botocore.config.Config``.
        poke_interval: seconds between two looks.
        wait_first: pause once before the first look.
    """

    def __init__(
        self,
        bucket_key: Sequence[str],
        *,
        bucket_name: str | None = None,
        wildcard_match: bool = False,
        use_regex: bool = False,
        metadata_keys: Sequence[str] = ("Size",),
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        poke_interval: float = 60.0,
        wait_first: bool = False,
    ) -> None:
        self.bucket_key = list(bucket_key)
        self.bucket_name = bucket_name
        self.wildcard_match = wildcard_match
        self.use_regex = use_regex
        self.metadata_keys = list(metadata_keys)
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = dict(botocore_config) if botocore_config else None
        self.poke_interval = poke_interval
        self.wait_first = wait_first

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what is waited for, as plain data."""
        return "windlass_aws.triggers.S3KeyTrigger", dict(vars(self))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again."""
        pause = max(self.poke_interval, LEAST_PAUSE)
        if self.wait_first:
            await asyncio.sleep(pause)
        while True:
            # The context of the trigger tells a hook whose connections it may ask for.
            found = await asyncio.get_running_loop().run_in_executor(_threads, copy_context().run, self._look)
            if found is not None:
                yield TriggerEvent(found)
                return
            await asyncio.sleep(pause)

    def _look(self) -> list[list[dict[str, Any]]] | None:
        from windlass_aws.s3.waiting import Wanted, look

        wanted = Wanted(
            tuple(self.bucket_key), self.bucket_name, self.wildcard_match, self.use_regex, tuple(self.metadata_keys)
        )
        return look(shared_hook(self.aws_conn_id, self.region_name, self.verify, self.botocore_config), wanted)


class S3KeysUnchangedTrigger(BaseTrigger):
    """Fires when nothing has changed below a prefix for a while. The payload is ``{"deleted": []}``.

    Args:
        prefix: how the keys begin, or an address.
        bucket_name: the bucket, unless it stands in the address.
        inactivity_period: seconds without a change.
        min_objects: how many objects there must be at least.
        previous_objects: keys that are known already.
        allow_delete: an object that has gone is a change; else the trigger fires with ``{"deleted": […]}``, its key.
        aws_conn_id: the connection.
        region_name: the region; the connection says by default.
        verify: whether certificates are checked; the connection says by default.
        botocore_config: arguments of ``botocore.config.Config``.
        poke_interval: seconds between two looks.
    """

    def __init__(
        self,
        prefix: str,
        *,
        bucket_name: str | None = None,
        inactivity_period: float = 3600.0,
        min_objects: int = 1,
        previous_objects: Sequence[str] = (),
        allow_delete: bool = True,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        poke_interval: float = 60.0,
    ) -> None:
        self.prefix = prefix
        self.bucket_name = bucket_name
        self.inactivity_period = inactivity_period
        self.min_objects = min_objects
        self.previous_objects = list(previous_objects)
        self.allow_delete = allow_delete
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = dict(botocore_config) if botocore_config else None
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what is waited for, as plain data."""
        return "windlass_aws.triggers.S3KeysUnchangedTrigger", dict(vars(self))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again."""
        from windlass_aws.s3.quiet import Quiet

        quiet = Quiet(self.inactivity_period, self.min_objects, self.previous_objects, allow_delete=self.allow_delete)
        while True:
            is_over = await asyncio.get_running_loop().run_in_executor(
                _threads, copy_context().run, self._look, quiet, instant_now()
            )
            if is_over or quiet.deleted:
                yield TriggerEvent({"deleted": quiet.deleted})
                return
            await asyncio.sleep(max(self.poke_interval, LEAST_PAUSE))

    def _look(self, quiet: Quiet, now: datetime) -> bool:
        hook = shared_hook(self.aws_conn_id, self.region_name, self.verify, self.botocore_config)
        return quiet.look(hook, self.bucket_name, self.prefix, now)


def shared_hook(
    aws_conn_id: str | None,
    region_name: str | None,
    verify: bool | str | None,  # noqa: FBT001 - the path of a bundle, or whether to check at all
    botocore_config: dict[str, Any] | None,
) -> S3Hook:
    """Return a hook with the connection as it is now, and with a client that others with the same one use too."""
    from windlass_aws.hooks import S3Hook

    arguments: dict[str, Any] = {
        "aws_conn_id": aws_conn_id,
        "region_name": region_name,
        "verify": verify,
        "config": botocore_config,
    }
    fresh = S3Hook(**arguments)
    with _sharing:
        for number, (given, hook) in enumerate(_shared):
            if given == arguments and hook.settings == fresh.settings:
                _shared.append(_shared.pop(number))
                return hook
        fresh.get_conn()  # made here, one at a time: making a client takes a while, and is not safe in threads
        _shared.append((arguments, fresh))
        del _shared[:-CLIENTS]
    return fresh
