"""W1 and W9: forty tasks in a row, each a small recursion."""

from __future__ import annotations

from windlass import DAG, chain, task


def fibo(n: int) -> int:
    """Return a Fibonacci number, the slow way."""
    return n if n < 2 else fibo(n - 1) + fibo(n - 2)


@task
def link() -> None:
    """Work a little."""
    fibo(10)


with DAG("chain_40", schedule=None):
    chain(*(link.override(task_id=f"link_{i:02d}")() for i in range(40)))
