"""The composition roots: the only room that joins decisions, effects and author code.

Each module here builds one kind of process (``scheduler_process``, ``supervisor_process``, ``standalone``) or runs the
engine inside the caller's own (``inproc``: ``dag.test()``). They hold no logic of their own
beyond starting, joining and stopping what the other rooms provide.
"""

from __future__ import annotations
