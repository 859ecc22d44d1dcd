"""A secret that a task uses, and prints in every way, is found in no file of the home and in no answer."""

from __future__ import annotations

import base64
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from windlass_testing.databases import contents
from windlass_testing.stores import url_of

if TYPE_CHECKING:
    from windlass_testing.live import LiveInstallation

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

#: Long enough that no form of it can turn up by chance, with characters that every encoding treats differently.
PASSWORD = 'kanari/37"é+vogel%sing'
TOKEN = "t0ken-Zwitscher/84+pfeif"
#: Fetched by code of the provider, the core knows it only by what mask_secret says.
FETCHED = "fetched-Schnabel/19=feder"
DAG = """
import base64, json, logging, os, sys, time
from urllib.parse import quote, quote_plus
from windlass import DAG, task
from windlass.hooks import BaseHook
from windlass.operators import PythonOperator

def secrets():
    from windlass import Variable
    return BaseHook.get_connection("nest").password, Variable.get("api_token")

def look(templates_dict):
    print("templates:", templates_dict)

with DAG("canary", schedule=None, is_paused_upon_creation=False) as dag:
    @task
    def speak():
        for secret in secrets():
            print(secret, repr(secret), json.dumps({"key": secret}), quote(secret), quote_plus(secret))
            print(base64.b64encode(secret.encode()).decode())
            print(base64.urlsafe_b64encode(f"user:{secret}".encode()).decode())
            logging.getLogger("my.module").warning("logging in with %s", secret)
            half = len(secret.encode()) // 2
            os.write(2, secret.encode()[:half])
            time.sleep(0.1)
            os.write(2, secret.encode()[half:] + b"\\n")

    @task
    def hand_over():
        return {"url": f"https://me:{secrets()[1]}@example.org", "list": [secrets()[1]]}

    @task
    def explode():
        raise RuntimeError(f"could not log in with {secrets()[0]!r}, {secrets()[1]}")

    PythonOperator(
        task_id="render",
        python_callable=look,
        templates_dict={
            "password": "{{ conn.nest.password }}",
            "key": "{{ var.value.api_token }}",
            "header": "Basic {{ var.value.api_token }}",
        },
    )
    speak(), hand_over(), explode()
"""


FETCHING = """
import logging
from windlass import DAG, task
from windlass.hooks import mask_secret
from windlass.operators import PythonOperator

def fetch():
    with open("{file}") as vault:
        secret = vault.read()
    mask_secret({{"key": secret, "region": "eu"}})
    return secret

def tell(context):
    print("calling with", fetch())

{top}

with DAG("{dag_id}", schedule=None, is_paused_upon_creation=False, on_failure_callback=tell):
    @task
    def speak():
        print("printed", fetch())
        logging.getLogger("mine").warning("logged %s in eu", fetch())

    @task
    def explode():
        raise RuntimeError(f"could not log in with {{fetch()!r}}")

    speak() >> explode()
"""


#: Reads secrets while it is imported, which is discouraged and still no leak.
EARLY = """
from windlass import DAG, Variable, task
from windlass.hooks import BaseHook

TOKEN = Variable.get("api_token")
PASSWORD = BaseHook.get_connection("nest").password
print("at the top:", TOKEN, PASSWORD)

with DAG("early", schedule=None, is_paused_upon_creation=False):
    @task
    def speak():
        print("in the task:", TOKEN, PASSWORD)
    speak()
"""
BROKEN = (
    EARLY
    + """
raise RuntimeError(f"cannot log in with {TOKEN} or {PASSWORD}")
"""
)
#: Can be parsed, and no longer be imported by the time it is to run.
STILLBORN = (
    EARLY.replace("early", "stillborn")
    + """
import os
if os.path.exists(os.environ["LEDGER"] + ".break"):
    raise RuntimeError(f"cannot log in with {TOKEN} or {PASSWORD}")
"""
)


def forms(secret: str) -> set[bytes]:
    """Return what a search must not find: the secret as it is and as a program would hand it on."""
    raw = secret.encode()
    inner = base64.b64encode(raw).decode()[: len(raw) * 8 // 6]
    return {
        raw,
        quote(secret).encode(),
        quote(secret, safe="").encode(),
        inner.encode(),
        inner.replace("+", "-").replace("/", "_").encode(),
    }


def leaks(path: Path, secret: str) -> list[bytes]:
    data = path.read_bytes()
    return [form for form in forms(secret) if form in data]


def values(home: Path) -> dict[str, list[bytes]]:
    """Return all values of every column of every table, but the values that tasks handed to each other."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for table, rows in contents(url_of(home)).items():
        for row in rows:
            for column, cell in row.items():
                found[f"{table}.{column}"].append(cell if isinstance(cell, bytes) else str(cell).encode())
    del found["xcom.data"]
    return found


@pytest.fixture
def nest(installation: LiveInstallation) -> LiveInstallation:
    """Return an installation that has the two secrets."""
    installation.windlass("db", "migrate")
    installation.windlass("connections", "add", "nest", "--conn-type", "generic", "--conn-password", PASSWORD)
    installation.windlass("variables", "set", "api_token", TOKEN)
    return installation


def test_no_secret_is_in_any_file_table_log_or_answer(nest: LiveInstallation) -> None:
    installation = nest
    installation.write("canary.py", DAG)
    server = installation.start()
    installation.wait_for_dag("canary")
    run_id = installation.trigger("canary")
    assert installation.wait_for_run("canary", run_id)["state"] == "failed"

    answers = [
        *(installation.windlass("tasks", "logs", "canary", name, run_id) for name in ("speak", "explode", "render")),
        installation.windlass("runs", "show", "canary", run_id, "-o", "json"),
        installation.windlass("runs", "show", "canary", run_id),
        installation.windlass("explain", "canary", run_id),
        installation.windlass("connections", "list", "-o", "json"),
        installation.windlass("connections", "get", "nest", "-o", "json"),
        installation.windlass("variables", "list", "-o", "json"),
    ]
    assert installation.stop(server) == 0

    log = answers[0]
    assert log.count("***") >= 16, f"each way of printing shows that something was hidden\n{log}"
    for secret in (PASSWORD, TOKEN):
        for form in forms(secret):
            assert not [answer for answer in answers if form.decode() in answer], form
    cells = values(installation.home)
    assert any(b"***" in cell for cell in cells["xcom.preview"])
    assert any(b"***" in cell for cell in cells["attempt.rendered"])
    for secret in (PASSWORD, TOKEN):
        found = {
            column for column, data in cells.items() if any(form in cell for cell in data for form in forms(secret))
        }
        assert found == set()
    # What a task handed to another task under its own name is the task's business: the other secret was not.
    for path in (path for path in installation.home.rglob("*") if path.is_file()):
        assert leaks(path, PASSWORD) == [], path
        if path.name.partition("-")[0] != "windlass.db":
            assert leaks(path, TOKEN) == [], path


def test_a_secret_read_at_the_top_of_a_file_is_hidden_as_well(nest: LiveInstallation) -> None:
    nest.write("early.py", EARLY)
    nest.write("stillborn.py", STILLBORN)
    nest.write("broken.py", BROKEN.replace('"early"', '"broken"'))
    server = nest.start()
    nest.wait_for_dag("early")
    run_id = nest.trigger("early")
    assert nest.wait_for_run("early", run_id)["state"] == "success"
    log = nest.windlass("tasks", "logs", "early", "speak", run_id)
    nest.wait_for_dag("stillborn")
    nest.ledger_file.with_suffix(".break").touch()
    unborn_id = nest.trigger("stillborn")
    assert nest.wait_for_run("stillborn", unborn_id)["state"] == "failed"
    unborn = nest.windlass("tasks", "logs", "stillborn", "speak", unborn_id)
    nest.wait(lambda: "broken" in nest.windlass("dags", "list-import-errors", code=1), "the import error")
    error = nest.windlass("dags", "list-import-errors", code=1)
    assert nest.stop(server) == 0

    assert "in the task: *** ***" in log
    assert "cannot log in with *** or ***" in unborn
    assert "cannot log in with *** or ***" in " ".join(error.split())
    for path in (path for path in nest.home.rglob("*") if path.is_file()):
        assert leaks(path, PASSWORD) + leaks(path, TOKEN) == [], path


def test_what_code_fetches_itself_is_hidden_once_it_says_so(installation: LiveInstallation) -> None:
    vault = installation.home.parent / "vault"  # outside the home, as a vault is
    vault.write_text(FETCHED)
    installation.write("fetching.py", FETCHING.format(dag_id="fetching", file=vault, top=""))
    early = FETCHING.format(dag_id="early", file=vault, top="SECRET = fetch()\nprint('at the top', SECRET)")
    installation.write("early.py", early.replace("fetch())", "SECRET)").replace("{fetch()!r}", "{SECRET!r}"))
    server = installation.start()
    logs = {}
    for dag_id in ("fetching", "early"):
        installation.wait_for_dag(dag_id)
        run_id = installation.trigger(dag_id)
        assert installation.wait_for_run(dag_id, run_id)["state"] == "failed"
        logs[dag_id] = installation.windlass("tasks", "logs", dag_id, "speak", run_id)
        logs[dag_id] += installation.windlass("tasks", "logs", dag_id, "explode", run_id)
    installation.wait(lambda: "calling with ***" in installation.logs(), "the callbacks")
    assert installation.stop(server) == 0
    for log in logs.values():
        assert "printed ***" in log
        assert "logged *** in eu" in log
        assert "could not log in with '***'" in log
    for path in (path for path in installation.home.rglob("*") if path.is_file()):
        assert leaks(path, FETCHED) == [], path
