"""What a child and its supervisor say to each other, and what is masked of it; over a gateway made of files."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from core.tests.unit.supervisor.conftest import Home

pytestmark = pytest.mark.processes


class TestConversation:
    def test_a_secret_is_masked_in_the_log_in_all_its_forms(self, home: Home) -> None:
        home.write_tasks("""
            import base64, logging
            from windlass.protocol import GetConnection, Mask
            def tell(context, session):
                password = session.ask(GetConnection(conn_id="db"))["password"]
                print("password is", password)
                print(base64.b64encode(password.encode()).decode())
                logging.getLogger("x").info("half" + password + "half")
                session.tell(Mask(values=["own-secret"]))
                sys.stdout.write("own-se")
                sys.stdout.flush()
                time.sleep(0.05)
                print("cret")
        """)
        home.start()
        home.report(home.submit("tell"))
        text = (home.path / "logs/task_id=tell/attempt=1.log").read_text()
        assert "swordfish" not in text
        assert base64.b64encode(b"swordfish-9").decode().rstrip("=") not in text
        assert home.messages("tell") == ["password is ***", "***", "half***half", "***"] or "***" in text
        assert home.messages("tell")[-1] == "***"

    def test_questions_are_answered_and_errors_are_answers(self, home: Home) -> None:
        home.write_tasks("""
            from windlass.errors import ConnectionNotDefined
            from windlass.protocol import GetConnection, XComInfo
            def ask(context, session):
                print(session.ask(XComInfo(task_id="other")))
                try:
                    session.ask(GetConnection(conn_id="nope"))
                except ConnectionNotDefined as error:
                    print(error)
        """)
        home.start()
        home.report(home.submit("ask"))
        assert home.messages("ask") == [
            "{'answered': 'XComInfo'}",
            "connection `nope` is not defined; looked in: nowhere",
        ]

    def test_a_child_that_breaks_the_protocol_is_killed_and_lost(self, home: Home) -> None:
        home.write_tasks("""
            def lies(context, session):
                session._sock.sendall(b"\\xff\\xff\\xff\\xff")
                time.sleep(60)
        """)
        home.start()
        assert "broke the protocol" in home.report(home.submit("lies"))["lost"]

    def test_children_see_none_of_the_servers_secrets_and_carry_their_mark(self, home: Home) -> None:
        home.write_tasks("""
            def tell(context, session):
                print(sorted(name for name in os.environ if name.startswith("WINDLASS_") and name != "WINDLASS_HOME"))
                print(os.environ["WINDLASS_LEASE_ID"] in open("/proc/self/environ").read())
        """)
        home.start()
        home.report(home.submit("tell"))
        assert home.messages("tell") == ["['WINDLASS_LEASE_ID']", "True"]

    def test_a_task_reads_its_own_xcom_and_its_fields_are_masked(self, home: Home) -> None:
        home.write_tasks("""
            from windlass.protocol import Mask, Rendered, XComGet, XComSet, XComValue
            def asks(context, session):
                session.tell(Mask(values=["swordfish"]))
                session.tell(Rendered(fields={"sql": "select 'swordfish'", "big": "x" * 10_000}))
                session.tell(XComSet(key="k", value=XComValue(codec="json", data=b"1", preview="swordfish")))
                session.ask(XComGet(task_id="asks", key="k"))
                session.tell(XComSet(key="l", value=XComValue(codec="json", data=b"1", preview="swordfish")))
        """)
        home.start()
        report = home.report(home.submit("asks"))
        assert [call["key"] for call in home.journal("call")] == ["k", "k"]
        assert home.journal("call")[0]["value"]["preview"] == "***"
        assert report["rendered"]["fields"]["sql"] == "select '***'"
        assert len(report["rendered"]["fields"]["big"]) < 5000
        assert [(xcom["key"], xcom["value"]["preview"]) for xcom in report["xcoms"]] == [("l", "***")]
