"""What windlass-sql promises as a provider; its own behaviour is tested beside this."""

from __future__ import annotations

from windlass_testing.conformance import ProviderSuite


class TestProvider(ProviderSuite):
    distribution = "windlass-sql"
