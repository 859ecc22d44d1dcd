"""A mapped task gets its instances: the placeholder's row becomes index 0, the missing indexes are added."""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from typing import Final

from windlass.ports import Expansion, TaskFacts
from windlass.store.database import Transaction
from windlass.store.facts import TASK_COLUMNS, task_facts

_INSTANCES: Final = f"SELECT {TASK_COLUMNS} FROM ti WHERE run = :run AND task_id = :task_id ORDER BY map_index"
_REUSE: Final = "UPDATE ti SET map_index = 0 WHERE run = :run AND task_id = :task_id AND map_index = -1"
_COPIED: Final = "run, task_id, retries, pool, pool_slots, queue, executor, code_version, callbacks, is_leaf"
_ADD: Final = (
    f"INSERT INTO ti (map_index, max_tries, {_COPIED}) SELECT :index, retries, {_COPIED} FROM ti WHERE id = :model"
)


def expand(transaction: Transaction, expansion: Expansion) -> list[TaskFacts]:
    """Make instances 0 … length-1 exist and return them, in order. Repeating it changes nothing."""
    key = {"run": expansion.run, "task_id": expansion.task_id}
    transaction.send(_REUSE, [key])
    found = {facts.map_index: facts for facts in map(task_facts, transaction.rows(_INSTANCES, key))}
    missing = [index for index in range(expansion.length) if index not in found]
    if not missing:
        return [found[index] for index in range(expansion.length)]
    transaction.send(_ADD, [{"index": index, "model": expansion.task} for index in missing])
    instances = map(task_facts, transaction.rows(_INSTANCES, key))
    return [facts for facts in instances if facts.map_index < expansion.length]
