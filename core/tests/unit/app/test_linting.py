"""Lint finds what its page says, in children: the page's examples, one file each, are what is linted here."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from windlass.app.linting import lint_target
from windlass.config import Settings
from windlass.dagfiles.linting import Lint
from windlass.errors import NotFound
from windlass.protocol.findings import Code, Level
from windlass.store import migrate
from windlass_testing.stores import environ_of, url_of

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "lint.md"
EXAMPLES = {
    code: re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for code, text in re.findall(
        r"^## (WL\d+)\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
}
BURNS = "import time\nstarted = time.process_time()\nwhile time.process_time() - started < 0.4:\n    pass\n"

Linted = Callable[..., list[Lint]]


@pytest.fixture
def linted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Linted:
    """Write files into a DAG folder, lint a target, and return the findings."""
    home = tmp_path / "home"
    (home / "dags").mkdir(parents=True)
    for name in ("WINDLASS_HOME", "WINDLASS_VAR_REGION", "WINDLASS_CONN_DB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WINDLASS_VAR_REGION", "north")
    monkeypatch.setenv("WINDLASS_CONN_DB", "http://ann:c4nary@h")

    def lint(files: dict[str, str], target: str | None = None) -> list[Lint]:
        for name, text in files.items():
            path = home / "dags" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        settings = Settings.load(environ=environ_of(home), cwd=tmp_path)
        return list(lint_target(settings, target))

    return lint


@pytest.fixture
def database(tmp_path: Path, linted: Linted) -> None:
    migrate(url_of(tmp_path / "home"))


def test_the_page_has_a_section_for_every_code_and_an_example_for_each_that_has_a_file() -> None:
    assert list(EXAMPLES) == [code.value.code for code in Code]
    assert [code for code, examples in EXAMPLES.items() if len(examples) != 1] == ["WL502"]
    for code in Code:
        section = PAGE.read_text(encoding="utf-8").partition(f"## {code.value.code}\n")[2].strip()
        assert section.startswith(f"{code.value.level.value.title()}. ")


@pytest.mark.usefixtures("database")
def test_each_example_of_the_page_has_the_finding_that_it_stands_for(linted: Linted) -> None:
    files = {
        f"{code.lower()}.py": f"# windlass dag\n{examples[0]}".replace('"sales"', f'"{code}"')
        for code, examples in EXAMPLES.items()
        if examples
    }
    found = linted({**files, "slow_library.py": BURNS})
    assert {(item.file, item.code, item.level) for item in found} == {
        (f"{code.value.code.lower()}.py", code.value.code, code.value.level)
        for code in Code
        if code is not Code.UNUSED_POOL
    }
    for item in found:
        line = files[item.file].splitlines()[item.line - 1]
        assert re.search(r"with DAG|EmptyOperator|^[A-Zr]\w+ = |write_text|Thread|import slow", line), item
    assert not {"slow_library", "wl101"} & sys.modules.keys(), "nothing of an author's was imported here"
    Path("/tmp/windlass-lint-example").unlink(missing_ok=True)


@pytest.mark.usefixtures("database")
def test_a_pool_that_nobody_uses_is_found_only_if_everything_was_looked_at(linted: Linted, tmp_path: Path) -> None:
    from windlass.app.clocks import SystemClock, SystemRng
    from windlass.store import open_store

    store = open_store(url_of(tmp_path / "home"), clock=SystemClock(), rng=SystemRng())
    store.pools.set("spare", 3)
    store.pools.set("used", 3)
    store.close()
    source = (
        "from windlass import DAG\nfrom windlass.operators import EmptyOperator\n"
        "with DAG('d'):\n    EmptyOperator(task_id='a', pool='used')\n"
    )
    [unused] = linted({"d.py": source})
    assert (unused.code, unused.file) == ("WL502", "")
    assert "'spare'" in unused.message
    assert linted({}, str(tmp_path / "home" / "dags" / "d.py")) == []


def test_a_comment_excuses_the_statement_it_stands_at_and_nothing_else(linted: Linted) -> None:
    source = """\
from windlass import DAG, Variable
from datetime import datetime
one = Variable.get("region")  # windlass: ignore[WL105]
two = Variable.get("region")
three = Variable.get("region")  # windlass: ignore[WL101]
with DAG(
    "sales",
    start_date=datetime(2026, 1, 1),  # windlass: ignore[WL201, WL202]
):
    text = "# windlass: ignore[WL105]" + Variable.get("region")
"""
    assert [(item.code, item.line) for item in linted({"d.py": source})] == [("WL105", 4), ("WL105", 5), ("WL105", 10)]


def test_a_finding_in_a_module_of_the_folder_belongs_to_its_line(linted: Linted) -> None:
    helper = "from windlass import Variable\n\ndef region():\n    return Variable.get('region')\n"
    [item] = linted({"d.py": "# windlass dag\nfrom common.place import region\nregion()\n", "common/place.py": helper})
    assert (item.file, item.line) == ("common/place.py", 4)
    excused = helper.replace("('region')", "('region')  # windlass: ignore[WL105]")
    assert linted({"common/place.py": excused}) == []


def test_what_a_library_does_on_import_is_held_against_the_import_as_a_warning(
    linted: Linted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "nosy_library.py").write_text("import socket\nsocket.gethostbyname('localhost')\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    [item] = linted({"d.py": "# windlass dag\nimport nosy_library\n"})
    assert (item.code, item.level, item.line) == ("WL101", Level.WARNING, 2)
    assert item.message.startswith("what is imported here")


def test_the_cost_of_an_import_is_without_that_of_the_files_own_modules(linted: Linted) -> None:
    found = linted({"d.py": "# windlass dag\nimport middle\n", "middle.py": "import slow\n", "slow.py": BURNS})
    assert [(item.code, item.file, item.line) for item in found] == [("WL301", "middle.py", 1)]
    assert re.search(r"importing slow takes \d{3,} ms of CPU", found[0].message)


def test_a_secret_that_is_read_is_named_and_not_shown(linted: Linted) -> None:
    source = (
        "# windlass dag\nfrom windlass.hooks import BaseHook\n"
        "password = BaseHook.get_connection('db').password\nopen('/nowhere/' + password, 'w')\n"
    )
    found = linted({"d.py": source})
    assert {item.code for item in found} == {"WL105", "WL102", "WL001"}
    assert "c4nary" not in str(found)


def test_what_differs_is_told(linted: Linted) -> None:
    source = """\
import time
from windlass import DAG
from windlass.operators import EmptyOperator
with DAG("sales", description=f"at {int(time.time())}"):
    EmptyOperator(task_id="load", retries=int(time.time()) % 1000)
if time.localtime().tm_year % 100 > (time.time_ns() // 10**9 - 31536000 * 56) // 31536000:
    pass
"""
    [item] = linted({"d.py": source})
    assert (item.code, item.line) == ("WL401", 4)
    assert re.search(r"description is 'at \d+', then 'at \d+'; tasks.load.retries is \d+, then \d+", item.message)


@pytest.mark.parametrize(
    "date",
    [
        "datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)",
        "datetime.combine(date.today(), time.min, tzinfo=UTC) - timedelta(days=2)",
        "datetime.utcnow().replace(tzinfo=UTC, hour=0, minute=0, second=0, microsecond=0)",
        "datetime.fromtimestamp(clock() // 86400 * 86400, UTC)",
        "datetime(localtime().tm_year, 1, 1, tzinfo=UTC)",
    ],
)
def test_a_start_date_that_moves_only_once_a_day_is_found_as_well(linted: Linted, date: str) -> None:
    source = (
        "from datetime import UTC, date, datetime, time, timedelta\nfrom time import localtime, time as clock\n"
        f"from windlass import DAG\nwith DAG('sales', start_date={date}):\n    pass\n"
    )
    [item] = linted({"d.py": source})
    assert (item.code, item.line) == ("WL201", 4)


def test_a_file_that_is_fine_has_no_findings(linted: Linted) -> None:
    source = """\
from datetime import UTC, date, datetime, timedelta
from windlass import DAG, task
with DAG("sales", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=timedelta(hours=2)) as dag:
    @task
    def load(day=str(date(2026, 1, 1)), at=datetime.fromisoformat("2026-01-01"), span=datetime.max - datetime.min):
        return isinstance(at, datetime)
    load()
"""
    assert linted({"d.py": source}) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import os\nos._exit(3)\n", "exited with status 3"),
        ("def broken(:\n", "SyntaxError"),
        ("import nothing_of_this_name\n", "No module named 'nothing_of_this_name'"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_finding(linted: Linted, source: str, message: str) -> None:
    [item] = linted({"d.py": f"# windlass dag\n{source}"})
    assert item.code == "WL001"
    assert message in item.message
    assert "\n" not in item.message


def test_a_target_that_is_nothing_is_not_found(linted: Linted, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="neither a folder nor a file, and there is no database"):
        linted({}, "sales")
    migrate(url_of(tmp_path / "home"))
    with pytest.raises(NotFound, match="neither a folder, nor a file, nor the id of a DAG"):
        linted({}, "sales")
