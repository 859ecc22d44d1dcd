"""BashOperator: a Bash command as a task."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from windlass.errors import TaskSkipped
from windlass.operators import BaseOperator, Context
from windlass_bash.command import check_env, run_command
from windlass_bash.process import BashCommandFailed as BashCommandFailed


class BashOperator(BaseOperator):
    """Run a Bash command or script.

    Exit code 0 is success, ``skip_on_exit_code`` skips the task, any other fails it. The last line of the output is the
    result. A command that ends in ``.sh`` or ``.bash`` is loaded as a template file; put a space behind the name to run
    a script that is to be left as it is. Values from outside belong into ``env``, not into the text of the command,
    where Bash would interpret them.
    """

    template_fields: Sequence[str] = ("bash_command", "env", "cwd")
    template_ext: Sequence[str] = (".sh", ".bash")
    ui_color = "#f0ede4"

    def __init__(
        self,
        *,
        bash_command: str,
        env: Mapping[str, str] | None = None,
        append_env: bool = False,
        output_encoding: str = "utf-8",
        skip_on_exit_code: int | Collection[int] | None = 99,
        cwd: str | None = None,
        output_processor: Callable[[str], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Declare the task.

        Args:
            bash_command: the command, a script, or the name of a template file.
            env: the environment of the command; without it the one of the task's process is inherited.
            append_env: add ``env`` to the inherited environment rather than replace it.
            output_encoding: of the output.
            skip_on_exit_code: the exit code, or several, that skip the task; None for none.
            cwd: where the command runs; by default in a temporary folder.
            output_processor: makes the result from the last line, for example ``json.loads``.
            **kwargs: see BaseOperator.
        """
        super().__init__(**kwargs)
        self.bash_command = bash_command
        self.env = env
        self.append_env = append_env
        self.output_encoding = output_encoding
        codes = [] if skip_on_exit_code is None else skip_on_exit_code
        self.skip_on_exit_code = frozenset([codes] if isinstance(codes, int) else codes)
        self.cwd = cwd
        self.output_processor = output_processor

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - what output_processor makes of it
        """Run the command and return the last line of its output."""
        command: object = self.bash_command  # a template may have rendered to anything
        if not isinstance(command, str) or not command.strip():
            raise TypeError(f"task {self.task_id!r}: the command must be a text that is not empty")
        code, last = run_command(
            command,
            context,
            env=check_env(f"task {self.task_id!r}", self.env),
            append_env=self.append_env,
            cwd=self.cwd,
            encoding=self.output_encoding,
        )
        if code in self.skip_on_exit_code:
            raise TaskSkipped(f"bash ended with exit code {code}, which skips the task")
        if code != 0:
            raise BashCommandFailed(code)
        return last if self.output_processor is None else self.output_processor(last)
