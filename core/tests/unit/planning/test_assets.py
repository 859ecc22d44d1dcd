"""Asset conditions, against a model that knows nothing but truth tables and a list of what has come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.planning.assets import (
    cheapest,
    condition_of,
    consume,
    describe,
    is_met,
    names_in,
    names_of,
    still_missing,
)
from windlass.ports import AssetName, WaitingEvent
from windlass.spec import AssetCondition, AssetOrTimeSpec, AssetScheduleSpec, CronIntervalSpec, NullSpec

START = datetime(2026, 3, 1, tzinfo=UTC)
A, B, C = (AssetCondition(asset=name) for name in "abc")
X = AssetCondition(alias="x")


def name(text: str) -> AssetName:
    return AssetName(name=text.removeprefix("~"), is_alias=text.startswith("~"))


def event(number: int, uri: str, alias: str | None = None, *, counts: bool = True) -> WaitingEvent:
    return WaitingEvent(id=number, uri=uri, alias=alias, at=START + timedelta(seconds=number), counts=counts)


def both(*parts: AssetCondition) -> AssetCondition:
    return AssetCondition(all_of=parts)


def either(*parts: AssetCondition) -> AssetCondition:
    return AssetCondition(any_of=parts)


# --- The model

LEAVES = st.sampled_from([A, B, C, X, AssetCondition(alias="y")])
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: both(*parts)),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: either(*parts)),
    ),
    max_leaves=6,
)
ARRIVALS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([None, None, "x", "y"]), st.booleans()), max_size=10
)
NAMES = [name(text) for text in ("a", "b", "c", "~x", "~y")]


def truth(condition: AssetCondition, uris: set[str], aliases: set[str]) -> bool:
    """Say what Python says of the condition, written as an expression."""

    def written(part: AssetCondition) -> str:
        if part.asset is not None:
            return f"({part.asset!r} in uris)"
        if part.alias is not None:
            return f"({part.alias!r} in aliases)"
        word = " and " if part.all_of else " or "
        return f"({word.join(map(written, part.all_of or part.any_of))})"

    return bool(eval(written(condition), {"uris": uris, "aliases": aliases}))  # noqa: S307 - a test's own text


@given(CONDITIONS, st.sets(st.sampled_from(NAMES)))
def test_a_condition_is_what_and_and_or_say(condition: AssetCondition, updated: set[AssetName]) -> None:
    uris = {found.name for found in updated if not found.is_alias}
    aliases = {found.name for found in updated if found.is_alias}
    assert is_met(condition, updated) is truth(condition, uris, aliases)


@given(CONDITIONS, ARRIVALS)
def test_a_run_is_due_when_the_condition_is_met_and_takes_all_that_waits(
    condition: AssetCondition, arrivals: list[tuple[str, str | None, bool]]
) -> None:
    waiting = [event(n, uri, alias, counts=counts) for n, (uri, alias, counts) in enumerate(arrivals)]
    completing = None
    for end in range(1, len(waiting) + 1):
        counted = [found for found in waiting[:end] if found.counts]
        if truth(condition, {found.uri for found in counted}, {found.alias for found in counted if found.alias}):
            completing = waiting[end - 1]
            break
    due = consume(condition, waiting)
    if completing is None:
        assert due is None
        return
    assert due is not None
    assert due.completed_at == completing.at
    assert due.events == tuple(range(len(arrivals)))
    assert (due.start, due.end) == (waiting[0].at, waiting[-1].at)


@given(CONDITIONS, st.lists(st.one_of(st.sampled_from(["a", "b", "c", "a~x", "b~y"]), st.just("look"))))
def test_every_event_is_consumed_once_and_none_is_left_behind_for_good(
    condition: AssetCondition, story: list[str]
) -> None:
    """Events arrive, and now and then the scheduler looks: whenever it does, it leaves nothing that could run."""
    waiting: list[WaitingEvent] = []
    consumed: list[int] = []
    for number, what in enumerate([*story, "look"]):
        if what != "look":
            uri, _, alias = what.partition("~")
            waiting.append(event(number, uri, alias or None))
            continue
        due = consume(condition, waiting)
        taken = () if due is None else due.events
        consumed += taken
        waiting = [found for found in waiting if found.id not in taken]
        uris, aliases = {found.uri for found in waiting}, {found.alias for found in waiting if found.alias}
        assert not truth(condition, uris, aliases)
    assert len(consumed) == len(set(consumed))
    assert sorted([*consumed, *(found.id for found in waiting)]) == [
        n for n, what in enumerate(story) if what != "look"
    ]


@given(CONDITIONS, st.sets(st.sampled_from(NAMES)))
def test_what_is_missing_meets_the_condition_when_it_comes(condition: AssetCondition, updated: set[AssetName]) -> None:
    rest = still_missing(condition, updated)
    assert (rest is None) is is_met(condition, updated)
    if rest is not None:
        assert not is_met(rest, updated)
        assert is_met(condition, updated | set(cheapest(rest)))


@given(CONDITIONS)
def test_nothing_cheaper_meets_a_condition(condition: AssetCondition) -> None:
    subsets = chain.from_iterable(combinations(NAMES, size) for size in range(len(NAMES) + 1))
    fewest = next(len(found) for found in subsets if is_met(condition, set(found)))
    # Parts are chosen one by one, so what two parts share may be overlooked: never less, and exact for plain ones.
    assert len(cheapest(condition)) >= fewest
    assert is_met(condition, cheapest(condition))


# --- By example


def test_an_asset_and_an_alias_of_one_event_are_both_met() -> None:
    assert names_of(event(1, "a", "x")) == (name("a"), name("~x"))
    due = consume(both(A, X), [event(1, "a", "x")])
    assert due is not None
    assert (due.start, due.end) == (due.completed_at, due.completed_at)


def test_the_logical_date_is_that_of_the_completing_event_the_interval_that_of_all() -> None:
    due = consume(both(A, B), [event(1, "a"), event(2, "b"), event(3, "a")])
    assert due is not None
    assert due.completed_at == START + timedelta(seconds=2)
    assert (due.start, due.end) == (START + timedelta(seconds=1), START + timedelta(seconds=3))


def test_an_event_of_a_pause_completes_nothing_and_goes_to_the_next_run() -> None:
    paused = event(1, "a", counts=False)
    assert consume(A, [paused]) is None
    due = consume(A, [paused, event(2, "a")])
    assert due is not None
    assert due.events == (1, 2)


def test_a_condition_without_parts_is_never_met() -> None:
    assert not is_met(AssetCondition(), {name("a")})
    assert consume(AssetCondition(), [event(1, "a")]) is None
    assert still_missing(AssetCondition(), set()) == AssetCondition()
    assert cheapest(AssetCondition()) == ()


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (A, "'a'"),
        (X, "alias 'x'"),
        (both(A, either(B, X)), "'a' and ('b' or alias 'x')"),
        (either(both(A, B), C), "('a' and 'b') or 'c'"),
    ],
)
def test_a_condition_in_words(condition: AssetCondition, words: str) -> None:
    assert describe(condition) == words


def test_what_is_missing_leaves_out_what_is_met() -> None:
    assert still_missing(both(A, either(B, C)), {name("a")}) == either(B, C)
    assert still_missing(both(A, B, C), {name("b")}) == both(A, C)
    assert cheapest(either(both(A, B), C)) == (name("c"),)


def test_the_schedules_that_have_a_condition() -> None:
    time = CronIntervalSpec(expression="0 0 * * *")
    assert condition_of(AssetScheduleSpec(condition=A)) == A
    assert condition_of(AssetOrTimeSpec(condition=B, timetable=time)) == B
    assert condition_of(time) is None
    assert names_in(condition_of(NullSpec())) == ()
    assert names_in(both(A, X, A)) == (name("a"), name("~x"))
