"""Import DAG code, from the bundle's folder or from the snapshot that a run is pinned to.

A snapshot is a list of files with their contents (``versions/<code_version>.json`` and ``blobs/``). It is put in front
of the bundle's folder by a *path hook*: for a folder below the bundle root, Python asks our finder instead of its own,
and that one knows the snapshot's files and falls back to the disk for the rest. So everything that the import system
does (packages, relative imports, namespace folders, the order of ``sys.path``) stays Python's, and a module of the
snapshot keeps its ORIGINAL path as ``__file__``: a file next to it is found where its author put it. Tracebacks show
the snapshot's lines, whatever the file on disk says by now.

The bundle root is appended to ``sys.path``, in a parse child and in a zygote alike: a DAG file called ``email.py``
hides nothing of Python's.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import linecache
import sys
import types
from collections.abc import Mapping
from pathlib import Path

import msgspec

from windlass.errors import NotFound, UsageError


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A code version: which files, with which contents, below which folder."""

    bundle: str
    file: str
    root: str
    #: Path below the root, with forward slashes -> SHA-256 in hex.
    files: dict[str, str]
    timezone: str = "UTC"


def read_manifest(code: Path, code_version: str) -> Manifest:
    """Return the manifest of ``code_version`` from the code folder.

    :raises NotFound: if there is no such version.
    """
    path = code / "versions" / f"{code_version}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        msg = f"code version {code_version} is not in {code}; it was cleaned up: re-pin the run with `clear --latest`"
        raise NotFound(msg) from None


class Snapshot:
    """The files of one manifest, with their contents read when asked for."""

    def __init__(self, manifest: Manifest, blobs: Path) -> None:
        self.root = manifest.root
        self._files: Mapping[str, str] = manifest.files
        self._folders = {parent.as_posix() for file in manifest.files for parent in Path(file).parents}
        self._blobs = blobs

    def relative(self, path: str) -> str | None:
        """Return ``path`` below the root with forward slashes ("." for the root itself), None if it is elsewhere."""
        if path == self.root:
            return "."
        prefix = self.root.rstrip("/") + "/"
        return path[len(prefix) :] if path.startswith(prefix) else None

    def has_file(self, relative: str) -> bool:
        """Return whether the snapshot holds this file."""
        return relative in self._files

    def has_folder(self, relative: str) -> bool:
        """Return whether the snapshot holds anything in this folder."""
        return relative in self._folders

    def read(self, relative: str) -> bytes:
        """Return the contents of a file of the snapshot.

        :raises NotFound: if its blob is missing.
        """
        try:
            return (self._blobs / self._files[relative]).read_bytes()
        except FileNotFoundError:
            msg = f"the stored copy of {relative} is missing from {self._blobs}; re-pin the run with `clear --latest`"
            raise NotFound(msg) from None


class SourceLoader(importlib.machinery.SourceFileLoader):
    """Loads one module from source bytes that are at hand, under the path it was written at."""

    def __init__(self, fullname: str, path: str, source: bytes) -> None:
        super().__init__(fullname, path)
        self._source = source

    def get_source(self, fullname: str) -> str:
        """Return the text of the module, decoded as Python would (a coding cookie, a byte order mark)."""
        return importlib.util.decode_source(self._source)

    def get_code(self, fullname: str) -> types.CodeType:
        """Compile the module; a traceback through it will show these very lines."""
        code: types.CodeType = compile(self._source, self.path, "exec", dont_inherit=True)
        lines = self.get_source(fullname).splitlines(keepends=True)
        # Without a modification time linecache never compares the entry with the file on disk.
        linecache.cache[self.path] = (len(self._source), None, lines, self.path)
        return code


class FreshLoader(importlib.machinery.SourceFileLoader):
    """Compiles a module from its source each time: cached bytecode tells a change by whole seconds and size only."""

    def path_stats(self, path: str) -> Mapping[str, int]:
        """Say that nothing is known of the source, so that bytecode is neither read nor written."""
        raise OSError(f"no bytecode is used for {path}")


class SnapshotFinder:
    """The path entry finder of one folder below the bundle root: the snapshot first, then the disk."""

    def __init__(self, snapshot: Snapshot, folder: str, relative: str) -> None:
        self._snapshot = snapshot
        self._folder = folder
        self._prefix = "" if relative == "." else relative + "/"
        self._disk = importlib.machinery.FileFinder(
            folder,
            (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
            (FreshLoader, importlib.machinery.SOURCE_SUFFIXES),
        )

    def find_spec(self, fullname: str, target: types.ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of ``fullname`` if this folder has it."""
        tail = fullname.rpartition(".")[2]
        for name in (f"{tail}/__init__.py", f"{tail}.py"):
            relative = self._prefix + name
            if self._snapshot.has_file(relative):
                return _spec(fullname, str(Path(self._folder, name)), self._snapshot.read(relative))
        if self._snapshot.has_folder(self._prefix + tail):
            namespace = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            namespace.submodule_search_locations = [str(Path(self._folder, tail))]
            return namespace
        return self._disk.find_spec(fullname, target)

    def invalidate_caches(self) -> None:
        """Look at the disk afresh."""
        self._disk.invalidate_caches()


def _spec(fullname: str, path: str, source: bytes) -> importlib.machinery.ModuleSpec:
    loader = SourceLoader(fullname, path, source)
    spec = importlib.util.spec_from_file_location(fullname, path, loader=loader)
    if spec is None:
        msg = f"{path} cannot be imported as a module"
        raise ImportError(msg)
    return spec


def install(snapshot: Snapshot) -> None:
    """Answer imports below the snapshot's root from the snapshot, in this process, for good."""

    def hook(path: str) -> SnapshotFinder:
        relative = snapshot.relative(path)
        if relative is None:
            raise ImportError(path)
        return SnapshotFinder(snapshot, path, relative)

    sys.path_hooks.insert(0, hook)
    for entry in [entry for entry in sys.path_importer_cache if snapshot.relative(entry) is not None]:
        del sys.path_importer_cache[entry]
    add_root(snapshot.root)


def import_fresh(root: str) -> None:
    """Answer imports below ``root`` from the disk as it is now, in this process, for good."""
    prefix = root.rstrip("/") + "/"
    installed = sys.prefix.rstrip("/") + "/"

    def hook(path: str) -> importlib.machinery.FileFinder:
        if path != root and (not path.startswith(prefix) or path.startswith(installed)):
            raise ImportError(path)
        return importlib.machinery.FileFinder(
            path,
            (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
            (FreshLoader, importlib.machinery.SOURCE_SUFFIXES),
        )

    sys.path_hooks.insert(0, hook)
    for entry in [entry for entry in sys.path_importer_cache if entry == root or entry.startswith(prefix)]:
        del sys.path_importer_cache[entry]
    add_root(root)


def add_root(root: str) -> None:
    """Let modules of the bundle be imported by name, after everything that is installed."""
    if root not in sys.path:
        sys.path.append(root)


def load_dag_file(root: str, file: str, source: bytes) -> types.ModuleType:
    """Run the DAG file ``file`` of the bundle at ``root`` as a module of its own and return it.

    Its name carries a hash of its path, so that two files of one name, or one called like a library, do not meet.
    """
    path = str(Path(root, file))
    digest = hashlib.sha256(file.encode(errors="surrogateescape")).hexdigest()[:8]
    name = f"windlass_dag_{digest}_{Path(file).stem.replace('.', '_')}"
    module = importlib.util.module_from_spec(_spec(name, path, source))
    sys.modules[name] = module
    SourceLoader(name, path, source).exec_module(module)
    return module


def load_snapshot(code: Path, code_version: str, file: str) -> types.ModuleType:
    """Import ``file`` as it was in ``code_version``; further imports of this process come from there too.

    :raises NotFound: if the version or a file of it is gone.
    """
    manifest = read_manifest(code, code_version)
    snapshot = Snapshot(manifest, code / "blobs")
    install(snapshot)
    if not snapshot.has_file(file):
        msg = f"code version {code_version} does not contain {file}"
        raise NotFound(msg)
    use_timezone(manifest.timezone)
    return load_dag_file(snapshot.root, file, snapshot.read(file))


def use_timezone(name: str) -> None:
    """Read naive dates of DAG files in the zone ``name`` from now on.

    :raises UsageError: if there is no such zone.
    """
    if name == "UTC":
        return
    from zoneinfo import ZoneInfo

    from windlass.authoring.dag import set_default_timezone

    try:
        zone = ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        msg = f"core.default_timezone is {name!r}, which is no IANA time zone; set it to one such as Europe/Berlin"
        raise UsageError(msg) from None
    set_default_timezone(zone)
