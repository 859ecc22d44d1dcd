r"""Regular expressions over names, matched in time linear in the name whatever the expression.

The usual engine tries one way after another, and a few nested repetitions keep it busy for years. This one walks all
ways at once: an expression becomes a small program, and each character of the name moves a set of positions in it on.
What cannot be matched like that (back references, looking around) is refused.

The language: literals, ``.``, ``[a-z_]``, ``[^…]``, ``\d \w \s`` and their opposites, ``^``, ``$``, ``|``, groups, and
the repetitions ``* + ? {m} {m,} {m,n}``. A pattern is searched for: it may match anywhere in the name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NoReturn

from windlass.errors import UsageError

_Test = Callable[[str], bool]
#: Most instructions of a program; repetitions of repetitions multiply.
_LARGEST: Final = 5000
#: Stands for "any number" as the upper bound of a repetition.
_MANY: Final = -1

_CHAR, _SPLIT, _BEGIN, _END, _MATCH = range(5)
#: An instruction: its kind, its test, and where to go on (relative to itself).
_Instruction = tuple[int, _Test | None, tuple[int, ...]]
_Program = list[_Instruction]

_CLASSES: Final[dict[str, _Test]] = {
    "d": str.isdecimal,
    "D": lambda char: not char.isdecimal(),
    "w": lambda char: char.isalnum() or char == "_",
    "W": lambda char: not (char.isalnum() or char == "_"),
    "s": str.isspace,
    "S": lambda char: not char.isspace(),
}
_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}


class Pattern:
    """A compiled expression.

    :raises UsageError: if the text is no expression of the language above.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._program = _Reader(text).program()

    def search(self, name: str) -> bool:
        """Return whether the expression matches anywhere in ``name``."""
        positions: set[int] = set()
        for index in range(len(name) + 1):
            self._reach(positions, [0], at_start=index == 0, at_end=index == len(name))
            if len(self._program) - 1 in positions:
                return True
            if index < len(name):
                positions = self._step(positions, name, index)
        return False

    def _step(self, positions: set[int], name: str, index: int) -> set[int]:
        after: set[int] = set()
        moved = []
        for position in positions:
            kind, test, (offset, *_) = self._program[position]
            if kind == _CHAR and test is not None and test(name[index]):
                moved.append(position + offset)
        self._reach(after, moved, at_start=False, at_end=index + 1 == len(name))
        return after

    def _reach(self, positions: set[int], starts: Iterable[int], *, at_start: bool, at_end: bool) -> None:
        """Add ``starts`` and whatever follows from them without reading a character."""
        waiting = list(starts)
        while waiting:
            position = waiting.pop()
            if position in positions:
                continue
            positions.add(position)
            kind, _, offsets = self._program[position]
            if kind == _SPLIT or (kind == _BEGIN and at_start) or (kind == _END and at_end):
                waiting += [position + offset for offset in offsets]


class _Reader:
    """Reads an expression by recursive descent; every part is a program that ends where the next begins."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def program(self) -> _Program:
        """Return the program of the whole text."""
        found = self._alternatives()
        if self._at < len(self._text):
            self._refuse("a ) closes nothing")
        return [*found, (_MATCH, None, (0,))]

    def _alternatives(self) -> _Program:
        found = self._sequence()
        while self._take("|"):
            other = self._sequence()
            found = self._small(
                [(_SPLIT, None, (1, len(found) + 2)), *found, (_SPLIT, None, (len(other) + 1,)), *other]
            )
        return found

    def _sequence(self) -> _Program:
        found: _Program = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            found = self._small(found + self._repeated(self._atom()))
        return found

    def _repeated(self, part: _Program) -> _Program:
        bounds = self._bounds()
        if bounds is None:
            return part
        self._take("?")  # "as few as possible" changes what is captured, not whether it matches
        if self._at < len(self._text) and self._text[self._at] in "*+?":
            self._refuse("one repetition follows another; put a group around the inner one")
        least, most = bounds
        found = self._small(part * least)
        if most == _MANY:
            return self._small([*found, (_SPLIT, None, (1, len(part) + 2)), *part, (_SPLIT, None, (-len(part) - 1,))])
        optional: _Program = []
        for _ in range(most - least):
            optional = self._small([(_SPLIT, None, (1, len(part) + len(optional) + 1)), *part, *optional])
        return self._small(found + optional)

    def _bounds(self) -> tuple[int, int] | None:
        for sign, bounds in (("*", (0, _MANY)), ("+", (1, _MANY)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        if not self._take("{"):
            return None
        inside, closed, _ = self._text[self._at :].partition("}")
        low, comma, high = inside.partition(",")
        if not closed or not low.isdecimal() or not (high.isdecimal() or not high):
            self._refuse("after { comes {m}, {m,} or {m,n}; write \\{ for the character")
        self._at += len(inside) + 1
        least = int(low)
        most = least if not comma else int(high) if high else _MANY
        if most != _MANY and most < least:
            self._refuse("a repetition's upper bound is below its lower one")
        return least, most

    def _atom(self) -> _Program:
        char = self._next()
        if char == "(":
            return self._group()
        if char == "[":
            return _one(self._set())
        if char == "\\":
            return _one(self._escape())
        if char == "^":
            return [(_BEGIN, None, (1,))]
        if char == "$":
            return [(_END, None, (1,))]
        if char == ".":
            return _one(lambda seen: seen != "\n")
        if char in "*+?{":
            self._refuse(f"there is nothing that {char} could repeat")
        return _one(char.__eq__)

    def _group(self) -> _Program:
        if self._take("?") and not self._take(":"):
            self._refuse("of the extensions (?…) only (?:…) is known; looking around and flags are not")
        found = self._alternatives()
        if not self._take(")"):
            self._refuse("a ( is not closed")
        return found

    def _escape(self) -> _Test:
        char = self._next(after="\\")
        if char in _CLASSES:
            return _CLASSES[char]
        if char.isalnum() and char not in _ESCAPES:
            self._refuse(f"\\{char} is not known; back references cannot be matched in linear time")
        return _ESCAPES.get(char, char).__eq__

    def _set(self) -> _Test:
        negated = self._take("^")
        tests: list[_Test] = []
        while not tests or not self._take("]"):
            tests.append(self._member())
        if negated:
            return lambda seen: not any(test(seen) for test in tests)
        return lambda seen: any(test(seen) for test in tests)

    def _member(self) -> _Test:
        low = self._next(after="[")
        if low == "\\":
            return self._escape()
        if not (
            self._text[self._at : self._at + 1] == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", "")
        ):
            return low.__eq__
        self._at += 1
        high = self._next(after="[")
        if high == "\\" or high < low:
            self._refuse(f"{low}-{high} is no range of characters")
        return lambda seen: low <= seen <= high

    def _next(self, after: str = "") -> str:
        if self._at >= len(self._text):
            self._refuse(f"something is missing after {after}")
        char = self._text[self._at]
        self._at += 1
        return char

    def _take(self, sign: str) -> bool:
        if self._text[self._at : self._at + 1] != sign:
            return False
        self._at += 1
        return True

    def _small(self, program: _Program) -> _Program:
        if len(program) > _LARGEST:
            self._refuse("its repetitions are too many")
        return program

    def _refuse(self, why: str) -> NoReturn:
        raise UsageError(f"{self._text!r} is not a regular expression that can be used here: {why}")


def _one(test: _Test) -> _Program:
    return [(_CHAR, test, (1,))]
