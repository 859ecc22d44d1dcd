"""The configuration: which settings exist, where their values come from, and the home directory.

A setting is declared once, in :mod:`windlass.config.sections`, under Airflow's name where Airflow has the same one.
Its value comes from the first of: a flag of the command, the environment (``WINDLASS__SECTION__KEY``), the home's
``windlass.toml``, the project's ``windlass.toml``, its default. Only the first three may say anything about commands,
secrets, databases and executors: running ``windlass`` inside a stranger's clone must execute nothing of theirs.

What is unknown is an error that names the file and line, or the variable, and the closest setting that exists. A value
given by reference (``_CMD``, ``_FILE``, ``_SECRET``) is only recorded here; ``app`` resolves it with
:meth:`Settings.resolve` in the processes that need it.
"""

from __future__ import annotations

from windlass.config.home import home as home
from windlass.config.option import Option as Option
from windlass.config.option import Value as Value
from windlass.config.references import Reference as Reference
from windlass.config.sections import OPTIONS as OPTIONS
from windlass.config.settings import Origin as Origin
from windlass.config.settings import Setting as Setting
from windlass.config.settings import Settings as Settings
