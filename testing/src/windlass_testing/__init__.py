"""Test DAGs and providers of Windlass: a pytest plugin, conformance suites and fakes."""

from __future__ import annotations
