"""Planted bugs."""

from __future__ import annotations

BUGS: dict = {}
