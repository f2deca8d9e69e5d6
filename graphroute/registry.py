"""Find plugins by file name: a file in `graphroute/<family>/` is a plugin named after the file.

A plugin module has `build(**options)`, `REQUIRES` (distributions' import names, checked without
importing them) and `EXAMPLES` (options the contract tests try). Other packages add theirs through
the entry-point group `graphroute.<family>`; a name of our own is never replaced from outside.

>>> from graphroute import registry
>>> "ollama" in registry.names("providers")
True
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Literal

from graphroute.errors import InvalidValue, ProviderUnavailable

Family = Literal["batching", "caches", "learners", "providers", "scorers", "signals", "solvers"]


def names(family: Family) -> tuple[str, ...]:
    """Names of all plugins of a family, sorted, without importing any of them."""
    folder = Path(__file__).parent / family
    own = {path.stem for path in folder.glob("*.py") if _is_plugin(family, path.stem)}
    return tuple(sorted(own | {point.name for point in entry_points(group=f"graphroute.{family}")}))


def load(family: Family, name: str) -> ModuleType:
    """The plugin module `name`; raises `InvalidValue` with the known names if there is none."""
    # Our own files first: reading the entry points of all installed packages takes a while.
    if _is_plugin(family, name):
        return import_module(f"graphroute.{family}.{name}")
    if name not in (known := names(family)):
        raise InvalidValue(
            f"no {_one_of(family)} {name!r}",
            name=name,
            known=known,
            next_step=f"known {family}: {', '.join(known)}",
        )
    (point,) = (p for p in entry_points(group=f"graphroute.{family}") if p.name == name)
    return import_module(point.module)


def _one_of(family: Family) -> str:
    return "batch policy" if family == "batching" else family[:-1]


def _is_plugin(family: Family, name: str) -> bool:
    """Whether `name` is a file of ours that builds a plugin."""
    if not name.isidentifier() or name.startswith("_"):
        return False
    path = Path(__file__).parent / family / f"{name}.py"
    return path.exists() and "def build(" in path.read_text(encoding="utf-8")


def missing(module: ModuleType) -> tuple[str, ...]:
    """Import names a plugin needs and this environment lacks; looked up, not imported."""
    return tuple(need for need in getattr(module, "REQUIRES", ()) if find_spec(need) is None)


def build(family: Family, name: str, **options: object) -> object:
    """Build a plugin; a missing package is a `ProviderUnavailable` that says what to install."""
    module = load(family, name)
    if lacks := missing(module):
        extra = getattr(module, "EXTRA", None)
        install = (
            f"pip install 'graphroute[{extra}]'" if extra else f"pip install {' '.join(lacks)}"
        )
        raise ProviderUnavailable(
            f"{_one_of(family)} {name!r} needs {', '.join(lacks)}", name=name, next_step=install
        )
    return module.build(**options)
