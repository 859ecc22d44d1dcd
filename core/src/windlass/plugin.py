"""For a provider's ``plugin.py``: the manifest and the marker of hooks. Import nothing else there."""

from __future__ import annotations

from typing import Final

import pluggy

from windlass.interfaces.provider import SPEC_VERSION as SPEC_VERSION
from windlass.interfaces.provider import ConfigOption as ConfigOption
from windlass.interfaces.provider import ConnectionField as ConnectionField
from windlass.interfaces.provider import ConnectionType as ConnectionType
from windlass.interfaces.provider import Provider as Provider
from windlass.interfaces.views import AssetUpdated as AssetUpdated
from windlass.interfaces.views import ImportErrorChanged as ImportErrorChanged
from windlass.interfaces.views import RunChanged as RunChanged
from windlass.interfaces.views import TaskChanged as TaskChanged

#: Marks a function as the implementation of the hook of its name.
hookimpl: Final = pluggy.HookimplMarker("windlass")
