"""Fakes of other systems that speak their real wire protocols, for tests of providers."""
