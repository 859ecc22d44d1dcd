"""Assets: named pieces of data that tasks produce and read, and that schedules wait for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from windlass.errors import AuthoringError


class AssetExpression:
    """Something a schedule can wait for. ``a & b`` needs both, ``a | b`` either."""

    def __and__(self, other: AssetExpression) -> AssetExpression:
        return AssetAll(self, other)

    def __or__(self, other: AssetExpression) -> AssetExpression:
        return AssetAny(self, other)


class Asset(AssetExpression):
    """A piece of data with a ``name`` and a ``uri``; giving one of them makes the other the same."""

    def __init__(
        self,
        name: str | None = None,
        uri: str | None = None,
        *,
        group: str = "asset",
        extra: Mapping[str, Any] | None = None,
        watchers: list[Any] | None = None,
    ) -> None:
        if not name and not uri:
            raise AuthoringError("an Asset needs a name or a uri; write for example Asset('s3://bucket/orders')")
        for kind, text in (("name", name), ("uri", uri)):
            if text is not None and (not text.strip() or not text.isascii()):
                raise AuthoringError(f"the {kind} of an Asset must be ASCII text that is not blank, not {text!r}")
        if watchers:
            raise AuthoringError(f"Asset {name or uri!r}: watchers are not supported; use a sensor with outlets=[…]")
        self.name: str = name or uri or ""
        self.uri: str = uri or name or ""
        self.group = group
        self.extra = dict(extra or {})

    def __repr__(self) -> str:
        return f"Asset(name={self.name!r}, uri={self.uri!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Asset) and (self.name, self.uri) == (other.name, other.uri)

    def __hash__(self) -> int:
        return hash((self.name, self.uri))


class AssetAlias(AssetExpression):
    """A name under which a task may at run time record events of assets not known when the file is parsed."""

    def __init__(self, name: str, *, group: str = "asset") -> None:
        if not name or not name.strip():
            raise AuthoringError("an AssetAlias needs a name that is not blank")
        self.name = name
        self.group = group

    def __repr__(self) -> str:
        return f"AssetAlias({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AssetAlias) and self.name == other.name

    def __hash__(self) -> int:
        return hash(("alias", self.name))


class _AssetBoolean(AssetExpression):
    """A condition over several expressions."""

    def __init__(self, *parts: AssetExpression) -> None:
        if not parts:
            raise AuthoringError(f"{type(self).__name__}() needs at least one asset; without one it could never be met")
        for part in parts:
            if not isinstance(part, AssetExpression):
                raise AuthoringError(f"an asset condition is made of assets, not {part!r}; write a | b or a & b")
        # `a & b & c` is one condition of three, not a nest
        self.parts: tuple[AssetExpression, ...] = tuple(
            inner for part in parts for inner in (part.parts if isinstance(part, type(self)) else (part,))
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.parts))})"


class AssetAll(_AssetBoolean):
    """True when every part has had an event."""


class AssetAny(_AssetBoolean):
    """True when any part has had an event."""


def leaves(expression: AssetExpression) -> Iterator[Asset | AssetAlias]:
    """Yield the assets and aliases of ``expression``."""
    if isinstance(expression, (Asset, AssetAlias)):
        yield expression
    elif isinstance(expression, _AssetBoolean):
        for part in expression.parts:
            yield from leaves(part)


#: What Airflow 2 called them.
Dataset = Asset
DatasetAlias = AssetAlias
DatasetAll = AssetAll
DatasetAny = AssetAny
