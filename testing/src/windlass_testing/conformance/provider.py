"""ProviderSuite: what a provider promises through its manifest, its metadata, its imports and its pages."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final, final

import pytest
from packaging.utils import canonicalize_name

from windlass.registry import Registry
from windlass.registry.catalog import Catalog, duplicates, names_of
from windlass.registry.core_provider import CORE
from windlass.registry.discovery import discover, import_module, load_hooks
from windlass_testing.conformance import manifest as checks
from windlass_testing.conformance.corpus import sentence_complaints
from windlass_testing.conformance.hook import CONN_ID
from windlass_testing.conformance.installed import Installed, distributions_of, installed, modules_of
from windlass_testing.conformance.interpreter import newly_imported, of_packages, tested_without
from windlass_testing.conformance.sources import files_of, imports_of, outside_facades
from windlass_testing.conformance.suite import Suite

#: What a DAG file may name, and so what is imported whenever one is parsed.
_AT_PARSE: Final = ("operators", "sensors", "task_decorators", "timetables", "notifiers", "priority_weight_strategies")


class ProviderSuite(Suite):
    """Checks a whole provider, as it is installed.

    A subclass::

        class TestProvider(ProviderSuite):
            distribution = "windlass-hello"
    """

    #: The name of the provider's distribution.
    distribution: str
    #: Modules of the client libraries, which neither the manifest nor a DAG file may load. By default every module of
    #: every declared dependency, and what comes with one, but Windlass's own; give them where one is cheap.
    sdk_modules: tuple[str, ...] | None = None
    #: Modules that come with a declared dependency as part of its interface: ``{"botocore": "boto3"}``.
    comes_with: Mapping[str, str] = {}
    #: Fields of connections whose names sound like secrets and that are none, for example ``token_path``.
    not_secret: tuple[str, ...] = ()
    #: The folder of its pages; by default ``docs`` beside the folder of the test.
    docs: Path | None = None

    @property
    @final
    def installed(self) -> Installed:
        """The provider as it is installed."""
        return installed(self.distribution)

    # --- It is found, and everything in its manifest is there

    def test_windlass_finds_it(self) -> None:
        """Its entry point loads and discovery accepts its manifest."""
        catalog = discover([self.installed.entry])
        assert not catalog.broken, f"{catalog.broken[0].error}; {catalog.broken[0].remedy}"
        (found,) = catalog.providers
        assert found.name == self.installed.entry.name, "the entry point and the manifest must use the same name"
        assert found.version == version(self.distribution)

    def test_it_says_what_it_is(self) -> None:
        """A sentence for `windlass providers list`."""
        description = self.installed.manifest.description
        assert description.endswith("."), f"description must be a sentence, not {description!r}"
        assert "\n" not in description

    def test_everything_in_the_manifest_exists_and_is_of_its_kind(self) -> None:
        """Each name leads to a class (or function, or command) of the right kind that can be made."""
        assert not checks.kind_complaints(self.installed.manifest)

    def test_modules_with_hooks_load(self) -> None:
        """Observers and policies import, and their hooks fit."""
        manifest = self.installed.manifest
        for module in (*manifest.observers, *manifest.policies):
            load_hooks(import_module(module))

    def test_its_example_dags_can_be_read(self) -> None:
        """Each package of examples is there with a DAG file, and a parse finds nothing wrong with its files."""
        assert not checks.example_complaints(self.installed.manifest)

    def test_it_claims_no_name_of_the_core(self) -> None:
        """What the core brings cannot be replaced."""
        assert not duplicates((CORE, self.installed.manifest))

    # --- What it imports

    def test_the_manifest_imports_only_windlass_plugin(self) -> None:
        """Its source may import `windlass.plugin` and what only types need, nothing else."""
        imports = imports_of(files_of(self.installed.entry.module))
        allowed = {"__future__", "typing", "windlass.plugin"}
        assert not [str(found) for found in imports if found.module not in allowed and not found.is_for_types]

    @pytest.mark.budget
    def test_looking_it_up_costs_two_modules(self) -> None:
        """A fresh interpreter with `windlass.plugin` loads the package and the manifest, no library and no engine."""
        package, entry = self.installed.package, self.installed.entry
        assert newly_imported([entry.module], after=["windlass.plugin"]) == {package, entry.module}

    @pytest.mark.budget
    def test_a_dag_file_that_uses_it_loads_no_client_library(self) -> None:
        """Importing all that DAG files name, as every parse does, loads no module of a client library."""
        manifest = self.installed.manifest
        names = {dotted.partition(":")[0] for kind in _AT_PARSE for dotted in names_of(manifest, kind).values()}
        loaded = of_packages(newly_imported(sorted(names)), self._sdk_modules())
        assert not loaded, f"import these inside functions, or in a module that only they import: {sorted(loaded)[:5]}"

    def test_it_imports_only_the_facades(self) -> None:
        """Of Windlass it uses what is promised to stay, also in annotations."""
        found = [(imported, outside_facades(imported)) for imported in imports_of(self.installed.files)]
        assert not [f"{imported}: {inside} is internal" for imported, inside in found if inside is not None]

    def test_its_dependencies_are_declared(self) -> None:
        """Every module that its source imports is of the standard library, its own, or of a declared dependency."""
        declared = {*self.installed.requirements, canonicalize_name(self.distribution)}
        known = {*sys.stdlib_module_names, self.installed.package}
        for module, owner in self.comes_with.items():
            assert canonicalize_name(owner) in declared, f"comes_with names {owner}, which is not declared"
            known.add(module)
        undeclared = [
            f"{imported}, of {' or '.join(sorted(distributions_of(imported.top)))}"
            for imported in imports_of(self.installed.files)
            if imported.top not in known and not imported.is_for_types
            if not distributions_of(imported.top) & declared
        ]
        assert not undeclared, f"add the distributions to the dependencies of {self.distribution}"

    def test_it_declares_which_cores_it_works_with(self) -> None:
        """`windlass>=…,<…`: the least core that has what it uses, and an end where interfaces may change."""
        requirement = self.installed.requirements.get(canonicalize_name("windlass"))
        assert requirement is not None, "declare the core: windlass>=0.1,<1"
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators & {">=", "~=", "=="}, f"{requirement} has no lower bound"
        assert operators & {"<", "<=", "~=", "=="}, f"{requirement} has no upper bound"
        assert requirement.specifier.contains(version("windlass"), prereleases=True)

    def test_it_is_typed(self) -> None:
        """`py.typed` is in the package, so that users' checkers see its annotations."""
        (folder,) = {file.parent for file in self.installed.files if file.parent.name == self.installed.package}
        assert (folder / "py.typed").is_file()

    # --- Connections and settings

    def test_its_connection_types_are_sound(self) -> None:
        """Their hooks, and the kinds, defaults and secrecy of their fields."""
        types = self.installed.manifest.connection_types
        assert not [text for entry in types for text in checks.connection_complaints(entry, self.not_secret)]

    def test_its_connections_survive_as_uri_and_as_json(self) -> None:
        """With awkward values in every declared field."""
        types = self.installed.manifest.connection_types
        assert not [text for entry in types for text in checks.round_trip_complaints(entry)]

    def test_a_missing_library_is_told_with_the_way_to_install_it(self) -> None:
        """Without client libraries `windlass connections test` says of which connection it is, and the pip command."""
        libraries = self._sdk_modules()
        hooked = [entry for entry in self.installed.manifest.connection_types if entry.hook is not None]
        tested = [tested_without(libraries, CONN_ID, checks.least_fields(entry)) for entry in hooked if libraries]
        lacking = [(missed, works, message) for missed, works, message in tested if missed]
        if not lacking:
            pytest.skip("no hook of it needs a client library")
        for missed, works, message in lacking:
            assert not works, f"without {', '.join(sorted(missed))} it says that it works: {message}"
            assert not sentence_complaints(message, CONN_ID), message
            assert f"`pip install {self.distribution}`" in message, (
                f"let the hook's test_connection pass on an ImportError; it says: {message}"
            )

    def test_its_settings_can_be_read(self) -> None:
        """Kinds and defaults of its settings fit; reading the default of each gives a value."""
        options = Registry(lambda: Catalog((self.installed.manifest,)), defaults=()).options
        for option in options:
            assert option.description.endswith("."), f"{option.name} needs a sentence"
            assert not option.choices or option.default in option.choices, option.name

    # --- Its pages

    def test_its_pages_mention_everything_it_brings(self) -> None:
        """Every name, connection type, field and setting stands in `docs/`."""
        folder = self.docs or Path(inspect.getfile(type(self))).parent.parent / "docs"
        text = "\n".join(page.read_text("utf-8") for page in sorted(folder.rglob("*.md")))
        assert text, f"{folder} has no pages; write docs/index.md"
        wanted = checks.things_to_document(self.installed.manifest)
        absent = [what for what, word in wanted.items() if not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)]
        assert not absent, f"{folder} does not mention them"

    def _sdk_modules(self) -> set[str]:
        if self.sdk_modules is not None:
            return set(self.sdk_modules)
        names = (name for name in self.installed.requirements if name.partition("-")[0] != "windlass")
        return {*self.comes_with, *(module for name in names for module in modules_of(name))}
