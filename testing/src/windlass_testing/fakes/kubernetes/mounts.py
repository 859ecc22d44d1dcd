"""A pod's folder: its volumes, what its containers see of them, and their environment.

A container is an ordinary process here, without a root of its own. So a ``mountPath`` cannot exist under its own name;
instead every occurrence of it in the command, the arguments and the values of the environment is replaced by the folder
that stands for the volume. ``echo 1 > /results/n`` with a volume mounted at ``/results`` becomes
``echo 1 > <pod's folder>/volumes/data/n``. A program that has such a path inside itself does not find it.

An ``emptyDir`` is a folder that the pod's containers share and that goes with the pod; ``hostPath`` is the path itself;
``secret`` and ``configMap`` are folders with their files; a claim of a persistent volume is a folder by its name that
outlives the pod.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from windlass_testing.fakes.kubernetes.network import NODE_ADDRESS
from windlass_testing.fakes.kubernetes.resources import named
from windlass_testing.fakes.kubernetes.store import Store

Json = dict[str, Any]

_REFERENCE: Final = re.compile(r"\$(\$|\((?P<name>[-._a-zA-Z][-._a-zA-Z0-9]*)\))")


class ConfigMissing(Exception):
    """A secret, a config map or a key that a container needs is not there; the container waits for it."""


class Mounts:
    """The folders behind the volumes of one pod."""

    def __init__(self, store: Store, pod: Json, folder: Path, claims: Path, address: str) -> None:
        self.store = store
        self.pod = pod
        self.namespace = pod["metadata"]["namespace"]
        self.folder = folder
        self._claims = claims
        self._address = address

    def prepare(self, container: Json) -> tuple[Path, dict[str, str]]:
        """Return the folder in which a container runs, and which path of its own stands for which real one.

        :raises ConfigMissing: if a secret or config map that it mounts is not there.
        """
        home = self.folder / "containers" / container["name"]
        home.mkdir(parents=True, exist_ok=True)
        volumes = {volume["name"]: volume for volume in self.pod["spec"].get("volumes") or []}
        paths = {container.get("terminationMessagePath", "/dev/termination-log"): str(home / ".termination-log")}
        for mount in container.get("volumeMounts") or []:
            real = self._volume(volumes[mount["name"]]) / str(mount.get("subPath", ""))
            paths[mount["mountPath"].rstrip("/")] = str(real)
        return home, paths

    def _volume(self, volume: Json) -> Path:
        if "hostPath" in volume:
            return Path(str(volume["hostPath"]["path"]))
        if "persistentVolumeClaim" in volume:
            folder: Path = self._claims / self.namespace / str(volume["persistentVolumeClaim"]["claimName"])
        else:
            folder = self.folder / "volumes" / str(volume["name"])
        folder.mkdir(parents=True, exist_ok=True)
        if "secret" in volume:
            self._files(folder, "secrets", volume["secret"]["secretName"], volume["secret"])
        if "configMap" in volume:
            self._files(folder, "configmaps", volume["configMap"]["name"], volume["configMap"])
        return folder

    def _files(self, folder: Path, plural: str, name: str, source: Json) -> None:
        data = self._data(plural, name, optional=bool(source.get("optional")))
        items = source.get("items") or [{"key": key, "path": key} for key in data]
        for item in items:
            target = folder / item["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data[item["key"]])

    def _data(self, plural: str, name: str, *, optional: bool) -> dict[str, bytes]:
        found = self.store.find(named(plural), self.namespace, name)
        if found is None:
            if optional:
                return {}
            raise ConfigMissing(f'{plural.removesuffix("s")} "{name}" not found')
        data = found.get("data") or {}
        if plural == "secrets":
            return {key: base64.b64decode(value) for key, value in data.items()}
        return {key: value.encode() for key, value in data.items()} | {
            key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()
        }

    # --- The environment ------------------------------------------------------------------------------------------

    def environment(self, container: Json, home: Path, paths: Mapping[str, str]) -> dict[str, str]:
        """Return what a container's process gets: what its spec says, and PATH, HOME and HOSTNAME.

        :raises ConfigMissing: if a secret, a config map or a key is not there.
        """
        made = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "HOSTNAME": self.pod["metadata"]["name"],
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        }
        for source in container.get("envFrom") or []:
            plural, reference = (
                ("secrets", source["secretRef"]) if "secretRef" in source else ("configmaps", source["configMapRef"])
            )
            data = self._data(plural, reference["name"], optional=bool(reference.get("optional")))
            made |= {source.get("prefix", "") + key: value.decode() for key, value in data.items()}
        for one in container.get("env") or []:
            value = self._value_from(one["valueFrom"]) if one.get("valueFrom") else one.get("value", "")
            if value is not None:
                made[one["name"]] = relocate(expand(value, made), paths)
        return made

    def _value_from(self, source: Json) -> str | None:
        for kind, plural in (("secretKeyRef", "secrets"), ("configMapKeyRef", "configmaps")):
            if (reference := source.get(kind)) is not None:
                optional = bool(reference.get("optional"))
                data = self._data(plural, reference["name"], optional=optional)
                if reference["key"] not in data:
                    if optional:
                        return None
                    what = "Secret" if plural == "secrets" else "ConfigMap"
                    where = f"{what} {self.namespace}/{reference['name']}"
                    raise ConfigMissing(f"couldn't find key {reference['key']} in {where}")
                return data[reference["key"]].decode()
        if (field := source.get("fieldRef")) is not None:
            return self._field(field["fieldPath"])
        return ""

    def _field(self, path: str) -> str:
        if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.*)'\]", path):
            return str((self.pod["metadata"].get(match[1]) or {}).get(match[2], ""))
        value: Any = {**self.pod, "status": {"podIP": self._address, "hostIP": NODE_ADDRESS}}
        value["spec"] = {**value["spec"], "nodeName": "node1"}
        for name in path.split("."):
            value = value.get(name, "") if isinstance(value, dict) else ""
        return str(value)


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by its value, as in commands, arguments and values; ``$$`` stands for a dollar."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] == "$" else values.get(match["name"], match[0])

    return _REFERENCE.sub(value, text)


def relocate(text: str, paths: Mapping[str, str]) -> str:
    """Replace each path of a container by the real one; the longest first."""
    for path in sorted(paths, key=len, reverse=True):
        if path and path != paths[path]:
            real = paths[path].replace("\\", r"\\")
            text = re.sub(rf"(?<![\w./-]){re.escape(path)}(?![\w.-])", real, text)
    return text
