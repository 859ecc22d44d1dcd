"""The owner of child processes: forks them, listens to them, keeps their logs, and proves them dead.

One single-threaded process per host. It gets its work over a unix socket, asks the engine through a Gateway that
``app`` injects, and runs author code only in children started as ``python -m windlass.runtime``.
"""
