"""Delivering what the outbox owes: observer hooks here, in the server's process.

:class:`Events` is the whole of it: ``app`` gives it the store's outbox and the installed observers, and calls
:meth:`Events.step` from a thread of its own, so that a slow observer holds up nothing but other observers.
"""

from __future__ import annotations

from windlass.events.events import Events as Events
