"""XComs: encoded values that tasks leave for each other. Stored as they came, never decoded here.

A row is (task instance, key); every writer holds the instance's lease, so what a reader sees is always what the newest
attempt wrote. The claim of a new try wipes what earlier tries left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from windlass.protocol import XComSet, XComValue
from windlass.store.database import Row, Transaction
from windlass.store.facts import to_json

_UPSERT: Final = (
    "INSERT INTO xcom (ti_id, name, epoch, codec, data, artifact, size, length, preview)"
    " VALUES (:task, :name, :epoch, :codec, :data, :artifact, :size, :length, :preview)"
    " ON CONFLICT (ti_id, name) DO UPDATE SET epoch = excluded.epoch, codec = excluded.codec, data = excluded.data,"
    " artifact = excluded.artifact, size = excluded.size, length = excluded.length, preview = excluded.preview"
)
_WIPE: Final = "DELETE FROM xcom WHERE ti_id IN IDS(:ids)"
COLUMNS: Final = "codec, data, artifact, size, length, preview"


def write(transaction: Transaction, values: Sequence[tuple[int, int, XComSet]]) -> None:
    """Store values of task instances under the epochs that made them."""
    transaction.send(
        _UPSERT,
        [
            {
                "task": task,
                "name": xcom.key,
                "epoch": epoch,
                "codec": xcom.value.codec,
                "data": xcom.value.data,
                "artifact": xcom.value.artifact,
                "size": xcom.value.size,
                "length": xcom.value.length,
                "preview": xcom.value.preview,
            }
            for task, epoch, xcom in values
        ],
    )


def wipe(transaction: Transaction, tasks: Iterable[int]) -> None:
    """Delete everything that these task instances left."""
    transaction.send(_WIPE, [{"ids": to_json(list(tasks))}])


def value(row: Row) -> XComValue:
    """Return the value of a row of :data:`COLUMNS`."""
    codec, data, artifact, size, length, preview = row
    return XComValue(codec=codec, data=bytes(data), artifact=artifact, size=size, length=length, preview=preview)
