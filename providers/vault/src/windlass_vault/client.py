"""What hook and backend share: a client of Vault that stays logged in, and the secrets of one KV engine.

A secret that is not there is None. Everything else that is no answer raises one sentence, see :mod:`.failures`. Two
mistakes look to Vault like a secret that is not there, and are told apart here: an engine of the other version, and no
engine at all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import hvac
import requests
from hvac.exceptions import InvalidPath, VaultError

from windlass.errors import ConfigError, SecretsError, UsageError
from windlass_vault.adapter import PatientAdapter, deadline, status_of
from windlass_vault.credentials import Credentials, check_header
from windlass_vault.failures import Failures
from windlass_vault.keeper import TokenKeeper

DEFAULT_URL: Final = "http://localhost:8200"


class VaultClient:
    """Secrets of Vault. For several threads."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        url: str | None = None,
        mount_point: str = "secret",
        kv_engine_version: int = 2,
        namespace: str | None = None,
        verify: bool | str | None = None,
        ca_cert: str | None = None,
        timeout: float = 10.0,
        patience: float = 30.0,
        conn_id: str | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a client. It logs in when it is first used.

        Args:
            credentials: how to log in.
            url: where Vault is; by default ``VAULT_ADDR``, else this machine.
            mount_point: where the KV engine is mounted.
            kv_engine_version: 1 or 2.
            namespace: of Vault Enterprise, or OpenBao.
            verify: whether to check Vault's certificate, or the file of the authorities to trust.
            ca_cert: the file of the authorities to trust.
            timeout: seconds for each try of a request.
            patience: seconds for a request with all its tries, and for :meth:`read_secret` as a whole.
            conn_id: the connection that error sentences name.
            now: tells the time for the token, in seconds.

        :raises ConfigError: if an argument cannot be.
        """
        if kv_engine_version not in {1, 2}:
            raise ConfigError(f"kv_engine_version of Vault must be 1 or 2, not {kv_engine_version!r}")
        url = (url or os.environ.get("VAULT_ADDR") or DEFAULT_URL).rstrip("/")
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"the url of Vault must begin with http:// or https://, and {url!r} does not")
        if namespace is not None:
            check_header(namespace, "the namespace of Vault")
        self.url = url
        self.mount_point = mount_point.strip("/")
        self.kv_engine_version = kv_engine_version
        self.patience = patience
        self._failures = Failures(url, credentials, namespace, conn_id)
        self._raw = hvac.Client(
            url,
            token="",  # none yet: without this, hvac takes one from ~/.vault-token
            verify=_trust(verify, ca_cert=ca_cert),
            namespace=namespace,
            adapter=PatientAdapter,
        )
        self.keeper = TokenKeeper(self._raw, credentials, self._failures, now)
        adapter = self._raw.adapter
        assert isinstance(adapter, PatientAdapter)  # noqa: S101 - what hvac was told to make
        adapter.timeout, adapter.patience, adapter.keeper = timeout, patience, self.keeper
        self._checked_mounts: set[str] = set()

    def raw(self) -> hvac.Client:
        """Return hvac's client, logged in; it stays so, whatever it is used for.

        :raises SecretsError: if Vault refuses the login, or cannot be reached.
        """
        with deadline(self.patience):
            self.keeper.ensure()
        return self._raw

    def check(self) -> None:
        """Log in, and look whether the engine at the mount is of the version that it is taken for.

        :raises SecretsError: saying what is wrong.
        :raises ConfigError: if a file that the login needs cannot be read.
        """
        with deadline(self.patience):
            self.keeper.ensure()
            try:
                if not self.keeper.can_log_in_again and not self.keeper.is_good():
                    raise self._failures.denied("log in", "", "", token_is_good=False)
                self.check_mount()
            except (VaultError, requests.RequestException) as error:
                raise self._failures.of(error, "tell what is mounted") from None

    def close(self) -> None:
        """Close the connections. What was logged in for is left to end by itself."""
        self.keeper.close()
        self._raw.adapter.close()

    # --- Secrets -------------------------------------------------------------------------------------------------

    def read_secret(self, path: str, version: int | None = None, mount: str | None = None) -> dict[str, Any] | None:
        """Return Vault's answer about a secret, None if there is no such secret, or no such version any more.

        :raises SecretsError: if Vault refuses it, or cannot be reached.
        :raises UsageError: if a version is asked for of an engine that has none, or the path leaves its place.
        """
        mount = self._mount(mount)
        if self.kv_engine_version == 1 and version is not None:
            raise UsageError("only KV version 2 keeps versions, and kv_engine_version is 1; leave secret_version out")
        if self.kv_engine_version == 1:
            ask = partial(self._raw.secrets.kv.v1.read_secret, path, mount)
        else:
            ask = partial(
                self._raw.secrets.kv.v2.read_secret_version, path, version, mount, raise_on_deleted_version=True
            )
        return self._asked(ask, path, mount)

    def read_values(self, path: str, version: int | None = None, mount: str | None = None) -> dict[str, Any] | None:
        """Return the keys and values of a secret, as :meth:`read_secret` finds it.

        :raises SecretsError: if Vault refuses it, cannot be reached, or is none.
        :raises UsageError: as there.
        """
        answer = self.read_secret(path, version, mount)
        if answer is None:
            return None
        values = answer.get("data")
        if self.kv_engine_version == 2 and isinstance(values, dict):
            values = values.get("data")
        if not isinstance(values, dict):
            raise self._failures.no_secret(f"read `{path}` in mount `{self._mount(mount)}`")
        return values

    def read_metadata(self, path: str) -> dict[str, Any] | None:
        """Return what Vault knows of a secret and its versions, None if there is no such secret.

        :raises SecretsError: if Vault refuses it, or cannot be reached.
        :raises UsageError: if the engine keeps no such thing.
        """
        self.check_versioned("the metadata of a secret")
        ask = partial(self._raw.secrets.kv.v2.read_secret_metadata, path, self.mount_point)
        return self._asked(ask, path, self.mount_point, part="metadata")

    def write_secret(self, path: str, secret: Mapping[str, Any], method: str | None, cas: int | None) -> Any:  # noqa: ANN401 - hvac's answer
        """Write a secret and return Vault's answer.

        :raises SecretsError: if Vault refuses it, or cannot be reached.
        :raises UsageError: if an argument is for the other version of the engine.
        """
        check_path(path)
        if self.kv_engine_version == 1:
            if cas is not None:
                raise UsageError("only KV version 2 can check and set, and kv_engine_version is 1; leave cas out")
            kv = self._raw.secrets.kv.v1
            write: Callable[[], Any] = partial(
                kv.create_or_update_secret, path, dict(secret), (method or "POST").upper(), self.mount_point
            )
        else:
            if method is not None:
                raise UsageError("method is for KV version 1, and kv_engine_version is 2; leave it out")
            write = partial(self._raw.secrets.kv.v2.create_or_update_secret, path, dict(secret), cas, self.mount_point)
        with self._explained("write", path, self.mount_point):
            return write()

    def check_versioned(self, what: str) -> None:
        """Refuse what KV version 1 has not.

        :raises UsageError: if the engine is of version 1.
        """
        if self.kv_engine_version == 1:
            raise UsageError(f"only KV version 2 keeps {what}, and kv_engine_version is 1; set it to 2 if the mount is")

    def _asked(self, ask: Callable[[], Any], path: str, mount: str, part: str = "data") -> dict[str, Any] | None:
        check_path(path)
        with self._explained("read", path, mount, part):
            try:
                answer = ask()
            except InvalidPath as error:
                self._check_absence(error, path, mount)
                return None
        if not isinstance(answer, dict):
            raise self._failures.no_secret(f"read `{path}` in mount `{mount}`")
        return answer

    def _mount(self, mount: str | None) -> str:
        return self.mount_point if mount is None else mount.strip("/")

    # --- What is no answer ---------------------------------------------------------------------------------------

    @contextmanager
    def _explained(self, verb: str, path: str, mount: str, part: str = "data") -> Iterator[None]:
        """Let everything in the block end in time, and turn what the libraries raise into a sentence."""
        doing = f"{verb} `{path}` in mount `{mount}`"
        with deadline(self.patience):
            try:
                yield
            except VaultError as error:
                if status_of(error) == 403:
                    raise self._denied(doing, verb, path, mount, part) from None
                raise self._failures.of(error, doing) from None
            except requests.RequestException as error:
                raise self._failures.of(error, doing) from None

    def _denied(self, doing: str, verb: str, path: str, mount: str, part: str) -> SecretsError:
        try:
            good = self.keeper.is_good()
        except (VaultError, requests.RequestException):
            good = True  # it cannot be told any more; the policies are the likelier cause
        api_path = f"{mount}/{path}" if self.kv_engine_version == 1 else f"{mount}/{part}/{path}"
        capability = "read" if verb == "read" else 'create", "update'
        return self._failures.denied(doing, api_path, capability, token_is_good=good)

    def _check_absence(self, error: InvalidPath, path: str, mount: str) -> None:
        """Raise if a 404 means something else than a secret that is not there."""
        json = error.json if isinstance(error.json, dict) else {}
        if not json.keys() & {"errors", "data", "warnings"}:  # a proxy, say, that finds no Vault behind it
            raise self._failures.no_secret(f"read `{path}` in mount `{mount}`")
        if any("no handler for route" in str(text) for text in error.errors or ()):
            raise SecretsError(f"{self._failures.vault} has no secrets engine at mount `{mount}`; check mount_point")
        if error.errors:
            raise error
        if any("versioned K/V" in str(warning) for warning in json.get("warnings") or ()):
            raise self._other_version(mount, "2")
        if self.kv_engine_version == 2 and json.get("data") is None:
            self.check_mount(mount)

    def check_mount(self, mount: str | None = None) -> None:
        """Ask Vault, once for each mount, whether the engine there is of the version that it is taken for.

        :raises SecretsError: if it is not. A token that may not ask this finds nothing out.
        """
        mount = self._mount(mount)
        if mount in self._checked_mounts:
            return
        try:
            found = self._raw.read(f"sys/internal/ui/mounts/{mount}")
        except VaultError as error:
            if status_of(error) not in {400, 403, 404}:
                raise
            found = None
        data = (found.get("data") or {}) if isinstance(found, dict) else {}
        version = str((data.get("options") or {}).get("version") or "1")
        if data.get("type") in {"kv", "generic"} and version != str(self.kv_engine_version):
            raise self._other_version(mount, version)
        self._checked_mounts.add(mount)

    def _other_version(self, mount: str, version: str) -> SecretsError:
        return SecretsError(
            f"mount `{mount}` of {self._failures.vault} is a KV engine of version {version}, and it is asked as one of "
            f"version {self.kv_engine_version}; set kv_engine_version to {version}"
        )


def check_path(path: str) -> None:
    """Refuse a path that would lead to another place than the one it is for.

    :raises UsageError: if a part of it is empty, ``.`` or ``..``.
    """
    if any(part in {"", ".", ".."} for part in path.strip("/").split("/")):
        raise UsageError(f"{path!r} is no path of a secret: its parts, between slashes, may not be empty, . or ..")


def _trust(verify: bool | str | None, *, ca_cert: str | None) -> bool | str | None:  # noqa: FBT001 - requests' word
    if ca_cert is None:
        return verify
    if verify is False:
        raise ConfigError(
            "Vault's ca_cert says whom to trust, and verify false to trust everybody; leave one of them out"
        )
    if not os.path.exists(ca_cert):  # noqa: PTH110 - a file or a folder, as requests takes it
        raise ConfigError(f"ca_cert {ca_cert!r} of Vault does not exist; give the file of the authorities to trust")
    return ca_cert
