from __future__ import annotations

from windlass.plugin import Provider, hookimpl


@hookimpl
def windlass_provider() -> Provider:
    return Provider(
        name="first",
        description="Say something.",
        operators={"SayOperator": "windlass_first.operators:SayOperator"},
    )
