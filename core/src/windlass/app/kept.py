"""A store of a provider, kept open by a child on behalf of this process, which imports no client library.

The child gets the connections that it asks for, and nothing else: no configuration, no database.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import suppress

import msgspec

from windlass.errors import ConnectionNotDefined, PluginError, WindlassError
from windlass.protocol import Mask
from windlass.protocol.keeping import Answer, Ask, Done, Failed, FromKeeper, Given, Order, Setup
from windlass.secrets.masking import Masker, secrets_of_fields
from windlass.secrets.resolver import Resolver


class Kept:
    """The near end. For one thread; another may close it.

    Args:
        kind: ``artifact_stores`` or ``log_stores``.
        name: the name of the store in its provider's manifest.
        arguments: what it is made with.
        resolver: looks up connections; it is closed with this object.
    """

    def __init__(self, kind: str, name: str, arguments: dict[str, str], resolver: Resolver) -> None:
        self._name = name
        self._resolver = resolver
        self._masker = Masker()
        self._busy = False
        environ = {key: value for key, value in os.environ.items() if not key.startswith("WINDLASS_")}
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "windlass.runtime", "keep"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
            start_new_session=True,  # Ctrl-C is for us; the child ends with its input
        )
        self._decoder: msgspec.json.Decoder[FromKeeper] = msgspec.json.Decoder(FromKeeper)
        self._say(Setup(kind=kind, store=name, arguments=arguments))

    def close(self) -> None:
        """End the child. Another thread that waits for its answer hears that there is none."""
        if self._busy:
            self._child.kill()
        self._resolver.close()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._child.wait(5)
        except subprocess.TimeoutExpired:  # it waits for a server that does not answer
            self._child.kill()
            self._child.wait()

    def _do(self, order: Order) -> bool:
        """Give an order that is answered with whether it was done.

        :raises PluginError: if it cannot be carried out.
        """
        answers = self._order(order)
        try:
            while True:
                next(answers)
        except StopIteration as end:
            return bool(end.value)

    def _order(self, order: Order) -> Generator[Answer, None, bool]:
        """Give an order, answer what the child asks meanwhile, and yield what it answers.

        :raises PluginError: if it cannot be carried out.
        """
        self._busy = True
        try:
            self._say(order)
            while True:
                match self._hear():
                    case Ask(conn_id=conn_id):
                        self._say(self._given(conn_id))
                    case Mask(values=values):
                        self._masker.add(*values)
                    case Done(value=value):
                        return value
                    case Failed(error=error):
                        raise PluginError(f"the store {self._name!r} failed: {self._masker.mask(error)}")
                    case answer:
                        yield answer
        finally:
            self._busy = False

    def _given(self, conn_id: str) -> Given:
        try:
            fields = self._resolver.get_connection(conn_id).to_fields()
        except ConnectionNotDefined as error:
            return Given(error=str(error), undefined=True)
        except WindlassError as error:
            return Given(error=str(error))
        self._masker.add(*secrets_of_fields(fields))
        return Given(fields=fields)

    def _say(self, message: Setup | Order | Given) -> None:
        assert self._child.stdin is not None  # noqa: S101 - it is a pipe
        try:
            self._child.stdin.write(msgspec.json.encode(message) + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            raise self._broken() from None

    def _hear(self) -> FromKeeper:
        assert self._child.stdout is not None  # noqa: S101 - it is a pipe
        line = self._child.stdout.readline()
        if not line:
            raise self._broken()
        return self._decoder.decode(line)

    def _broken(self) -> PluginError:
        return PluginError(
            f"the process that holds the store {self._name!r} ended; its messages stand above, and what it had not "
            "done yet is done the next time"
        )
