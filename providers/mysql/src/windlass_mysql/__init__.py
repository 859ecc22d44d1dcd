"""The MySQL provider: a hook, through which the operators of windlass-sql use MySQL and MariaDB."""

from __future__ import annotations
