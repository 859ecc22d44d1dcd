"""What is not installed, and how to install it: the provider of a type of connection or a command, or a library of one.

The client libraries of providers are imported late, in the midst of a task. Whose library is missing is told by the
traceback: the innermost line in a provider's package was importing it, and below that line there is nothing but the
library's own code. So what a user's code lacks is never blamed on a provider, also where a provider calls that code.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from types import FrameType
from typing import TYPE_CHECKING, Final, NamedTuple

from windlass.interfaces.hook import BaseHook

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from windlass.registry.catalog import BrokenPlugin

#: The types of connections of the project's own providers and their aliases, and what brings them.
OWN_TYPES: Final = {
    "aws": "windlass-aws",
    "kubernetes": "windlass-kubernetes",
    "mariadb": "windlass-mysql",
    "mysql": "windlass-mysql",
    "postgres": "windlass-postgres",
    "postgresql": "windlass-postgres",
    "sqlite": "windlass-sql",
    "vault": "windlass-vault",
    "vaults": "windlass-vault",
}
#: The commands of the project's own distributions other than the core, and what brings them.
OWN_COMMANDS: Final = {"simulate": "windlass-testing"}


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that ``name`` most likely means, None if none is near."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, sorted(known), n=1)), None)


def unusable(broken: Iterable[BrokenPlugin]) -> str:
    """Return which installed providers cannot be used, to stand behind a sentence on a name that nobody brings."""
    why = "; ".join(f"{plugin.name}, {plugin.error}" for plugin in broken)
    return f" (not usable: {why})" if why else ""


def unknown_type(conn_type: str | None, known: Collection[str]) -> str:
    """Return the sentence for a type of connection that is not among the ``known`` ones, with the likely remedy."""
    if not conn_type:
        remedy = f"the known types are {', '.join(sorted(known))}"
        return f"no installed provider brings a hook for connections without a type; {remedy}"
    meant = conn_type if conn_type in OWN_TYPES else nearest(conn_type, {*known, *OWN_TYPES})
    if meant is None:
        remedy = f"the known types are {', '.join(sorted(known))}"
    elif meant in known:
        remedy = f"did you mean {meant!r}?"
    elif meant == conn_type:
        remedy = f"`pip install {OWN_TYPES[meant]}` does"
    else:
        remedy = f"did you mean {meant!r}, for which `pip install {OWN_TYPES[meant]}` does?"
    return f"no installed provider brings a hook for connections of type {conn_type!r}; {remedy}"


#: What a distribution requires only of those who ask for an extra: the name, and the extra's.
_OPTIONAL: Final = re.compile(r"""([\w.-]+).*;.*\bextra\s*==\s*["']([^"']+)["']""")


class _Lack(NamedTuple):
    library: str
    distribution: Distribution
    connection: str | None


def missing_library(error: BaseException) -> str | None:
    """Return the sentence for a library that a provider needs and that cannot be imported; None for all else.

    It names the connection whose hook was at work, else the provider's distribution.
    """
    lack = _lack(error)
    if lack is None:
        return None
    who = f"connection {lack.connection!r}" if lack.connection else lack.distribution.name
    return f"{who} {_needs(lack, error)}"


def what_it_needs(error: BaseException) -> str | None:
    """Return that sentence without its subject, for one that begins with another."""
    lack = _lack(error)
    return None if lack is None else _needs(lack, error)


def _needs(lack: _Lack, error: BaseException) -> str:
    why = " ".join(str(error).split())
    return f"needs {lack.library}, which cannot be imported ({why}): `pip install {_bringing(lack)}`"


def _bringing(lack: _Lack) -> str:
    """Return what brings the library: the distribution, or the extra of it that requires one of that name."""
    name, library = lack.distribution.name, lack.library.partition(".")[0].lower()
    optional = (_OPTIONAL.match(text) for text in lack.distribution.requires or ())
    extras = {found[1].lower().replace("-", "_"): found[2] for found in optional if found is not None}
    return f"'{name}[{extras[library]}]'" if library in extras else name


def _lack(error: BaseException) -> _Lack | None:
    if not isinstance(error, ImportError):
        return None
    frames = _frames(error)
    packages = _packages()
    owners = [_owner(_module(frame), packages) for frame in frames]
    found = [(number, owner) for number, owner in enumerate(owners) if owner is not None]
    if not found:
        return None
    at, owner = found[-1]
    below = frames[at + 1] if at + 1 < len(frames) else None
    if below is None:
        library = error.name if isinstance(error, ModuleNotFoundError) else None  # else a sentence of the provider's
    else:  # what is being imported lacks something itself, or it is no import but a call
        library = _module(below).partition(".")[0] if below.f_code.co_name == "<module>" else None
    if not library or _owner(library, packages) is not None:  # nothing but its own package, which is a fault of it
        return None
    return _Lack(library, owner, _connection_of(frames))


def _frames(error: BaseException) -> list[FrameType]:
    frames, traceback = [], error.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    return frames


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__") or "")


def _packages() -> dict[str, Distribution]:
    """Return the distribution of each provider by the package that its manifest lies in."""
    from windlass.registry import discovery  # it is slow, and there has been a failure

    return {
        entry.module.rpartition(".")[0] or entry.module: entry.dist
        for entry in discovery.installed()
        if entry.dist is not None
    }


def _owner(module: str, packages: dict[str, Distribution]) -> Distribution | None:
    owners = (owner for package, owner in packages.items() if module == package or module.startswith(f"{package}."))
    return next(owners, None)


def _connection_of(frames: list[FrameType]) -> str | None:
    """Return the id of the connection of the innermost hook whose method was running."""
    for frame in reversed(frames):
        hook = frame.f_locals.get("self")
        if isinstance(hook, BaseHook):
            name = vars(hook).get(hook.conn_name_attr)
            return name if isinstance(name, str) and name else None
    return None
