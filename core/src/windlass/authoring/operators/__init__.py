"""The built-in operators and sensors, one module per family. ``windlass.operators`` and ``.sensors`` re-export them."""

from __future__ import annotations
