"""Simulation."""

from __future__ import annotations

from windlass_testing.simulation.run import Result as Result
from windlass_testing.simulation.run import simulate as simulate
