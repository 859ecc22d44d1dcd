from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

import pytest
from testing.oracle.document import canonical, run_document
from testing.oracle.scenario import AT, scenarios


class Color(Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
        ((1, (2,)), {"tuple": [1, {"tuple": [2]}]}),
        ({2, 1}, {"set": [1, 2]}),
        (datetime(2024, 1, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), {"datetime": "2024-01-01T00:00:00+00:00"}),
        (datetime(2024, 1, 1), {"datetime": "2024-01-01T00:00:00"}),  # noqa: DTZ001 - a naive one is told apart
        (date(2024, 1, 1), {"date": "2024-01-01"}),
        (timedelta(minutes=1), {"timedelta": 60.0}),
        (Color.RED, {"Color": "Color.RED"}),
    ],
)
def test_a_value_that_is_no_json_is_written_with_its_type(value: object, wanted: object) -> None:
    assert canonical(value) == wanted


def test_a_document_leaves_out_single_tries_and_what_an_engine_keeps_for_itself() -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    made = run_document(
        dag_id="d",
        run_id="r",
        run_type="manual",
        state="success",
        logical_date=None,
        interval=(moment, moment),
        tasks=[("b", "failed", 3), ("a", "success", 1)],
        xcoms={"a": {"skipmixin_key": {"followed": []}}, "b": {"return_value": (1,)}},
        rendered={},
    )
    assert list(made["tasks"]) == ["a", "b"]
    assert made["tries"] == {"b": 3}
    assert made["xcoms"] == {"b": {"return_value": {"tuple": [1]}}}
    assert made["logical_date"] is None


def test_a_dag_of_which_nothing_is_told_gets_one_manual_run() -> None:
    [scenario] = scenarios(["d"], {})
    assert [(trigger.at, trigger.logical_date) for trigger in scenario.triggers] == [
        (datetime.fromisoformat(AT), datetime.fromisoformat(AT))
    ]
    assert scenario.until == scenario.at


def test_a_dag_that_takes_part_in_another_scenario_has_none_of_its_own() -> None:
    assert [one.dag_ids for one in scenarios(["d", "other"], {"d": {"also": ["other"]}})] == [("d", "other")]


def test_a_story_about_an_unknown_dag_is_an_error() -> None:
    with pytest.raises(ValueError, match="SCENARIOS names e"):
        scenarios(["d"], {"e": {}})
