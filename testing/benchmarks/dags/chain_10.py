"""W2: ten tasks in a row, each half a second of recursion."""

from __future__ import annotations

from windlass import DAG, chain, task


def fibo(n: int) -> int:
    """Return a Fibonacci number, the slow way."""
    return n if n < 2 else fibo(n - 1) + fibo(n - 2)


@task
def link() -> None:
    """Work for half a second."""
    fibo(33)


with DAG("chain_10", schedule=None):
    chain(*(link.override(task_id=f"link_{i}")() for i in range(10)))
