"""The PostgreSQL provider: commands and scripts as Windlass tasks and sensors."""

from __future__ import annotations
