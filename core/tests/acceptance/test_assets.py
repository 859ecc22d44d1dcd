"""A producer and its consumers in real processes, and a scheduler that is killed between an event and its runs."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from core.tests.acceptance.conftest import Installation

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

DAGS = """
import json, os, time
from windlass import DAG, Asset, AssetAlias, task

orders, rates, found = Asset("orders", "s3://shop/orders"), Asset("rates"), AssetAlias("found")

def note(*words):
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(" ".join(words) + "\\n")

def told(dag_id, events):
    seen = sorted([a.uri, e.extra, e.source_dag_id] for a, many in events.items() for e in many)
    note(dag_id, json.dumps(seen, separators=(",", ":")))

with DAG("producer", is_paused_upon_creation=False):
    @task(outlets=[orders, found])
    def load(outlet_events=None):
        note("loading")
        while not os.path.exists(os.environ["LEDGER"] + ".go"):
            time.sleep(0.01)
        outlet_events[orders].extra["rows"] = 7
        outlet_events[found].add(Asset("s3://shop/found"), extra={"n": 1})
    load()

for dag_id, schedule in {"both": [orders, rates], "either": (orders | rates), "aliased": found}.items():
    with DAG(dag_id, schedule=schedule, is_paused_upon_creation=False):
        @task
        def read(dag=None, triggering_asset_events=None):
            told(dag.dag_id, triggering_asset_events)
        read()
"""
LOADED: list[Any] = ["s3://shop/orders", {"rows": 7}, "producer"]
RATED: list[Any] = ["rates", {"eur": 1.1}, None]
FOUND: list[Any] = ["s3://shop/found", {"n": 1}, "producer"]


def told(installation: Installation) -> dict[str, list[Any]]:
    """Return what each run of each consumer was told, by DAG, from the ledger."""
    import json

    found: dict[str, list[Any]] = {"both": [], "either": [], "aliased": []}
    for line in installation.ledger():
        if line[0] in found:
            found[line[0]].append(json.loads(" ".join(line[1:])))
    return found


def test_no_event_is_lost_or_used_twice_when_the_scheduler_dies_before_the_run(installation: Installation) -> None:
    installation.home.chmod(0o700)
    installation.write("assets.py", DAGS)
    server = installation.start()
    installation.wait_for_dag("aliased")
    run_id = installation.trigger("producer")
    installation.wait(lambda: ["loading"] in installation.ledger(), "the producer's start")

    # The supervisor writes the events while the scheduler stands still; then it is gone.
    server.send_signal(signal.SIGSTOP)
    installation.ledger_file.with_suffix(".go").touch()
    installation.wait(lambda: len(installation.json("assets", "events")) == 2, "the events")
    events = installation.json("assets", "events")
    assert all(run is None for event in events for run in event["consumed"].values())
    assert installation.json("runs", "list", "either") == []
    os.kill(server.pid, signal.SIGKILL)
    server.wait(timeout=30)

    installation.start()
    installation.wait_for_run("producer", run_id)
    installation.wait(lambda: told(installation)["either"] and told(installation)["aliased"], "the first runs")
    assert told(installation) == {"both": [], "either": [[LOADED]], "aliased": [[FOUND]]}
    explained = installation.windlass("explain", "both")
    assert "it waits for an update of 'rates'" in explained
    assert "windlass assets create-event rates" in explained

    for _ in range(2):  # the second is the same command
        installation.windlass("assets", "create-event", "rates", "--extra", '{"eur": 1.1}', "--idempotency-key", "k")
    installation.wait(lambda: told(installation)["both"] and len(told(installation)["either"]) == 2, "the second runs")
    assert told(installation) == {"both": [[RATED, LOADED]], "either": [[LOADED], [RATED]], "aliased": [[FOUND]]}

    [both] = installation.json("runs", "list", "both")
    assert both["run_type"] == "asset_triggered"
    assert both["logical_date"] == both["data_interval_end"] > both["data_interval_start"]
    assert len(installation.json("assets", "events", "--run", "both", both["run_id"])) == 2
    installation.windlass("doctor", "--invariants")
