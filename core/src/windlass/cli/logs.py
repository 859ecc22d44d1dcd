"""``windlass tasks logs``: a task's log, as text for people or as the JSON lines it is kept in."""

from __future__ import annotations

import sys
import time
from typing import Any

import click
import msgspec

from windlass.cli.arguments import dag_argument, map_index_option, run_argument, task_argument
from windlass.cli.output import Format, output_option, say
from windlass.cli.session import Session, pass_session

#: Seconds between two looks at a log that is followed.
_LOOK = 0.2


@click.command("logs")
@dag_argument
@task_argument
@run_argument
@click.option("--try", "try_number", type=click.IntRange(min=1), help="Which try; by default the latest.")
@map_index_option
@click.option("-f", "--follow", is_flag=True, help="Go on until the task has ended, through its retries.")
@output_option
@pass_session
def logs(
    session: Session,
    dag_id: str,
    task_id: str,
    run_id: str,
    try_number: int | None,
    map_index: int,
    output: Format,
    *,
    follow: bool,
) -> None:
    """Print the log of a task in a run."""
    reader = session.control.logs
    current, offset, settled = try_number, 0, False
    while True:
        chunk = reader.read(dag_id, run_id, task_id, map_index, try_number=current, offset=offset)
        for line in chunk.lines:
            click.echo(line if output is Format.JSON else readable(line))
        sys.stdout.flush()
        current, offset = chunk.try_number, chunk.offset
        if chunk.more:
            continue
        if not follow or (settled and (chunk.done or try_number is not None)):
            break
        if settled and chunk.latest_try > current:
            current, offset, settled = current + 1, 0, False
            say(f"try {current}")
            continue
        # A success is recorded before the last lines are written: look once more after the end.
        settled = chunk.ended
        time.sleep(_LOOK)
    if not offset and not follow:
        say(f"try {current} of task {task_id!r} has written nothing yet")


def readable(line: str) -> str:
    """Return a log line as a person reads it; what is not one of our JSON lines is returned as it is."""
    try:
        record: Any = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line
    if not isinstance(record, dict) or "msg" not in record:
        return line
    when = str(record.get("ts", ""))[:23].replace("T", " ")
    source = record.get("stream", "log")
    label = record.get("level", "INFO") if source == "log" else source
    text = f"{when} {label:<8} {record['msg']}"
    trace = record.get("exc")
    return f"{text}\n{trace}" if trace else text
