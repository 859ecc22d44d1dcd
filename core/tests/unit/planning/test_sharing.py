"""Each DAG falls to one scheduler, about as many to each, and whoever comes or goes moves only its own."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from windlass.planning.sharing import holder_of, rebalance

NAMES = st.text(min_size=1, max_size=8)
LIVING = st.dictionaries(NAMES, NAMES, min_size=1, max_size=6)
DAGS = st.sets(NAMES, max_size=30)


def shares(living: dict[str, str], dags: set[str]) -> dict[str, str]:
    return {dag_id: holder_of(dag_id, living) for dag_id in dags}


@given(LIVING, DAGS, NAMES)
def test_one_that_comes_takes_of_the_others_and_moves_nothing_between_them(
    living: dict[str, str], dags: set[str], home: str
) -> None:
    before, after = shares(living, dags), shares({**living, "a newcomer": home}, dags)
    moved = {dag_id for dag_id in dags if before[dag_id] != after[dag_id]}
    assert moved == {dag_id for dag_id in dags if after[dag_id] == "a newcomer"}


@given(LIVING, DAGS)
def test_what_each_does_by_itself_leaves_every_dag_with_one_scheduler(living: dict[str, str], dags: set[str]) -> None:
    held: dict[str, set[str]] = {owner: set() for owner in living}
    held[min(living)] = set(dags)  # who was there first has all
    for _ in range(2):
        for owner in living:
            free = dags - set().union(*held.values())
            step = rebalance(owner, living, held[owner], free)
            held[owner] = (held[owner] | set(step.take)) - set(step.release)
            assert set(step.take) <= free
    assert {dag_id: owner for owner, mine in held.items() for dag_id in mine} == shares(living, dags)


@given(DAGS, DAGS)
def test_one_alone_takes_all_and_releases_nothing(held: set[str], free: set[str]) -> None:
    step = rebalance("me", {"me": "home"}, held, free)
    assert (step.take, step.release) == (tuple(sorted(free)), ())


@given(NAMES, NAMES, DAGS)
def test_a_restart_in_the_same_home_moves_nothing(before: str, after: str, dags: set[str]) -> None:
    other = {"other": "elsewhere"}
    mine = [
        {dag_id for dag_id, owner in shares({name + "!": "here", **other}, dags).items() if owner != "other"}
        for name in (before, after)
    ]
    assert mine[0] == mine[1]


def test_the_shares_are_about_equal() -> None:
    living = {f"s{number}": f"host-{number}:/var/lib/windlass" for number in range(4)}
    counts = Counter(holder_of(f"dag_{number}", living) for number in range(4000))
    assert set(counts) == set(living)
    assert all(800 < count < 1200 for count in counts.values())
