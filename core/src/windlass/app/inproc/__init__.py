"""The engine inside the caller's process: ``dag.test()``, ``run_task``, and the commands that try things out.

``testing`` is what users call, ``results`` what they get, ``bag`` the DAGs of a folder; ``engine`` runs the real
scheduler over ``memory`` and ``gateway``, with ``fakes`` of tasks, ``preset`` XComs and ``callbacks``; ``connections``
tries a connection in a child process.
"""

from __future__ import annotations
