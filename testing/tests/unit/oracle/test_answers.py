"""Windlass against the recorded answers of Airflow: the same DAG files, the same instants."""

from __future__ import annotations

import pytest
from testing.oracle import page, recorded
from testing.oracle.differences import accepted, allowed, differences, judge
from testing.oracle.windlass_side import Dags, play

VERSION, AIRFLOW = recorded.read()


@pytest.fixture(scope="module")
def dags() -> Dags:
    return Dags()


def test_every_scenario_has_a_recorded_answer_and_there_are_enough(dags: Dags) -> None:
    assert {scenario.dag_id for scenario in dags.scenarios} == AIRFLOW.keys()
    assert len(AIRFLOW) >= 60
    assert VERSION.startswith("3.3.")


def test_windlass_answers_as_airflow_did_except_where_the_differences_say_so(dags: Dags) -> None:
    ours = {scenario.dag_id: play(dags, scenario) for scenario in dags.inproc}
    verdict = judge(differences({name: AIRFLOW[name] for name in ours}, ours), allowed(), accepted())
    assert verdict.unexplained == []
    assert verdict.stale == []


def test_the_page_of_differences_is_up_to_date() -> None:
    wanted = page.page(VERSION, len(AIRFLOW), allowed())
    assert page.PAGE.read_text("utf-8") == wanted, "run `python testing/oracle --page`"
