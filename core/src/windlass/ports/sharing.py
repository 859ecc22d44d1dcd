"""How a scheduler holds DAGs where others may work on the same database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class DagLeases(Protocol):
    """The DAGs that one scheduler holds, by the one lease that it has as a scheduler.

    A DAG has at most one holder. It is free when it names none, or one whose lease was ended: by itself when it leaves,
    by its successor in the same home, or by whoever sees that it was not renewed in time. Until then nobody takes it.
    """

    @property
    def owner(self) -> str:
        """The name under which it was registered last."""
        ...

    def register(self) -> None:
        """Enter the scheduler under a new name, with a full lease and no DAG.

        The first time, this ends the leases of those that were in its home before: their death is proven.
        """
        ...

    def renew(self) -> bool:
        """Renew the lease; False if it was ended, and with it the hold on every DAG."""
        ...

    def living(self) -> Mapping[str, str]:
        """Return the schedulers whose leases have not been ended, each with its home; end first those that lapsed."""
        ...

    def held(self) -> list[str]:
        """Return the DAGs that this scheduler holds."""
        ...

    def free(self) -> list[str]:
        """Return the DAGs that nobody holds."""
        ...

    def take(self, dag_ids: Sequence[str]) -> list[str]:
        """Hold those of these DAGs that are free, and return them.

        Whatever another scheduler has decided about them and not written yet is refused from then on. They are to be
        read as a whole, with all their runs: the signals about them are gone.
        """
        ...

    def release(self, dag_ids: Sequence[str]) -> None:
        """Let others have these DAGs, and tell them."""
        ...

    def leave(self) -> None:
        """Release everything and end the lease."""
        ...
