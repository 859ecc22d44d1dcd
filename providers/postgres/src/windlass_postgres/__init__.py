"""The PostgreSQL provider: a hook, through which the operators of windlass-sql use PostgreSQL."""

from __future__ import annotations
