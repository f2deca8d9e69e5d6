"""Code that is told by its version instead of being read: Python's own and installed packages.

>>> import json
>>> is_installed(json.dumps), version_of("json").startswith("Python 3.")
(True, True)
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import FunctionType
from typing import Final, cast

from graphroute.frontend.attributes import held, is_a, module_of
from graphroute.frontend.recognize import is_library

_FOLDERS: Final = ("site-packages", "dist-packages")
_OWN: Final = __name__.partition(".")[0]
_OWN_FOLDER: Final = str(Path(__file__).parent.parent)
PYTHON: Final = "Python " + ".".join(map(str, sys.version_info[:3]))


def is_installed(value: object) -> bool:
    """Whether a function or class comes with a package that only a new version of it changes."""
    root = module_of(value).partition(".")[0]
    if root == "__main__":
        return False
    is_class_in_c = not root and is_a(value, type)
    if is_class_in_c or root in sys.stdlib_module_names:
        return True
    if is_a(value, FunctionType):
        function = cast(FunctionType, value)
        file = function.__code__.co_filename
        return is_library(function) or _in_folder(file) or file.startswith(_OWN_FOLDER)
    return is_installed_module(root)


@functools.lru_cache(maxsize=1024)
def is_installed_module(module: str) -> bool:
    """`is_installed` for a module's name; one that is not loaded is looked for, not loaded."""
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names or root == _OWN:
        return True
    file = file_of(root)
    if file is None:
        # A namespace package has places instead of a file.
        places = [str(place) for place in held(sys.modules.get(root)).get("__path__") or ()]
        return bool(places) and all(map(_in_folder, places))
    return _in_folder(file)


def _in_folder(file: str) -> bool:
    parts = file.replace("\\", "/").split("/")
    return any(folder in parts for folder in _FOLDERS)


@functools.lru_cache(maxsize=4096)
def file_of(module: str) -> str | None:
    """The file a module is loaded from, loaded or not; None where there is none."""
    if (known := sys.modules.get(module)) is not None:
        file = held(known).get("__file__")  # a module's own `__getattr__` is not asked
        return file if isinstance(file, str) else None
    root, *rest = with_packages(module)
    try:
        spec = importlib.util.find_spec(root)
        for name in rest:
            # Along the folders, since to ask for a submodule would load its package.
            places = None if spec is None else spec.submodule_search_locations
            spec = None if places is None else PathFinder.find_spec(name, list(places))
    except (ImportError, ValueError):
        return None
    return None if spec is None else spec.origin


def with_packages(module: str) -> list[str]:
    """A module after the packages it is in.

    >>> with_packages("a.b.c")
    ['a', 'a.b', 'a.b.c']
    """
    parts = module.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


@functools.lru_cache(maxsize=1024)
def version_of(module: str) -> str:
    """Name and version of the package a module belongs to, as far as it says."""
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names or not root:
        return PYTHON
    try:
        return f"{root} {importlib.metadata.version(root)}"
    except (importlib.metadata.PackageNotFoundError, ValueError):
        stated = getattr(sys.modules.get(root), "__version__", None)
    if isinstance(stated, str):
        return f"{root} {stated}"
    names = sorted(set(importlib.metadata.packages_distributions().get(root, ())))
    found = [f"{name} {importlib.metadata.version(name)}" for name in names]
    return ", ".join(found) or f"{root} of unknown version"
