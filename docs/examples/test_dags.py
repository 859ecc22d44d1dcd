from __future__ import annotations

from datetime import UTC, datetime

import assets
import branching
import connections_and_variables
import deferring
import first_dag
import mapping
import own_timetable
import pytest
import retries_and_timeouts

from windlass.errors import ParamInvalid
from windlass.timetables import DataInterval, TimeRestriction


def test_the_report_has_the_mean_of_the_measurements() -> None:
    result = first_dag.weather().test(logical_date=datetime(2026, 3, 1))
    assert result.state == "success"
    assert result.states == {"measure": "success", "report": "success"}
    assert result.xcom("measure") == [11.5, 12.1, 14.8]
    assert "2026-03-01: 12.8 degrees" in result.log("report")


def test_what_is_flaky_is_retried_and_what_is_hopeless_is_not() -> None:
    result = retries_and_timeouts.retries().test()
    assert result.task("flaky").try_number == 3
    assert result.task("hopeless").try_number == 1
    assert result.states["nothing_to_do"] == "skipped"


def test_what_defers_resumes_with_the_event_and_nobody_waits() -> None:
    result = deferring.deferring().test()
    assert result.states == {"an_hour_later": "success", "queue": "success"}
    assert result.xcom("queue") == "2 left, 2 wanted"


def test_every_file_is_counted() -> None:
    result = mapping.mapping().test()
    assert [result.xcom("count", map_index=index) for index in range(3)] == [2, 2, 2]
    assert result.xcom("total") == 6


@pytest.mark.parametrize(("rows", "skipped"), [(500, "load_one_by_one"), (5, "load_in_bulk")])
def test_many_rows_are_loaded_in_bulk(rows: int, skipped: str) -> None:
    result = branching.branching().test(conf={"rows": rows})
    assert result.states[skipped] == "skipped"
    assert result.states["report"] == "success"


def test_no_rows_are_nothing_to_do() -> None:
    assert branching.branching().test(conf={"rows": 0}).states["report"] == "skipped"


def test_rows_are_a_number() -> None:
    with pytest.raises(ParamInvalid, match="rows"):
        branching.branching().test(conf={"rows": "many"})


def test_the_shop_is_reached_through_its_connection() -> None:
    result = connections_and_variables.shop().test(
        connections={"shop_api": "http://ada:s3cr3t@shop.example:8443"}, variables={"shop_path": "v2"}
    )
    assert result.xcom("address") == "https://shop.example:8443/v2"


def test_a_load_says_how_many_rows_there_are() -> None:
    result = assets.load_orders.test(logical_date=datetime(2026, 3, 1))
    assert [(event.uri, event.extra) for event in result.asset_events] == [
        ("s3://shop/orders", {"rows": 120}),
        ("s3://shop/extracts/2026-03-01", {"day": "2026-03-01"}),
    ]


def test_the_report_adds_up_what_came_since_the_last_one() -> None:
    result = assets.report.test(asset_events={assets.orders: [{"rows": 120}, {"rows": 30}], assets.rates: {}})
    assert result.xcom("total") == 150


def test_after_friday_comes_monday() -> None:
    friday = datetime(2026, 3, 6, tzinfo=UTC)
    info = own_timetable.WorkingDays([]).next_dagrun_info(
        last_automated_data_interval=DataInterval(friday, friday + own_timetable.DAY),
        restriction=TimeRestriction(earliest=None, latest=None, catchup=True, now=friday),
    )
    assert info is not None
    assert info.logical_date == datetime(2026, 3, 9, tzinfo=UTC)


def test_the_turnover_is_that_of_the_last_working_day() -> None:
    result = own_timetable.turnover().test(logical_date=datetime(2026, 12, 26, 8, tzinfo=UTC))
    assert result.state == "success"
    assert result.xcom("add_up") == "the turnover of 24 December"
