"""Write the tables of the reference that are made from the code: `python docs/tables.py` brings the pages up to date.

A page marks the place of a table with `<!-- begin: name -->` and `<!-- end: name -->`. A test renders every table and
compares, so that a command, an error or a transition cannot change without its page.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

import click

from windlass import errors, operators, sensors
from windlass.authoring.operator import BaseOperator
from windlass.cli.root import root
from windlass.cli.table import COMMANDS
from windlass.errors import WindlassError
from windlass.registry.absent import OWN_COMMANDS
from windlass.states import RUN_TRANSITIONS, TASK_TRANSITIONS, Actor, RunState, TaskState

DOCS: Final = Path(__file__).parent
_MARK: Final = re.compile(r"(<!-- begin: (\S+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)
#: Options that the page explains once for all commands.
_SHARED: Final = ("-o, --output", "--json")

_State = TypeVar("_State", TaskState, RunState)


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _transitions(states: Iterable[_State], legal: Mapping[tuple[_State, _State], frozenset[Actor]]) -> str:
    known = tuple(states)

    def rows() -> Iterator[tuple[str, ...]]:
        for before in known:
            afters = [(after, legal[before, after]) for after in known if (before, after) in legal]
            for actors in dict.fromkeys(actors for _, actors in afters):
                reached = ", ".join(f"`{after}`" for after, by in afters if by == actors)
                yield f"`{before}`", reached, ", ".join(actor for actor in Actor if actor in actors)

    return _table(("from", "to", "written by"), rows())


def task_transitions() -> str:
    """Every legal transition of a task instance."""
    return _transitions(TaskState, TASK_TRANSITIONS)


def run_transitions() -> str:
    """Every legal transition of a run."""
    return _transitions(RunState, RUN_TRANSITIONS)


def error_table() -> str:
    """Every exception with its code and exit code, in the order of the tree."""

    def rows(kind: type[WindlassError], depth: int) -> Iterator[tuple[str, ...]]:
        text = inspect.cleandoc(kind.__doc__ or "").splitlines()[0]
        name = f"{'&emsp;' * depth}`{kind.__name__}`"
        yield name, f"`{kind.code}`", str(kind.exit_code), _cell(text)
        for child in kind.__subclasses__():
            if child.__module__ == errors.__name__:
                yield from rows(child, depth + 1)

    return _table(("exception", "code", "exit code", "meaning"), rows(WindlassError, 0))


def commands() -> str:
    """Every command with its arguments and options: the core's, then those of our other distributions."""
    names = [*COMMANDS, *OWN_COMMANDS]
    return "\n".join(_commands(root, click.Context(root, info_name="windlass"), names))


def _commands(group: click.Group, ctx: click.Context, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        command = group.get_command(ctx, name)
        if command is None or COMMANDS.get(name, COMMANDS["dags"]).hidden:
            continue
        inner = click.Context(command, info_name=name, parent=ctx)
        if isinstance(command, click.Group):
            yield f"### {name}\n\n{_plain(command.help)}\n"
            yield from _commands(command, inner, command.list_commands(inner))
        else:
            yield _command(command, inner, "####" if ctx.parent else "###")


def _command(command: click.Command, ctx: click.Context, level: str) -> str:
    path = ctx.command_path.removeprefix("windlass ")
    usage = " ".join([path, *command.collect_usage_pieces(ctx)])
    text = f"{level} {path}\n\n```text\nwindlass {usage}\n```\n\n"
    text += f"{_plain(command.help)}\n"
    if path in OWN_COMMANDS:
        text += f"\nIt comes with `{OWN_COMMANDS[path]}`: `pip install {OWN_COMMANDS[path]}`.\n"
    records = [record for param in command.params if (record := param.get_help_record(ctx))]
    rows = [(f"`{_cell(name)}`", _cell(about)) for name, about in records if about and not name.startswith(_SHARED)]
    return text + ("\n" + _table(("option", ""), iter(rows)) if rows else "")


def _cell(text: str) -> str:
    """Return ``text`` as it may stand in a table."""
    return re.sub("``(.+?)``", r"`\1`", text).replace("|", "\\|")


def _plain(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("\b\n", "").rstrip()


def _classes(module: object) -> str:
    def rows() -> Iterator[tuple[str, ...]]:
        for name, kind in sorted(vars(module).items()):
            if isinstance(kind, type) and issubclass(kind, BaseOperator) and kind is not BaseOperator:
                text = " ".join(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].split())
                yield f"`{name}`", _arguments(kind), _cell(text)

    return _table(("class", "its own arguments", ""), rows())


def _arguments(kind: type[BaseOperator]) -> str:
    if "__init__" not in vars(kind):
        return f"as `{next(base.__name__ for base in kind.__mro__[1:] if '__init__' in vars(base))}`"
    found = inspect.signature(kind.__init__).parameters.values()
    named = [p for p in found if p.name != "self" and p.kind in {p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD}]
    shown = (f"`{p.name}`" if p.default is p.empty else f"`{p.name}={_default(p.default)}`" for p in named)
    return " ".join(shown)


def _default(value: object) -> str:
    text = repr(value)
    return "…" if text.startswith("<") or " at 0x" in text else text


def operator_table() -> str:
    """Every operator of the core."""
    return _classes(operators)


def sensor_table() -> str:
    """Every sensor of the core."""
    return _classes(sensors)


TABLES: Final[dict[str, Callable[[], str]]] = {
    "task-transitions": task_transitions,
    "run-transitions": run_transitions,
    "errors": error_table,
    "commands": commands,
    "operators": operator_table,
    "sensors": sensor_table,
}


def rendered(page: str) -> str:
    """Return ``page`` with its tables as the code has them now."""
    return _MARK.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}{found[3]}", page)


def pages() -> dict[Path, str]:
    """Return every page that holds a table, with its text."""
    found = (path for path in sorted(DOCS.glob("*/**/*.md")) if "_build" not in path.parts)
    texts = {path: path.read_text(encoding="utf-8") for path in found}
    return {path: text for path, text in texts.items() if _MARK.search(text)}


def main() -> int:
    """Rewrite the pages whose tables have changed."""
    for path, text in pages().items():
        if rendered(text) != text:
            path.write_text(rendered(text), encoding="utf-8")
            sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
