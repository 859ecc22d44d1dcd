"""The engine inside the caller's process: ``dag.test()``, ``run_task``, and the commands that try things out.

``testing`` is what users call; ``engine`` runs the real scheduler over ``memory`` and ``gateway``; ``connections``
tries a connection in a child process.
"""

from __future__ import annotations
