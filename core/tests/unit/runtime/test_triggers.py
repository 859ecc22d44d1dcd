"""A trigger is found by its class, run to its first event, and fails its task with the true reason."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type
from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from windlass.errors import AuthoringError, PluginError
from windlass.ports import all_rows, session_scope
from windlass.runtime.trigger_classes import describe, make
from windlass.runtime.trigger_run import TriggerFailed, first_event
from windlass.runtime.xcom import pack, unpack
from windlass.triggers import (
    BaseTrigger,
    DagStateTrigger,
    DateTimeTrigger,
    FileTrigger,
    TimeDeltaTrigger,
    TriggerEvent,
    WorkflowTrigger,
)

#: What the triggers of this file have done.
done: list[str] = []


class Says(BaseTrigger):
    """Does what its word says."""

    def __init__(self, word: str) -> None:
        self.word = word

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "some.name.that.Airflow.would.import", {"word": self.word}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(0)
        match self.word:
            case "raise":
                raise ValueError("nobody is there\nsecond line")
            case "exit":
                raise SystemExit(3)
            case "text":
                yield "no event"  # type: ignore[misc]
            case "unknown":
                yield TriggerEvent(object())
            case "nothing":
                return
            case _:
                yield TriggerEvent({"word": self.word})
                done.append("went on after its first event")

    async def cleanup(self) -> None:
        done.append(f"cleaned up {self.word}")


class Coroutine(Says):
    async def run(self) -> Any:  # type: ignore[override]
        return TriggerEvent()


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    done.clear()


def fire(trigger: BaseTrigger, session: Any) -> Any:
    """Send a trigger to a host and return the payload of its event."""
    name, arguments = describe(trigger)
    value = asyncio.run(first_event(name, pack(arguments, "its arguments", session), session))
    return unpack(value, session)


def reason(trigger: BaseTrigger, session: Any) -> str:
    with pytest.raises(TriggerFailed) as caught:
        fire(trigger, session)
    return str(caught.value)


# --- Its class


def test_a_provider_names_its_triggers_in_its_manifest() -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    name, arguments = describe(DateTimeTrigger(moment))
    assert name == "windlass.triggers.DateTimeTrigger"
    made = make(name, arguments)
    assert isinstance(made, DateTimeTrigger)
    assert made.moment == moment


def test_any_other_goes_by_its_own_class_whatever_name_it_gives() -> None:
    name, arguments = describe(Says("x"))
    assert name == f"{__name__}.Says"
    assert isinstance(make(name, arguments), Says)


def test_a_name_in_data_imports_nothing() -> None:
    with pytest.raises(PluginError, match=r"no trigger antigravity\.Fly is there: no provider lists it"):
        make("antigravity.Fly", {})
    assert "antigravity" not in sys.modules


def test_what_is_no_trigger_is_refused_where_the_task_defers() -> None:
    with pytest.raises(AuthoringError, match=r"a subclass of windlass\.triggers\.BaseTrigger; 5 is none"):
        describe(5)


def test_a_trigger_inside_a_function_is_refused_where_the_task_defers() -> None:
    class Hidden(Says):
        pass

    with pytest.raises(AuthoringError, match="defined inside a function"):
        describe(Hidden("x"))


# --- Its run


def test_the_first_event_is_the_one_that_counts(lab: Any) -> None:
    assert fire(Says("hello"), lab.session) == {"word": "hello"}
    assert done == ["cleaned up hello"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("raise", "Says failed: ValueError: nobody is there"),
        ("exit", "Says failed: SystemExit: 3"),
        ("nothing", "Says ended without an event"),
        ("text", "Says.run() yielded a str; wrap it in a TriggerEvent"),
        ("unknown", "the event of trigger"),
    ],
)
def test_a_trigger_that_will_never_fire_says_why(lab: Any, word: str, said: str) -> None:
    text = reason(Says(word), lab.session)
    assert said in text
    assert "\n" not in text
    assert done == [f"cleaned up {word}"]


def test_a_run_that_is_no_generator_is_explained(lab: Any) -> None:
    assert "Coroutine.run() is no async generator; write `yield TriggerEvent(…)` in it" in reason(
        Coroutine("x"), lab.session
    )


def test_a_failure_shows_the_author_their_own_lines(lab: Any, caplog: pytest.LogCaptureFixture) -> None:
    reason(Says("raise"), lab.session)
    assert 'raise ValueError("nobody is there' in caplog.text
    assert "trigger_run.py" not in caplog.text.partition("Traceback")[2]


# --- Those that Windlass brings


def test_a_moment_that_has_passed_fires_at_once(lab: Any) -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    assert fire(DateTimeTrigger(moment), lab.session) == moment


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(AuthoringError, match="needs a datetime with a time zone"):
        DateTimeTrigger(datetime(2026, 3, 1))  # noqa: DTZ001 - that is the mistake


def test_a_span_counts_from_the_deferral() -> None:
    name, arguments = describe(TimeDeltaTrigger(timedelta(hours=1)))
    assert name == "windlass.triggers.DateTimeTrigger"
    assert timedelta(minutes=59) < arguments["moment"] - datetime.now(UTC) <= timedelta(hours=1)


def test_a_file_fires_with_its_path(lab: Any, tmp_path: Any) -> None:
    (tmp_path / "folder").mkdir()
    trigger = FileTrigger(str(tmp_path / "*"), poke_interval=0.01)

    async def arrive() -> Any:
        with session_scope(lab.session):
            events = trigger.run()
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.05)
            assert not waiting.done(), "an empty folder is nothing"
            (tmp_path / "folder" / "x").touch()
            return (await waiting).payload

    assert asyncio.run(arrive()) == str(tmp_path / "folder")


def test_runs_are_waited_for_until_all_are_settled(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(
        [
            [{"run_id": "a", "state": "running"}, {"run_id": "b", "state": "success"}],
            [{"run_id": "a", "state": "failed"}, {"run_id": "b", "state": "success"}],
        ]
    )
    monkeypatch.setattr(lab.session, "_query", lambda verb: next(answers))
    trigger = DagStateTrigger("other", ["success", "failed"], ["a", "b", "gone"], poll_interval=0.01)
    assert fire(trigger, lab.session) == {"a": "failed", "b": "success", "gone": None}


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ({"x": "success", "y": "success"}, {"status": "success", "state": "success"}),
        ({"x": "success", "y": "failed"}, {"status": "failed", "state": "failed"}),
        ({"x": "skipped", "y": "none"}, {"status": "skipped", "state": "skipped"}),
    ],
)
def test_tasks_of_another_dag_are_judged_together(lab: Any, states: dict[str, str], verdict: dict[str, str]) -> None:
    lab.session.rows["task_states"] = [{"task_id": name, "state": state} for name, state in states.items()]
    trigger = WorkflowTrigger(
        "other",
        [datetime(2026, 3, 1, tzinfo=UTC)],
        external_task_ids=["x", "y"],
        skipped_states=["skipped"],
        failed_states=["failed"],
    )
    assert fire(trigger, lab.session) == verdict


def test_tasks_that_are_not_all_there_say_nothing_yet(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"task_id": "x", "state": "success"}]
    answers = iter([rows, [*rows, {"task_id": "y", "state": "success"}]])
    monkeypatch.setattr(lab.session, "_query", lambda verb: next(answers))
    trigger = WorkflowTrigger(
        "other", [datetime(2026, 3, 1, tzinfo=UTC)], external_task_ids=["x", "y"], poke_interval=0.01
    )
    assert fire(trigger, lab.session)["status"] == "success"


def test_a_trigger_asks_through_the_session_of_its_wait(lab: Any) -> None:
    lab.session.rows["runs"] = [{"run_id": "a", "state": "success"}]

    async def ask() -> Any:
        with session_scope(lab.session):
            return await asyncio.to_thread(all_rows, "runs", {"dag_id": "d"})

    assert asyncio.run(ask()) == [{"run_id": "a", "state": "success"}]
