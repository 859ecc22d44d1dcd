"""Calling a function with another Python: one that is there, or a virtual environment made for it.

The function's source, its arguments and its result cross over as text and JSON, never pickled; so the function must
import what it needs inside itself and take and return plain JSON values. The other Python needs no Windlass.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from windlass.authoring.crossing import check_source, crossing_call, source_of
from windlass.authoring.operator import Context
from windlass.authoring.operators.python import CallableOperator
from windlass.authoring.xcom_arg import XComArg
from windlass.errors import AuthoringError, TaskFailed, TaskSkipped

#: The annotations of the function are not evaluated: what they name need not exist over there.
_SCRIPT = """\
from __future__ import annotations
import json, sys
{source}
with open(sys.argv[1], encoding="utf-8") as file:
    call = json.load(file)
result = {name}(*call["args"], **call["kwargs"])
with open(sys.argv[2], "w", encoding="utf-8") as file:
    json.dump(result, file)
"""


class _OtherPythonOperator(CallableOperator):
    """What the two have in common: everything but where the Python comes from."""

    def __init__(
        self,
        *,
        expect_windlass: bool = False,
        skip_on_exit_code: int | Iterable[int] | None = None,
        env_vars: Mapping[str, str] | None = None,
        inherit_env: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_source(self.python_callable, self.task_id)
        codes = [skip_on_exit_code] if isinstance(skip_on_exit_code, int) else skip_on_exit_code or ()
        self.skip_on_exit_code = tuple(codes)
        self.expect_windlass = expect_windlass
        self.env_vars = dict(env_vars or {})
        self.inherit_env = inherit_env

    def run_with(self, python: str, context: Context, folder: Path) -> Any:
        """Call the function with the interpreter ``python`` and return its result."""
        import os

        call = crossing_call(self, context)
        script, given, made = folder / "call.py", folder / "call.json", folder / "result.json"
        script.write_text(
            _SCRIPT.format(source=source_of(self.python_callable), name=self.python_callable.__name__), encoding="utf-8"
        )
        given.write_text(call, encoding="utf-8")
        inherited = (
            os.environ if self.inherit_env else {k: v for k, v in os.environ.items() if k.startswith("WINDLASS_")}
        )
        done = subprocess.run(
            [python, str(script), str(given), str(made)], env={**inherited, **self.env_vars}, check=False
        )
        if done.returncode in self.skip_on_exit_code and done.returncode:
            raise TaskSkipped(f"the function ended with exit code {done.returncode}")
        if done.returncode:
            raise RuntimeError(f"{self.python_callable.__name__} failed in {python} with exit code {done.returncode}")
        return json.loads(made.read_text(encoding="utf-8"))


class ExternalPythonOperator(_OtherPythonOperator):
    """Call ``python_callable`` with the interpreter ``python``, whose environment exists already."""

    template_fields: Sequence[str] = ("python", *CallableOperator.template_fields)

    def __init__(self, *, python: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.python = python

    def execute(self, context: Context) -> Any:
        """Call the function over there."""
        if not Path(self.python).exists():
            raise TaskFailed(
                f"task {self.task_id!r}: there is no Python at {self.python}; create its environment first"
            )
        with TemporaryDirectory(prefix="windlass-") as folder:
            return self.run_with(self.python, context, Path(folder))


class PythonVirtualenvOperator(_OtherPythonOperator):
    """Call ``python_callable`` in a virtual environment with ``requirements``, made for it or kept in a cache."""

    template_fields: Sequence[str] = (
        "requirements",
        "index_urls",
        "venv_cache_path",
        *CallableOperator.template_fields,
    )
    template_ext: Sequence[str] = (".txt",)

    def __init__(
        self,
        *,
        requirements: str | Iterable[str] | None = None,
        python_version: str | None = None,
        system_site_packages: bool = False,
        pip_install_options: Sequence[str] | None = None,
        index_urls: str | Sequence[str] | None = None,
        venv_cache_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.requirements = requirements if isinstance(requirements, (str, XComArg)) else list(requirements or ())
        self.python_version = python_version
        self.system_site_packages = system_site_packages
        self.pip_install_options = list(pip_install_options or ())
        self.index_urls = index_urls if isinstance(index_urls, (str, XComArg)) else list(index_urls or ())
        self.venv_cache_path = venv_cache_path

    def execute(self, context: Context) -> Any:
        """Make the environment and call the function in it."""
        with TemporaryDirectory(prefix="windlass-") as folder:
            return self.run_with(str(self._environment(Path(folder))), context, Path(folder))

    def _wanted(self) -> list[str]:
        text = "\n".join(self._texts("requirements"))
        return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]

    def _texts(self, name: str) -> list[str]:
        """Return an argument that is a text or several, now that it is known."""
        given: object = getattr(self, name)  # another task or a template may have given anything
        if given is None:
            return []
        found = [given] if isinstance(given, str) or not isinstance(given, Sequence) else list(given)
        texts = [text for text in found if isinstance(text, str)]
        if len(texts) < len(found):
            raise AuthoringError(f"task {self.task_id!r}: {name} must be a text or several texts, not {given!r:.80}")
        return texts

    def _environment(self, folder: Path) -> Path:
        wanted = self._wanted()
        target = folder / "venv"
        if self.venv_cache_path:
            recipe = json.dumps([wanted, self.python_version, self.system_site_packages, self.pip_install_options])
            target = Path(self.venv_cache_path) / f"venv-{sha256(recipe.encode()).hexdigest()[:16]}"
        python, complete = target / "bin" / "python", target / ".complete"
        if complete.exists():
            return python
        interpreter = f"python{self.python_version}" if self.python_version else sys.executable
        options = ["--system-site-packages"] if self.system_site_packages else []
        if not wanted:
            options.append("--without-pip")
        subprocess.run([interpreter, "-m", "venv", "--clear", *options, str(target)], check=True)
        if wanted:
            sources = [
                part
                for number, url in enumerate(self._texts("index_urls"))
                for part in ("--extra-index-url" if number else "--index-url", url)
            ]
            install = [str(python), "-m", "pip", "install", "--quiet", *sources, *self.pip_install_options, *wanted]
            subprocess.run(install, check=True)
        complete.touch()
        return python
