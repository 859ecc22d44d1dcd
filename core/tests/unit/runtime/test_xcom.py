"""Values between tasks: every listed type comes back the same, and what cannot travel is named."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type, and authors' values any
from __future__ import annotations

import enum
import math
import sys
import types
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass import DAG, Artifact, task
from windlass.errors import XComError
from windlass.operators import EmptyOperator, PythonOperator
from windlass.protocol import ArtifactCommit, XComValue
from windlass.runtime import codecs
from windlass.runtime.xcom import PREVIEW, SPILL, pack, preview, unpack

# The test file runs under a made-up module name that is not importable; data may only name modules that are loaded.
_ME = sys.modules[__name__] if __name__ in sys.modules else types.ModuleType(__name__)


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Order:
    number: int
    lines: list[Any] = field(default_factory=list)
    hidden: int = field(default=5, init=False)


@dataclass(frozen=True, slots=True)
class Frozen:
    when: datetime


class Point(msgspec.Struct):
    x: int
    y: Any = None


class Pair(NamedTuple):
    left: Any
    right: Any


Old = namedtuple("Old", "a b")  # noqa: PYI024 - the old way must travel too


def travel(value: Any) -> Any:
    codec, data = codecs.encode(value, "it")
    return codecs.decode(codec, data)


instants = st.datetimes(
    timezones=st.just(UTC) | st.none() | st.sampled_from([ZoneInfo("Europe/Paris"), ZoneInfo("UTC")])
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters())
    | st.binary()
    | instants
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.sampled_from([*Colour, *Level, *Access, Access.READ | Access.WRITE])
    | st.builds(PurePosixPath, st.text("ab/", min_size=1))
)
hashable = scalars.filter(lambda value: not isinstance(value, bytearray)) | st.tuples(st.integers(), st.text())
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=4)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.sets(hashable, max_size=3)
        | st.frozensets(hashable, max_size=3)
        | st.builds(Order, st.integers(), st.lists(inner, max_size=2))
        | st.builds(Point, st.integers(), inner)
        | st.builds(Pair, inner, inner)
    ),
    max_leaves=12,
)


def same(one: Any, two: Any) -> bool:
    """Whether two values are equal and of the same types all the way down."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return list(map(repr, one)) == list(map(repr, two)) and all(
            same(a, b) for a, b in zip(one.values(), two.values(), strict=True)
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two) and (not isinstance(one, datetime) or (one.tzinfo == two.tzinfo and one.fold == two.fold))


@settings(deadline=None)
@given(value=values)
def test_every_value_comes_back_the_same(value: object) -> None:
    assert same(travel(value), value)


@pytest.mark.parametrize(
    "value",
    [
        2**200, -(2**63), 2**63, 0.1, -0.0, math.inf, "\udc80 lone", {"\udc80": 1}, [], {}, (), set(),
        {1: {2: 3}}, {None: 1, True: 2}, {"__windlass__": "tuple", "value": [1]},
        [{"__windlass__": "tuple", "value": [1]}, (1,)], b"\x00\xff", bytearray(b"x"),
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris")),
        datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45, seconds=1))),
        time(1, 2, 3, tzinfo=UTC), date.min, timedelta.max, Decimal("1E+999"),
        UUID(int=5), Path("/a/b"), Order(1, [Frozen(datetime(2026, 1, 1, tzinfo=UTC))]), Old(1, 2), Level.LOW,
        Artifact(digest="d", name="n", size=1),
    ],
    ids=repr,
)  # fmt: skip
def test_the_edges_of_types(value: object) -> None:
    assert same(travel(value), value)


def test_nan_comes_back() -> None:
    assert math.isnan(travel([math.nan])[0])


def test_plain_values_are_plain_json() -> None:
    assert codecs.encode({"a": [1, None, "x"]}, "it") == ("json", b'{"a":[1,null,"x"]}')


def test_equal_sets_have_equal_bytes() -> None:
    one, two = {f"k{i}" for i in range(50)}, {f"k{i}" for i in reversed(range(50))}
    assert codecs.encode(one, "it") == codecs.encode(two, "it")


def test_subclasses_travel_as_what_they_are() -> None:
    class Text(str):
        __slots__ = ()

    assert travel(OrderedDict(a=1)) == {"a": 1}
    assert travel(Text("x")) == "x"
    assert travel(range(3)) == [0, 1, 2]


def test_an_unknown_type_is_named_with_the_remedy() -> None:
    class Handle:
        pass

    with pytest.raises(XComError, match=r"XCom 'k' holds a .*Handle, which cannot travel.*install a provider"):
        codecs.encode([Handle()], "XCom 'k'")
    with pytest.raises(XComError, match="cannot travel"):
        codecs.encode(lambda: None, "it")


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(XComError, match="contains itself"):
        codecs.encode(value, "it")


def test_a_class_inside_a_function_is_refused() -> None:
    @dataclass
    class Local:
        x: int

    with pytest.raises(XComError, match="defined inside a function"):
        codecs.encode(Local(1), "it")


@pytest.mark.parametrize(
    "name", ["os:system", "subprocess:Popen", "builtins:object", "no.such.module:X", "json:JSONDecoder"]
)
@pytest.mark.parametrize("tag", ["dataclass", "enum", "struct", "attrs", "pydantic"])
def test_data_never_names_what_to_import_or_call(name: str, tag: str) -> None:
    before = set(sys.modules)
    inner: object = "x" if tag == "enum" else {}
    data = msgspec.json.encode({"__windlass__": tag, "value": [name, inner]})
    with pytest.raises(XComError, match="has not imported"):
        codecs.decode(codecs.TAGGED, data)
    assert "no" not in sys.modules
    assert set(sys.modules) == before


def test_an_unknown_tag_says_to_upgrade() -> None:
    with pytest.raises(XComError, match="needs a reader for 'later'"):
        codecs.decode(codecs.TAGGED, b'{"__windlass__": "later", "value": 1}')


class TestStoring:
    def test_lengths_are_for_mapping(self, lab: Any) -> None:
        def length(value: object) -> int | None:
            stored: XComValue = pack(value, "it", lab.session)
            return stored.length

        assert [length(value) for value in ([1, 2], {"a": 1}, (1,), "text", 5, b"xx")] == [2, 1, 1, None, None, None]

    def test_a_large_value_spills_and_comes_back(self, lab: Any) -> None:
        value = "x" * SPILL
        stored = pack(value, "it", lab.session)
        assert (stored.data, stored.size) == (b"", SPILL + 2)
        assert [verb.digest for verb in lab.session.asked if isinstance(verb, ArtifactCommit)] == [stored.artifact]
        assert unpack(stored, lab.session) == value

    def test_a_small_one_does_not(self, lab: Any) -> None:
        assert pack("x" * (SPILL - 2), "it", lab.session).artifact is None

    def test_a_damaged_one_is_named(self, lab: Any) -> None:
        stored = pack("x" * SPILL, "it", lab.session)
        (lab.session.folder / stored.artifact).write_bytes(b"other")
        with pytest.raises(XComError, match="is damaged"):
            unpack(stored, lab.session)

    @settings(deadline=None)
    @given(value=values | st.text(min_size=3000))
    def test_a_preview_is_small_json_that_cuts_no_text(self, value: object) -> None:
        shown = preview(value)
        assert len(shown.encode()) <= PREVIEW
        msgspec.json.decode(shown)

    def test_a_preview_counts_what_it_leaves_out(self) -> None:
        assert preview(["secret" * 100, 1]) == '["<text of 600 characters>",1]'
        assert "more>" in preview(list(range(10_000)))

    def test_an_unknown_type_fails_the_task_naming_key_and_type(self, lab: Any, dag: DAG) -> None:
        PythonOperator(task_id="t", python_callable=object)
        assert "XCom 'return_value' of task 't' holds a builtins.object" in lab.finish(dag, "t").reason


class TestPulling:
    @pytest.fixture
    def pull(self, lab: Any, dag: DAG) -> Any:
        """Run a task that pulls, and return what it got."""
        for name in "ab":
            EmptyOperator(task_id=name)
        EmptyOperator.partial(task_id="m").expand_kwargs([{}, {}, {}])

        def pulling(**arguments: Any) -> Any:
            found: list[Any] = []
            with dag:
                name = f"p{len(dag.tasks)}"
                PythonOperator(task_id=name, python_callable=lambda ti: found.append(ti.xcom_pull(**arguments)))
            ending = lab.finish(dag, name)
            assert ending.outcome == "success", ending.reason
            return found[0]

        return pulling

    def test_one_task_gives_a_value_several_a_list_in_their_order(self, lab: Any, pull: Any) -> None:
        lab.give("a", 1)
        lab.give("b", 2)
        assert pull(task_ids="a") == 1
        assert pull(task_ids=["b", "a"]) == [2, 1]
        assert pull(task_ids=["a"]) == [1]

    def test_the_default_is_honoured(self, lab: Any, pull: Any) -> None:
        assert pull(task_ids="a") is None
        assert pull(task_ids="a", default=7) == 7
        lab.give("b", 2)
        assert pull(task_ids=["a", "b"], default=0) == [0, 2]

    def test_another_key(self, lab: Any, pull: Any) -> None:
        lab.give("a", 5, key="k")
        assert pull(task_ids="a", key="k") == 5

    def test_a_mapped_task_gives_a_list_by_index(self, lab: Any, pull: Any) -> None:
        for index in (2, 0, 1):
            lab.give("m", f"v{index}", index)
        assert list(pull(task_ids="m")) == ["v0", "v1", "v2"]
        assert pull(task_ids="m", map_indexes=1) == "v1"
        assert pull(task_ids="m", map_indexes=[2, 0]) == ["v2", "v0"]

    def test_also_of_length_one(self, lab: Any, pull: Any) -> None:
        lab.give("m", "only", 0)
        assert pull(task_ids="m") == ["only"]

    def test_an_index_that_returned_none_keeps_its_place(self, lab: Any, pull: Any) -> None:
        lab.give("m", "v1", 1)
        lab.session.instances["m"] = 4
        found = pull(task_ids="m")
        assert (len(found), list(found), found[1], found[-1], found[1:3]) == (
            4, [None, "v1", None, None], "v1", None, ["v1", None]
        )  # fmt: skip

    def test_many_are_read_in_pages(self, lab: Any, pull: Any) -> None:
        for index in range(0, 501, 2):
            lab.give("m", index, index)
        lab.session.instances["m"] = 502
        found = pull(task_ids="m")
        asked = len(lab.session.asked)
        assert list(found) == [index if index % 2 == 0 else None for index in range(502)]
        assert len(lab.session.asked) - asked == 3

    def test_another_dags_results(self, lab: Any, pull: Any) -> None:
        lab.give("x", 1, dag_id="other")
        lab.give("y", 1, 0, dag_id="other")
        assert pull(task_ids="x", dag_id="other") == 1
        assert pull(task_ids="y", dag_id="other") == [1]


def test_an_artifact_hands_a_file_over(lab: Any, dag: DAG, tmp_path: Path) -> None:
    source, target = tmp_path / "data.bin", tmp_path / "copy.bin"
    source.write_bytes(b"\x00" * 3_000_000)

    @task
    def make(artifacts: Any = None) -> object:
        return artifacts.put(source)

    @task
    def use(found: Any, artifacts: Any = None) -> int:
        return int(artifacts.get(found, target).stat().st_size)

    use(make())
    assert lab.value(dag, "make").name == "data.bin"
    assert lab.value(dag, "use") == 3_000_000
    assert target.read_bytes() == source.read_bytes()
