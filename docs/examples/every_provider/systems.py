"""The systems of the example: a shop, a lake, a warehouse, a cluster, and the Vault that knows how to log in to them.

PostgreSQL and MySQL (or MariaDB) are real; S3, Kubernetes and Vault are the fakes of windlass-testing, with their real
protocols. Every login is made for the occasion, and only Vault is told of it.
"""

# ruff: noqa: ANN401 - PyMySQL and boto3 have no types
from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import psycopg
import pymysql

from windlass.hooks import Connection
from windlass_testing.fakes.kubernetes import FakeKubernetes
from windlass_testing.fakes.s3 import FakeS3
from windlass_testing.fakes.vault import FakeVault

SHOP_TABLES = """
    CREATE TABLE orders (
        order_id bigint PRIMARY KEY, placed_at timestamptz NOT NULL, country text NOT NULL, email text NOT NULL,
        cents bigint NOT NULL
    );
    CREATE TABLE daily_summaries (
        day date PRIMARY KEY, orders bigint NOT NULL, cents bigint NOT NULL, best_country text
    );
"""
WAREHOUSE_TABLE = """
    CREATE TABLE orders (
        order_id BIGINT PRIMARY KEY, placed_on DATE NOT NULL, country VARCHAR(2) NOT NULL,
        customer CHAR(64) NOT NULL, cents BIGINT NOT NULL, KEY (placed_on)
    )
"""
#: What Windlass may do in Vault.
POLICY = 'path "secret/data/*" { capabilities = ["read"] }'


@dataclass(frozen=True)
class Systems:
    """What runs, and how to look into it with more rights than the DAG has."""

    shop: psycopg.Connection
    warehouse: Any  # a connection of PyMySQL
    lake: Any  # a client of boto3
    vault: FakeVault
    #: The environment variables by which Windlass finds Vault, and no other system.
    settings: dict[str, str]
    #: Every password, token and key there is.
    secrets: dict[str, str]

    def order(self, order_id: int, placed_at: str, country: str, email: str, cents: int) -> None:
        """Have somebody order something, or order something else than before."""
        self.shop.execute(
            "INSERT INTO orders VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (order_id) DO UPDATE SET cents = excluded.cents",
            [order_id, placed_at, country, email, cents],
        )

    def summaries(self) -> list[tuple[object, ...]]:
        """Return what the DAG has recorded: day, orders, cents and the best country."""
        return self.shop.execute(
            "SELECT day::text, orders, cents, best_country FROM daily_summaries ORDER BY day"
        ).fetchall()

    def warehoused(self) -> list[tuple[object, ...]]:
        """Return the orders in the warehouse: number, day, country, pseudonym and cents."""
        sql = "SELECT order_id, CAST(placed_on AS CHAR), country, customer, cents FROM orders ORDER BY order_id"
        with self.warehouse.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def lake_keys(self) -> list[str]:
        """Return the keys of the files in the lake."""
        found = self.lake.list_objects_v2(Bucket="lake")
        return [item["Key"] for item in found.get("Contents", [])]


@contextmanager
def systems(postgres_url: str, mysql_url: str) -> Iterator[Systems]:
    """Set the systems up in two empty databases, whose URLs may do everything; in the end their users are dropped."""
    known = {
        name: f"{name}-{secrets.token_urlsafe(18)}" for name in ("shop", "warehouse", "lake", "cluster", "pseudonyms")
    }
    with ExitStack() as stack:
        shop = stack.enter_context(psycopg.connect(postgres_url, autocommit=True))
        shop_login = stack.enter_context(_shop(shop, known["shop"]))
        warehouse = stack.enter_context(_connected(mysql_url))
        warehouse_login = stack.enter_context(_warehouse(warehouse, known["warehouse"]))
        endpoint = {"endpoint_url": stack.enter_context(FakeS3()).url, "region_name": "eu-central-1"}
        lake = boto3.client("s3", aws_access_key_id="lake", aws_secret_access_key=known["lake"], **endpoint)
        lake.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        cluster = stack.enter_context(FakeKubernetes(token=known["cluster"]))
        vault = stack.enter_context(FakeVault())
        approle = _approle(vault)
        connections = {
            "shop": {"conn_type": "postgres", **_place(postgres_url), **shop_login},
            "warehouse": {"conn_type": "mysql", **_place(mysql_url), **warehouse_login},
            "lake": {"conn_type": "aws", "login": "lake", "password": known["lake"], "extra": endpoint},
            "cluster": {"conn_type": "kubernetes", "host": cluster.url, "password": known["cluster"]},
            "vault": {
                "conn_type": "vault",
                "host": vault.url,
                "login": approle["role_id"],
                "password": approle["secret_id"],
                "extra": {"auth_type": "approle"},
            },
        }
        for name, fields in connections.items():
            vault.write(f"secret/data/connections/{name}", data=fields)
        vault.write("secret/data/orders/pseudonyms", data={"key": known["pseudonyms"]})
        settings = {
            "WINDLASS__SECRETS__BACKEND": "vault",
            "WINDLASS__SECRETS__BACKEND_KWARGS": json.dumps({"url": vault.url, "auth_type": "approle", **approle}),
        }
        known |= {"vault": approle["secret_id"], "root": vault.root_token}
        yield Systems(shop, warehouse, lake, vault, settings, known)


def _place(url: str) -> dict[str, object]:
    """Return where a database is, without whose it is."""
    where = Connection.from_uri("admin", url)
    return {"host": where.host, "port": where.port, "schema": where.schema, "extra": where.extra_dejson}


@contextmanager
def _shop(shop: psycopg.Connection, password: str) -> Iterator[dict[str, str]]:
    """Yield the login of a user that may read the orders and write summaries."""
    name = f"etl_{secrets.token_hex(6)}"
    shop.execute(SHOP_TABLES)
    shop.execute(f"CREATE USER {name} PASSWORD '{password}'")
    shop.execute(f"GRANT SELECT ON orders TO {name}; GRANT SELECT, INSERT, UPDATE ON daily_summaries TO {name}")
    try:
        yield {"login": name, "password": password}
    finally:
        shop.execute(f"DROP OWNED BY {name}; DROP USER {name}")


@contextmanager
def _warehouse(warehouse: Any, password: str) -> Iterator[dict[str, str]]:
    """Yield the login of a user that may read and write the orders."""
    name = f"etl_{secrets.token_hex(6)}"
    with warehouse.cursor() as cursor:
        cursor.execute(WAREHOUSE_TABLE)
        cursor.execute(f"CREATE USER {name} IDENTIFIED BY '{password}'")
        cursor.execute(f"GRANT SELECT, INSERT, UPDATE ON orders TO {name}")
        try:
            yield {"login": name, "password": password}
        finally:
            cursor.execute(f"DROP USER {name}")


@contextmanager
def _connected(url: str) -> Iterator[Any]:
    """Yield a connection of PyMySQL to the database of a URL."""
    where = Connection.from_uri("admin", url)
    connection = pymysql.connect(
        host=where.host or "127.0.0.1",
        port=where.port or 3306,
        user=where.login,
        password=where.password or "",
        database=where.schema,
        autocommit=True,
    )
    try:
        yield connection
    finally:
        connection.close()


def _approle(vault: FakeVault) -> dict[str, str]:
    """Return the id and the secret of a role that may read what is in Vault."""
    vault.write("sys/policies/acl/windlass", policy=POLICY)
    vault.write("sys/auth/approle", type="approle")
    vault.write("auth/approle/role/windlass", token_policies=["windlass"])
    return {
        "role_id": vault.read("auth/approle/role/windlass/role-id")["role_id"],
        "secret_id": vault.write("auth/approle/role/windlass/secret-id")["secret_id"],
    }
