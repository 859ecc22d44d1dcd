"""@task.bash: a function that returns a command."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from windlass import DAG, task
from windlass_bash.decorators import BashDecoratedOperator, bash_task


class Instance:
    """Renders what the test says."""

    def render_template(self, value: str) -> str:
        return value.replace("{{ name }}", "rendered")


def operator_of(decorated: Callable[..., Any], *arguments: str) -> BashDecoratedOperator:
    with DAG("d", start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        operator = decorated(*arguments).operator
    assert isinstance(operator, BashDecoratedOperator)
    return operator


def greet(word: str) -> str:
    return f"echo {word} {{{{ name }}}}"


def test_the_command_is_what_the_function_returns_rendered() -> None:
    operator = operator_of(task.bash(greet), "hello")
    assert operator.task_id == "greet"
    assert operator.operator_name == "@task.bash"
    assert operator.execute({"ti": Instance()}) == "hello rendered"


def test_it_takes_the_arguments_of_the_operator() -> None:
    decorate = bash_task(env={"A": "1"}, task_id="other", retries=2)
    operator = operator_of(decorate(lambda: "echo $A"))
    assert (operator.task_id, operator.retries, operator.multiple_outputs) == ("other", 2, False)
    assert operator.execute({"ti": Instance()}) == "1"


@pytest.mark.parametrize("result", [None, "", 3])
def test_a_function_that_returns_no_command_is_an_error(result: object) -> None:
    decorate = task.bash(task_id="wrong")
    with pytest.raises(TypeError, match=r"task 'wrong': a @task\.bash function must return the command"):
        operator_of(decorate(lambda: result)).execute({"ti": Instance()})
