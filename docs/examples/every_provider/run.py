"""Run the example: set its systems up, start Windlass, fill two days, and show what has become of them.

``nox -s example-providers`` does it. PostgreSQL and MySQL or MariaDB are found or started as
``windlass_testing.servers`` says; the other systems come with the packages of the workspace.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from systems import systems

from windlass_testing.live import LiveInstallation
from windlass_testing.servers import ServerMissing, mysql, postgres

HERE = Path(__file__).parent


def main() -> None:
    """Run it."""
    with (
        tempfile.TemporaryDirectory(prefix="windlass-example-") as folder,
        postgres() as postgres_url,
        mysql() as mysql_url,
        systems(postgres_url, mysql_url) as there,
    ):
        there.order(1, "2026-11-20T00:00:00Z", "DE", "ada@example.com", 1250)
        there.order(2, "2026-11-20T13:30:00Z", "FR", "grace@example.com", 2000)
        there.order(3, "2026-11-20T23:59:59Z", "DE", "zoë@example.com", 999)
        there.order(4, "2026-11-21T00:00:00Z", "IT", "ada@example.com", 100)
        home = LiveInstallation(Path(folder))
        home.environ |= there.settings
        shutil.copytree(HERE / "dags", home.dags, dirs_exist_ok=True)
        try:
            home.start()
            home.wait_for_dag("daily_orders")
            days = ["--from-date", "2026-11-20", "--to-date", "2026-11-21"]
            print(home.windlass("backfill", "create", "--dag-id", "daily_orders", *days, "--wait"))
            for run in home.json("runs", "list", "daily_orders"):
                print(home.windlass("runs", "show", "daily_orders", run["run_id"]))
        finally:
            home.close()
        print("the lake:", *there.lake_keys(), sep="\n  ")
        print("the warehouse:", *there.warehoused(), sep="\n  ")
        print("the summaries:", *there.summaries(), sep="\n  ")


if __name__ == "__main__":
    try:
        main()
    except ServerMissing as missing:
        sys.exit(str(missing))
