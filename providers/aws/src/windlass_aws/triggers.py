"""S3KeyTrigger: waits for keys without holding a process.

boto blocks, so a look happens in a thread. There are few of them, whatever the number of triggers, and triggers with
the same connection share one client: a thousand waiting sensors cost a thousand short requests in turn, not a thousand
clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from windlass.triggers import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from windlass_aws.hooks import S3Hook

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
        return look(self._hook(), wanted)

    def _hook(self) -> S3Hook:
        """Return a hook with the connection as it is now, and with a client that others with the same one use too."""
        from windlass_aws.hooks import S3Hook

        arguments: dict[str, Any] = {
            "aws_conn_id": self.aws_conn_id,
            "region_name": self.region_name,
            "verify": self.verify,
            "config": self.botocore_config,
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
