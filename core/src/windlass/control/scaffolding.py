"""The beginning of a provider: its files come from an installed package, and are put in place as a whole.

The template is no part of the core, which would carry it into every installation: a provider's manifest names under
``scaffolds`` who knows it.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from windlass.errors import Conflict, PluginError
from windlass.registry import registry


class NewFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a package that is made."""

    file: str
    size: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A folder to make, with its files by their path in it."""

    folder: Path
    files: Mapping[str, bytes]


def new_provider(name: str, folder: Path | None = None) -> Plan:
    """Return what to make for a provider called ``name``, in ``folder`` or in one of its name where the caller stands.

    :raises PluginError: if no installed package has a template.
    :raises UsageError: if a provider cannot be called so.
    :raises Conflict: if the folder, or an installed provider of that name, is there.
    """
    if registry().find("scaffolds", "provider") is None:
        raise PluginError("the template of providers is not installed; install it with `pip install windlass-testing`")
    scaffold = registry().lookup("scaffolds", "provider")(name)
    target = Path(scaffold.distribution) if folder is None else folder
    if target.exists() or target.is_symlink():
        raise Conflict(f"{target} exists; remove it, or name another folder with --path")
    known = {provider.name for provider in registry().providers}
    if scaffold.name in known:
        raise Conflict(
            f"a provider {scaffold.name!r} is installed already, and two of one name cannot be; choose another"
        )
    return Plan(folder=target, files=scaffold.files)


def make(plan: Plan) -> None:
    """Write the files of ``plan``. Its folder appears as a whole or not at all.

    :raises Conflict: if the folder cannot be made, with the reason.
    """
    parent = plan.folder.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{plan.folder.name}-", dir=parent))
    except OSError as error:
        raise Conflict(f"{plan.folder} cannot be made: {error.strerror}; name another folder with --path") from error
    try:
        for name, data in plan.files.items():
            file = draft / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        draft.chmod(0o755)
        draft.rename(plan.folder)
    except OSError as error:
        raise Conflict(f"{plan.folder} cannot be made: {error.strerror}; name another folder with --path") from error
    finally:
        with contextlib.suppress(FileNotFoundError):  # it has got its name
            shutil.rmtree(draft)
