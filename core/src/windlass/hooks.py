"""For authors of hooks: the base class, connections, and what they may raise."""

from __future__ import annotations

from windlass.interfaces.connection import Connection as Connection
from windlass.interfaces.hook import BaseHook as BaseHook
from windlass.interfaces.secrecy import mask_secret as mask_secret
