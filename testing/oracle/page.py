"""The page about the differences from Airflow, made from ``differences.toml`` and what was compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from testing.oracle.differences import Allowed

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "reference" / "airflow-differences.md"
_HEAD: Final = """\
# Differences from Airflow

<!-- Made by `python testing/oracle --page` from testing/oracle/differences.toml. -->

Windlass means what Airflow means, except where this page says otherwise. It is not an opinion: {count} small DAGs
are run by Airflow {version} (with `create_cron_data_intervals` and `create_delta_data_intervals` on) and by Windlass,
from the same files, and the states of tasks and runs, run ids, logical dates, data intervals, tries, XComs and rendered
fields are compared. `nox -s airflow-oracle` does it anew; a difference that is not listed here fails, and so does a
line that has become untrue.
"""
_OURS: Final = """
## On purpose
"""
_BUGS: Final = """
## Known bugs

Here Airflow is right, and Windlass will do the same.
"""
_NO_BUGS: Final = "\nNone is known.\n"
_TAIL: Final = """
## What was not compared

How long things take, the order of tasks that do not depend on each other, the words of errors and logs, what pools and
`max_active_tasks` hold back, callbacks, assets, deferral, and the web interface. Airflow's own bookkeeping among XComs
(`skipmixin_key`, `_link_…`) is left out.
"""


def page(version: str, count: int, reasons: Iterable[Allowed]) -> str:
    """Return the page's text."""
    known = list(reasons)
    ours = [reason for reason in known if not reason.bug]
    bugs = [reason for reason in known if reason.bug]
    text = _HEAD.format(version=version, count=count) + _OURS + "".join(map(_section, ours)) + _BUGS
    return text + ("".join(map(_section, bugs)) if bugs else _NO_BUGS) + _TAIL


def _section(reason: Allowed) -> str:
    return "\n".join(_lines(reason)) + "\n"


def _lines(reason: Allowed) -> Iterator[str]:
    yield f"\n### {reason.title}\n"
    yield f"- Airflow: {reason.airflow}"
    yield f"- Windlass: {reason.windlass}"
    why = " ".join(part for part in (reason.reason, f"The specification: “{reason.rule}”" * bool(reason.rule)) if part)
    yield f"- Why: {why}"
    yield f"- Seen in: {', '.join(f'`{place}`' for place in reason.at)}"
