"""Plug-ins are found by listing a package: a new thing is a new file, and no list is edited."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def plugin_names(package: ModuleType) -> list[str]:
    """Names of the modules of a package, without those that start with an underscore."""
    return sorted(
        info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_")
    )


def load_plugin(package: ModuleType, name: str) -> ModuleType:
    """Import one plug-in. Raises ValueError that lists what there is."""
    names = plugin_names(package)
    if name not in names:
        raise ValueError(f"{name!r} is not one of {', '.join(names)}")
    return importlib.import_module(f"{package.__name__}.{name}")
