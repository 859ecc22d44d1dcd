"""One task per file, where only the run itself knows which files there are."""

from __future__ import annotations

from windlass import dag, task


@dag(schedule=None)
def mapping() -> None:
    @task
    def list_files() -> list[str]:
        return ["a.csv", "b.csv", "c.csv"]

    @task(map_index_template="{{ task.op_kwargs['file_name'] }}")
    def count(file_name: str, separator: str) -> int:
        print(f"{file_name} is split at {separator!r}")
        return len(file_name.split(separator))

    @task
    def total(counts: list[int]) -> int:
        return sum(counts)

    total(count.partial(separator=".").expand(file_name=list_files()))


mapping()
