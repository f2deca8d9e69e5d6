"""Code that is told by its version instead of being read: Python's own and installed packages.

>>> import json
>>> is_installed(json.dumps), version_of("json").startswith("Python 3.")
(True, True)
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import sys
from pathlib import Path
from types import FunctionType
from typing import Final, cast

from graphroute.frontend.attributes import is_a, module_of
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
    file = _file_of(root)
    if file is None:
        # A namespace package has places instead of a file.
        places = [str(place) for place in getattr(sys.modules.get(root), "__path__", ())]
        return bool(places) and all(map(_in_folder, places))
    return _in_folder(file)


def _in_folder(file: str) -> bool:
    parts = file.replace("\\", "/").split("/")
    return any(folder in parts for folder in _FOLDERS)


def _file_of(module: str) -> str | None:
    if (known := sys.modules.get(module)) is not None:
        file = getattr(known, "__file__", None)
    else:
        try:
            # Only of a top-level module, since finding another one would load its parents.
            spec = importlib.util.find_spec(module.partition(".")[0])
        except (ImportError, ValueError):
            return None
        file = None if spec is None else spec.origin
    return file if isinstance(file, str) else None


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


def source_of(module: str) -> str:
    """A digest of a module's source file, loaded or not; `""` where there is none."""
    file = _file_of(module)
    if file is None or not (path := Path(file)).is_file():
        return ""
    stat = path.stat()
    return _digest_of(file, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _digest_of(file: str, size_bytes: int, changed_ns: int) -> str:  # noqa: ARG001 - the key
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
