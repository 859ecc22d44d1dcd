"""``@task.bash``: a function that returns the Bash command to run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from windlass.operators import Context, DecoratedOperator, task_decorator_factory
from windlass_bash.operators import BashOperator


class BashDecoratedOperator(DecoratedOperator, BashOperator):
    """The operator behind ``@task.bash``: calls the function, renders what it returned, and runs that."""

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, "env", "cwd")
    custom_operator_name = "@task.bash"

    def __init__(self, **kwargs: Any) -> None:
        """Declare the task; ``bash_command`` comes from the function."""
        kwargs["multiple_outputs"] = False  # the result is a line of text, whatever the annotation says
        super().__init__(bash_command="", **kwargs)

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - what output_processor makes of it
        """Call the function and run the command that it returned."""
        command = self.call(context)
        if not isinstance(command, str) or not command.strip():
            raise TypeError(
                f"task {self.task_id!r}: a @task.bash function must return the command, a text, not {command!r}"
            )
        self.bash_command = context["ti"].render_template(command)
        return BashOperator.execute(self, context)


def bash_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> Any:  # noqa: ANN401 - a decorator
    """Make a function that returns a Bash command a task: ``@task.bash`` or ``@task.bash(env=…)``."""
    return task_decorator_factory(python_callable, decorated_operator_class=BashDecoratedOperator, **kwargs)
