"""The provider of the hello service: greet people from Windlass."""

from __future__ import annotations
