from __future__ import annotations

from typing import Any

from windlass.operators import BaseOperator, Context


class SayOperator(BaseOperator):
    template_fields = ("words",)

    def __init__(self, *, words: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = words

    def execute(self, context: Context) -> str:
        self.log.info("%s", self.words)
        return self.words
