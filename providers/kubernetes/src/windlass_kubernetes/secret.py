"""Secret: a Kubernetes secret in the environment or the files of a pod, by Airflow's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from windlass.errors import AuthoringError

Json = dict[str, Any]


class Secret:
    """A Kubernetes secret that a pod gets: ``Secret("env", "DB_PASSWORD", "db", "password")``."""

    def __init__(
        self,
        deploy_type: str,
        deploy_target: str | None,
        secret: str,
        key: str | None = None,
        items: Sequence[Json] | None = None,
    ) -> None:
        """Describe it.

        Args:
            deploy_type: ``env`` or ``volume``.
            deploy_target: the variable, or the folder. Without a variable every key becomes one.
            secret: the name of the secret.
            key: the key in the secret, for a variable.
            items: which keys become which files, for a volume.

        :raises AuthoringError: if it says something that cannot be.
        """
        if deploy_type not in {"env", "volume"}:
            raise AuthoringError(f"Secret {secret!r}: deploy_type {deploy_type!r} is not one of env, volume")
        if deploy_type == "env" and (deploy_target is None) != (key is None):
            raise AuthoringError(f"Secret {secret!r}: give a variable and a key, or neither for all keys")
        if deploy_type == "volume" and (not deploy_target or key is not None):
            raise AuthoringError(f"Secret {secret!r}: a volume needs the folder as deploy_target, and items, not a key")
        self.deploy_type = deploy_type
        self.deploy_target = deploy_target
        self.secret = secret
        self.key = key
        self.items = list(items or ())

    def add_to(self, pod: Json, container: Json) -> None:
        """Write it into the manifest of a pod."""
        if self.deploy_type == "volume":
            name = f"secretvol-{len(pod['spec'].get('volumes') or [])}"
            source: Json = {"secretName": self.secret} | ({"items": self.items} if self.items else {})
            pod["spec"].setdefault("volumes", []).append({"name": name, "secret": source})
            mount = {"name": name, "mountPath": self.deploy_target, "readOnly": True}
            container.setdefault("volumeMounts", []).append(mount)
        elif self.key is None:
            container.setdefault("envFrom", []).append({"secretRef": {"name": self.secret}})
        else:
            source = {"secretKeyRef": {"name": self.secret, "key": self.key}}
            container.setdefault("env", []).append({"name": self.deploy_target, "valueFrom": source})

    def __repr__(self) -> str:
        return f"Secret({self.deploy_type!r}, {self.deploy_target!r}, {self.secret!r}, {self.key!r})"
