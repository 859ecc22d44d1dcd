"""Fifty providers: what listing them takes, at first and from then on, and what importing one of our manifests takes.

The fifty are distributions on the path, as an installer leaves them: a package with a manifest of usual size, and its
metadata with an entry point. They come on top of what is installed beside the benchmark.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from testing.benchmarks.engine import WINDLASS, BenchmarkError, environment
from testing.benchmarks.measures import Measure
from testing.benchmarks.workloads import Session

COUNT: Final = 50
_PROVIDERS: Final = Path(__file__).resolve().parents[2] / "providers"
_SAMPLES: Final = 20

_MANIFEST: Final = '''\
"""The manifest of windlass-{name}."""

from __future__ import annotations

from windlass.plugin import ConnectionField, ConnectionType, Provider, hookimpl

_FIELDS = tuple(
    ConnectionField(name=name, label=name.title(), secret=name == "password")
    for name in ("host", "port", "login", "password", "schema", "region", "endpoint", "timeout")
)


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="{name}",
        description="Made for a benchmark.",
        connection_types=(
            ConnectionType(conn_type="{name}", label="{name}", hook="{package}.hook:Hook", fields=_FIELDS),
        ),
        hooks={{"Hook{number}": "{package}.hook:Hook"}},
        operators={{f"Operator{number}x{{n}}": f"{package}.operators:Operator{{n}}" for n in range(6)}},
        sensors={{f"Sensor{number}x{{n}}": f"{package}.sensors:Sensor{{n}}" for n in range(3)}},
        triggers={{f"{package}.triggers.Trigger{{n}}": f"{package}.triggers:Trigger{{n}}" for n in range(2)}},
    )
'''

_IMPORT: Final = """\
import importlib, json, sys, time
import windlass.plugin
known = set(sys.modules)
started = time.perf_counter()
importlib.import_module(sys.argv[1]).windlass_provider()
took = time.perf_counter() - started
own = sys.argv[1].partition(".")[0]
foreign = {name.partition(".")[0] for name in set(sys.modules) - known} - {own} - sys.stdlib_module_names
print(json.dumps({"ms": took * 1000, "foreign": sorted(foreign)}))
"""


def fifty_providers(session: Session) -> list[Measure]:
    """Measure ``windlass providers list`` beside fifty providers, and the import of each manifest of ours."""
    folder = Path(tempfile.mkdtemp(prefix="windlass-benchmark-"))
    try:
        make_providers(folder / "installed")
        home = folder / "home"
        home.mkdir(mode=0o700)
        child = environment(PYTHONPATH=str(folder / "installed"), WINDLASS_HOME=str(home))
        listed = _listed(child)  # compiles, and keeps what it found
        if len(listed & {f"made-{number:02}" for number in range(COUNT)}) != COUNT:
            raise BenchmarkError(f"windlass providers list shows only {sorted(listed)}")
        session.pause()
        later = [_seconds(child) * 1000 for _ in range(_SAMPLES)]
        first = []
        for _ in range(_SAMPLES):
            shutil.rmtree(home / "cache")
            first.append(_seconds(child) * 1000)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [
        Measure("providers list, 50 providers", "ms", later, 150.0),
        Measure("providers list, 50 providers, after an installation", "ms", first),
        *_manifests(),
    ]


def make_providers(folder: Path, count: int = COUNT) -> None:
    """Write ``count`` distributions of providers, ``windlass-made-00`` and so on, into a folder for ``sys.path``."""
    for number in range(count):
        name, package = f"made-{number:02}", f"windlass_made_{number:02}"
        module, metadata = folder / package, folder / f"{package}-1.0.dist-info"
        module.mkdir(parents=True)
        metadata.mkdir()
        (module / "__init__.py").touch()
        text = _MANIFEST.format(name=name, package=package, number=number)
        (module / "plugin.py").write_text(text, encoding="utf-8")
        metadata.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: windlass-{name}\nVersion: 1.0\n")
        metadata.joinpath("entry_points.txt").write_text(f"[windlass.providers]\n{name} = {package}.plugin\n")


def _listed(child: dict[str, str]) -> set[str]:
    command = [str(WINDLASS), "providers", "list", "-o", "json"]
    done = subprocess.run(command, env=child, capture_output=True, text=True, check=True)
    return {row["name"] for row in json.loads(done.stdout)}


def _seconds(child: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run([str(WINDLASS), "providers", "list"], env=child, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def _manifests() -> list[Measure]:
    """Import each manifest of the workspace in interpreters of their own; the slowest counts.

    :raises BenchmarkError: if one imports what is neither Windlass's, nor its own, nor of the standard library.
    """
    sources = sorted(path for path in _PROVIDERS.glob("*/src/*") if (path / "plugin.py").is_file())
    samples: dict[str, list[float]] = {}
    for source in sources:
        child = environment(PYTHONPATH=str(source.parent))
        for _ in range(_SAMPLES + 1):
            command = [sys.executable, "-c", _IMPORT, f"{source.name}.plugin"]
            answer = json.loads(subprocess.run(command, env=child, capture_output=True, text=True, check=True).stdout)
            if answer["foreign"]:
                raise BenchmarkError(f"the manifest of {source.name} imports {', '.join(answer['foreign'])}")
            samples.setdefault(source.name, []).append(answer["ms"])
    slowest = max(samples, key=lambda name: statistics.median(samples[name][1:]))  # the first one compiles
    return [Measure(f"manifest of {slowest}, the slowest of {len(sources)}", "ms", samples[slowest][1:], 5.0)]
