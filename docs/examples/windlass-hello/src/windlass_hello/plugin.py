"""The manifest: names only, so that listing providers imports nothing else."""

from __future__ import annotations

from windlass.plugin import ConnectionField, ConnectionType, Provider, hookimpl


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="hello",
        description="Greet people, and wait until they have arrived.",
        connection_types=(
            ConnectionType(
                conn_type="hello",
                label="Greeting service",
                hook="windlass_hello.hook:HelloHook",
                fields=(
                    ConnectionField(name="host", required=True),
                    ConnectionField(name="port", kind="int", default=80),
                    ConnectionField(name="login"),
                    ConnectionField(name="password", secret=True),
                    ConnectionField(name="tone", label="Tone", choices=("warm", "formal"), default="warm"),
                    ConnectionField(name="timeout", kind="float", label="Timeout in seconds", default=10.0),
                ),
            ),
        ),
        hooks={
            "HelloHook": "windlass_hello.hook:HelloHook",
        },
        operators={
            "HelloOperator": "windlass_hello.operators:HelloOperator",
        },
        sensors={
            "HelloSensor": "windlass_hello.sensors:HelloSensor",
        },
        triggers={
            "windlass_hello.triggers.HelloTrigger": "windlass_hello.triggers:HelloTrigger",
        },
    )
