"""Servers that speak the protocol of a real one, for tests where the real one cannot run."""
