"""The manifest: names only, so that listing providers imports nothing else."""

from __future__ import annotations

from windlass.plugin import ConnectionField, ConnectionType, Provider, hookimpl


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="hello",
        description="Greet people.",
        connection_types=(
            ConnectionType(
                conn_type="hello",
                label="Greeting service",
                hook="windlass_hello.greeting:HelloHook",
                fields=(
                    ConnectionField(name="host", required=True),
                    ConnectionField(name="tone", choices=("warm", "formal"), default="warm"),
                ),
            ),
        ),
        hooks={"HelloHook": "windlass_hello.greeting:HelloHook"},
        operators={"HelloOperator": "windlass_hello.greeting:HelloOperator"},
    )
