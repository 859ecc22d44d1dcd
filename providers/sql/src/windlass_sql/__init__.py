"""The SQL provider: what the providers of databases share, and SQLite, which needs no server."""

from __future__ import annotations
