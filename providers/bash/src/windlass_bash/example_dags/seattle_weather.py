"""Seattle's weather, 2012 to 2015: from a compressed file to a database and a report with a chart.

    extract ─► find_years ─► summarise (one per year) ─► check_quality ─┬─► load ─► report ─┬─► conclude
                                                                        └─► quarantine ─────┘

The data set beside this file holds 1,461 days of precipitation, temperatures, wind and kind of weather. It comes from
the National Oceanic and Atmospheric Administration of the United States and is in the public domain
(https://www.weather.gov/disclaimer); the yearly file was compiled by the vega-datasets project.

`extract` fails its first try on purpose, as downloads do, and succeeds in its second.
"""

from __future__ import annotations

import calendar
import csv
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from windlass import Param, dag, task
from windlass.errors import ConnectionNotDefined
from windlass.hooks import BaseHook

SOURCE = Path(__file__).parent / "seattle_weather.csv.gz"
DAYS_OF_A_YEAR = 365


@dag(
    schedule=None,
    tags=["example"],
    params={"folder": Param("/tmp/windlass-seattle", type="string", description="Where the files are written")},
)
def seattle_weather() -> None:
    @task.bash(retries=2, retry_delay=timedelta(seconds=1))
    def extract() -> str:
        return f"""
        if [ {{{{ ti.try_number }}}} -eq 1 ]; then
            echo "the download broke off (this example fails its first try on purpose)" >&2
            exit 1
        fi
        mkdir -p "{{{{ params.folder }}}}"
        gunzip -c "{SOURCE}" > "{{{{ params.folder }}}}/weather.csv"
        echo "{{{{ params.folder }}}}/weather.csv"
        """

    @task
    def find_years(path: str) -> list[int]:
        """Only the data says which years there are, so only now is it known how many tasks `summarise` becomes."""
        return sorted({int(day["date"][:4]) for day in read_days(path)})

    @task
    def summarise(year: int, path: str) -> dict[str, Any]:
        days = [day for day in read_days(path) if day["date"].startswith(f"{year}/")]
        months = []
        for month in range(1, 13):
            of_month = [day for day in days if int(day["date"][5:7]) == month]
            months.append(
                {
                    "month": month,
                    "warmest": round(max(float(day["temp_max"]) for day in of_month), 1),
                    "mean_high": round(sum(float(day["temp_max"]) for day in of_month) / len(of_month), 2),
                    "rain_mm": round(sum(float(day["precipitation"]) for day in of_month), 1),
                }
            )
        print(f"{year}: {len(days)} days, {sum(month['rain_mm'] for month in months):.0f} mm of rain")
        return {"year": year, "days": len(days), "months": months}

    @task.branch
    def check_quality(summaries: list[dict[str, Any]]) -> str:
        """A year with missing days is not worth a report."""
        complete = all(summary["days"] == DAYS_OF_A_YEAR + calendar.isleap(summary["year"]) for summary in summaries)
        return "load" if complete else "quarantine"

    @task
    def load(summaries: list[dict[str, Any]], path: str) -> int:
        """Write one row per month through the connection `weather_db`; running it again replaces the rows."""
        rows = [
            (summary["year"], month["month"], month["warmest"], month["mean_high"], month["rain_mm"])
            for summary in summaries
            for month in summary["months"]
        ]
        with closing(sqlite3.connect(database(path))) as connection, connection:
            connection.execute(
                "create table if not exists month (year integer, month integer, warmest real, mean_high real,"
                " rain_mm real, primary key (year, month))"
            )
            connection.executemany("insert or replace into month values (?, ?, ?, ?, ?)", rows)
        return len(rows)

    @task
    def quarantine(path: str) -> str:
        """Keep data that is not complete out of the database, for somebody to look at."""
        return str(Path(path).rename(f"{path}.incomplete"))

    @task
    def report(path: str) -> str:
        with closing(sqlite3.connect(database(path))) as connection:
            rows = connection.execute("select year, month, mean_high, rain_mm from month order by 1, 2").fetchall()
        target = Path(path).with_name("report.html")
        target.write_text(page(rows), encoding="utf-8")
        return str(target)

    @task(trigger_rule="none_failed_min_one_success")
    def conclude(written: str | None, kept_out: str | None) -> None:
        """Say what came of it, whichever way it went: what was skipped has no result."""
        print(f"the report is {written}" if written else f"there is no report: {kept_out} lacks days")

    path = extract()
    summaries = summarise.partial(path=path).expand(year=find_years(path))
    choice = check_quality(summaries)
    loaded, kept_out, written = load(summaries, path), quarantine(path), report(path)
    choice >> [loaded, kept_out]
    loaded >> written
    conclude(written, kept_out)


def read_days(path: str) -> list[dict[str, str]]:
    """Return the days of the file, one dict of its columns each."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def database(path: str) -> str:
    """Return the database that the connection `weather_db` names; without such a connection it lies beside the data."""
    try:
        return BaseHook.get_connection("weather_db").schema or "weather.db"
    except ConnectionNotDefined:
        return str(Path(path).with_name("weather.db"))


def page(rows: list[tuple[int, int, float, float]]) -> str:
    """Return the report: a chart of the mean daily high per month, a line per year, and the rain of each year."""
    width, height, left, bottom = 720, 360, 50, 40
    highest = max(high for _, _, high, _ in rows) * 1.1
    years = sorted({year for year, *_ in rows})
    colours = ["#1b6ca8", "#e07a1f", "#3a9b5c", "#8a4fae", "#b03a48", "#555555"]

    def x(month: int) -> float:
        return left + (width - left - 20) * (month - 1) / 11

    def y(value: float) -> float:
        return height - bottom - (height - bottom - 20) * value / highest

    marks = [
        f'<text x="{x(month):.0f}" y="{height - 15}" text-anchor="middle">{calendar.month_abbr[month]}</text>'
        for month in range(1, 13)
    ]
    for value in range(0, int(highest) + 1, 10):
        marks.append(f'<line x1="{left}" x2="{width - 20}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>')
        marks.append(f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value} °C</text>')
    table = []
    for number, year in enumerate(years):
        colour = colours[number % len(colours)]
        points = " ".join(f"{x(month):.1f},{y(high):.1f}" for of, month, high, _ in rows if of == year)
        marks.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        rain = sum(mm for of, _, _, mm in rows if of == year)
        table.append(f'<tr><td style="color:{colour}">&#9632; {year}</td><td>{rain:.0f} mm</td></tr>')
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Seattle's weather</title>
<body style="font-family: sans-serif; max-width: 760px; margin: 2em auto">
<h1>Seattle's weather, {years[0]} to {years[-1]}</h1>
<p>Mean daily high of each month. Data: NOAA, public domain.</p>
<svg viewBox="0 0 {width} {height}" font-size="12">{"".join(marks)}</svg>
<table cellpadding="6"><tr><th>Year</th><th>Rain</th></tr>{"".join(table)}</table>
</body></html>
"""


seattle_weather()
