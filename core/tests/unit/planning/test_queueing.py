"""The admission queue against a chooser that looks at every candidate in strict order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from windlass.planning.queueing import AdmissionQueue, Lane, Occupancy, Order

POOLS = {"small": 2, "large": 5, "endless": -1, "closed": 0}

lanes = st.builds(
    Lane,
    run=st.integers(1, 3),
    dag_id=st.sampled_from(["d", "e"]),
    pool=st.sampled_from([*POOLS, "missing"]),
    pool_slots=st.integers(1, 3),
    max_active_tasks=st.sampled_from([-1, 1, 3]),
    task_id=st.sampled_from(["", "t"]),
    max_active_tis_per_dag=st.sampled_from([-1, 2]),
    max_active_tis_per_dagrun=st.sampled_from([-1, 1]),
)
Candidate = tuple[int, Lane, Order]


@st.composite
def candidate_lists(draw: st.DrawFn) -> list[Candidate]:
    few = draw(st.lists(lanes, min_size=1, max_size=4))
    chosen = draw(st.lists(st.tuples(st.sampled_from(few), st.integers(-2, 2)), max_size=15))
    return [(number, lane, (priority, 0.0, lane.run, number, -1)) for number, (lane, priority) in enumerate(chosen)]


def closed(lane: Lane) -> bool:
    return lane.dag_id == "e"


def occupy(occupancy: Occupancy, lane: Lane) -> None:
    occupancy.add(run=lane.run, dag_id=lane.dag_id, task_id=lane.task_id, pool=lane.pool, pool_slots=lane.pool_slots)


def queue_of(candidates: list[Candidate]) -> AdmissionQueue:
    queue = AdmissionQueue()
    for task, lane, order in candidates:
        queue.push(task, lane, order)
    return queue


@given(candidates=candidate_lists(), busy=st.lists(lanes, max_size=4), parallelism=st.integers(0, 8), data=st.data())
def test_the_best_candidates_with_room_are_picked(
    candidates: list[Candidate], busy: list[Lane], parallelism: int, data: st.DataObject
) -> None:
    real, naive = Occupancy(), Occupancy()
    for lane in busy:
        occupy(real, lane)
        occupy(naive, lane)
    expected = []
    for task, lane, _ in sorted(candidates, key=lambda candidate: candidate[2]):
        full = parallelism > 0 and naive.total >= parallelism
        if not closed(lane) and not full and naive.obstacle(lane, POOLS) is None:
            occupy(naive, lane)
            expected.append((task, lane))
    queue = queue_of(data.draw(st.permutations(candidates)))
    assert queue.pick(real, POOLS, parallelism, closed) == expected
    assert len(queue) == len(candidates) - len(expected)
    assert real.total == len(busy), "the occupancy is the caller's to change"
    for _, lane in expected:
        occupy(real, lane)
    assert queue.pick(real, POOLS, parallelism, closed) == []


@given(candidates=candidate_lists(), gone=st.sets(st.integers(0, 14)))
def test_a_discarded_candidate_is_as_if_it_had_never_come(candidates: list[Candidate], gone: set[int]) -> None:
    queue = queue_of(candidates)
    for task in gone:
        queue.discard(task)
    without = queue_of([candidate for candidate in candidates if candidate[0] not in gone])
    assert queue.pick(Occupancy(), POOLS, 0, lambda _: False) == without.pick(Occupancy(), POOLS, 0, lambda _: False)


def test_a_blocked_task_hides_none_of_another_pool_or_dag() -> None:
    blocked = Lane(run=1, dag_id="d", pool="closed")
    other_pool = Lane(run=1, dag_id="d", pool="large")
    other_dag = Lane(run=2, dag_id="e", pool="small")
    queue = queue_of(
        [(1, blocked, (-9, 0.0, 1, 0, -1)), (2, other_pool, (0, 0.0, 1, 0, -1)), (3, other_dag, (0, 1.0, 2, 0, -1))]
    )
    assert [task for task, _ in queue.pick(Occupancy(), POOLS, 0, lambda _: False)] == [2, 3]
    assert 1 in queue


def test_what_nobody_occupies_any_more_is_forgotten() -> None:
    occupancy = Occupancy()
    for run in range(100):
        for sign in (1, -1):
            occupancy.add(run=run, dag_id="d", task_id=f"t{run}", pool="p", pool_slots=2, sign=sign)
    assert not any((occupancy.total, occupancy.pools, occupancy.runs, occupancy.tasks, occupancy.run_tasks))
