"""What a caller may see, and sentences about what it may not or cannot find.

Every query takes a :data:`Visible`. What is not visible is as if it were not there: the same error, and no suggestion
gives its name away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

#: Says of a DAG id whether the caller may see it.
Visible = Callable[[str], bool]


def everything(_dag_id: str) -> bool:
    """Let the caller see every DAG: the command line, which reads the database file anyway."""
    return True


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question with the known names nearest to ``name``, with a space before it; empty if none is near."""
    from difflib import get_close_matches

    matches = get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""
