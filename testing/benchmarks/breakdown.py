from __future__ import annotations
from typing import Any
HEAD=("step",)
class Step:
    def as_json(self) -> dict[str, Any]:
        return {}
def measure(session: object) -> list[Step]:
    return []
def rows(steps: list[Step]) -> list[tuple[str, ...]]:
    return []
