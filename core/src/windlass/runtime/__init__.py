"""The children's side: whatever imports author code runs here, in processes started as ``python -m windlass.runtime``.

No server process imports this room. ``zygote`` and ``child`` run attempts, ``parse`` reads DAG files, ``loader``
imports them from the bundle or from a snapshot, ``attempt`` runs user code.
"""
