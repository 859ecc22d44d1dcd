"""The core's SQL in the words of MySQL and MariaDB, with values as ``%(name)s``; see :class:`.session.Values`."""

from __future__ import annotations

import re
from typing import Final

#: One look for everything that differs; what stands in quotes is left alone.
_WORDS: Final = re.compile(
    r"(?P<quoted>'(?:[^']|'')*')"
    r"|\b(?P<negated>NOT )?IN (?:IDS|NAMES)\(:(?P<of>\w+)\)"
    r"|\bBYTES\((?P<bytes>[\w.]+)\)"
    r"|\bFOR_(?P<lock>UPDATE|SHARE)\b(?: OF \w+)?"
    r"|\b(?P<skip>SKIP_LOCKED)\b"
    r"|\bAS (?P<type>BIGINT|TEXT)\)"
    r"|(?P<nothing> ON CONFLICT(?: \([\w, ]+\))? DO NOTHING)\b"
    r"|\b(?P<update>ON CONFLICT \([\w, ]+\) DO UPDATE SET)\b"
    r"|\bexcluded\.(?P<given>\w+)"
    r"|(?<!:):(?P<name>[a-z_]\w*)"
    r"|(?P<percent>%)"
)
_INSERT: Final = re.compile(r"\AINSERT INTO\b")
#: MariaDB knows no other word for a shared lock, and neither locks the rows of one table only.
_LOCKS: Final = {"UPDATE": "FOR UPDATE", "SHARE": "LOCK IN SHARE MODE"}
_TYPES: Final = {"BIGINT": "AS SIGNED)", "TEXT": "AS CHAR)"}
#: How a statement begins that excludes others from a name.
EXCLUDES: Final = "SELECT GET_LOCK("
#: A name of the server's, of at most 64 characters, for one of this database's. MySQL 9.6 forgot SHA1 and MD5.
EXCLUDE: Final = f"{EXCLUDES}CONCAT('windlass ', LEFT(SHA2(CONCAT(DATABASE(), ' ', :name), 256), 40)), 10)"


def translate(sql: str) -> str:
    """Return a statement of the core's in MySQL's words."""
    ignores = False

    def word(match: re.Match[str]) -> str:
        nonlocal ignores
        kind, text = match.lastgroup, match[0]
        match kind:
            case "quoted":
                return text.replace("%", "%%")
            case "of":
                return f"NOT IN %(!{match['of']})s" if match["negated"] else f"IN %(@{match['of']})s"
            case "bytes":
                return f"OCTET_LENGTH({match['bytes']})"
            case "lock":
                return _LOCKS[match["lock"]]
            case "skip":
                return "SKIP LOCKED"
            case "type":
                return _TYPES[match["type"]]
            case "nothing":
                ignores = True
                return ""
            case "update":
                return "ON DUPLICATE KEY UPDATE"
            case "given":
                return f"VALUES({match['given']})"
            case "name":
                return f"%({match['name']})s"
            case _:
                return "%%"

    translated = _WORDS.sub(word, sql)
    return _INSERT.sub("INSERT IGNORE INTO", translated) if ignores else translated
