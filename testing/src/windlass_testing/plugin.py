"""The pytest plugin that `windlass-testing` registers under the name `windlass`.

pytest imports this module at start-up in every environment where the distribution is installed, so it imports
nothing of Windlass at module level: a fixture imports what it needs when a test asks for it.
"""

from __future__ import annotations
