"""The source files that loading a module would run: its own, its packages' and what they import.

A module that a function imports when it runs may not be loaded before. What its names will stand
for is told by these files then; nothing is loaded. Installed packages are told by their version.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Final

from graphroute.frontend.versions import file_of, is_installed_module, with_packages
from graphroute.ir.node_cache import Unclear

MAX_FILES: Final = 500


def absolute(function: FunctionType, module: str) -> str:
    """A module as a function's code names it, `.clean` relative to the function's package.

    >>> absolute(absolute, ".scope"), absolute(absolute, "json")
    ('graphroute.frontend.scope', 'json')
    """
    if not module.startswith("."):
        return module
    try:
        return importlib.util.resolve_name(module, function.__globals__.get("__package__"))
    except ImportError:  # the function would raise it too
        return module


def sources_of(module: str) -> str:
    """A digest of all files that loading a module of the user's would run; `""` for none.

    `Unclear` where there are too many.
    """
    told: dict[str, str] = {}
    todo = list(with_packages(module))
    while todo:
        name = todo.pop()
        if name in told or is_installed_module(name):
            continue
        if len(told) >= MAX_FILES:
            raise Unclear(f"module {module!r} imports more than {MAX_FILES} files")
        told[name] = ""
        if (file := file_of(name)) is not None and (path := Path(file)).is_file():
            stat = path.stat()
            told[name], imported = _read(name, file, stat.st_size, stat.st_mtime_ns)
            todo += imported
    found = "\n".join(f"{name}={told[name]}" for name in sorted(told) if told[name])
    return hashlib.sha256(found.encode()).hexdigest() if found else ""


@functools.lru_cache(maxsize=4096)
def _read(
    module: str,
    file: str,
    size_bytes: int,  # noqa: ARG001 - the key
    changed_ns: int,  # noqa: ARG001 - the key
) -> tuple[str, tuple[str, ...]]:
    """A file's digest, and the modules that it imports."""
    raw = Path(file).read_bytes()
    imported: dict[str, None] = {}
    if file.endswith(".py"):
        package = module if Path(file).stem == "__init__" else module.rpartition(".")[0]
        for name in _imported(raw, package):
            imported |= dict.fromkeys(with_packages(name))
    return hashlib.sha256(raw).hexdigest(), tuple(imported)


def _imported(raw: bytes, package: str) -> Iterator[str]:
    try:
        tree = ast.parse(raw)
    except (SyntaxError, ValueError):  # loading it will fail
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            try:
                base = importlib.util.resolve_name(base, package)
            except ImportError:
                continue
            yield base
            # What is imported may be a module in its turn.
            yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
