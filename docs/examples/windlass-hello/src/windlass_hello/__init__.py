"""Greet people from Windlass."""
