"""The Vault provider: a hook for HashiCorp Vault, and the secrets backend that reads connections from it."""

from __future__ import annotations
