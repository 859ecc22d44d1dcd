"""The orders of each day: from the shop's PostgreSQL through S3 into the warehouse's MySQL, checked and summed up.

Five systems take part, and every credential for them lies in Vault. Nothing here imports a driver or an SDK at the top:
the file is read many times, and each library is loaded by the task that needs it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from windlass import DAG, task
from windlass_bash.operators import BashOperator
from windlass_sql.handlers import fetch_one_handler
from windlass_sql.operators import SQLExecuteQueryOperator, SQLInsertRowsOperator

ORDERS_OF_THE_INTERVAL = """
    SELECT order_id, placed_at, country, email, cents FROM orders
    WHERE placed_at >= %s AND placed_at < %s ORDER BY order_id
"""
TOTALS = """
    SELECT COUNT(*), CAST(COALESCE(SUM(cents), 0) AS SIGNED) FROM orders WHERE placed_on = %s
"""
BY_COUNTRY = """
    SELECT country, COUNT(*), CAST(SUM(cents) AS SIGNED) AS turnover FROM orders
    WHERE placed_on = %s GROUP BY country ORDER BY turnover DESC, country
"""

with DAG(
    "daily_orders",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(minutes=10),
    },
    tags=["example"],
):

    @task
    def extract(ds: str, data_interval_start: datetime, data_interval_end: datetime) -> dict[str, Any]:
        """Write the orders of the interval to S3, customers under a pseudonym; return where, how many and how much."""
        import csv
        import hmac
        import tempfile

        from windlass_aws.hooks import S3Hook
        from windlass_postgres.hook import PostgresHook
        from windlass_vault.hook import VaultHook

        secret = VaultHook("vault").get_secret("orders/pseudonyms")
        if secret is None:
            raise LookupError("Vault has no orders/pseudonyms; write the key for pseudonyms there")
        key = f"s3://lake/orders/{ds}.csv.gz"
        rows = cents = 0
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            interval = [data_interval_start, data_interval_end]
            for order in PostgresHook("shop").stream(ORDERS_OF_THE_INTERVAL, interval):
                order_id, placed_at, country, email, amount = order
                customer = hmac.digest(secret["key"].encode(), email.encode(), "sha256").hex()
                lines.writerow([order_id, placed_at.astimezone(UTC).date(), country, customer, amount])
                rows += 1
                cents += amount
            file.flush()
            S3Hook("lake").load_file(file.name, key, replace=True, gzip=True)
        return {"key": key, "rows": rows, "cents": cents}

    @task
    def load(extracted: dict[str, Any]) -> int:
        """Read the file row by row into the warehouse, in one transaction; an order that is there is written over."""
        import csv
        import gzip

        from windlass_aws.hooks import S3Hook
        from windlass_mysql.hook import MySqlHook

        with (
            S3Hook("lake").open_key(extracted["key"]) as packed,
            gzip.open(packed, "rt", encoding="utf-8", newline="") as lines,
        ):
            return MySqlHook("warehouse").insert_rows(
                "orders",
                csv.reader(lines),
                ["order_id", "placed_on", "country", "customer", "cents"],
                commit_every=0,
                replace=True,
                replace_index="order_id",
            )

    totals = SQLExecuteQueryOperator(
        task_id="totals", conn_id="warehouse", sql=TOTALS, parameters=["{{ ds }}"], handler=fetch_one_handler
    )
    check = BashOperator(
        task_id="check",
        bash_command='echo "extracted $EXTRACTED; the warehouse has $LOADED"; [ "$EXTRACTED" = "$LOADED" ]',
        env={
            "EXTRACTED": "{% set it = ti.xcom_pull('extract') %}{{ it['rows'] }} orders of {{ it['cents'] }} cents",
            "LOADED": "{% set it = ti.xcom_pull('totals') %}{{ it[0] }} orders of {{ it[1] }} cents",
        },
        append_env=True,
        retries=0,  # it will not come right by itself
    )
    by_country = SQLExecuteQueryOperator(
        task_id="by_country", conn_id="warehouse", sql=BY_COUNTRY, parameters=["{{ ds }}"]
    )

    @task.kubernetes(image="python:3.13-slim", kubernetes_conn_id="cluster")
    def summarise(day: str, countries: list[list[Any]]) -> dict[str, Any]:
        """Sum the day up, in a pod that has Python alone: no Windlass, no driver and no credentials."""
        orders = sum(count for _, count, _ in countries)
        cents = sum(turnover for _, _, turnover in countries)
        print(f"{day}: {orders} orders from {len(countries)} countries")
        return {
            "day": day,
            "orders": orders,
            "cents": cents,
            "best_country": countries[0][0] if countries else None,
        }

    summary = summarise("{{ ds }}", by_country.output)
    record = SQLInsertRowsOperator(
        task_id="record",
        conn_id="shop",
        table_name="daily_summaries",
        rows=[summary],
        insert_args={"replace": True, "replace_index": "day"},
    )
    load(extract()) >> totals >> check >> by_country
    summary >> record
