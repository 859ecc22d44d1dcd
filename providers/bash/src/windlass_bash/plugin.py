"""The manifest of windlass-bash."""

from __future__ import annotations

from windlass.plugin import Provider, hookimpl


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="bash",
        description="Run Bash commands and scripts as tasks and sensors.",
        operators={"BashOperator": "windlass_bash.operators:BashOperator"},
        sensors={"BashSensor": "windlass_bash.sensors:BashSensor"},
        task_decorators={"bash": "windlass_bash.decorators:bash_task"},
        example_dags=("windlass_bash.example_dags",),
    )
