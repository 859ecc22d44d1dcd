"""An empty database on a server that is found or started, whatever the product."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from windlass_testing.servers.process import ServerMissing, listens


class Server(Protocol):
    """A server that was started for tests."""

    @property
    def url(self) -> str:
        """Where it is, and with which name and password."""


class Product(NamedTuple):
    """What tells one kind of database from another."""

    #: The environment variable that names a server.
    variable: str
    #: A server of this machine that lets everybody in, if it does.
    local: str
    #: The module of the driver; its ``Error`` is what a refusal raises.
    driver: str
    #: What is said where the driver is missing.
    without_driver: str
    #: Runs a statement on the server at a URL.
    execute: Callable[[str, str], object]
    #: The statements that make and drop the database ``{name}``.
    create: str
    drop: str
    #: Starts a server of one's own.
    private: Callable[[], AbstractContextManager[Server]]


@contextmanager
def empty_database(product: Product, server: str | None = None) -> Iterator[str]:
    """Yield the URL of an empty database on ``server``, by default of :func:`address`; drop it afterwards.

    :raises ServerMissing: if there is no server.
    """
    with ExitStack() as stack:
        server = server or stack.enter_context(address(product))
        url = new_database(product, server)
        try:
            yield url
        finally:
            product.execute(server, product.drop.format(name=urlsplit(url).path[1:]))


def new_database(product: Product, server: str) -> str:
    """Make an empty database on a server and return its URL."""
    name = f"windlass_{uuid4().hex[:12]}"
    product.execute(server, product.create.format(name=name))
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


@contextmanager
def address(product: Product) -> Iterator[str]:
    """Yield the URL of a server, found or started as the package says.

    :raises ServerMissing: if there is none.
    """
    with ExitStack() as stack:
        yield _given(product) or stack.enter_context(product.private()).url


def _given(product: Product) -> str | None:
    """Return the URL of a server that runs already."""
    if url := os.environ.get(product.variable):
        return url
    if find_spec(product.driver) is None:
        raise ServerMissing(product.without_driver)
    if not listens(urlsplit(product.local).port or 0):
        return None
    try:
        product.execute(product.local, "SELECT 1")
    except import_module(product.driver).Error:  # it does not let us in, so it is not for us
        return None
    return product.local
