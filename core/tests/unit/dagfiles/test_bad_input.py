"""Whatever an author gets wrong is one sentence that names the DAG, the task, the mistake and the remedy.

Every line of the tables is a file of its own in one DAG folder, which is read as a server reads it, by real parse
children. One good file lies among them, and is stored all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from windlass.app.clocks import SystemClock, SystemRng
from windlass.cli.root import run
from windlass.cli.session import Session
from windlass.config import Settings
from windlass.control import Control
from windlass.dagfiles import DagFiles
from windlass.secrets.resolver import open_resolver
from windlass.store import Store, migrate, open_store
from windlass_testing.stores import environ_of, url_of, use_home

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

HEAD = """\
from datetime import UTC, datetime, timedelta
from windlass import *
from windlass.operators import *
from windlass.sensors import *
"""
#: Arguments of a DAG -> what the error says. Each is made with this id, so that every error can be seen to name it.
DAGS = {
    "shedule='@daily'": "has no argument 'shedule'; did you mean 'schedule'?",
    "schedule='61 * * * *'": "minute '61' is not valid here; write a value of 0 to 59",
    "schedule='* * *'": "cron expression '* * *' has 3 fields; write minute hour day-of-month month day-of-week",
    "schedule='@dayly'": "schedule '@dayly' is not a preset; did you mean '@daily'?",
    "schedule='0 0 30 2 *'": "day-of-month '30' is not valid here; write a value of 1 to 31 that its months have",
    "schedule=5": "schedule 5 is a int; give a cron string, a preset, a timedelta, assets, a timetable or None",
    "schedule=timedelta(0)": "does not move time on; give a positive duration",
    "start_date='2026-02-30'": "start_date '2026-02-30' is not an ISO 8601 date or datetime; write for example",
    "start_date=5": "start_date must be a datetime, not 5; write datetime(2026, 1, 1, tzinfo=UTC)",
    "start_date=datetime(2026, 2, 1), end_date=datetime(2026, 1, 1)": "ends before it starts; swap start_date and end_",
    "max_active_runs=-1": "max_active_runs must be a whole number of at least 0, not -1",
    "max_active_tasks=2.5": "max_active_tasks must be a whole number of at least 0, not 2.5",
    "max_map_length=0": "max_map_length must be a whole number of at least 1, not 0",
    "dagrun_timeout='1h'": "dagrun_timeout must be a timedelta or a number of seconds, not '1h'",
    "dagrun_timeout=timedelta(0)": "dagrun_timeout must be positive, not 0 seconds",
    "dagrun_timeout=1e20": "dagrun_timeout of 1e+20 seconds is no length of time; write less",
    "tags='x'": "tags must be a list of strings; write tags=['x']",
    "catchup='yes'": "catchup must be True or False, not 'yes'",
    "fail_fast=1.5": "fail_fast must be True or False, not 1.5",
    "is_paused_upon_creation='x'": "is_paused_upon_creation must be True or False or None, not 'x'",
    "min_file_process_interval='x'": "min_file_process_interval must be a number or None, not 'x'",
    "description=3": "description must be text or None, not 3",
    "doc_md=3": "doc_md must be text or None, not 3",
    "dag_display_name=3": "dag_display_name must be text or None, not 3",
    "params=[1]": "params must be a dict, not [1]; write params={'key': …}",
    "params={1: 2}": "a key of params must be a text, not 1; write it in quotes",
    "params={'n': object()}": "param 'n' must be JSON",
    "params={'n': Param(0, type='nummber')}": "the schema of param 'n' of DAG",
    "params={'n': Param('a', pattern='(?=a)')}": "has a pattern that cannot be used: '(?=a)' uses a look-ahead",
    "schedule='@daily', params={'n': Param(0, minimum=1)}": "0 is less than the minimum of 1; scheduled runs use it",
    "schedule='@daily', params={'n': Param(type='integer')}": "its param 'n' has no default; give it one",
    "default_args=[1]": "default_args must be a dict, not [1]",
    "on_failure_callback='x'": "on_failure_callback must be a function or a notifier, not 'x'",
    "on_success_callback=[print, 3]": "on_success_callback must be a function or a notifier, not 3",
    "template_undefined=3": "template_undefined must be a class, such as jinja2.StrictUndefined",
    "template_searchpath=3": "template_searchpath must be a folder or a list of folders, not 3",
    "user_defined_macros=[1]": "user_defined_macros must be a dict, not [1]",
    "access_control=3": "access_control must be a dict, not 3",
    "owner_links='x'": "owner_links must be a dict, not 'x'",
}
#: The body of a scheduled DAG -> what the error says.
BODIES = {
    "EmptyOperator(task_id='t', retrise=3)": "EmptyOperator 't' has no argument 'retrise'; did you mean 'retries'?",
    "EmptyOperator()": "EmptyOperator has no task_id, which it needs; give it",
    "EmptyOperator('t')": "EmptyOperator takes keyword arguments only; write for example task_id='t'",
    "EmptyOperator(task_id='a b')": "task_id 'a b' has characters that an id cannot have; use letters, digits",
    "EmptyOperator(task_id=3)": "task_id must be a string, not int (3); write it in quotes",
    "EmptyOperator(task_id='x' * 251)": "has 251 characters; give it 1 to 250",
    "EmptyOperator(task_id='t'); EmptyOperator(task_id='t')": "already has a task or group 't'; give the second one an",
    "EmptyOperator(task_id='t', retries=-1)": "task 't': retries must be a whole number of at least 0, not -1",
    "EmptyOperator(task_id='t', retry_delay=-5)": "task 't': retry_delay must be 0 or more, not -5 seconds",
    "EmptyOperator(task_id='t', execution_timeout=0)": "task 't': execution_timeout must be positive, not 0 seconds",
    "EmptyOperator(task_id='t', trigger_rule='all_sucess')": "task 't': trigger_rule 'all_sucess' is not one of all_su",
    "EmptyOperator(task_id='t', weight_rule='upp')": "task 't': weight_rule 'upp' is not one of downstream, upstream",
    "EmptyOperator(task_id='t', pool=3)": "task 't': pool must be text, not 3",
    "EmptyOperator(task_id='t', pool_slots=0)": "task 't': pool_slots must be a whole number of at least 1, not 0",
    "EmptyOperator(task_id='t', priority_weight='x')": "task 't': priority_weight must be a whole number, not 'x'",
    "EmptyOperator(task_id='t', queue=3)": "task 't': queue must be text, not 3",
    "EmptyOperator(task_id='t', owner=3)": "task 't': owner must be text, not 3",
    "EmptyOperator(task_id='t', depends_on_past='x')": "task 't': depends_on_past must be True or False, not 'x'",
    "EmptyOperator(task_id='t', start_date='x')": "task 't': start_date 'x' is not an ISO 8601 date or datetime",
    "EmptyOperator(task_id='t', retry_exponential_backoff='x')": "must be True, False or a multiplier from 1, not 'x'",
    "EmptyOperator(task_id='t', max_active_tis_per_dag=-1)": "max_active_tis_per_dag must be a whole number of",
    "EmptyOperator(task_id='t', executor_config=[1])": "task 't': executor_config must be a dict, not [1]",
    "EmptyOperator(task_id='t', inlets=[3])": "task 't': inlets and outlets are assets, not 3; write Asset('3')",
    "EmptyOperator(task_id='t', params={'n': Param('x', type='integer')})": "'x' is not of type 'integer'",
    "EmptyOperator(task_id='t', on_retry_callback=3)": "on_retry_callback must be a function or a notifier, not 3",
    "EmptyOperator(task_id='t', doc_md=3)": "task 't': doc_md must be text or None, not 3",
    "EmptyOperator(task_id='t', map_index_template=3)": "task 't': map_index_template must be text or None, not 3",
    "a = EmptyOperator(task_id='a'); b = EmptyOperator(task_id='b'); a >> b >> a": "has a cycle: a >> b >> a; remove o",
    "a = EmptyOperator(task_id='a'); a >> a": "task 'a' cannot depend on itself; remove it from one side of `>>`",
    "[EmptyOperator(task_id='a')] >> [EmptyOperator(task_id='b')]": "use cross_downstream([…], […]) to join each with",
    "EmptyOperator(task_id='a') >> 5": "a dependency joins tasks, groups and results, not int (5)",
    "PythonOperator(task_id='t')": "PythonOperator 't' has no python_callable, which it needs; give it",
    "PythonOperator(task_id='t', python_callable=5)": "task 't': python_callable must be callable, not 5",
    "PythonOperator(task_id='t', python_callable=print, op_kwargs=5)": "task 't': op_kwargs must be a dict, not 5",
    "PythonOperator.partial(task_id='t', python_callable=print).expand()": "expand() needs at least one argument to ma",
    "PythonOperator.partial(task_id='t', python_callable=print).expand(op_args=5)": "give a list, a dict or a task's r",
    "with TaskGroup('g'): pass\n    with TaskGroup('g'): pass": "already has a task or group 'g'; give the second one",
    "with TaskGroup('g', tooltp='x'): pass": "TaskGroup 'g' has no argument 'tooltp'; did you mean 'tooltip'?",
    "PythonSensor(task_id='t', python_callable=print, mode='pok')": "sensor 't': mode 'pok' is not one of poke, resche",
    "PythonSensor(task_id='t', python_callable=print, poke_interval=-5)": "poke_interval must be 0 or more, not -5 sec",
    "TimeSensor(task_id='t', target_time='25:00')": "sensor 't': target_time must be a time, not '25:00'",
    "DateTimeSensor(task_id='t', target_time='2026-13-01')": "target_time '2026-13-01' is not an ISO 8601 date or date",
    "DayOfWeekSensor(task_id='t', week_day='Fryday')": "'Fryday' is no day of the week; write for example 'Monday'",
    "ExternalTaskSensor(task_id='t')": "ExternalTaskSensor 't' has no external_dag_id, which it needs; give it",
    "ExternalTaskSensor(task_id='t', external_dag_id='o', allowed_states=['sucess'])": "did you mean 'success'?",
    "TriggerDagRunOperator(task_id='t', trigger_dag_id=5)": "task 't': trigger_dag_id must be the id of a DAG, not 5",
    "class X(BaseOperator):\n        template_fields = ('nope',)\n    X(task_id='t')": "X lists 'nope' in template_fie",
    "@task\n    def f(a): return 1\n    f()": "f() missing required argument: 'a'",
    "@task\n    def f(): return 1\n    for x in f(): pass": "Use .expand() to map a task over it",
    "@task.bsh\n    def f(): return 1": "there is no decorator @task.bsh; did you mean @task.bash?",
}
#: A whole file -> what the error says.
FILES = {
    "DAG(7)": "dag_id must be a string, not int (7); write it in quotes",
    "DAG('a/b')": "dag_id 'a/b' has characters that an id cannot have; use letters, digits, underscores, dashes and do",
    "DAG('x' * 300)": "has 300 characters; give it 1 to 250",
    "with DAG('one'): pass\nwith DAG('one'): pass": "the file defines two DAGs with the id 'one'; rename one of them",
    "with DAG('good'): pass": "DAG 'good' is defined in both a_good.py and",
}


def cases() -> dict[str, tuple[str, str, bool]]:
    """Return the files by name: the source, what its error says, and whether that names the DAG."""
    found: dict[str, tuple[str, str, bool]] = {}
    for number, (arguments, message) in enumerate(DAGS.items()):
        found[f"dag{number:02}.py"] = (f"with DAG('dag{number:02}', {arguments}): pass\n", message, True)
    scheduled = "schedule='@daily', start_date=datetime(2026, 1, 1, tzinfo=UTC)"
    for number, (body, message) in enumerate(BODIES.items()):
        found[f"body{number:02}.py"] = (f"with DAG('body{number:02}', {scheduled}):\n    {body}\n", message, True)
    for number, (source, message) in enumerate(FILES.items()):
        found[f"file{number:02}.py"] = (f"{source}\n", message, False)
    return found


CASES = cases()


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Path]]:
    """Read the whole folder once, as a server does; yield the store and the home."""
    home = tmp_path_factory.mktemp("bad") / "home"
    dags = home / "dags"
    dags.mkdir(parents=True)
    (dags / "a_good.py").write_text(f"{HEAD}with DAG('good'): EmptyOperator(task_id='t')\n")
    for name, (source, _, _) in CASES.items():
        (dags / name).write_text(HEAD + source, encoding="utf-8")
    url = url_of(home)
    migrate(url)
    store = open_store(url, clock=SystemClock(), rng=SystemRng())
    settings = Settings.load(environ=environ_of(home), cwd=home)
    files = DagFiles(settings, store.dags, code=home / "code", clock=SystemClock(), secrets=open_resolver(settings))
    files.sync()
    files.close()
    yield store, home
    store.close()


@pytest.mark.parametrize("name", CASES, ids=lambda name: f"{name}: {CASES[name][0].strip()[:60]}")
def test_each_mistake_is_one_sentence_with_its_remedy(read: tuple[Store, Path], name: str) -> None:
    source, message, names_dag = CASES[name]
    found = [error.message for error in read[0].queries.import_errors() if error.file == name]
    assert len(found) == 1, source
    sentence = found[0].partition("\n")[0]
    assert name in sentence
    assert message in sentence
    if names_dag:
        assert f"DAG '{name.removesuffix('.py')}'" in sentence
    if "task_id='t'" in source and "task 't'" in message:
        assert "task 't'" in sentence
    assert not re.search(r"AttributeError|msgspec|NoneType|\$\.", sentence), "no words of the machinery"


def test_the_good_file_is_stored_all_the_same(read: tuple[Store, Path]) -> None:
    assert [dag.dag_id for dag in read[0].queries.dags().items if dag.file == "a_good.py"] == ["good"]


def test_the_command_line_shows_every_error_and_says_why_a_dag_is_not_known(
    read: tuple[Store, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, home = read
    use_home(monkeypatch, home)
    control = Control(store, clock=SystemClock(), home=home, logs=home / "logs")
    assert run(["dags", "list-import-errors"], Session(control=control)) == 1
    listed = capsys.readouterr().out
    assert [name for name in CASES if f"{name} (" not in listed] == []
    for command in (["explain", "body07"], ["dags", "trigger", "body07"], ["dags", "details", "body07"]):
        assert run(command, Session(control=control)) == 4
        told = capsys.readouterr().err
        assert "DAG 'body07' is not known" in told
        assert "Its file could not be read: body07.py:6: DAG 'body07': task 't': retries must be" in told
