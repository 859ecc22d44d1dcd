"""The page of the provider names every field of its connections, and all that its manifest brings."""

from __future__ import annotations

from pathlib import Path

from windlass_postgres.plugin import windlass_provider

PAGE = (Path(__file__).parents[1] / "docs" / "index.md").read_text(encoding="utf-8")


def test_the_page_names_every_field_of_a_connection() -> None:
    (kind,) = windlass_provider().connection_types
    assert [field.name for field in kind.fields if f"`{field.name}`" not in PAGE] == []
    assert all(field.description or field.label for field in kind.fields)


def test_the_page_names_what_the_manifest_brings() -> None:
    manifest = windlass_provider()
    names = [name for name in (*manifest.operators, *manifest.sensors, *manifest.hooks) if name != "DbApiHook"]
    assert [name for name in names if name not in PAGE] == []
