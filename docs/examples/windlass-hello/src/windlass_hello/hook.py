"""The hook: the client of the service that a connection of type ``hello`` names."""

from __future__ import annotations

import base64
import json
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote

from windlass.hooks import BaseHook


class HelloError(Exception):
    """The service cannot be reached, or refuses; the text names the connection."""


class HelloHook(BaseHook):
    """Asks the greeting service."""

    conn_name_attr = "hello_conn_id"
    default_conn_name = "hello_default"
    conn_type = "hello"
    hook_name = "Greeting service"

    hello_conn_id: str

    def get_conn(self) -> HTTPConnection:
        """Return an open connection to the service.

        :raises HelloError: if nobody answers there.
        """
        host, port = self.connection.host or "localhost", self.connection.port or 80
        timeout = float(self.connection.extra_dejson.get("timeout", 10.0))
        client = HTTPConnection(host, port, timeout=timeout)
        try:
            client.connect()
        except OSError as error:
            raise self._failed(f"cannot reach {host}:{port} ({error.strerror or error})") from None
        return client

    def greet(self, name: str) -> str:
        """Return a greeting for ``name``, in the tone of the connection.

        :raises HelloError: if the service cannot be reached or refuses.
        """
        tone = self.connection.extra_dejson.get("tone", "warm")
        answer = self._ask(f"/greetings/{quote(name, safe='')}?tone={quote(tone, safe='')}")
        return str(answer["greeting"])

    def has_arrived(self, name: str) -> bool:
        """Return whether ``name`` has arrived.

        :raises HelloError: if the service cannot be reached or refuses.
        """
        return bool(self._ask(f"/guests/{quote(name, safe='')}")["arrived"])

    def test_connection(self) -> tuple[bool, str]:
        """Say whether the service can be used, for `windlass connections test`."""
        try:
            version = self._ask("/version")["version"]
        except HelloError as error:
            return False, str(error)
        return True, f"the greeting service has version {version}"

    def _ask(self, path: str) -> dict[str, Any]:
        client = self.get_conn()
        try:
            client.request("GET", path, headers=self._headers())
            response = client.getresponse()
            body = response.read()
        except (OSError, HTTPException) as error:
            raise self._failed(f"the service broke off ({type(error).__name__})") from None
        finally:
            client.close()
        if response.status != 200:
            raise self._failed(f"the service refuses with {response.status} {response.reason}")
        found: dict[str, Any] = json.loads(body)
        return found

    def _headers(self) -> dict[str, str]:
        if self.connection.password is None:
            return {}
        login = f"{self.connection.login or ''}:{self.connection.password}"
        return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode('ascii')}"}

    def _failed(self, why: str) -> HelloError:
        """Return the error. Neither the password nor an exception that may quote it is part of it."""
        return HelloError(f"connection `{self.hello_conn_id}`: {why}")
