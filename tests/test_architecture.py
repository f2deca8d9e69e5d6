"""Floors, fence and public surface hold: imports are read with `ast`, so nothing has to run."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

import graphroute

PACKAGE = Path(graphroute.__file__).parent

FLOORS: dict[str, int] = {
    "errors": 0,
    "registry": 0,
    "ir": 1,
    "protocols": 2,
    **dict.fromkeys(
        (
            "batching",
            "caches",
            "checks",
            "evaluation",
            "frontend",
            "learners",
            "passes",
            "planning",
            "providers",
            "report",
            "runtime",
            "scorers",
            "signals",
            "solvers",
            "store",
        ),
        3,
    ),
    "memory": 4,
    "pool": 4,
    "planner": 4,
    "profiling": 4,
    "compilation": 4,
    "compiler": 4,
    "keeping": 4,
    "learning": 4,
    "promoted": 4,
    "retraining": 4,
    "serving": 4,
    "cli": 5,
    "compat": 5,
    "demo": 5,
    "feedback": 5,
    "server": 5,
    "verify": 5,
    "": 5,
}
"""Floor of each top module or folder; `""` is the package's own `__init__`."""

FENCE: dict[str, tuple[str, ...]] = {
    "langgraph": ("frontend", "runtime", "compiler", "compat"),
    "langchain_core": (
        "frontend",
        "providers",
        "runtime",
        "server",
        "pool",
        "profiling",
        "compiler",
        "compat",
    ),
    "networkx": ("passes",),
    "numpy": (
        "ir/problem.py",
        "planning",
        "solvers",
        "scorers",
        "learners",
        "learned",
        "evaluation",
        "cli/_folds.py",
    ),
    "highspy": ("solvers",),
    # The ledger asks only whether the process of a reservation still lives.
    "psutil": ("signals", "runtime/processes.py"),
    "torch": ("scorers", "learned", "evaluation"),
    "typer": ("cli",),
    "rich": ("cli", "report", "demo"),
}
"""Where an outside package may be imported; some of these only ever under TYPE_CHECKING."""

NEVER_AT_IMPORT = {"torch", "highspy", "diskcache", "rich", "typer", "xllamacpp"}
CLI_ONLY = {"rich", "typer"}

TYPES_ONLY = {
    ("protocols.py", "langchain_core.language_models"),
    ("runtime/routed_graph.py", "graphroute.report"),
    ("runtime/routed_graph.py", "graphroute.report.span"),
}
"""Named for the type checker and never loaded: what `open()` gives, what `report()` gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import statement: where, of what, and whether it acts when the file is imported."""

    file: str
    line: int
    module: str
    acts_on_import: bool
    is_typing: bool

    @property
    def is_excused(self) -> bool:
        """Whether it is one of the few types that are named across a border."""
        return self.is_typing and (self.file, self.module) in TYPES_ONLY


def _modules() -> list[Path]:
    # A wheel carries the examples as data; they are a user's code and import what they like.
    return sorted(p for p in PACKAGE.rglob("*.py") if "_examples" not in p.parts)


def _imports(path: Path) -> Iterator[Import]:
    name = path.relative_to(PACKAGE).as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    late: set[ast.AST] = set()
    typing: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            typing.update(ast.walk(node))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            late.update(ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            # `from graphroute import ir` names a module by its alias.
            found = [f"{base}.{a.name}" for a in node.names] if base == "graphroute" else [base]
        else:
            continue
        for module in found:
            yield Import(
                file=name,
                line=node.lineno,
                module=module,
                acts_on_import=node not in late | typing,
                is_typing=node in typing,
            )


IMPORTS = [item for path in _modules() for item in _imports(path)]


def _top(file: str) -> str:
    first = file.partition("/")[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def _is_inside(file: str, place: str) -> bool:
    return file == place or file.startswith(f"{place}/") or file == f"{place}.py"


def test_every_module_has_a_floor() -> None:
    homeless = {_top(p.relative_to(PACKAGE).as_posix()) for p in _modules()} - FLOORS.keys()
    assert not homeless, f"give {sorted(homeless)} a floor in FLOORS and in docs/architecture.md"


def test_imports_go_down_only() -> None:
    faults = []
    for item in IMPORTS:
        if item.module.split(".")[0] != "graphroute" or item.is_excused:
            continue
        source, target = _top(item.file), item.module.partition(".")[2].split(".")[0]
        if target not in FLOORS:  # `from graphroute import optimize`: a name of the surface
            target = ""
        here, there = FLOORS[source], FLOORS[target]
        # The spokes of floor 3 know nothing of one another; elsewhere neighbours may be named.
        if source != target and (there > here or there == here == 3):
            faults.append(f"{item.file}:{item.line} imports {item.module}")
    assert not faults, "\n".join(faults)


def test_outside_packages_stay_behind_the_fence() -> None:
    faults = [
        f"{item.file}:{item.line} imports {item.module}"
        for item in IMPORTS
        if not item.is_excused
        and (places := FENCE.get(item.module.split(".")[0])) is not None
        and not any(_is_inside(item.file, place) for place in places)
    ]
    assert not faults, "\n".join(faults)


def test_heavy_packages_are_imported_late() -> None:
    faults = [
        f"{item.file}:{item.line} imports {item.module} when it is imported"
        for item in IMPORTS
        if item.acts_on_import
        and (root := item.module.split(".")[0]) in NEVER_AT_IMPORT
        and not (root in CLI_ONLY and item.file.startswith("cli/"))
    ]
    assert not faults, "\n".join(faults)


def test_annotations_are_postponed_everywhere() -> None:
    lacking = [
        item.relative_to(PACKAGE).as_posix()
        for item in _modules()
        if "from __future__ import annotations" not in item.read_text(encoding="utf-8")
    ]
    assert not lacking


def test_the_surface_is_sorted_and_real() -> None:
    names = list(graphroute.__all__)
    assert names == sorted(names)
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(graphroute, name) is not None, name
    assert {"optimize", "plan", "route", "Plan", "Model", "Budget", "RouteHints"} <= set(names)


def test_errors_are_one_tree() -> None:
    from graphroute import errors

    own = errors.__name__
    kinds = [v for v in vars(errors).values() if getattr(v, "__module__", "") == own]
    kinds = [k for k in kinds if isinstance(k, type)]
    assert all(issubclass(k, errors.GraphrouteError) for k in kinds)
    assert all(k.__doc__ for k in kinds)
    drawn = errors.__doc__ or ""
    assert all(k.__name__ in drawn for k in kinds), "the drawing must name each class"


def test_import_loads_nothing_heavy() -> None:
    code = "import sys, graphroute; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = set(_python(code).split())
    # typer is not looked for: LangChain's own dependencies may load rich.
    assert not loaded & {"torch", "highspy", "diskcache", "xllamacpp", "typer"}


@pytest.mark.xdist_group("timing")
def test_import_adds_little_to_langgraph() -> None:
    """Pairs of one run each, interleaved: load from outside hits both halves of a pair alike."""
    base = "from langgraph.graph import StateGraph"
    timed = (
        f"import time; {base}; start = time.process_time(); import graphroute;"
        "print(time.process_time() - start)"
    )
    added = [float(_python(timed)) for _ in range(5)]
    assert median(added) <= 0.3, f"import graphroute adds {sorted(added)} s of processor time"


def _python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip()
