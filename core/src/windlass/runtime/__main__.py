"""The processes that run author code, started by servers only: ``python -P -m windlass.runtime``.

::

    zygote FD PARENT [--single]            a zygote speaking on socket FD, of the supervisor with pid PARENT
    parse --fd FD [--concurrency N]        a parse server speaking on socket FD
    triggers FD CELL PARENT                a trigger host speaking on socket FD, of the supervisor with pid PARENT
    test-connection ID                     the test of one connection, from standard input to standard output
    ask-timetable CODE                     one question to a timetable of the code in folder CODE, likewise
    keep                                   a store of a provider, for a process that imports none, likewise

``-P`` keeps the working directory off ``sys.path``: starting Windlass inside a stranger's folder imports nothing of it.
There is no argument parser here: importing one would cost each zygote more than its own code.
"""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> int:
    """Run one of the children's processes and return its exit status."""
    match arguments:
        case ["zygote", fd, parent, *rest]:
            if "--single" not in rest:
                from windlass.runtime import memory_layout

                memory_layout.reserve()
            from windlass.runtime import zygote

            return zygote.main(int(fd), int(parent), single="--single" in rest)
        case ["parse", "--fd", fd, *rest]:
            from windlass.runtime import parse

            return parse.main(int(fd), concurrency=int(rest[-1]) if rest else 2)
        case ["triggers", fd, cell, parent]:
            from windlass.runtime import trigger_host

            return trigger_host.main(int(fd), int(cell), int(parent))
        case ["test-connection", conn_id]:
            from windlass.runtime import connection_test

            return connection_test.main(conn_id)
        case ["ask-timetable", code]:
            from windlass.runtime import timetable_child

            return timetable_child.main(code)
        case ["keep"]:
            from windlass.runtime import keeper

            return keeper.main()
    sys.stderr.write("windlass.runtime is started by Windlass's servers, not by hand; see `windlass --help`\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
