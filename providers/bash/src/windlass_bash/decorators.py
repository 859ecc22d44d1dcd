"""``@task.bash``: a function that returns the Bash command to run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

from windlass.operators import Context, DecoratedOperator, TaskDecorator, task_decorator_factory
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


@overload
def bash_task(python_callable: Callable[..., str], **kwargs: Any) -> TaskDecorator: ...
@overload
def bash_task(python_callable: None = None, **kwargs: Any) -> Callable[[Callable[..., str]], TaskDecorator]: ...
def bash_task(
    python_callable: Callable[..., str] | None = None, **kwargs: Any
) -> TaskDecorator | Callable[[Callable[..., str]], TaskDecorator]:
    """Make a function that returns a Bash command a task: ``@bash_task`` or ``@bash_task(env=…)``.

    The same as ``@task.bash``, with types.
    """
    made: TaskDecorator | Callable[[Callable[..., str]], TaskDecorator] = task_decorator_factory(
        python_callable, decorated_operator_class=BashDecoratedOperator, **kwargs
    )
    return made
