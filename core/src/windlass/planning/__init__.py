"""What should happen next, as pure functions of what is known: no clock, no database, no randomness, no log.

``plan`` decides for one run which task instances may go and how the run ends; ``limits`` which of those get a slot
now; ``runs`` which queued runs start; ``retries`` and ``priority`` are the arithmetic beside them; ``timetables`` is
when runs come to be. Time, states and everything else arrive as arguments, so that production, simulation and tests
run the very same decisions.
"""

from __future__ import annotations
