"""The command line's TARGET: from `file.py:variable` to a compiled graph.

| TARGET | meaning |
|---|---|
| `path/to/app.py:graph` | variable of a script; its folder is importable while it loads |
| `package.module:graph` | variable of an importable module |
| `support` | the graph called so in `langgraph.json` |
| nothing | the only graph in `langgraph.json` |

The variable may be a compiled graph, a `StateGraph` still to be compiled, or a function without
required arguments (also async) that returns one of these.
"""

from __future__ import annotations

import asyncio
import difflib
import importlib
import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from graphroute.errors import TargetError

CONFIG: Final = "langgraph.json"


def load_target(target: str = "", *, folder: Path | None = None) -> Pregel[Any, Any, Any, Any]:
    """The graph that TARGET names, looked for from `folder` (default: the working folder).

    Runs the module it imports and a factory it names, nothing else. Raises `TargetError` that
    says what failed: no such file or attribute, an import that raised (with its line), or a
    value that is no graph.
    """
    base = Path.cwd() if folder is None else folder
    place, _, variable = target.rpartition(":")
    if not place or (len(place) == 1 and variable.startswith(("\\", "/"))):
        # No variable: a graph's name in langgraph.json (or a Windows path without one).
        if target.endswith(".py"):
            raise TargetError(
                f"TARGET {target!r} names no variable",
                target=target,
                next_step=f"write {target}:graph, where graph is the variable",
            )
        place, variable, base = _configured(target, base)
    if not variable:
        raise TargetError(
            f"TARGET {target!r} names no variable",
            target=target,
            next_step=f"write {place}:graph, where graph is the variable",
        )
    label = f"{place}:{variable}"
    is_file = place.endswith(".py") or "/" in place or "\\" in place
    with _importable(base if not is_file else (base / place).resolve().parent):
        module = _module_of_file(base / place, label) if is_file else _module(place, label)
        return _graph(_attribute(module, variable, label), label)


def _configured(name: str, base: Path) -> tuple[str, str, Path]:
    """Place, variable and folder of a graph listed in `langgraph.json`."""
    path = base / CONFIG
    if not path.is_file():
        what = f"TARGET {name!r} is no path:variable and" if name else "no TARGET and"
        raise TargetError(
            f"{what} there is no {CONFIG} in {base}",
            target=name,
            next_step="write path.py:variable or package.module:variable",
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TargetError(
            f"{CONFIG} cannot be read: {error}", target=name, next_step=f"mend {path}"
        ) from None
    graphs = content.get("graphs") if isinstance(content, dict) else None
    if not isinstance(graphs, dict) or not graphs:
        raise TargetError(
            f"{CONFIG} lists no graphs",
            target=name,
            next_step='add {"graphs": {"name": "./file.py:variable"}}',
        )
    names = ", ".join(map(repr, graphs))
    if not name and len(graphs) > 1:
        raise TargetError(
            f"{CONFIG} lists {len(graphs)} graphs: {names}",
            target=name,
            known=tuple(graphs),
            next_step="name one of them as TARGET",
        )
    chosen = name or next(iter(graphs))
    if chosen not in graphs:
        raise TargetError(
            f"{CONFIG} lists no graph {chosen!r}{_suggestion(chosen, graphs)}",
            target=name,
            known=tuple(graphs),
            next_step=f"it lists {names}",
        )
    entry = graphs[chosen]
    where = entry.get("path") if isinstance(entry, dict) else entry
    place, _, variable = where.rpartition(":") if isinstance(where, str) else ("", "", "")
    if not place or not variable:
        raise TargetError(
            f"{CONFIG}: graph {chosen!r} is {where!r}",
            target=name,
            next_step="write './file.py:variable'",
        )
    return place, variable, base


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Put a folder first on the import path while a target loads, as `python script.py` would."""
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        # By value: the module may have put entries of its own in front.
        if entry in sys.path:
            sys.path.remove(entry)


def _module_of_file(path: Path, label: str) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.py")], n=1)
        hint = f" (do you mean {near[0]!r}?)" if near else ""
        raise TargetError(
            f"TARGET {label!r}: there is no file {path}{hint}",
            target=label,
            next_step="give a path that exists",
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise TargetError(
            f"TARGET {label!r}: {path.name} is no Python file",
            target=label,
            next_step="give a .py file",
        )
    before = sys.modules.get(path.stem)
    if before is not None:
        if getattr(before, "__file__", None) == str(path):
            return before
        # A script called like a loaded module must not take its place for everyone else.
        spec.name = f"graphroute_target_{path.stem}"
        spec.loader.name = spec.name  # type: ignore[attr-defined]  # checked against the spec
    module = importlib.util.module_from_spec(spec)
    # Pydantic and typing look annotations up in sys.modules, also after loading.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(spec.name, None)
        if isinstance(error, KeyboardInterrupt):
            raise
        raise _import_failed(label, path.name, error) from None
    return module


def _module(name: str, label: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _import_failed(label, name, error) from None


def _import_failed(label: str, what: str, error: BaseException) -> TargetError:
    # The innermost frame outside the import machinery is where the user can mend it.
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and Path(frame.filename) != Path(__file__)
    ]
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    if isinstance(error, SyntaxError):
        where = f" at {Path(error.filename or what).name}:{error.lineno}"
    lines = str(error).splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return TargetError(
        f"TARGET {label!r}: importing {what} raised {text}{where}",
        target=label,
        next_step="mend it, or run where its packages and settings are there",
    )


def _attribute(module: ModuleType, variable: str, label: str) -> object:
    value: object = module
    for name in variable.split("."):
        if not hasattr(value, name):
            names = [n for n in dir(value) if not n.startswith("_")]
            graphs = [n for n in names if isinstance(getattr(value, n, None), (Pregel, StateGraph))]
            step = f"graphs there: {', '.join(graphs)}" if graphs else "name an existing variable"
            raise TargetError(
                f"TARGET {label!r}: no variable {name!r}{_suggestion(name, names)}",
                target=label,
                next_step=step,
            )
        value = getattr(value, name)
    return value


def _graph(value: object, label: str) -> Pregel[Any, Any, Any, Any]:
    made = ""
    if not isinstance(value, (Pregel, StateGraph)) and callable(value):
        value, made = _made(value, label), " returned"
    if isinstance(value, StateGraph):
        try:
            return value.compile()
        except Exception as error:
            raise TargetError(
                f"TARGET {label!r}: compiling it raised {type(error).__name__}: {error}",
                target=label,
                next_step="mend the graph",
            ) from None
    if isinstance(value, Pregel):
        return value
    raise TargetError(
        f"TARGET {label!r}{made} is no graph but {type(value).__name__}",
        target=label,
        next_step="name a compiled graph, a StateGraph, or a function that returns one",
    )


def _made(factory: Any, label: str) -> object:
    """What a factory returns; one that needs arguments or fails is told as such."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]  # a C function tells nothing
    needed = [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    # LangGraph's own servers call a factory of one argument with the run's config.
    if len(needed) > 1 or (needed and needed != ["config"]):
        raise TargetError(
            f"TARGET {label!r} is a function that needs {', '.join(map(repr, needed))}",
            target=label,
            next_step="name a function without required arguments, or the graph itself",
        )
    try:
        made = factory({"configurable": {}}) if needed else factory()
        return asyncio.run(_awaited(made)) if inspect.isawaitable(made) else made
    except Exception as error:
        raise TargetError(
            f"TARGET {label!r}: calling it raised {type(error).__name__}: {error}",
            target=label,
            next_step="mend the function, or name the graph itself",
        ) from None


async def _awaited(made: Any) -> object:
    result: object = await made
    return result


def _suggestion(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (do you mean {near[0]!r}?)" if near else ""
