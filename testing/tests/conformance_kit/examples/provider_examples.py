"""Providers that ProviderSuite must reject, by the test that must fail; the first is sound."""

from __future__ import annotations

from collections.abc import Mapping

from variants import SITE, library, provider

from windlass_testing.conformance import ProviderSuite

library("greetlib")
library("lostlib")
OPERATORS = "operators.py"
PLUGIN = "plugin.py"
FUTURE = "from __future__ import annotations\n"
TONE = 'ConfigOption(section="settings", key="tone", default="warm", description="")'
TEST = '`windlass connections test`."""\n        try:\n'
REQUIRES = "Requires-Dist: windlass<1,>=0.1\n"
EXAMPLE = """from __future__ import annotations

from windlass import DAG
from windlass.operators import EmptyOperator

with DAG("greet", schedule=None):
    EmptyOperator(task_id="greet")
"""


def with_examples(name: str, files: Mapping[str, str]) -> str:
    """Install the example with a manifest that names a package of example DAGs, which holds these files."""
    named = f'example_dags=("windlass_{name}.example_dags",),\n        connection_types=('
    also = {f"example_dags/{file}": text for file, text in files.items()}
    return provider(name, (PLUGIN, "connection_types=(", named), also=also)


class Kit(ProviderSuite):
    """Its pages lie where they were installed."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.docs = SITE / cls.distribution.removeprefix("windlass-") / "docs"


class TestSound(Kit):
    breaks: set[str] = set()
    distribution = provider("sound")


class TestHasAnEntryPointOfAnotherName(Kit):
    breaks = {"test_windlass_finds_it"}
    distribution = provider("renamed", ("entry_points.txt", "renamed =", "other ="))


class TestNeedsANewerCore(Kit):
    breaks = {"test_windlass_finds_it"}
    distribution = provider("newer", (PLUGIN, 'name="newer",', 'name="newer", spec_version=99,'))


class TestSaysNothingOfItself(Kit):
    breaks = {"test_it_says_what_it_is"}
    distribution = provider("mute", (PLUGIN, "Greet people, and wait until they have arrived.", ""))


class TestNamesWhatDoesNotExist(Kit):
    breaks = {"test_everything_in_the_manifest_exists_and_is_of_its_kind"}
    distribution = provider("absent", (PLUGIN, "operators:AbsentOperator", "operators:OtherOperator"))


class TestNamesWhatIsOfAnotherKind(Kit):
    breaks = {"test_everything_in_the_manifest_exists_and_is_of_its_kind"}
    distribution = provider("kinds", (OPERATORS, "class KindsOperator(BaseOperator)", "class KindsOperator"))


class TestNamesAnAbstractClass(Kit):
    breaks = {"test_everything_in_the_manifest_exists_and_is_of_its_kind"}
    distribution = provider("abstract", ("triggers.py", "async def run(self)", "async def begin(self)"))


class TestCallsAClassByAnotherName(Kit):
    breaks = {"test_everything_in_the_manifest_exists_and_is_of_its_kind"}
    distribution = provider(
        "aliased",
        (PLUGIN, '"AliasedOperator":', '"GreetOperator":'),
        ("docs/index.md", "AliasedOperator", "AliasedOperator and GreetOperator"),
    )


class TestHasAHookThatDoesNotExist(Kit):
    breaks = {"test_modules_with_hooks_load"}
    distribution = provider(
        "hooks",
        (PLUGIN, "connection_types=(", 'observers=("windlass_hooks.observers",),\n        connection_types=('),
        also={"observers.py": "from windlass.plugin import hookimpl\n\n\n@hookimpl\ndef on_run_chnaged(): ...\n"},
    )


class TestHelpsWithACommandThatItDoesNotBring(Kit):
    breaks = {"test_everything_in_the_manifest_exists_and_is_of_its_kind"}
    distribution = provider(
        "helpful", (PLUGIN, "connection_types=(", 'cli_help={"greet": "Greet."},\n        connection_types=(')
    )


class TestHelpsWithOtherWordsThanItsCommand(Kit):
    breaks = {"test_everything_in_the_manifest_exists_and_is_of_its_kind", "test_its_dependencies_are_declared"}
    distribution = provider(
        "wordy",
        (
            PLUGIN,
            "connection_types=(",
            """cli_commands={"greet": "windlass_wordy.command:greet"},
        cli_help={"greet": "Greet."},
        connection_types=(""",
        ),
        ("docs/index.md", "WordyOperator", "WordyOperator and `greet`"),
        also={"command.py": 'import click\n\n\n@click.command\ndef greet() -> None:\n    """Greet everybody."""\n'},
    )


class TestBringsAnExample(Kit):
    breaks: set[str] = set()
    distribution = with_examples("exemplary", {"greet.py": EXAMPLE})


class TestNamesExamplesThatAreNotThere(Kit):
    breaks = {"test_its_example_dags_can_be_read"}
    distribution = with_examples("promising", {})


class TestBringsNoDagAmongItsExamples(Kit):
    breaks = {"test_its_example_dags_can_be_read"}
    distribution = with_examples("vacant", {"notes.py": FUTURE})


class TestBringsAnExampleThatCannotBeRead(Kit):
    breaks = {"test_its_example_dags_can_be_read"}
    distribution = with_examples("faulty", {"greet.py": EXAMPLE.replace("EmptyOperator(", "EmptyOperator(1, ")})


class TestTakesANameOfTheCore(Kit):
    breaks = {"test_it_claims_no_name_of_the_core"}
    distribution = provider(
        "greedy",
        (PLUGIN, "GreedyOperator", "PythonOperator"),
        (OPERATORS, "class GreedyOperator", "class PythonOperator"),
        ("docs/index.md", "GreedyOperator", "PythonOperator"),
    )


class TestImportsALibraryInItsManifest(Kit):
    breaks = {"test_the_manifest_imports_only_windlass_plugin"}
    distribution = provider("manifest", (PLUGIN, FUTURE, f"{FUTURE}import json\n"))


class TestImportsItsOperatorsInThePackage(Kit):
    breaks = {"test_looking_it_up_costs_two_modules"}
    distribution = provider("eager", ("__init__.py", FUTURE, f"{FUTURE}from windlass_eager import operators\n"))


class TestImportsItsLibraryWhereADagFileDoes(Kit):
    breaks = {"test_a_dag_file_that_uses_it_loads_no_client_library"}
    distribution = provider(
        "heavy",
        ("METADATA", REQUIRES, f"{REQUIRES}Requires-Dist: greetlib>=1\n"),
        (OPERATORS, FUTURE, f"{FUTURE}import greetlib\n"),
    )


class TestImportsWhatComesWithItsLibraryWhereADagFileDoes(Kit):
    breaks = {"test_a_dag_file_that_uses_it_loads_no_client_library"}
    distribution = provider(
        "weighty",
        ("METADATA", REQUIRES, f"{REQUIRES}Requires-Dist: greetlib>=1\n"),
        (OPERATORS, FUTURE, f"{FUTURE}import lostlib\n"),
    )
    comes_with: Mapping[str, str] = {"lostlib": "greetlib"}


class TestSaysThatAModuleComesWithWhatItDoesNotDeclare(Kit):
    breaks = {"test_its_dependencies_are_declared"}
    distribution = provider("lost", ("hook.py", FUTURE, f"{FUTURE}import lostlib\n"))
    comes_with: Mapping[str, str] = {"lostlib": "greetlib"}


class TestReachesPastTheFacades(Kit):
    breaks = {"test_it_imports_only_the_facades"}
    distribution = provider("reaching", (OPERATORS, "from windlass.operators", "from windlass.authoring.operator"))


class TestReachesPastTheFacadesByName(Kit):
    breaks = {"test_it_imports_only_the_facades"}
    distribution = provider("internal", ("hook.py", FUTURE, f"{FUTURE}from windlass import states\n"))


class TestUsesWhatItDoesNotDeclare(Kit):
    breaks = {"test_its_dependencies_are_declared"}
    distribution = provider("undeclared", ("hook.py", FUTURE, f"{FUTURE}import lostlib\n"))


class TestDoesNotDeclareTheCore(Kit):
    breaks = {"test_it_declares_which_cores_it_works_with", "test_its_dependencies_are_declared"}
    distribution = provider("coreless", ("METADATA", REQUIRES, ""))


class TestWorksWithEveryCoreToCome(Kit):
    breaks = {"test_it_declares_which_cores_it_works_with"}
    distribution = provider("endless", ("METADATA", "windlass<1,>=0.1", "windlass>=0.1"))


class TestWorksWithNoCoreThatIs(Kit):
    breaks = {"test_it_declares_which_cores_it_works_with"}
    distribution = provider("future", ("METADATA", "windlass<1,>=0.1", "windlass<100,>=99"))


class TestIsUntyped(Kit):
    breaks = {"test_it_is_typed"}
    distribution = provider("untyped", without={"py.typed"})


class TestDoesNotHideASecret(Kit):
    breaks = {"test_its_connection_types_are_sound"}
    distribution = provider("open", (PLUGIN, 'name="password", secret=True', 'name="password"'))


class TestNeedsALibraryAndDoesNotSayWhenItIsMissing(Kit):
    breaks = {"test_a_missing_library_is_told_with_the_way_to_install_it"}
    distribution = provider(
        "reticent",
        ("METADATA", REQUIRES, f"{REQUIRES}Requires-Dist: greetlib>=1\n"),
        ("hook.py", TEST, f"{TEST}            import greetlib\n"),
        ("hook.py", "except ReticentError as error", "except Exception as error"),
    )


class TestNeedsALibraryAndLeavesItToTheCoreToSaySo(Kit):
    breaks: set[str] = set()
    distribution = provider(
        "frank",
        ("METADATA", REQUIRES, f"{REQUIRES}Requires-Dist: greetlib>=1\n"),
        ("hook.py", TEST, f"{TEST}            import greetlib\n"),
    )


class TestHasADefaultOfTheWrongType(Kit):
    breaks = {"test_its_connection_types_are_sound"}
    distribution = provider("defaults", (PLUGIN, "default=80", 'default="80"'))


class TestHasAFieldThatNobodyExplains(Kit):
    breaks = {"test_its_connection_types_are_sound"}
    distribution = provider("bare", (PLUGIN, 'label="Tone", ', ""))


class TestHasTheHookOfAnotherConnectionType(Kit):
    breaks = {"test_its_connection_types_are_sound"}
    distribution = provider("hooked", ("hook.py", 'conn_type = "hooked"', 'conn_type = "other"'))


class TestHasAConnectionTypeThatAUriCannotName(Kit):
    breaks = {"test_its_connections_survive_as_uri_and_as_json"}
    distribution = provider(
        "strange",
        (PLUGIN, 'conn_type="strange"', 'conn_type="strange thing"'),
        ("hook.py", 'conn_type = "strange"', 'conn_type = "strange thing"'),
        ("docs/index.md", "Type `strange`", "Type `strange thing`"),
    )


class TestHasASettingThatNobodyExplains(Kit):
    breaks = {"test_its_settings_can_be_read"}
    distribution = provider(
        "settings",
        (PLUGIN, "import ConnectionField", "import ConfigOption, ConnectionField"),
        (PLUGIN, "connection_types=(", "config_options=(TONE,),\n        connection_types=("),
        (PLUGIN, "@hookimpl", f"TONE = {TONE}\n\n\n@hookimpl"),
    )


class TestDoesNotDescribeItsOperator(Kit):
    breaks = {"test_its_pages_mention_everything_it_brings"}
    distribution = provider("secretive", ("docs/index.md", "SecretiveOperator", "The operator"))


class TestDoesNotDescribeAField(Kit):
    breaks = {"test_its_pages_mention_everything_it_brings"}
    distribution = provider("terse", ("docs/index.md", "`tone`", "its mood"), ("docs/index.md", "?tone=formal", ""))


class TestHasNoPages(Kit):
    breaks = {"test_its_pages_mention_everything_it_brings"}
    distribution = provider("unwritten", without={"docs/index.md"})
