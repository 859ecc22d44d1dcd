"""A connection and a variable, asked for inside the tasks that need them."""

from __future__ import annotations

from windlass import Variable, dag, task
from windlass.hooks import BaseHook


@dag(schedule=None)
def shop() -> None:
    @task
    def address() -> str:
        connection = BaseHook.get_connection("shop_api")
        return f"https://{connection.host}:{connection.port}/{Variable.get('shop_path', default='orders')}"

    @task
    def log_in(url: str) -> str:
        connection = BaseHook.get_connection("shop_api")
        print(f"logging in to {url} with {connection.password}")
        return connection.login or ""

    log_in(address())


shop()
