"""The version of the core, as a literal: reading it imports nothing. A test holds it equal to the package's own."""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"
