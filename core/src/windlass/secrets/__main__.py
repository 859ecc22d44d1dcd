"""``python -m windlass.secrets``: the secrets helper. Started by :mod:`windlass.secrets.client`, not by people."""

from __future__ import annotations

from windlass.secrets.helper import main

main()
