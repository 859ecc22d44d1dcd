"""The revisions, one module each."""

from __future__ import annotations
