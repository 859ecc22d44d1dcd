"""A fake Vault that speaks Vault's own protocol, so that any client of Vault can be tried against it.

It has the secrets engines KV 1 and 2, namespaces, policies, tokens that end and are renewed, and logins by AppRole,
Kubernetes, JWT, userpass and LDAP. It can be sealed, be a standby node, fail to order, and live by a virtual clock. It
has no other engines and methods, no response wrapping, no PATCH, no identities and no audit.

``server`` is the network, ``state`` what one asks, ``kv``, ``auth``, ``tokens`` and ``policies`` the parts of it.
"""

from __future__ import annotations

from windlass_testing.fakes.vault.server import FakeVault as FakeVault
from windlass_testing.fakes.vault.server import serve as serve
from windlass_testing.fakes.vault.wire import VaultFailure as VaultFailure
