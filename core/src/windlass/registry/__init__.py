"""What is installed: providers' manifests, and from a name to the class behind it.

``registry()`` is this process's view of the installed providers, read when first asked for from a cache file that is
checked in microseconds; neither pluggy nor importlib.metadata is imported while that holds. ``lookup(kind, name)``
imports one class. The core's own parts are listed in :mod:`windlass.registry.core_provider`, through the same door.

A provider that cannot be used (it does not import, its manifest is wrong, it wants a newer core) is listed in
``registry().broken`` with its error and a remedy, and never stops the others.
"""

from __future__ import annotations

from windlass.interfaces.provider import KINDS as KINDS
from windlass.interfaces.provider import SPEC_VERSION as SPEC_VERSION
from windlass.interfaces.provider import ConfigOption as ConfigOption
from windlass.interfaces.provider import ConnectionField as ConnectionField
from windlass.interfaces.provider import ConnectionType as ConnectionType
from windlass.interfaces.provider import Provider as Provider
from windlass.registry.catalog import BrokenPlugin as BrokenPlugin
from windlass.registry.catalog import Catalog as Catalog
from windlass.registry.catalog import Duplicate as Duplicate
from windlass.registry.lookup import Registry as Registry
from windlass.registry.lookup import import_name as import_name
from windlass.registry.lookup import lookup as lookup
from windlass.registry.lookup import registry as registry
from windlass.registry.modules import PluginModules as PluginModules
