"""Regular expressions that cost time in proportion to the text, whatever the text and the expression.

Python's own matcher tries one way after another, and for ``(a+)+$`` there are more ways than time. Params carry
patterns that an author wrote and values that somebody sent, and both are checked inside servers, so here all ways are
followed at once: the expression becomes a machine of states, and each character moves the set of states that it can be
in. What that cannot do (look ahead or behind, refer to what a group matched) is refused by name.

Python's parser reads the expression, so the dialect is that of :mod:`re`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, NamedTuple

#: A greater machine is refused; a repetition like ``x{100}`` counts a hundred times.
MAX_STATES: Final = 1000
#: Sets of states that are remembered, before all are forgotten.
_REMEMBERED: Final = 4096
#: Python's parser and its words: private to `re`, and the same since 3.11.
_parser: Final[Any] = import_module("re._parser")

Accepts = Callable[[str], bool]


class PatternRefused(ValueError):
    """The expression is none, or cannot be matched in linear time; the message says which."""


class _Place(NamedTuple):
    """What an anchor sees of a position between two characters."""

    start: bool
    end: bool
    #: Only a last line break follows, or nothing.
    last: bool
    after_break: bool
    before_break: bool
    boundary: bool


class _Node:
    """A state: free moves to others (each perhaps only at some places), and moves that take a character."""

    __slots__ = ("free", "taking")

    def __init__(self) -> None:
        self.free: list[tuple[int, str]] = []
        self.taking: list[tuple[Accepts, int]] = []


class Pattern:
    """A compiled expression; :meth:`search` finds it anywhere in a text."""

    def __init__(self, text: str) -> None:
        """Compile ``text``.

        :raises PatternRefused: if it is no regular expression, or one that needs more than linear time.
        """
        try:
            tree = _parser.parse(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise PatternRefused(f"{text!r} is not a regular expression: {error}") from None
        self._builder = _Builder(text)
        self._start = self._builder.node()
        self._accepting = self._builder.sequence(tree, self._start, tree.state.flags)
        self._nodes = self._builder.nodes
        self._closures: dict[tuple[frozenset[int], _Place], frozenset[int]] = {}
        self._moves: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    @property
    def states(self) -> int:
        """How many states the machine has: a search takes at most this many steps per character."""
        return len(self._nodes)

    def search(self, text: str) -> bool:
        """Return whether the expression matches somewhere in ``text``."""
        here: frozenset[int] = frozenset()
        for position in range(len(text) + 1):
            place = _place(text, position)
            reached = self._closure(here | {self._start}, place)
            if self._accepting in reached:
                return True
            if position < len(text):
                here = self._move(reached, text[position])
        return False

    def _closure(self, states: frozenset[int], place: _Place) -> frozenset[int]:
        known = self._closures.get((states, place))
        if known is not None:
            return known
        reached = set(states)
        waiting = list(states)
        while waiting:
            for target, condition in self._nodes[waiting.pop()].free:
                if target not in reached and (not condition or _holds(condition, place)):
                    reached.add(target)
                    waiting.append(target)
        found = frozenset(reached)
        _remember(self._closures, (states, place), found)
        return found

    def _move(self, states: frozenset[int], character: str) -> frozenset[int]:
        known = self._moves.get((states, character))
        if known is not None:
            return known
        found = frozenset(
            target for state in states for accepts, target in self._nodes[state].taking if accepts(character)
        )
        _remember(self._moves, (states, character), found)
        return found


@lru_cache(maxsize=64)
def pattern(text: str) -> Pattern:
    """Return the compiled ``text``, compiled once.

    :raises PatternRefused: if it is no regular expression, or one that needs more than linear time.
    """
    return Pattern(text)


def _remember(table: dict[Any, frozenset[int]], key: object, value: frozenset[int]) -> None:
    if len(table) >= _REMEMBERED:
        table.clear()
    table[key] = value


def _place(text: str, position: int) -> _Place:
    before = text[position - 1] if position else ""
    after = text[position] if position < len(text) else ""
    return _Place(
        start=not position,
        end=not after,
        last=not after or (after == "\n" and position == len(text) - 1),
        after_break=before == "\n",
        before_break=after == "\n",
        boundary=_is_word(before) != _is_word(after),
    )


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _holds(condition: str, place: _Place) -> bool:
    match condition:
        case "AT_BEGINNING_STRING":
            return place.start
        case "AT_BEGINNING":
            return place.start
        case "AT_BEGINNING_LINE":
            return place.start or place.after_break
        case "AT_END":
            return place.last
        case "AT_END_LINE":
            return place.end or place.before_break
        case "AT_END_STRING":
            return place.end
        case "AT_BOUNDARY":
            return place.boundary
        case _:
            return not place.boundary


class _Builder:
    """Makes the states of an expression."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.nodes: list[_Node] = []

    def node(self) -> int:
        """Add a state and return its number."""
        if len(self.nodes) >= MAX_STATES:
            raise PatternRefused(
                f"{self._text[:60]!r} is too large to be matched in good time (more than {MAX_STATES} states); "
                "shorten its repetitions, or use maxLength"
            )
        self.nodes.append(_Node())
        return len(self.nodes) - 1

    def sequence(self, items: Any, start: int, flags: int) -> int:  # noqa: ANN401 - the parser's tree
        """Add what matches ``items`` one after another from ``start``, and return the state at its end."""
        for operation, argument in items:
            start = self._one(str(operation), argument, start, flags)
        return start

    def _one(self, operation: str, argument: Any, start: int, flags: int) -> int:  # noqa: ANN401 - the parser's tree
        match operation:
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                return self._taking(start, _accepts(operation, argument, flags))
            case "AT":
                return self._free(start, self.node(), _anchor(str(argument), flags))
            case "SUBPATTERN":
                _, added, removed, inner = argument
                return self.sequence(inner, start, (flags | added) & ~removed)
            case "BRANCH":
                end = self.node()
                for branch in argument[1]:
                    self._free(self.sequence(branch, self._free(start, self.node()), flags), end)
                return end
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, inner = argument
                return self._repeat(least, most, inner, start, flags)
        raise PatternRefused(
            f"{self._text!r} uses {_NAMES.get(operation, operation.lower())}, which cannot be matched in linear time; "
            "use several patterns in allOf or anyOf"
        )

    def _repeat(self, least: int, most: Any, inner: Any, start: int, flags: int) -> int:  # noqa: ANN401 - as above
        for _ in range(least):
            start = self.sequence(inner, start, flags)
        if most == _parser.MAXREPEAT:
            loop = self._free(start, self.node())
            self._free(self.sequence(inner, loop, flags), loop)
            return self._free(loop, self.node())
        end = self.node()
        for _ in range(most - least):
            self._free(start, end)
            start = self.sequence(inner, start, flags)
        return self._free(start, end)

    def _free(self, start: int, end: int, condition: str = "") -> int:
        self.nodes[start].free.append((end, condition))
        return end

    def _taking(self, start: int, accepts: Accepts) -> int:
        end = self.node()
        self.nodes[start].taking.append((accepts, end))
        return end


_NAMES: Final = {
    "ASSERT": "a look-ahead or look-behind",
    "ASSERT_NOT": "a look-ahead or look-behind",
    "GROUPREF": "a reference to a group",
    "GROUPREF_EXISTS": "a reference to a group",
    "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive repetition",
}


def _anchor(name: str, flags: int) -> str:
    if flags & re.MULTILINE and name in {"AT_BEGINNING", "AT_END"}:
        return f"{name}_LINE"
    return name


def _accepts(operation: str, argument: Any, flags: int) -> Accepts:  # noqa: ANN401 - the parser's tree
    match operation:
        case "ANY":
            return (lambda _: True) if flags & re.DOTALL else (lambda character: character != "\n")
        case "LITERAL":
            return _one_of([("LITERAL", argument)], flags, negated=False)
        case "NOT_LITERAL":
            return _one_of([("LITERAL", argument)], flags, negated=True)
    items = [(str(kind), value) for kind, value in argument]
    negated = bool(items) and items[0][0] == "NEGATE"
    return _one_of(items[1:] if negated else items, flags, negated=negated)


def _one_of(items: list[tuple[str, Any]], flags: int, *, negated: bool) -> Accepts:
    def accepts(character: str) -> bool:
        forms = {character, character.lower(), character.upper()} if flags & re.IGNORECASE else {character}
        return any(_is_in(form, items, flags) for form in forms if len(form) == 1) is not negated

    return accepts


def _is_in(character: str, items: list[tuple[str, Any]], flags: int) -> bool:
    code = ord(character)
    for kind, value in items:
        match kind:
            case "LITERAL":
                found = code == value
            case "RANGE":
                found = value[0] <= code <= value[1]
            case _:
                found = _is_of(character, str(value), ascii_only=bool(flags & re.ASCII))
        if found:
            return True
    return False


def _is_of(character: str, category: str, *, ascii_only: bool) -> bool:
    name = category.removeprefix("CATEGORY_")
    base = name.removeprefix("NOT_")
    plain = character.isascii() or not ascii_only
    match base:
        case "DIGIT":
            found = character.isdecimal() and plain
        case "SPACE":
            found = character.isspace() and plain
        case _:
            found = _is_word(character) and plain
    return found is (base == name)
