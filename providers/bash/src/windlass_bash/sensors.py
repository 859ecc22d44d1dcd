"""BashSensor: waits until a Bash command succeeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.operators import Context
from windlass.sensors import BaseSensorOperator
from windlass_bash.command import check_env, run_command
from windlass_bash.process import BashCommandFailed


class BashSensor(BaseSensorOperator):
    """Run a Bash command again and again until it ends with exit code 0.

    Any other exit code means to wait on. With ``retry_exit_code`` only that one does, and the others fail the task.
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
        retry_exit_code: int | None = None,
        cwd: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Declare the sensor; the arguments that it shares with BashOperator mean the same."""
        super().__init__(**kwargs)
        self.bash_command = bash_command
        self.env = env
        self.append_env = append_env
        self.output_encoding = output_encoding
        self.retry_exit_code = retry_exit_code
        self.cwd = cwd

    def poke(self, context: Context) -> bool:
        """Run the command once."""
        code, _ = run_command(
            self.bash_command,
            context,
            env=check_env(f"sensor {self.task_id!r}", self.env),
            append_env=self.append_env,
            cwd=self.cwd,
            encoding=self.output_encoding,
        )
        if code != 0 and self.retry_exit_code is not None and code != self.retry_exit_code:
            raise BashCommandFailed(code)
        return code == 0
