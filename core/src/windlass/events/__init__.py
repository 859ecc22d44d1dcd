"""Delivering what the outbox owes: observer hooks here, in the server's process, and callbacks as workloads.

:class:`Observers` tells the installed observers what happened; :class:`Callbacks` has the authors' callbacks called by
a supervisor. ``app`` steps each from a thread of its own, so that a slow observer holds up nothing but other observers.
"""

from __future__ import annotations

from windlass.events.callbacks import Callbacks as Callbacks
from windlass.events.observers import Observers as Observers
from windlass.events.trimming import Trimming as Trimming
