"""The oracle's question put to a running installation: do real processes answer as Airflow did?"""

from __future__ import annotations

from pathlib import Path

import pytest
from testing.oracle import recorded
from testing.oracle.differences import accepted, allowed, differences, judge
from testing.oracle.live_side import LiveOracle, unfit
from testing.oracle.windlass_side import Dags


@pytest.mark.processes
def test_real_processes_answer_as_airflow_did(tmp_path: Path) -> None:
    _, airflow = recorded.read()
    dags = Dags()
    fit = [scenario for scenario in dags.scenarios if unfit(scenario, dags.dags[scenario.dag_id]) is None]
    assert len(fit) > 100
    oracle = LiveOracle(tmp_path)
    try:
        ours = dict(oracle.answers(fit))
    finally:
        oracle.close()
    found = differences({name: airflow[name] for name in ours}, ours)
    assert judge(found, allowed(), accepted(), complete=False).unexplained == []
