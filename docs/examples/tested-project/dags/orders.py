from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from windlass import DAG, task
from windlass.hooks import BaseHook
from windlass.sensors import PythonSensor


def is_delivered() -> bool:
    raise NotImplementedError("asks the shop")


def tell_somebody(context: dict[str, Any]) -> None:
    print(f"call {BaseHook.get_connection('on_call').login}: {context['reason']}")


with DAG("orders", schedule="@daily", start_date=datetime(2026, 1, 1), on_failure_callback=tell_somebody):

    @task(retries=2, retry_delay=timedelta(minutes=30))
    def fetch(day: str) -> list[dict[str, Any]]:
        shop = BaseHook.get_connection("shop")
        raise ConnectionError(f"{shop.host} does not answer for {day}")

    @task
    def total(orders: list[dict[str, Any]]) -> int:
        return sum(order["amount"] for order in orders)

    @task.branch
    def judge(amount: int) -> str:
        return "celebrate" if amount > 1000 else "carry_on"

    @task
    def celebrate() -> None:
        print("cake")

    @task
    def carry_on() -> None:
        print("work")

    delivered = PythonSensor(task_id="delivered", python_callable=is_delivered, poke_interval=600, timeout=3600)
    orders = fetch("{{ ds }}")
    delivered >> orders
    judge(total(orders)) >> [celebrate(), carry_on()]
